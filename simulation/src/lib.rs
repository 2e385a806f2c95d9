//! Months of keeping sessions alive, played in seconds: a virtual clock, seeded dice, and every trouble that can be
//! thought of. What decides is the product's own code: `session-core`, and of the SQL functions a model that a test
//! drives side by side with the real ones.
//!
//! Out of scope: HTTP, HTML and `PostgreSQL`'s locking, which the tests from outside exercise.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation may panic: that is a finding. Its times and counts are far from the ends of their ranges"
)]

mod model;

mod history;

mod world;

pub use history::History;
pub use world::{Counts, Scale, play};

/// The number that follows `name` on a command line.
pub fn number_of(arguments: &[String], name: &str) -> Option<u64> {
    let place = arguments.iter().position(|argument| argument == name)?;
    arguments.get(place + 1)?.parse().ok()
}
