//! What Prometheus gets. `tests/metrics.txt` is read by Prometheus's own parser for Python too, and the names in it are
//! those that rules and Grafana may use: the repository's `tests/rules.test.mjs`.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Metrics, to_open_metrics};

fn sample() -> Value {
    serde_json::from_str(include_str!("../../tests/metrics.json")).unwrap()
}

fn text(sample: Value) -> String {
    to_open_metrics(&serde_json::from_value::<Metrics>(sample).unwrap()).unwrap()
}

/// The value of a series, by its name and labels.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// `UPDATE_TYPES=1 cargo test` writes the file anew.
#[test]
fn the_whole_text_is_what_it_was() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics.txt");
    let text = text(sample());
    if std::env::var_os("UPDATE_TYPES").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == text,
        "metrics.txt is out of date: run UPDATE_TYPES=1 cargo test"
    );
}

#[test]
fn a_database_without_sessions_or_history_shows_zeros() {
    let empty = json!({ "count": 0, "sumMs": 0, "buckets": [] });
    let text = text(json!({
        "now": 1_000, "intervalSeconds": 1200, "lifeSeconds": null, "lastTickAt": null,
        "backlog": { "due": 0, "oldestDueAt": null, "oldestAgeSeconds": null },
        "stock": {
            "countedAt": null, "active": 0, "expired": 0, "exhausted": 0, "disabled": 0, "failing": 0, "late": 0,
            "oldestAgeSeconds": null, "ages": [],
        },
        "upstream": { "breaker": "closed", "heldUntil": null, "inFlight": 0, "callsPerSecond": 10 },
        "attempts": [], "runs": [], "database": empty, "alerts": [],
        "undelivered": { "alerts": 0, "events": 0, "oldestAt": null, "lastError": null },
    }));
    for series in [
        "keepalive_oldest_due_age_seconds",
        "keepalive_last_tick_timestamp_seconds",
        "keepalive_attempts_total{outcome=\"expired\"}",
        "keepalive_run_duration_seconds_count{trigger=\"api\"}",
        "keepalive_upstream_latency_seconds_bucket{le=\"+Inf\"}",
        "keepalive_alert_firing{alert=\"oldest_due\"}",
    ] {
        let shown = value(&text, series).unwrap_or("missing");
        assert!(["0", "0.0"].contains(&shown), "{series}: {shown}");
    }
    assert!(
        !text.contains("measured_life"),
        "nobody knows how long sessions live"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn names_of_a_later_version_make_no_new_label() {
    let text = text(sample());
    assert!(!text.contains("of_a_later_version"));
    assert_eq!(
        value(&text, "keepalive_attempts_total{outcome=\"other\"}"),
        Some("1")
    );
    assert_eq!(value(&text, "keepalive_upstream_calls_total"), Some("515"));
}

#[test]
fn latency_is_that_of_attempts_with_a_call() {
    let text = text(sample());
    // 500 refreshed, 2 timed out, 1 unknown: neither the unusable nor the abandoned ones.
    assert_eq!(
        value(&text, "keepalive_upstream_latency_seconds_count"),
        Some("503")
    );
    assert_eq!(
        value(&text, "keepalive_upstream_latency_seconds_bucket{le=\"20.0\"}"),
        Some("501")
    );
    assert_eq!(
        value(&text, "keepalive_upstream_latency_seconds_bucket{le=\"+Inf\"}"),
        Some("503")
    );
}

#[test]
fn states_are_disjoint() {
    let text = text(sample());
    let state = |name: &str| value(&text, &format!("keepalive_sessions{{state=\"{name}\"}}")).unwrap();
    let states = ["healthy", "failing", "expired", "exhausted", "disabled"];
    assert_eq!(states.map(state), ["960.0", "40.0", "12.0", "3.0", "5.0"]);
}
