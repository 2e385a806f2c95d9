//! How everything stands: what the database function `overview` tells, and `GET /api/internal/overview` with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use session_core::time::Timestamp;

use crate::sessions::{Action, Run, Session};

/// Upper bounds of the latency histograms' buckets, in milliseconds; one more bucket holds what took longer. The migrations
/// have the same numbers.
pub const LATENCY_BOUNDS_MS: [u32; 10] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000];

/// Ages are counted in minutes up to this; the last count holds all that are older.
pub const MOST_AGE_MINUTES: usize = 120;

/// How old an active session may be at the most, beyond the interval, in seconds: the objective's margin.
pub const MARGIN_SECONDS: u32 = 300;

/// The share of active sessions that have to be younger than that.
pub const OBJECTIVE: f64 = 0.999;

/// How everything stands, at one moment.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The database's clock.
    #[serde(rename(deserialize = "now", serialize = "serverTime"))]
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
    /// What came of attempts, for each period of the time asked for, oldest first. Periods without attempts are left out.
    pub periods: Vec<Period>,
    /// How long a period is, in seconds.
    pub period_seconds: u32,
    /// What the ticks saw, thinned out: of each span the worst. Oldest first.
    pub samples: Vec<Sample>,
    /// From when on periods and samples are told.
    pub since: Timestamp,
    /// The latest runs, newest first.
    pub runs: Vec<Run>,
    /// Sessions in trouble, those tried last first; at most fifty.
    pub trouble: Vec<Session>,
    /// How many sessions are in trouble: expired, given up, or failing; counted up to 1,001.
    pub trouble_count: u32,
    /// Alerts that are on, and those that were over in the last day.
    pub alerts: Vec<Alert>,
    /// What receivers of alerts and events were not told yet.
    pub undelivered: Undelivered,
    /// What operators did last, newest first.
    pub actions: Vec<Action>,
}

/// What waits to be refreshed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// Sessions due and not worked on; counted up to 10,001.
    pub due: u32,
    /// Since when the one that waits longest is due.
    pub oldest_due_at: Option<Timestamp>,
    /// How long ago the one that waits longest gave its last sign of life, in seconds.
    pub oldest_age_seconds: Option<u32>,
}

/// All sessions, as of a moment.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stock {
    /// When they were counted; `null`: never.
    pub counted_at: Option<Timestamp>,
    /// Looked after.
    pub active: u32,
    /// Waiting for a sign-in.
    pub expired: u32,
    /// Given up after too many failures.
    pub exhausted: u32,
    /// Active by state, but taken out of the batch's care.
    pub disabled: u32,
    /// Looked after, and failed at the last attempt.
    pub failing: u32,
    /// Looked after, and older than the interval and the objective's margin.
    pub late: u32,
    /// The age of the oldest that is looked after, in seconds.
    pub oldest_age_seconds: Option<u32>,
    /// How many of those looked after are so many minutes old, from 0 on; the last holds all that are older.
    pub ages: Vec<u32>,
}

impl Stock {
    /// The share of sessions looked after that are young enough; 1 where there are none.
    pub fn share_in_time(&self) -> f64 {
        share(self.active.into(), self.late.into())
    }
}

/// The share of `all` that is not `late`.
pub fn share(all: u64, late: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of sessions are far below 2^52")]
    if all == 0 {
        1.0
    } else {
        1.0 - late as f64 / all as f64
    }
}

/// How upstream is called.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Whether calls go through.
    pub breaker: Breaker,
    /// Until when nobody calls, if so.
    pub held_until: Option<Timestamp>,
    /// Calls that may be under way now.
    pub in_flight: u32,
    /// Calls a second that upstream gets now.
    pub calls_per_second: f64,
}

/// Whether calls to upstream go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// They do.
    #[default]
    Closed,
    /// None does: upstream has trouble.
    Open,
    /// One does, to see whether upstream is back.
    HalfOpen,
}

/// What came of attempts in a period.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// When it began.
    pub at: Timestamp,
    /// Attempts by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// How long attempts took.
    pub latency: Histogram,
}

/// How long something took: counts for each bucket of [`LATENCY_BOUNDS_MS`], and one more.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// How many.
    pub count: u64,
    /// All together, in milliseconds.
    pub sum_ms: u64,
    /// How many for each bucket; not cumulative.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// Counts one that took so long.
    pub fn note(&mut self, milliseconds: u64) {
        self.count = self.count.saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(milliseconds);
        self.buckets.resize(LATENCY_BOUNDS_MS.len().saturating_add(1), 0);
        let place = LATENCY_BOUNDS_MS.partition_point(|bound| u64::from(*bound) < milliseconds);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket = bucket.saturating_add(1);
        }
    }
}

/// What ticks saw; of several the worst.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Sessions due.
    pub due: u32,
    /// The age of the one that waited longest, in seconds.
    pub oldest_age_seconds: Option<u32>,
    /// Sessions looked after.
    pub active: u32,
    /// Those older than the interval and the objective's margin.
    pub late: u32,
}

/// An alert.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Which.
    pub kind: AlertKind,
    /// Since when it is on.
    pub since: Timestamp,
    /// Since when it is over; `null`: it is on.
    pub over_at: Option<Timestamp>,
    /// When its receivers were last to be told.
    pub told_at: Option<Timestamp>,
    /// What was seen, by name: numbers, codes, ids, and of `markup_changed` the outline of a page.
    pub details: serde_json::Value,
}

/// What operators are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Too many attempts fail. Details: `attempts`, `failures`, `minutes`.
    FailureRate,
    /// The session that waits longest is too old. Details: `ageSeconds`, `due`, `limitSeconds`.
    OldestDue,
    /// Upstream has trouble, and is left alone. Details: `breaker`.
    BreakerOpen,
    /// Sessions expired or were given up. Details: `expired`, `exhausted` (numbers), `sessionIds` (ten at the most).
    SessionsLost,
    /// The Worker's settings are wrong. Details: `reason`.
    Misconfigured,
    /// The database refuses the Worker. Details: `code`.
    DatabaseRefused,
    /// Upstream's page is not recognised any more. Details: `sessions`, `outline`.
    MarkupChanged,
    /// Sessions die sooner than the interval allows for. Details: `intervalSeconds`, `recommendedSeconds`, `lifeSeconds`.
    IntervalTooLong,
}

/// What receivers were not told yet.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Undelivered {
    /// Alerts.
    pub alerts: u32,
    /// Sessions' events.
    pub events: u32,
    /// Since when the oldest of them waits.
    pub oldest_at: Option<Timestamp>,
    /// Why the last delivery that failed did, by a code; `null`: none waits after a failure.
    pub last_error: Option<String>,
}
