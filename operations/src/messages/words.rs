//! Alerts in words: what is the matter, since when, and what to do.

use std::time::Duration;

use serde_json::Value;

use super::{AlertMessage, AlertStatus};
use crate::overview::AlertKind;

/// How much is told of a text that isn't ours.
const QUOTED: usize = 300;

/// How many sessions are named.
const NAMED_SESSIONS: usize = 10;

/// An alert in words.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) text: String,
    /// Of a page that isn't recognised.
    pub(super) outline: Option<String>,
}

/// An alert in words.
pub(super) fn of(alert: &AlertMessage) -> Words {
    let details = Details(&alert.details);
    let lasted = duration(alert.at.since(alert.since));
    let title = title(alert.alert);
    let matter = || format!("{} {}", seen(alert.alert, details), todo(alert.alert, details));
    let (title, text) = match alert.status {
        AlertStatus::Firing => (title.to_owned(), matter()),
        AlertStatus::Repeated => (
            format!("Still: {title}"),
            format!("For {lasted} now. {}", matter()),
        ),
        AlertStatus::Over => (
            format!("Over: {title}"),
            format!("{} It lasted {lasted}.", over(alert.alert)),
        ),
    };
    let outline = details
        .text("outline")
        .filter(|_| alert.alert == AlertKind::MarkupChanged && alert.status != AlertStatus::Over);
    Words {
        title,
        text,
        outline: outline.map(str::to_owned),
    }
}

const fn title(alert: AlertKind) -> &'static str {
    match alert {
        AlertKind::FailureRate => "Too many refreshes fail",
        AlertKind::OldestDue => "Sessions wait too long for their refresh",
        AlertKind::BreakerOpen => "aimharder.com has trouble",
        AlertKind::SessionsLost => "Sessions were lost",
        AlertKind::Misconfigured => "The Worker's settings are wrong",
        AlertKind::DatabaseRefused => "The database refuses the Worker",
        AlertKind::MarkupChanged => "aimharder.com's page is not recognised",
        AlertKind::IntervalTooLong => "Sessions die sooner than they are refreshed",
    }
}

fn seen(alert: AlertKind, details: Details<'_>) -> String {
    let (told, untold) = match alert {
        AlertKind::FailureRate => (failure_rate(details), "Many attempts fail."),
        AlertKind::OldestDue => (oldest_due(details), "A session has waited for too long."),
        AlertKind::BreakerOpen => (breaker(details), "Calls fail, so none is made for now."),
        AlertKind::SessionsLost => (sessions_lost(details), "Sessions expired or were given up."),
        AlertKind::Misconfigured => (
            reason(details),
            "A setting can't be used, so nothing is refreshed.",
        ),
        AlertKind::DatabaseRefused => (refusal(details), "The database turns our calls away."),
        AlertKind::MarkupChanged => (unrecognised(details), "Answers hold nothing that is known."),
        AlertKind::IntervalTooLong => (interval(details), "The interval is longer than sessions live."),
    };
    told.unwrap_or_else(|| untold.to_owned())
}

fn todo(alert: AlertKind, details: Details<'_>) -> String {
    let text = match alert {
        AlertKind::FailureRate => {
            "Look on the dashboard at what attempts come to. A session that is not refreshed dies."
        }
        AlertKind::OldestDue => {
            "Look whether the cron still runs, whether attempts fail, and whether UPSTREAM_CALLS_PER_SECOND allows for so \
             many sessions."
        }
        AlertKind::BreakerOpen => {
            "There is nothing to do unless it lasts: sessions are refreshed as soon as the site is back."
        }
        AlertKind::SessionsLost => {
            "Their users have to sign in again. Look on the dashboard at what came before."
        }
        AlertKind::Misconfigured => "Correct the setting, and deploy again.",
        AlertKind::DatabaseRefused => {
            "Nothing is refreshed until that is repaired: check the database's key, and that all migrations are in place."
        }
        AlertKind::MarkupChanged if details.text("outline").is_some() => {
            "The code that reads the page has to follow; the outline shows how the page is built now."
        }
        AlertKind::MarkupChanged => "The code that reads the page has to follow.",
        AlertKind::IntervalTooLong => return shorter_interval(details),
    };
    text.to_owned()
}

const fn over(alert: AlertKind) -> &'static str {
    match alert {
        AlertKind::FailureRate => "Refreshes succeed again.",
        AlertKind::OldestDue => "No session waits too long any more.",
        AlertKind::BreakerOpen => "The site is back, and is called again.",
        AlertKind::SessionsLost => "No more sessions were lost lately.",
        AlertKind::Misconfigured => "The settings can be used.",
        AlertKind::DatabaseRefused => "The database takes our calls again.",
        AlertKind::MarkupChanged => "The page is recognised again.",
        AlertKind::IntervalTooLong => "The interval fits the sessions' life.",
    }
}

