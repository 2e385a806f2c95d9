//! Writes the dashboard's pages, made of sample data, to a folder, to look at them:
//!
//! ```sh
//! cargo run -p operations --example pages -- /tmp/pages
//! ```
//!
//! Each page is `NAME.html`; they name their style sheet and script as the Worker serves them, and those files are written too.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "sample data: its numbers are small"
)]

use std::{error::Error, fs, path::Path};

use operations::{
    dashboard::{self, Notice, Span, Visit},
    overview::Overview,
    sessions::{FoundSessions, RunHistory, SessionHistory},
};
use serde_json::{Value, json};

const NOW: i64 = 1_766_731_601_250;
const MINUTE: i64 = 60_000;
const ID: &str = "0191d6a2-5b0c-7c3e-9a51-3f8e2d1c4b7a";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder to write to")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("dashboard.css"), dashboard::CSS)?;
    fs::write(folder.join("dashboard.js"), dashboard::JS)?;
    for (name, page) in overviews()?.into_iter().chain(others()?) {
        fs::write(folder.join(name).with_extension("html"), page)?;
    }
    Ok(())
}

const fn visit(notice: Option<Notice>) -> Visit<'static> {
    Visit {
        csrf: "a-token-of-the-form",
        key_id: "9f2c41d0",
        notice,
    }
}

fn overviews() -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    let day = |kind| Ok(dashboard::overview(&overview(kind)?, Span::Day, &visit(None)));
    Ok(vec![
        ("good", day(Kind::Good)?),
        ("attention", day(Kind::Attention)?),
        ("bad", day(Kind::Bad)?),
        ("empty", day(Kind::Empty)?),
        (
            "many",
            dashboard::overview(&overview(Kind::Many)?, Span::Week, &visit(None)),
        ),
        (
            "live",
            dashboard::overview_live(&overview(Kind::Good)?, Span::Day),
        ),
    ])
}

fn others() -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    let (done, failed) = (visit(Some(Notice::Refreshed)), visit(Some(Notice::RefreshFailed)));
    let trouble = "The database does not answer. Try again in a minute.";
    Ok(vec![
        ("session", dashboard::session(&history(true)?, &done)),
        ("session-failing", dashboard::session(&history(false)?, &failed)),
        ("found", dashboard::found(&found(3)?, "an", &visit(None))),
        (
            "not-found",
            dashboard::found(&found(0)?, "<nobody>", &visit(None)),
        ),
        ("run", dashboard::run(&run_history()?, &visit(None))),
        ("sign-in", dashboard::sign_in(false)),
        ("wrong-key", dashboard::sign_in(true)),
        ("trouble", dashboard::trouble_page(503, trouble)),
    ])
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Good,
    Attention,
    Bad,
    Empty,
    Many,
}

const fn ago(minutes: i64) -> i64 {
    NOW - minutes * MINUTE
}

/// The value, or null.
fn given(condition: bool, value: i64) -> Option<i64> {
    condition.then_some(value)
}

fn overview(kind: Kind) -> Result<Overview, serde_json::Error> {
    let (scale, hours, period) = match kind {
        Kind::Empty => (0, 24, 900),
        Kind::Many => (80, 168, 3_600),
        _ => (1, 24, 900),
    };
    let (some, bad) = (scale > 0, kind == Kind::Bad);
    let odd = bad || kind == Kind::Attention;
    serde_json::from_value(json!({
        "now": NOW,
        "intervalSeconds": 1_500,
        "lifeSeconds": given(some, 5_400),
        "lastTickAt": ago(if bad { 7 } else { 0 }) - 21_000,
        "backlog": {
            "due": if bad { 412 } else { 14 * scale },
            "oldestDueAt": given(some, ago(if bad { 16 } else { 1 })),
            "oldestAgeSeconds": given(some, if bad { 2_461 } else { 1_515 }),
        },
        "stock": stock(scale, odd, bad),
        "upstream": {
            "breaker": if odd { "open" } else { "closed" },
            "heldUntil": given(odd, NOW + 40_000),
            "inFlight": 6,
            "callsPerSecond": if odd { 0.5 } else { 10.0 },
        },
        "periods": periods(scale, hours, period, odd),
        "periodSeconds": period,
        "samples": samples(scale, hours, bad),
        "since": ago(hours * 60),
        "runs": (0..10 * scale.min(1)).map(|index| run(index, odd && index < 3)).collect::<Vec<_>>(),
        "trouble": trouble(scale, odd),
        "troubleCount": if scale > 1 { 1_001 } else { i64::from(odd) * 12 },
        "alerts": alerts(kind),
        "undelivered": {
            "alerts": i64::from(bad), "events": i64::from(bad) * 3, "oldestAt": given(bad, ago(9)),
            "lastError": bad.then_some("timed_out"),
        },
        "actions": if some { actions() } else { json!([]) },
    }))
}

