//! Log lines: one JSON object each, ids and codes only.

use std::time::Duration;

use serde_json::{Value, json};
use session_core::{finish::Attempt, outcome::Outcome, problem::ErrorCode, session::UnusableSessionError};
use worker::{console_error, console_log, console_warn};

use crate::{
    config::ConfigError,
    database::{DatabaseError, Holder},
    run::Report,
};

/// An attempt that did not renew its session.
pub(crate) fn attempt(session_id: &str, attempt: &Attempt, holder: &Holder) {
    if matches!(attempt.outcome, Outcome::Refreshed(_)) {
        return;
    }
    line_warn(&json!({
        "event": "attempt_failed", "runId": holder.run_id, "requestId": holder.request_id,
        "trigger": holder.trigger, "sessionId": session_id, "outcome": attempt.outcome.code(),
        "upstreamStatus": attempt.status, "tries": attempt.tries,
        "durationMs": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
    }));
}

/// A stored session that can't be presented.
pub(crate) fn unusable(session_id: &str, error: UnusableSessionError) {
    line_warn(&json!({ "event": "session_unusable", "sessionId": session_id, "reason": error.to_string() }));
}

/// Results in hand, maybe with tokens, that could not be written.
pub(crate) fn unwritten<'a>(session_ids: impl IntoIterator<Item = &'a str>, error: DatabaseError) {
    let ids: Vec<_> = session_ids.into_iter().collect();
    line_error(
        &json!({ "event": "unwritten", "sessionIds": ids, "code": error.code(), "reason": error.to_string() }),
    );
}

/// A run that ended, as it is logged.
pub(crate) fn run_line(report: &Report) -> Value {
    json!({
        "event": "run", "runId": report.summary.run_id, "requestId": report.request_id,
        "trigger": report.trigger.as_str(), "outcome": report.outcome(), "summary": report.summary,
        "error": report.error.map(DatabaseError::code),
    })
}

/// A run that ended.
pub(crate) fn run(report: &Report) {
    let line = run_line(report);
    if report.error.is_some() || report.tally.failed_altogether() {
        line_error(&line);
    } else {
        line_log(&line);
    }
}

/// A tick that could not learn what there is to do: it works, but wakes nobody.
pub(crate) fn no_outlook(error: DatabaseError) {
    line_error(&json!({ "event": "no_outlook", "code": error.code(), "reason": error.to_string() }));
}

/// A tick that could not look after history and alerts.
pub(crate) fn not_watched(error: DatabaseError) {
    line_error(&json!({ "event": "not_watched", "code": error.code(), "reason": error.to_string() }));
}

/// A message that its receiver did not take. It is tried again.
pub(crate) fn undelivered(message_id: &str, code: &str, tries: u32) {
    line_warn(&json!({ "event": "undelivered", "messageId": message_id, "code": code, "tries": tries }));
}

/// A message that this version doesn't know.
pub(crate) fn unknown_message() {
    line_warn(&json!({ "event": "unknown_message" }));
}

/// Whoever notices a silent cron could not be told of this tick.
pub(crate) fn not_pinged(code: &str) {
    line_warn(&json!({ "event": "not_pinged", "code": code }));
}

/// What an operator did could not be recorded.
pub(crate) fn unrecorded(action: &str, error: DatabaseError) {
    line_error(&json!({ "event": "unrecorded", "action": action, "code": error.code() }));
}

/// Helpers that the queue did not take a message for.
pub(crate) fn not_woken(helpers: u32) {
    line_error(&json!({ "event": "not_woken", "helpers": helpers }));
}

/// A message of the queue that says nothing to us.
pub(crate) fn unreadable_message() {
    line_error(&json!({ "event": "unreadable_message" }));
}

/// Sessions were found to die sooner than the interval allows for.
pub(crate) fn interval_too_long(interval: Duration, recommended: Duration, life_seconds: Option<u32>) {
    line_warn(&json!({
        "event": "interval_too_long", "intervalMinutes": interval.as_secs() / 60,
        "recommendedMinutes": recommended.as_secs() / 60, "measuredLifeSeconds": life_seconds,
    }));
}

/// A cron tick that has nothing to do by configuration.
pub(crate) fn cron_disabled() {
    line_log(&json!({ "event": "cron_disabled" }));
}

/// Settings that keep a cron tick from working.
pub(crate) fn misconfigured(error: &ConfigError) {
    line_error(&json!({ "event": "misconfigured", "reason": error.to_string() }));
}

/// The key set that users' tokens are checked with can't be had from its source.
pub(crate) fn no_keys(reason: &str) {
    line_error(&json!({ "event": "no_keys", "reason": reason }));
}

/// A request that could not be served for a reason on our side.
pub(crate) fn request_failed(request_id: &str, code: ErrorCode, reason: &str) {
    line_error(
        &json!({ "event": "request_failed", "requestId": request_id, "code": code, "reason": reason }),
    );
}

fn line_log(line: &Value) {
    console_log!("{line}");
}

fn line_warn(line: &Value) {
    console_warn!("{line}");
}

fn line_error(line: &Value) {
    console_error!("{line}");
}
