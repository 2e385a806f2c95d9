//! All metrics, declared in one place: name, unit, help, and how each is read. Labels come from closed sets, each of whose
//! members is always there, so that a first event is seen as an increase.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};
use session_core::{outcome::OutcomeCode, time::Timestamp};

use super::Metrics;
use crate::overview::{AlertKind, Breaker, Histogram, LATENCY_BOUNDS_MS};

/// Where a name goes that this version doesn't know.
const OTHER: &str = "other";

const OUTCOMES: [&str; 12] = [
    OutcomeCode::Refreshed.as_str(),
    OutcomeCode::Expired.as_str(),
    OutcomeCode::Throttled.as_str(),
    OutcomeCode::Refused.as_str(),
    OutcomeCode::UpstreamFault.as_str(),
    OutcomeCode::Unreachable.as_str(),
    OutcomeCode::TimedOut.as_str(),
    OutcomeCode::Unrecognised.as_str(),
    OutcomeCode::Unusable.as_str(),
    "unwritten",
    "abandoned",
    OTHER,
];

/// Outcomes of attempts that never got as far as a call, or of which nobody knows how long it took.
const UNCALLED: [&str; 2] = [OutcomeCode::Unusable.as_str(), "abandoned"];

const QUEUE: &str = "queue";
const TRIGGERS: [&str; 5] = ["cron", QUEUE, "api", "ensure_fresh", OTHER];

const ALERTS: [AlertKind; 8] = [
    AlertKind::FailureRate,
    AlertKind::OldestDue,
    AlertKind::BreakerOpen,
    AlertKind::SessionsLost,
    AlertKind::Misconfigured,
    AlertKind::DatabaseRefused,
    AlertKind::MarkupChanged,
    AlertKind::IntervalTooLong,
];

pub(super) static FAMILIES: [Family; 25] = [
    plain(
        "due_sessions",
        "Sessions due and not worked on, counted up to 10,001.",
        |m| gauge(m.backlog.due),
    ),
    seconds(
        "oldest_due_age",
        "How long ago the due session that waits longest gave its last sign of life; 0 where none is due.",
        |m| gauge(m.backlog.oldest_age_seconds.unwrap_or(0)),
    ),
    seconds(
        "oldest_due_overdue",
        "For how long the session that waits longest has been due; 0 where none is due.",
        |m| gauge(age(m, m.backlog.oldest_due_at)),
    ),
    plain(
        "sessions",
        "Sessions by state when they were last counted; those looked after are healthy or failing.",
        sessions,
    ),
    plain(
        "sessions_late",
        "Sessions looked after that are older than the interval and five minutes, when they were last counted.",
        |m| gauge(m.stock.late),
    ),
    seconds(
        "sessions_counted_timestamp",
        "When sessions were last counted; 0: never.",
        |m| gauge(epoch(m.stock.counted_at)),
    ),
    seconds(
        "oldest_session_age",
        "The age of the oldest session looked after, when they were last counted; 0 where there is none.",
        |m| gauge(m.stock.oldest_age_seconds.unwrap_or(0)),
    ),
    seconds("refresh_interval", "How old a refresh may grow.", |m| {
        gauge(m.interval_seconds)
    }),
    seconds(
        "measured_life",
        "How long sessions were found to live without a refresh; absent where that is not known.",
        |m| {
            Samples::Gauge(
                m.life_seconds
                    .map(|life| (None, life.into()))
                    .into_iter()
                    .collect(),
            )
        },
    ),
    plain(
        "attempts",
        "Attempts to refresh a session, by what came of them.",
        attempts,
    ),
    plain("upstream_calls", "Calls of upstream.", |m| {
        Samples::Counter(vec![(
            None,
            sum(m.attempts.iter().map(|attempts| attempts.calls)),
        )])
    }),
    seconds(
        "upstream_latency",
        "How long attempts with a call of upstream took.",
        upstream_latency,
    ),
    seconds(
        "database_latency",
        "How long calls of the database took, as runs saw them.",
        |m| Samples::Histogram(vec![(None, m.database.clone())]),
    ),
    seconds("run_duration", "How long runs took, by who started them.", runs),
    plain(
        "queue_wakeups",
        "Runs that a message of the queue started.",
        |m| Samples::Counter(vec![(None, histogram_of(m, QUEUE).count)]),
    ),
    plain(
        "breaker_state",
        "Whether calls of upstream go through: 1 at the state that holds.",
        breaker,
    ),
    plain(
        "calls_in_flight",
        "Calls of upstream that may be under way.",
        |m| gauge(m.upstream.in_flight),
    ),
    plain(
        "calls_per_second",
        "The pace at which upstream may be called.",
        |m| gauge(m.upstream.calls_per_second),
    ),
    seconds(
        "calls_held",
        "For how much longer nobody calls upstream; 0 where calls go through.",
        |m| {
            gauge(
                m.upstream
                    .held_until
                    .map_or(0.0, |until| until.since(m.now).as_secs_f64()),
            )
        },
    ),
    seconds(
        "last_tick_timestamp",
        "When a cron tick last reached the database; 0: never.",
        |m| gauge(epoch(m.last_tick_at)),
    ),
    seconds("database_timestamp", "The database's clock.", |m| {
        gauge(epoch(Some(m.now)))
    }),
    plain("alert_firing", "Whether the Worker's own alerts are on.", alerts),
    plain(
        "undelivered_messages",
        "Alerts and sessions' events that their receiver was not told yet.",
        |m| {
            let waiting = |kind, count: u32| (Some(("kind", kind)), count.into());
            let undelivered = &m.undelivered;
            Samples::Gauge(vec![
                waiting("alert", undelivered.alerts),
                waiting("event", undelivered.events),
            ])
        },
    ),
    seconds(
        "undelivered_oldest_age",
        "How long the oldest message that was not delivered has waited; 0 where none waits.",
        |m| gauge(age(m, m.undelivered.oldest_at)),
    ),
    plain(
        "delivery_failing",
        "Whether the last delivery of a message that still waits failed.",
        |m| gauge(u32::from(m.undelivered.last_error.is_some())),
    ),
];