fn stock(scale: i64, odd: bool, bad: bool) -> Value {
    let count = |age| match age {
        0..25 => (45 + (age * 7) % 11) * scale,
        25..27 => 12 * scale,
        27..45 if bad => 9,
        _ => 0,
    };
    let ages: Vec<i64> = (0..121).map(count).collect();
    json!({
        "countedAt": ago(1), "active": ages.iter().sum::<i64>(), "expired": 31 * scale, "exhausted": 2 * scale,
        "disabled": 5 * scale, "failing": i64::from(odd) * 12, "late": ages.iter().skip(30).sum::<i64>(),
        "oldestAgeSeconds": given(scale > 0, if bad { 2_640 } else { 1_570 }), "ages": ages,
    })
}

fn periods(scale: i64, hours: i64, seconds: i64, odd: bool) -> Vec<Value> {
    let count = scale.min(1) * hours * 3_600 / seconds;
    let first = ago(hours * 60) / (seconds * 1_000) + 1;
    let period = |index: i64| {
        let wave = 600 + (index * 37) % 90;
        let trouble = if odd { (9 - (count - index)).max(0) * 45 } else { 0 };
        json!({
            "at": (first + index) * seconds * 1_000,
            "outcomes": {
                "refreshed": (wave - trouble).max(40) * scale, "expired": i64::from(index % 7 == 0) * scale,
                "upstream_fault": trouble / 2, "timed_out": trouble / 3, "unrecognised": trouble / 6,
                "abandoned": i64::from(index % 40 == 3),
            },
            "latency": {
                "count": wave, "sumMs": wave * 320,
                "buckets": [0, 4, 60, 300, 180, 50, 12 + trouble / 4, 4 + trouble / 3, trouble / 3, trouble / 8, 0],
            },
        })
    };
    // Four are missing: nobody called then.
    (0..count)
        .filter(|index| !(50..54).contains(index))
        .map(period)
        .collect()
}

fn samples(scale: i64, hours: i64, bad: bool) -> Vec<Value> {
    let count = scale.min(1) * 144;
    let sample = |index: i64| {
        let late = if bad { (6 - (count - index)).max(0) } else { 0 };
        json!({
            "at": ago(hours * 60 - index * hours * 60 / 144), "due": (10 + (index * 13) % 9 + late * 80) * scale,
            "oldestAgeSeconds": 1_500 + (index * 17) % 60 + late * 190, "active": 1_190 * scale, "late": late * 28,
        })
    };
    (0..count).map(sample).collect()
}

fn alert(kind: &str, since: i64, over: Option<i64>, details: &Value) -> Value {
    json!({ "kind": kind, "since": ago(since), "overAt": over.map(ago), "toldAt": ago(since), "details": details })
}

fn alerts(kind: Kind) -> Value {
    let lost = json!({ "expired": 3, "exhausted": 1, "sessionIds": [ID] });
    let outline =
        "html\n  head\n    title\n    script (14 chars)\n  body\n    div#app\n      form[action] <b>\n";
    let long = json!({ "lifeSeconds": 2_000, "intervalSeconds": 1_500, "recommendedSeconds": 1_080 });
    match kind {
        Kind::Bad => json!([
            alert(
                "failure_rate",
                14,
                None,
                &json!({ "attempts": 611, "failures": 388, "minutes": 15 })
            ),
            alert(
                "oldest_due",
                9,
                None,
                &json!({ "ageSeconds": 2_461, "due": 412, "limitSeconds": 1_800 })
            ),
            alert("breaker_open", 6, None, &json!({ "breaker": "open" })),
            alert(
                "markup_changed",
                13,
                None,
                &json!({ "sessions": 44, "outline": outline })
            ),
            alert("sessions_lost", 200, Some(150), &lost),
        ]),
        Kind::Attention => json!([
            alert("sessions_lost", 20, None, &lost),
            alert("interval_too_long", 90, None, &long)
        ]),
        Kind::Good | Kind::Empty | Kind::Many => json!([]),
    }
}

