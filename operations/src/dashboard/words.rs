//! Numbers, times and codes in words.

use maud::{Markup, html};
use serde_json::Value;
use session_core::{time::Timestamp, wire::State};

use crate::{
    overview::{Alert, AlertKind},
    sessions::{EventKind, Session},
};

use super::{BASE, Notice};

/// With a comma between thousands.
pub(super) fn number(value: impl Into<u64>) -> String {
    let digits = value.into().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 session", "2 sessions".
pub(super) fn many(value: impl Into<u64>, thing: &str) -> String {
    let value = value.into();
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", number(value))
}

/// A length of time, in its greatest sensible unit.
pub(super) fn long(seconds: impl Into<u64>) -> String {
    let seconds = seconds.into();
    match seconds {
        0..60 => many(seconds, "second"),
        60..7_200 => many(seconds / 60, "minute"),
        7_200..172_800 => many(seconds / 3_600, "hour"),
        _ => many(seconds / 86_400, "day"),
    }
}

/// How long something took.
pub(super) fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min", number(milliseconds / 60_000)),
    }
}

/// A share in percent, rounded down: what is not all of them is never called 100 %.
pub(super) fn percent(share: f64) -> String {
    // Without the little more, 0.999 of all may come out as 99.89 %.
    format!("{:.2} %", (share * 10_000.0 + 1e-6).floor() / 100.0)
}

/// A time of day or a date, in UTC, to the minute: `2026-01-02 03:04`.
pub(super) fn minute(at: Timestamp) -> String {
    at.to_date().map_or_else(
        || "unknown".to_owned(),
        |date| {
            let (month, day) = (u8::from(date.month()), date.day());
            format!(
                "{}-{month:02}-{day:02} {:02}:{:02}",
                date.year(),
                date.hour(),
                date.minute()
            )
        },
    )
}

/// A time as people see it, and the exact one for whoever points at it, or reads it by a program.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let text = match (at > now, now.since(at).as_secs()) {
        (true, _) => format!("in {}", long(at.since(now).as_secs())),
        (false, 0..5) => "just now".to_owned(),
        (false, seconds) => format!("{} ago", long(seconds)),
    };
    moment(at, &text)
}

/// [`ago`], or a dash.
pub(super) fn maybe_ago(at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! { @if let Some(at) = at { (ago(at, now)) } @else { "–" } }
}

/// A time with what to call it.
pub(super) fn moment(at: Timestamp, text: &str) -> Markup {
    let exact = serde_json::to_value(at).ok();
    let exact = exact.as_ref().and_then(Value::as_str).unwrap_or_default();
    html! { time datetime=(exact) title={ (minute(at)) " UTC" } { (text) } }
}

/// A link to a session, by the first digits of its id.
pub(super) fn session_link(id: &str, text: &str) -> Markup {
    html! { a href={ (BASE) "/sessions/" (id) } { (text) } }
}

/// The first digits of an id.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A code as words.
pub(super) fn plain(code: &str) -> String {
    code.replace('_', " ")
}

/// What an attempt came to, as a part of a sentence.
pub(super) fn outcome(code: &str) -> String {
    let words = match code {
        "refreshed" => "renewed",
        "expired" => "aimharder says that the session is over",
        "throttled" => "aimharder asked to slow down",
        "refused" => "aimharder, or a firewall before it, turned the request away",
        "upstream_fault" => "aimharder failed on its side",
        "unreachable" => "aimharder could not be reached",
        "timed_out" => "aimharder did not answer in time",
        "unrecognised" => "aimharder’s answer was not understood",
        "unusable" => "the stored token or cookies are malformed",
        "abandoned" => "a Worker stopped in the middle of the attempt",
        "unwritten" => "the result could not be written",
        other => return plain(other),
    };
    words.to_owned()
}

/// A state's name.
pub(super) const fn state(session: &Session) -> &'static str {
    match (session.state, session.enabled) {
        (State::Active, true) => "Alive",
        (State::Active, false) => "Disabled",
        (State::Expired, _) => "Expired",
        (State::Exhausted, _) => "Given up",
    }
}

/// How a session stands, as a sentence.
pub(super) const fn standing(session: &Session) -> &'static str {
    match (session.state, session.enabled, session.consecutive_failures) {
        (State::Expired, ..) => "It is over: only a sign-in by its user brings it back.",
        (State::Exhausted, ..) => {
            "It was given up after too many failures: a sign-in or a refresh may bring it back."
        }
        (State::Active, false, _) => "It is disabled: nobody refreshes it.",
        (State::Active, true, 0) => "It is alive and looked after.",
        (State::Active, true, _) => "It is looked after, but its last attempt failed; it is tried again.",
    }
}

/// What happened to a session.
pub(super) const fn event(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Expired => "Expired",
        EventKind::Exhausted => "Given up",
        EventKind::Recovered => "Recovered",
    }
}