type Label = (&'static str, &'static str);

/// What a family shows now.
enum Samples {
    Gauge(Vec<(Option<Label>, f64)>),
    Counter(Vec<(Option<Label>, u64)>),
    Histogram(Vec<(Option<Label>, Histogram)>),
}

/// One metric in all its labels.
pub(super) struct Family {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    read: fn(&Metrics) -> Samples,
}

const fn plain(name: &'static str, help: &'static str, read: fn(&Metrics) -> Samples) -> Family {
    Family {
        name,
        unit: None,
        help,
        read,
    }
}

const fn seconds(name: &'static str, help: &'static str, read: fn(&Metrics) -> Samples) -> Family {
    Family {
        name,
        unit: Some(Unit::Seconds),
        help,
        read,
    }
}

impl Family {
    pub(super) fn encode(&self, metrics: &Metrics, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let samples = (self.read)(metrics);
        if samples.is_empty() {
            return Ok(());
        }
        let encoder = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), samples.kind())?;
        match samples {
            Samples::Gauge(samples) => each(encoder, samples, |encoder, value| encoder.encode_gauge(&value)),
            Samples::Counter(samples) => each(encoder, samples, |encoder, value| {
                encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
            }),
            Samples::Histogram(samples) => each(encoder, samples, |encoder, value| {
                encode_histogram(encoder, &value)
            }),
        }
    }
}

impl Samples {
    fn is_empty(&self) -> bool {
        match self {
            Self::Gauge(samples) => samples.is_empty(),
            Self::Counter(samples) => samples.is_empty(),
            Self::Histogram(samples) => samples.is_empty(),
        }
    }

    fn kind(&self) -> MetricType {
        match self {
            Self::Gauge(_) => MetricType::Gauge,
            Self::Counter(_) => MetricType::Counter,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }
}

fn each<T>(
    mut encoder: MetricEncoder,
    samples: Vec<(Option<Label>, T)>,
    encode: fn(&mut MetricEncoder, T) -> fmt::Result,
) -> fmt::Result {
    samples.into_iter().try_for_each(|(label, value)| match label {
        Some(label) => encode(&mut encoder.encode_family(&[label])?, value),
        None => encode(&mut encoder, value),
    })
}

/// The count is that of the buckets: the format wants the last bucket to equal it, and an attempt may have no duration.
fn encode_histogram(encoder: &mut MetricEncoder, histogram: &Histogram) -> fmt::Result {
    let bounds = LATENCY_BOUNDS_MS.map(|bound| f64::from(bound) / 1_000.0);
    let counts = histogram.buckets.iter().copied().chain(std::iter::repeat(0));
    let buckets: Vec<_> = bounds.into_iter().chain([f64::INFINITY]).zip(counts).collect();
    let count = sum(buckets.iter().map(|(_, count)| *count));
    let total = Duration::from_millis(histogram.sum_ms).as_secs_f64();
    encoder.encode_histogram::<NoLabelSet>(total, count, &buckets, None)
}

fn gauge(value: impl Into<f64>) -> Samples {
    Samples::Gauge(vec![(None, value.into())])
}

/// A gauge for each member of a set, 1 where it holds.
fn flags(label: &'static str, set: impl IntoIterator<Item = (&'static str, bool)>) -> Samples {
    let flag = |(value, holds)| (Some((label, value)), f64::from(u8::from(holds)));
    Samples::Gauge(set.into_iter().map(flag).collect())
}