fn trouble(scale: i64, odd: bool) -> Vec<Value> {
    let count = if scale > 1 { 50 } else { i64::from(odd) * 12 };
    let codes = [
        "upstream_fault",
        "timed_out",
        "expired",
        "unrecognised",
        "refused",
    ];
    let state = |code| if code == "expired" { "expired" } else { "active" };
    let codes = codes.into_iter().cycle().zip(0..count);
    codes
        .map(|(code, index)| session(index, state(code), Some(code)))
        .collect()
}

fn session(index: i64, state: &str, error: Option<&str>) -> Value {
    json!({
        "id": format!("{index:08x}-5b0c-7c3e-9a51-3f8e2d1c4b7a"), "email": format!("athlete.{index}@example.com"), "state": state, "enabled": true, "isRefreshing": false,
        "lastRefreshDate": ago(20 + index), "lastAttemptAt": ago(2), "nextRefreshDue": NOW + 90_000,
        "signedInAt": ago(30_000), "refreshCount": 1_733, "lastError": error,
        "consecutiveFailures": if error.is_some() { 1 + index % 4 } else { 0 },
        "failingSince": error.map(|_| ago(9 + index)),
    })
}

fn run(index: i64, odd: bool) -> Value {
    let failed = json!({ "refreshed": 17, "expired": 1, "upstream_fault": 22, "timed_out": 8 });
    json!({
        "id": ID, "trigger": if index % 4 == 0 { "queue" } else { "cron" },
        "startedAt": ago(index), "finishedAt": given(!odd || index > 0, ago(index) + 8_000),
        "claimed": 48, "refreshed": if odd { 17 } else { 48 }, "expired": i64::from(odd), "failed": i64::from(odd) * 30,
        "outcomes": if odd { failed } else { json!({ "refreshed": 48 }) },
        "remaining": 3, "durationMs": 8_120 + index * 311, "error": null,
    })
}

fn actions() -> Value {
    let action = |action: &str, session: Option<&str>, result: &str, minutes: i64| json!({ "at": ago(minutes), "keyId": "9f2c41d0", "action": action, "sessionId": session, "result": result });
    json!([
        action("refresh", Some(ID), "done", 12),
        action("disable", Some(ID), "done", 95),
        action("run", None, "busy", 300),
    ])
}

fn attempt(index: i64, outcome: &str, status: Option<u16>) -> Value {
    let alone = index % 3 == 0;
    json!({
        "sessionId": ID, "finishedAt": ago(index * 25), "runId": (!alone).then_some(ID),
        "trigger": if alone { "user" } else { "cron" }, "outcome": outcome, "upstreamStatus": status,
        "durationMs": 290 + index * 57, "tries": 1, "ageSeconds": 1_502,
    })
}

fn history(well: bool) -> Result<SessionHistory, serde_json::Error> {
    let failures = if well { 0 } else { 3 };
    let outcome = |index| {
        if index < failures {
            ("upstream_fault", 502)
        } else {
            ("refreshed", 200)
        }
    };
    let one = |index| attempt(index, outcome(index).0, Some(outcome(index).1));
    serde_json::from_value(json!({
        "session": session(2, "active", (!well).then_some("upstream_fault")),
        "attempts": (0..12).map(one).collect::<Vec<_>>(),
        "events": [
            { "at": ago(4_000), "event": "recovered", "deliveredAt": ago(3_999) },
            { "at": ago(4_300), "event": "expired", "deliveredAt": null },
        ],
        "actions": actions(),
        "now": NOW,
    }))
}

fn found(count: i64) -> Result<FoundSessions, serde_json::Error> {
    let sessions: Vec<_> = (0..count).map(|index| session(index, "active", None)).collect();
    serde_json::from_value(json!({ "sessions": sessions, "more": count > 2, "now": NOW }))
}

fn run_history() -> Result<RunHistory, serde_json::Error> {
    let failures: Vec<_> = (0..8).map(|index| attempt(index, "timed_out", None)).collect();
    serde_json::from_value(json!({ "run": run(1, true), "failures": failures, "now": NOW }))
}