/// What came of an operator's action, and whether it is good.
pub(super) const fn notice(notice: Notice) -> (&'static str, bool) {
    match notice {
        Notice::Refreshed => ("The session was renewed.", true),
        Notice::Fresh => (
            "The session was renewed or signed in some seconds ago: aimharder was not asked again.",
            true,
        ),
        Notice::RefreshFailed => ("The session was not renewed: its newest attempt says why.", false),
        Notice::Enabled => ("The session is looked after again.", true),
        Notice::Disabled => (
            "The session is disabled: nobody refreshes it until it is enabled.",
            true,
        ),
        Notice::Busy => (
            "A refresh is under way already, or aimharder is left alone for the moment: look again in some seconds.",
            false,
        ),
    }
}

/// An alert's name.
pub(super) const fn alert_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::FailureRate => "Too many attempts fail",
        AlertKind::OldestDue => "Sessions wait too long",
        AlertKind::BreakerOpen => "aimharder has trouble",
        AlertKind::SessionsLost => "Sessions were lost",
        AlertKind::Misconfigured => "The Worker’s settings are wrong",
        AlertKind::DatabaseRefused => "The database refuses the Worker",
        AlertKind::MarkupChanged => "aimharder’s page is not recognised any more",
        AlertKind::IntervalTooLong => "The interval is too long",
    }
}

/// What an alert saw, as a sentence; empty where it does not say.
pub(super) fn alert_details(alert: &Alert) -> String {
    let count = |name: &str| alert.details.get(name).and_then(Value::as_u64);
    let text = |name: &str| alert.details.get(name).and_then(Value::as_str);
    match alert.kind {
        AlertKind::FailureRate => failure_rate(count("failures"), count("attempts"), count("minutes")),
        AlertKind::OldestDue => oldest_due(count("ageSeconds"), count("limitSeconds"), count("due")),
        AlertKind::BreakerOpen => Some("It is left alone for a while, then asked again.".to_owned()),
        AlertKind::SessionsLost => Some(format!(
            "{} expired, {} given up.",
            number(count("expired").unwrap_or(0)),
            number(count("exhausted").unwrap_or(0))
        )),
        AlertKind::Misconfigured => text("reason").map(|reason| format!("It says: {}.", plain(reason))),
        AlertKind::DatabaseRefused => text("code").map(|code| format!("Its code: {code}.")),
        AlertKind::MarkupChanged => {
            count("sessions").map(|sessions| format!("It was so for {}.", many(sessions, "session")))
        }
        AlertKind::IntervalTooLong => too_long(
            count("lifeSeconds"),
            count("intervalSeconds"),
            count("recommendedSeconds"),
        ),
    }
    .unwrap_or_default()
}

fn failure_rate(failures: Option<u64>, attempts: Option<u64>, minutes: Option<u64>) -> Option<String> {
    let (failures, attempts) = (number(failures?), number(attempts?));
    Some(format!(
        "{failures} of {attempts} failed within {}.",
        many(minutes?, "minute")
    ))
}

fn oldest_due(age: Option<u64>, limit: Option<u64>, due: Option<u64>) -> Option<String> {
    let (age, limit) = (long(age?), long(limit?));
    Some(format!(
        "The oldest gave its last sign of life {age} ago, {limit} are allowed; {} due.",
        number(due?)
    ))
}

fn too_long(life: Option<u64>, interval: Option<u64>, recommended: Option<u64>) -> Option<String> {
    let (life, interval) = (long(life?), long(interval?));
    Some(format!(
        "Sessions live for {life}, the interval is {interval}; {} would do.",
        long(recommended?)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_their_commas() {
        for (value, text) in [
            (0_u32, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn lengths_are_told_in_a_sensible_unit() {
        for (seconds, text) in [
            (1_u32, "1 second"),
            (59, "59 seconds"),
            (119, "1 minute"),
            (120, "2 minutes"),
            (7_200, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(long(seconds), text);
        }
        assert_eq!(took(2_450), "2.4 s");
    }

    #[test]
    fn one_lost_session_of_a_million_is_not_all_of_them() {
        assert_eq!(percent(0.999_999), "99.99 %");
        assert_eq!(percent(1.0), "100.00 %");
        assert_eq!(percent(0.999), "99.90 %");
    }

    #[test]
    fn a_time_is_told_in_words_and_exactly() {
        let at = Timestamp::from_millis(1_766_731_601_250);
        let text = ago(at, at.after(std::time::Duration::from_mins(3))).into_string();
        assert!(text.contains(">3 minutes ago<"), "{text}");
        assert!(text.contains(r#"datetime="2025-12-26T06:46:41.250Z""#), "{text}");
        assert!(text.contains(r#"title="2025-12-26 06:46 UTC""#), "{text}");
    }
}
