//! What Prometheus scrapes: the answer of the database function `metrics` as `OpenMetrics` text.
//!
//! Everything is the database's, so that Workers that come and go reset nothing. Out of scope: who may scrape, and
//! counting.

mod families;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    registry::Registry,
};
use serde::Deserialize;
use session_core::time::Timestamp;

use crate::overview::{Backlog, Histogram, Stock, Undelivered, Upstream};

/// What the text is served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the database tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// The database's clock.
    pub now: Timestamp,
    /// How old a refresh may grow.
    pub interval_seconds: u32,
    /// How long sessions were found to live without a refresh; `null` where that is not known.
    pub life_seconds: Option<u32>,
    /// The last cron tick that reached the database.
    pub last_tick_at: Option<Timestamp>,
    /// What waits to be refreshed.
    pub backlog: Backlog,
    /// What all sessions were when they were last counted.
    pub stock: Stock,
    /// How upstream is called.
    pub upstream: Upstream,
    /// Attempts since ever, by outcome.
    pub attempts: Vec<Attempts>,
    /// Runs since ever, by trigger.
    pub runs: Vec<Runs>,
    /// Calls of the database, as runs saw them.
    pub database: Histogram,
    /// Alerts that are on, by their kinds' names.
    pub alerts: Vec<String>,
    /// What receivers of alerts and events were not told yet.
    pub undelivered: Undelivered,
}

/// Attempts that came to the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempts {
    /// What they came to: an outcome's code, or `abandoned`, `unwritten`.
    pub outcome: String,
    /// How long they took.
    pub histogram: Histogram,
    /// Calls of upstream made for them.
    pub calls: u64,
}

/// Runs that were started alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// Who started them.
    pub trigger: String,
    /// How long they took.
    pub histogram: Histogram,
}

/// The whole text of a scrape.
pub fn to_open_metrics(metrics: &Metrics) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("keepalive");
    registry.register_collector(Box::new(metrics.clone()));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        families::FAMILIES
            .iter()
            .try_for_each(|family| family.encode(self, &mut encoder))
    }
}

#[cfg(test)]
mod tests;
