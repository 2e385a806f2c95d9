//! When an aimharder session wants its refresh, and what upstream's answer means.
//!
//! Pure: no clock, no network, no JavaScript. Time and randomness are arguments; the Worker acts on what is
//! decided here. Modules stand in the order of the data: a stored session, the request made of it, the body
//! that answers, what the answer means, when to try next, a whole batch, what callers ask for, and the JSON told to them.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

pub mod time;

pub mod secret;

pub mod token;

pub mod cookies;

pub mod method;

pub mod session;

pub mod page;

pub mod update;

pub mod body;

pub mod outcome;

pub mod backoff;

pub mod due;

pub mod fanout;

pub mod finish;

pub mod batch;

pub mod requests;

pub mod wire;

pub mod problem;
