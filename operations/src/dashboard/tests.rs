use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_766_731_601_250;

const VISIT: Visit<'static> = Visit {
    csrf: "form-token",
    key_id: "9f2c41d0",
    notice: None,
};

/// 1,204 sessions that are well, but for what `changes` says: values by JSON pointer.
fn stand(changes: &[(&str, Value)]) -> Overview {
    let mut told = json!({
        "now": NOW, "intervalSeconds": 1_500, "lifeSeconds": 5_400, "lastTickAt": NOW - 20_000,
        "backlog": { "due": 3, "oldestDueAt": NOW - 5_000, "oldestAgeSeconds": 1_505 },
        "stock": {
            "countedAt": NOW, "active": 1_204, "expired": 2, "exhausted": 0, "disabled": 0, "failing": 0, "late": 0,
            "oldestAgeSeconds": 1_140, "ages": [1_000, 204],
        },
        "upstream": { "breaker": "closed", "heldUntil": null, "inFlight": 6, "callsPerSecond": 10.0 },
        "periods": [], "periodSeconds": 900, "samples": [], "since": NOW - 86_400_000, "runs": [], "trouble": [],
        "troubleCount": 0, "alerts": [], "actions": [],
        "undelivered": { "alerts": 0, "events": 0, "oldestAt": null, "lastError": null },
    });
    for (place, value) in changes {
        *told.pointer_mut(place).unwrap() = value.clone();
    }
    serde_json::from_value(told).unwrap()
}

fn on(kind: &str) -> Value {
    json!([{ "kind": kind, "since": NOW - 60_000, "overAt": null, "toldAt": null, "details": {} }])
}

fn session_json(email: &str, enabled: bool) -> Value {
    json!({
        "id": "7b1e", "email": email, "state": "active", "enabled": enabled, "isRefreshing": false,
        "lastRefreshDate": NOW, "lastAttemptAt": NOW, "nextRefreshDue": null, "signedInAt": NOW, "refreshCount": 1,
        "lastError": "timed_out", "consecutiveFailures": 2, "failingSince": NOW - 180_000,
    })
}

fn history(enabled: bool) -> SessionHistory {
    let session = session_json("<b>@example.com", enabled);
    let told = json!({ "session": session, "attempts": [], "events": [], "actions": [], "now": NOW });
    serde_json::from_value(told).unwrap()
}

#[test]
fn all_is_well_in_one_sentence() {
    let told = verdict(&stand(&[]));
    assert_eq!(told.level, Level::Good);
    let sentence = "All 1,204 sessions are alive; the oldest gave a sign of life 19 minutes ago.";
    assert_eq!(told.sentence, sentence);
}

#[test]
fn without_sessions_nothing_is_called_alive() {
    let none = [
        ("/stock/active", json!(0)),
        ("/stock/expired", json!(0)),
        ("/stock/ages", json!([])),
    ];
    assert_eq!(verdict(&stand(&none)).sentence, "There are no sessions yet.");
    let over = [("/stock/active", json!(0))];
    assert_eq!(
        verdict(&stand(&over)).sentence,
        "No session is looked after; 2 sessions are over."
    );
}

fn check(changes: &[(&str, Value)], level: Level, part: &str) {
    let told = verdict(&stand(changes));
    assert_eq!(told.level, level, "{changes:?}");
    assert!(told.sentence.contains(part), "{}", told.sentence);
}

#[test]
fn what_kills_sessions_is_bad() {
    check(
        &[("/lastTickAt", json!(NOW - 181_000))],
        Level::Bad,
        "3 minutes ago",
    );
    check(&[("/lastTickAt", Value::Null)], Level::Bad, "never heard of");
    check(
        &[("/backlog/oldestAgeSeconds", json!(1_801))],
        Level::Bad,
        "30 minutes",
    );
    check(&[("/stock/late", json!(2))], Level::Bad, "99.83 %");
    for kind in [
        "failure_rate",
        "oldest_due",
        "markup_changed",
        "misconfigured",
        "database_refused",
    ] {
        check(&[("/alerts", on(kind))], Level::Bad, ".");
    }
}

#[test]
fn what_may_come_to_harm_wants_attention() {
    check(
        &[("/stock/late", json!(1))],
        Level::Attention,
        "objective still holds",
    );
    check(
        &[("/upstream/breaker", json!("open"))],
        Level::Attention,
        "left alone",
    );
    check(
        &[("/stock/failing", json!(1))],
        Level::Attention,
        "1 session failed",
    );
    check(
        &[
            ("/undelivered/events", json!(2)),
            ("/undelivered/lastError", json!("timed_out")),
        ],
        Level::Attention,
        "2 messages",
    );
    for kind in ["breaker_open", "sessions_lost", "interval_too_long"] {
        check(&[("/alerts", on(kind))], Level::Attention, ".");
    }
}

