//! When an aimharder session wants its refresh, and what upstream's answer means.
//!
//! Pure: no clock, no network, no JavaScript. The Worker acts on what is decided here.

pub mod page;
