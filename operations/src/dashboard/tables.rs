//! Tables and lists of sessions, attempts, runs, alerts and actions.

use maud::{Markup, html};
use serde_json::Value;
use session_core::time::Timestamp;

use crate::{
    overview::{Alert, AlertKind, Overview},
    sessions::{Action, Attempt, Run, Session, SessionEvent},
};

use super::{
    BASE,
    verdict::{Level, level_of},
    words::{
        ago, alert_details, alert_name, event, long, many, maybe_ago, minute, moment, number, outcome, plain,
        session_link, short, state, took,
    },
};

/// A table that scrolls within its place where that is narrow.
fn table(id: &str, caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll id=(id) role="group" aria-label=(caption) tabindex="0" {
            table {
                caption.unseen { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

fn section(id: &str, title: &str, inside: &Markup) -> Markup {
    html! {
        section.card aria-labelledby=(id) {
            h2 id=(id) { (title) }
            (inside)
        }
    }
}

fn none(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

/// Sessions in trouble, how long and why.
pub(super) fn trouble(overview: &Overview) -> Markup {
    let sessions = &overview.trouble;
    let all = if overview.trouble_count > 1_000 {
        "Over 1,000".to_owned()
    } else {
        number(overview.trouble_count)
    };
    let inside = html! {
        @if sessions.is_empty() {
            (none("No session is in trouble."))
        } @else {
            p.quiet {
                (all) " in all"
                @if usize::try_from(overview.trouble_count).is_ok_and(|all| all > sessions.len()) {
                    "; those tried last are shown"
                }
                "."
            }
            (session_table("trouble-table", "Sessions in trouble", sessions, overview.now))
        }
    };
    section("trouble", "Sessions in trouble", &inside)
}

/// Sessions, each with how it stands and why.
pub(super) fn session_table(id: &str, caption: &str, sessions: &[Session], now: Timestamp) -> Markup {
    let rows = html! {
        @for session in sessions {
            tr {
                th scope="row" { (session_link(&session.id, &session.email)) }
                td { (badge(session)) }
                td.why { (why(session)) }
                td { (maybe_ago(session.failing_since, now)) }
                td { (maybe_ago(session.last_refresh_date, now)) }
            }
        }
    };
    table(
        id,
        caption,
        &["Session", "State", "Why", "Failing since", "Last renewed"],
        &rows,
    )
}

/// A session's state, as a word with a colour.
pub(super) fn badge(session: &Session) -> Markup {
    let word = state(session);
    let class = match word {
        "Alive" if session.consecutive_failures == 0 => "good",
        "Alive" => "attention",
        "Disabled" => "plain",
        _ => "bad",
    };
    let word = if class == "attention" { "Failing" } else { word };
    html! { span.badge.(class) { (word) } }
}

fn why(session: &Session) -> Markup {
    html! {
        @if let Some(code) = &session.last_error { (outcome(code)) } @else { "–" }
        @if session.consecutive_failures > 1 { " (" (number(session.consecutive_failures)) " times in a row)" }
    }
}

/// Alerts, and what their receivers were not told yet.
pub(super) fn alerts(overview: &Overview) -> Markup {
    let inside = html! {
        @if overview.alerts.is_empty() {
            (none("No alert is on, and none was in the last day."))
        } @else {
            ul.alerts { @for alert in &overview.alerts { (one_alert(alert, overview.now)) } }
        }
        (undelivered(overview))
    };
    section("alerts", "Alerts", &inside)
}

fn one_alert(alert: &Alert, now: Timestamp) -> Markup {
    let (class, word) = match (alert.over_at, level_of(alert.kind)) {
        (Some(_), _) => ("plain", "Over"),
        (None, Level::Bad) => ("bad", "On"),
        (None, Level::Attention | Level::Good) => ("attention", "On"),
    };
    html! {
        li {
            p {
                span.badge.(class) { (word) } " "
                strong { (alert_name(alert.kind)) } ". " (alert_details(alert))
            }
            p.quiet {
                "Since " (ago(alert.since, now))
                @if let Some(over) = alert.over_at { ", over " (ago(over, now)) }
                @if let Some(told) = alert.told_at { ", told " (ago(told, now)) } @else { ", not told" }
                "."
            }
            (lost(alert))
            @if alert.kind == AlertKind::MarkupChanged { (outline(alert)) }
        }
    }
}

fn lost(alert: &Alert) -> Markup {
    let ids = alert.details.get("sessionIds").and_then(Value::as_array);
    let ids: Vec<_> = ids.into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        @if !ids.is_empty() {
            p.quiet { "Among them:" @for id in ids { " " (session_link(id, short(id))) } }
        }
    }
}

fn outline(alert: &Alert) -> Markup {
    let text = match alert.details.get("outline") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => serde_json::to_string_pretty(other).unwrap_or_default(),
        None => return html! {},
    };
    let id = format!("outline-{}", alert.since.as_millis());
    html! {
        details id=(id) {
            summary { "The page’s outline" }
            pre id={ (id) "-text" } tabindex="0" role="group" aria-label="The page’s outline" { (text) }
        }
    }
}

fn undelivered(overview: &Overview) -> Markup {
    let waiting = &overview.undelivered;
    html! {
        @if waiting.alerts > 0 || waiting.events > 0 {
            p.undelivered {
                strong { "Not delivered yet: " }
                (many(waiting.alerts, "alert")) ", " (many(waiting.events, "session event"))
                @if let Some(at) = waiting.oldest_at { "; the oldest waits since " (ago(at, overview.now)) }
                @if let Some(code) = &waiting.last_error { ". The last try failed: " (plain(code)) }
                "."
            }
        } @else {
            p.quiet { "All messages are delivered." }
        }
    }
}

/// The newest runs.
pub(super) fn runs(overview: &Overview) -> Markup {
    let rows = html! {
        @for run in &overview.runs {
            tr {
                th scope="row" { a href={ (BASE) "/runs/" (run.id) } { (ago(run.started_at, overview.now)) } }
                td { (plain(&run.trigger)) }
                td.number { (number(run.claimed)) }
                td.number { (number(run.refreshed)) }
                td.number { (run.duration_ms.map_or_else(|| "–".to_owned(), took)) }
                td.why { (wrong(run)) }
            }
        }
    };
    let heads = ["Started", "By", "Claimed", "Renewed", "Took", "What went wrong"];
    let inside = html! {
        @if overview.runs.is_empty() { (none("No run yet.")) } @else { (table("runs-table", "The newest runs", &heads, &rows)) }
    };
    section("runs", "Runs", &inside)
}

/// What went wrong in a run, in words.
pub(super) fn wrong(run: &Run) -> String {
    let failures = run
        .outcomes
        .iter()
        .filter(|(code, count)| *code != "refreshed" && **count > 0);
    let mut parts: Vec<_> = failures
        .map(|(code, count)| format!("{} {}", number(*count), plain(code)))
        .collect();
    parts.extend(
        run.error
            .as_ref()
            .map(|code| format!("trouble of ours: {}", plain(code))),
    );
    if run.finished_at.is_none() {
        parts.push("goes on, or its Worker died".to_owned());
    }
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

/// What operators did.
pub(super) fn operators(actions: &[Action], now: Timestamp, with_session: bool) -> Markup {
    let rows = html! {
        @for action in actions {
            tr {
                th scope="row" { (ago(action.at, now)) }
                td { code { (action.key_id) } }
                td { (plain(&action.action)) }
                @if with_session {
                    td { @if let Some(id) = &action.session_id { (session_link(id, short(id))) } @else { "–" } }
                }
                td { (plain(&action.result)) }
            }
        }
    };
    let heads: &[&str] = if with_session {
        &["When", "Key", "Action", "Session", "Result"]
    } else {
        &["When", "Key", "Action", "Result"]
    };
    let inside = html! {
        @if actions.is_empty() { (none("Nothing yet.")) } @else { (table("actions-table", "What operators did", heads, &rows)) }
    };
    section("actions", "What operators did", &inside)
}

/// Attempts, of one session or of one run.
pub(super) fn attempts(title: &str, attempts: &[Attempt], now: Timestamp, of_session: bool) -> Markup {
    let rows = html! { @for attempt in attempts { (attempt_row(attempt, now, of_session)) } };
    let other = if of_session { "By" } else { "Session" };
    let heads = [
        "When",
        "What came of it",
        "Status",
        "Took",
        "Calls",
        "Age before",
        "UTC",
        other,
    ];
    let inside = html! {
        @if attempts.is_empty() { (none("None.")) } @else { (table("attempts-table", title, &heads, &rows)) }
    };
    section("attempts", title, &inside)
}

fn attempt_row(attempt: &Attempt, now: Timestamp, of_session: bool) -> Markup {
    let dash = || "–".to_owned();
    html! {
        tr {
            th scope="row" { (ago(attempt.finished_at, now)) }
            td.why { (outcome(&attempt.outcome)) }
            td.number { (attempt.upstream_status.map_or_else(dash, |status| status.to_string())) }
            td.number { (took(attempt.duration_ms)) }
            td.number { (number(attempt.tries)) }
            td { (attempt.age_seconds.map_or_else(dash, long)) }
            td { (moment(attempt.finished_at, &minute(attempt.finished_at))) }
            td {
                @if !of_session {
                    (session_link(&attempt.session_id, short(&attempt.session_id)))
                } @else if let Some(run) = &attempt.run_id {
                    a href={ (BASE) "/runs/" (run) } { (plain(&attempt.trigger)) " run" }
                } @else {
                    (plain(&attempt.trigger))
                }
            }
        }
    }
}

/// When a session was lost and came back.
pub(super) fn events(events: &[SessionEvent], now: Timestamp) -> Markup {
    let rows = html! {
        @for one in events {
            tr {
                th scope="row" { (ago(one.at, now)) }
                td { (moment(one.at, &minute(one.at))) }
                td { (event(one.event)) }
                td { @if one.delivered_at.is_some() { (maybe_ago(one.delivered_at, now)) } @else { "not told" } }
            }
        }
    };
    let inside = html! {
        @if events.is_empty() {
            (none("It was never lost."))
        } @else {
            (table("events-table", "Lost and found", &["When", "UTC", "What", "The app was told"], &rows))
        }
    };
    section("events", "Lost and found", &inside)
}
