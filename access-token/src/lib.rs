//! Who a signed-in user is, by the access token that Supabase Auth signed.
//!
//! Pure: no clock, no network. The Worker fetches keys and tells the time. What is refused: every algorithm but four,
//! every key that isn't ours, and whatever a token says of how it wants to be checked beyond naming a key.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may panic"))]

mod verifiers;

pub mod email;

pub mod key;

pub mod token;

pub mod cache;