#[test]
fn an_age_at_its_limit_and_a_message_just_written_are_well() {
    for changes in [
        vec![("/backlog/oldestAgeSeconds", json!(1_800))],
        vec![("/lastTickAt", json!(NOW - 180_000))],
        vec![
            ("/undelivered/events", json!(2)),
            ("/undelivered/oldestAt", json!(NOW - 20_000)),
        ],
    ] {
        assert_eq!(verdict(&stand(&changes)).level, Level::Good, "{changes:?}");
    }
}

#[test]
fn the_worst_comes_first_and_nothing_is_told_twice() {
    let told = verdict(&stand(&[
        ("/upstream/breaker", json!("open")),
        ("/backlog/oldestAgeSeconds", json!(4_000)),
        ("/alerts", on("oldest_due")),
    ]));
    assert!(
        told.sentence.starts_with("A session that is due"),
        "{}",
        told.sentence
    );
    assert_eq!(
        told.more,
        ["aimharder has trouble: it is left alone for a while."]
    );
}

#[test]
fn an_alert_that_is_over_does_not_count() {
    let mut alerts = on("misconfigured");
    *alerts.pointer_mut("/0/overAt").unwrap() = json!(NOW);
    assert_eq!(verdict(&stand(&[("/alerts", alerts)])).level, Level::Good);
}

#[test]
fn what_comes_from_data_is_escaped() {
    let trouble = json!([session_json("<img src=x>@example.com", true)]);
    let mut alerts = on("markup_changed");
    *alerts.pointer_mut("/0/details").unwrap() = json!({ "outline": "<script>" });
    let page = overview(
        &stand(&[("/trouble", trouble), ("/alerts", alerts)]),
        Span::Day,
        &VISIT,
    );
    assert!(page.contains("&lt;img src=x&gt;@example.com"));
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains("<img") && !page.contains("<script>"));
    let told = FoundSessions {
        sessions: vec![],
        more: false,
        now: stand(&[]).now,
    };
    let page = found(&told, "\"><i>", &VISIT);
    assert!(page.contains("value=\"&quot;&gt;&lt;i&gt;\"") && !page.contains("<i>"));
}

#[test]
fn empty_plots_and_tables_say_so() {
    let page = overview_live(&stand(&[("/stock/ages", json!([]))]), Span::Day);
    for text in [
        "No attempts in this time.",
        "No session is looked after.",
        "No tick was seen in this time.",
        "No session is in trouble.",
        "No run yet.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

/// A strict CSP refuses styles and scripts inside, and a browser drops an attribute that comes twice.
#[test]
fn pages_hold_to_the_csp_and_have_each_attribute_once() {
    let pages = [
        overview(&stand(&[("/alerts", on("sessions_lost"))]), Span::Week, &VISIT),
        session(&history(true), &VISIT),
        sign_in(true),
        trouble_page(503, "no"),
    ];
    for page in pages {
        assert!(page.starts_with("<!DOCTYPE html>"));
        for tag in page.split('<') {
            let tag = tag.split('>').next().unwrap();
            assert!(!tag.contains(" style=") && !tag.contains(" on"), "{tag}");
            assert!(tag.matches(" class=").count() < 2, "{tag}");
        }
    }
}

#[test]
fn a_session_is_told_in_words_and_can_be_acted_on() {
    let page = session(&history(true), &VISIT);
    assert!(page.contains("its last attempt failed"));
    for action in ["refresh", "disable"] {
        assert!(page.contains(&format!(
            "action=\"/api/internal/dashboard/sessions/7b1e/{action}\""
        )));
    }
    assert!(page.contains("name=\"csrf\" value=\"form-token\""));
    assert!(!page.contains("/enable\""));
    assert!(session(&history(false), &VISIT).contains("/enable\""));
}

#[test]
fn notices_are_a_closed_set_and_shown() {
    for notice in Notice::ALL {
        assert_eq!(Notice::parse(notice.as_str()), Some(notice));
    }
    assert_eq!(Notice::parse("<b>"), None);
    let busy = Visit {
        notice: Some(Notice::Busy),
        ..VISIT
    };
    assert!(session(&history(true), &busy).contains("under way already"));
}

#[test]
fn the_plots_show_a_day_or_a_week_and_link_to_the_other() {
    assert_eq!(Span::from_hours(24), Some(Span::Day));
    assert_eq!(Span::from_hours(168), Some(Span::Week));
    assert_eq!(Span::from_hours(25), None);
    let page = overview(&stand(&[]), Span::Week, &VISIT);
    assert!(page.contains("data-url=\"/api/internal/dashboard/live?hours=168\""));
    assert!(page.contains("href=\"/api/internal/dashboard?hours=24\""));
}