fn failure_rate(details: Details<'_>) -> Option<String> {
    let (failures, attempts) = (details.number("failures")?, details.number("attempts")?);
    let minutes = counted(details.number("minutes")?, "minute", "minutes");
    let attempts = counted(attempts, "attempt", "attempts");
    Some(format!(
        "Within {minutes}, {} of {attempts} failed.",
        grouped(failures)
    ))
}

fn oldest_due(details: Details<'_>) -> Option<String> {
    let (age, limit) = (details.duration("ageSeconds")?, details.duration("limitSeconds")?);
    let due = details.number("due").map(|due| match due {
        1 => " It is the only one that is due.".to_owned(),
        _ => format!(" {} sessions are due.", grouped(due)),
    });
    Some(format!(
        "The session that waits longest is {age} old; the limit is {limit}.{}",
        due.unwrap_or_default()
    ))
}

fn breaker(details: Details<'_>) -> Option<String> {
    match details.text("breaker")? {
        "half_open" => Some("Calls failed. One is tried now, to see whether the site is back.".to_owned()),
        _ => None,
    }
}

fn sessions_lost(details: Details<'_>) -> Option<String> {
    let expired = details.number("expired").unwrap_or(0);
    let exhausted = details.number("exhausted").unwrap_or(0);
    let of_sessions = |count| counted(count, "session", "sessions");
    let lost = match (expired, exhausted) {
        (0, 0) => return None,
        (_, 0) => format!("{} expired.", of_sessions(expired)),
        (0, _) => format!("{} given up after too many failures.", were(exhausted)),
        _ => format!(
            "{} expired, and {} given up after too many failures.",
            of_sessions(expired),
            were(exhausted)
        ),
    };
    Some(format!(
        "{lost}{}",
        named_sessions(details, expired.saturating_add(exhausted))
    ))
}

fn were(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, "session", "sessions"))
}

/// Which they are, if few.
fn named_sessions(details: Details<'_>, lost: u64) -> String {
    let ids = details.0.get("sessionIds").and_then(Value::as_array);
    let ids: Vec<String> = ids
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .take(NAMED_SESSIONS)
        .map(|id| quoted(id, 36))
        .collect();
    if ids.is_empty() {
        return String::new();
    }
    let is_all = ids.len() as u64 >= lost;
    let front = if is_all { "By id" } else { "Among them" };
    format!(" {front}: {}.", ids.join(", "))
}

fn reason(details: Details<'_>) -> Option<String> {
    let reason = quoted(details.text("reason")?, QUOTED);
    Some(format!(
        "Nothing is refreshed, for a setting can't be used: {reason}."
    ))
}

fn refusal(details: Details<'_>) -> Option<String> {
    let code = quoted(details.text("code")?, QUOTED);
    Some(format!("The database turns our calls away with the code {code}."))
}

fn unrecognised(details: Details<'_>) -> Option<String> {
    let sessions = counted(details.number("sessions")?, "session", "sessions");
    Some(format!(
        "For {sessions} the answer held nothing that is known, so they were not refreshed."
    ))
}

fn interval(details: Details<'_>) -> Option<String> {
    let (life, interval) = (
        details.duration("lifeSeconds")?,
        details.duration("intervalSeconds")?,
    );
    Some(format!(
        "Without a refresh, sessions were found to live for {life}; they are refreshed every {interval}."
    ))
}

fn shorter_interval(details: Details<'_>) -> String {
    let minutes = details.number("recommendedSeconds").map(|seconds| seconds / 60);
    match minutes {
        Some(minutes) if minutes > 0 => format!("Set REFRESH_INTERVAL_MINUTES to {minutes}."),
        _ => "Set a smaller REFRESH_INTERVAL_MINUTES.".to_owned(),
    }
}

/// What was seen, by name. What isn't there, or is of another kind, is left out of the text.
#[derive(Clone, Copy)]
struct Details<'a>(&'a Value);

impl<'a> Details<'a> {
    fn number(self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn duration(self, name: &str) -> Option<String> {
        self.number(name)
            .map(|seconds| duration(Duration::from_secs(seconds)))
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str().filter(|text| !text.trim().is_empty())
    }
}

/// On one line, cut if long, without a full stop at its end.
fn quoted(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    let cut: String = line.chars().take(most).collect();
    let rest = if cut.len() < line.len() { "…" } else { "" };
    format!("{cut}{rest}")
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// With a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// In its two largest units.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = match (days, hours, minutes) {
        (0, 0, 0) => return counted(seconds, "second", "seconds"),
        (0, 0, _) => return counted(minutes, "minute", "minutes"),
        (0, _, _) => (
            counted(hours, "hour", "hours"),
            (minutes % 60, "minute", "minutes"),
        ),
        _ => (counted(days, "day", "days"), (hours % 24, "hour", "hours")),
    };
    match small {
        (0, _, _) => large,
        (count, one, many) => format!("{large} {}", counted(count, one, many)),
    }
}