fn sessions(metrics: &Metrics) -> Samples {
    let stock = &metrics.stock;
    let states = [
        ("healthy", stock.active.saturating_sub(stock.failing)),
        ("failing", stock.failing),
        ("expired", stock.expired),
        ("exhausted", stock.exhausted),
        ("disabled", stock.disabled),
    ];
    Samples::Gauge(
        states
            .map(|(state, count)| (Some(("state", state)), count.into()))
            .to_vec(),
    )
}

fn attempts(metrics: &Metrics) -> Samples {
    let count = |outcome| {
        let alike = metrics
            .attempts
            .iter()
            .filter(|it| known(&OUTCOMES, &it.outcome) == outcome);
        (
            Some(("outcome", outcome)),
            sum(alike.map(|it| it.histogram.count)),
        )
    };
    Samples::Counter(OUTCOMES.map(count).to_vec())
}

fn upstream_latency(metrics: &Metrics) -> Samples {
    let called = metrics
        .attempts
        .iter()
        .filter(|it| !UNCALLED.contains(&it.outcome.as_str()));
    Samples::Histogram(vec![(None, together(called.map(|it| &it.histogram)))])
}

fn runs(metrics: &Metrics) -> Samples {
    let duration = |trigger| (Some(("trigger", trigger)), histogram_of(metrics, trigger));
    Samples::Histogram(TRIGGERS.map(duration).to_vec())
}

fn histogram_of(metrics: &Metrics, trigger: &str) -> Histogram {
    let alike = metrics
        .runs
        .iter()
        .filter(|it| known(&TRIGGERS, &it.trigger) == trigger);
    together(alike.map(|it| &it.histogram))
}

fn breaker(metrics: &Metrics) -> Samples {
    let states = [
        ("closed", Breaker::Closed),
        ("open", Breaker::Open),
        ("half_open", Breaker::HalfOpen),
    ];
    flags(
        "state",
        states.map(|(name, state)| (name, metrics.upstream.breaker == state)),
    )
}

fn alerts(metrics: &Metrics) -> Samples {
    let is_on = |name| metrics.alerts.iter().any(|on| on == name);
    flags("alert", ALERTS.map(alert_name).map(|name| (name, is_on(name))))
}

const fn alert_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::FailureRate => "failure_rate",
        AlertKind::OldestDue => "oldest_due",
        AlertKind::BreakerOpen => "breaker_open",
        AlertKind::SessionsLost => "sessions_lost",
        AlertKind::Misconfigured => "misconfigured",
        AlertKind::DatabaseRefused => "database_refused",
        AlertKind::MarkupChanged => "markup_changed",
        AlertKind::IntervalTooLong => "interval_too_long",
    }
}

fn known(set: &[&'static str], name: &str) -> &'static str {
    set.iter()
        .copied()
        .find(|member| *member == name)
        .unwrap_or(OTHER)
}

fn together<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Histogram {
    let empty = Histogram {
        buckets: vec![0; LATENCY_BOUNDS_MS.len().saturating_add(1)],
        ..Histogram::default()
    };
    histograms.fold(empty, |mut all, one| {
        all.count = all.count.saturating_add(one.count);
        all.sum_ms = all.sum_ms.saturating_add(one.sum_ms);
        for (bucket, count) in all.buckets.iter_mut().zip(&one.buckets) {
            *bucket = bucket.saturating_add(*count);
        }
        all
    })
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// Seconds since the epoch; 0 for what never happened.
fn epoch(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.since(Timestamp::from_millis(0)).as_secs_f64())
}

/// How long ago something was, in seconds; 0 for what is not.
fn age(metrics: &Metrics, at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| metrics.now.since(at).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_s_label_is_the_name_that_the_database_knows() {
        for kind in ALERTS {
            assert_eq!(serde_json::to_value(kind).unwrap(), alert_name(kind));
        }
    }
}
