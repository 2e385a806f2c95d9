//! What operators see and are told, of what the database knows: history, metrics, the dashboard's pages, alerts.
//!
//! Pure: no clock, no network. The Worker asks the database, hands its answer here, and sends what comes of it.

pub mod overview;

pub mod sessions;

pub mod health;

pub mod metrics;

pub mod messages;

pub mod dashboard;
