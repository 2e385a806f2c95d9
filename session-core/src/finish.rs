//! What an attempt writes to the database: an entry of a bulk finish.

use std::time::Duration;

use serde::Serialize;

use crate::{
    cookies::StoredCookies,
    due,
    outcome::{Outcome, OutcomeCode},
    session::ClaimedRow,
};

/// What came of presenting one session to upstream, all tries of the attempt together.
#[derive(Debug)]
pub struct Attempt {
    /// What the last answer means.
    pub outcome: Outcome,
    /// Whether it said that the session is over, believed or not.
    pub said_over: bool,
    /// The cookies to store, if the answers changed them.
    pub cookies: Option<StoredCookies>,
    /// The last answer's HTTP status, if there was one.
    pub status: Option<u16>,
    /// Calls made; 0 where the row could not be presented.
    pub tries: u32,
    /// How long all took.
    pub duration: Duration,
    /// Of an answer that wasn't recognised: what it is made of.
    pub outline: Option<String>,
}

/// One session's part of the database function `finish_sessions`. It holds secrets, so it has no `Debug`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishEntry {
    id: String,
    fence: i64,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<StoredCookies>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_in_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<f64>,
    own: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    said_over: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    duration_ms: u64,
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<String>,
}

/// What the database does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The session lives: everything is renewed.
    Refreshed,
    /// Noted and tried later; the last refresh's date stays.
    Failed,
    /// Over until the next sign-in.
    Expired,
    /// Never presented: only the lease is given back.
    Released,
}

impl FinishEntry {
    /// The entry for an attempt. `interval` is how old a refresh may grow; `unit` is random, from 0 up to 1.
    pub fn attempted(row: &ClaimedRow, attempt: Attempt, interval: Duration, unit: f64) -> Self {
        let outcome = attempt.outcome.code();
        let age = row.age().saturating_add(attempt.duration);
        let failure_wait = due::after_failure(&attempt.outcome, row.consecutive_failures, age, unit);
        let retry_after = attempt.outcome.retry_after();
        let (kind, renewal, next) = match attempt.outcome {
            Outcome::Refreshed(renewal) => (
                Kind::Refreshed,
                Some(renewal),
                Some(due::after_success(interval, unit)),
            ),
            // In case the database doesn't believe it: it sees what all sessions are answered.
            Outcome::Expired => (Kind::Expired, None, Some(failure_wait)),
            Outcome::Throttled { .. }
            | Outcome::Refused
            | Outcome::UpstreamFault { .. }
            | Outcome::Unreachable
            | Outcome::TimedOut
            | Outcome::Unrecognised
            | Outcome::Unusable => (Kind::Failed, None, Some(failure_wait)),
        };
        let (token, fingerprint) = renewal.map_or((None, None), |renewal| {
            let fingerprint = renewal.fingerprint.map(|print| print.expose().to_owned());
            (Some(renewal.token.expose().to_owned()), fingerprint)
        });
        Self {
            id: row.id.clone(),
            fence: row.fence,
            kind,
            outcome: Some(outcome),
            token,
            cookies: attempt.cookies,
            fingerprint,
            next_in_seconds: next.map(|wait| wait.as_secs_f64()),
            retry_after_seconds: retry_after.map(|wait| wait.as_secs_f64()),
            own: outcome.is_own(),
            said_over: attempt.said_over && kind == Kind::Failed,
            upstream_status: attempt.status,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            tries: attempt.tries,
            outline: attempt.outline,
        }
    }

    /// The entry that gives a lease back unused.
    pub fn released(row: &ClaimedRow) -> Self {
        Self {
            id: row.id.clone(),
            fence: row.fence,
            kind: Kind::Released,
            outcome: None,
            token: None,
            cookies: None,
            fingerprint: None,
            next_in_seconds: None,
            retry_after_seconds: None,
            own: false,
            said_over: false,
            upstream_status: None,
            duration_ms: 0,
            tries: 0,
            outline: None,
        }
    }

    /// The row's primary key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the database does with it.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the attempt came to; `None` for a lease given back.
    pub const fn outcome(&self) -> Option<OutcomeCode> {
        self.outcome
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{outcome::Renewal, token::RefreshToken};

    const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

    fn written(outcome: Outcome) -> Value {
        let said_over = outcome == Outcome::Expired;
        written_as(outcome, said_over)
    }

    fn written_as(outcome: Outcome, said_over: bool) -> Value {
        entry_of(attempt(outcome, said_over))
    }

    fn attempt(outcome: Outcome, said_over: bool) -> Attempt {
        Attempt {
            outcome,
            said_over,
            cookies: None,
            status: Some(200),
            tries: 1,
            duration: Duration::from_millis(120),
            outline: None,
        }
    }

    fn entry_of(attempt: Attempt) -> Value {
        let row: ClaimedRow = serde_json::from_value(json!({
            "id": "1", "fence": 7, "consecutiveFailures": 2, "refusalsInDoubt": 0,
            "inDoubt": false, "ageSeconds": 1100, "token": TOKEN,
            "cookies": [{"name": "a", "value": "b"}], "fingerprint": null,
        }))
        .unwrap();
        let entry = FinishEntry::attempted(&row, attempt, Duration::from_mins(20), 0.0);
        serde_json::to_value(entry).unwrap()
    }

    #[test]
    fn a_success_carries_the_new_token_and_the_next_due_time() {
        let token = RefreshToken::parse(TOKEN).unwrap();
        assert_eq!(
            written(Outcome::Refreshed(Renewal {
                token,
                fingerprint: None
            })),
            json!({
                "id": "1", "fence": 7, "kind": "refreshed", "outcome": "refreshed", "token": TOKEN,
                "nextInSeconds": 960.0, "own": false, "upstreamStatus": 200, "durationMs": 120, "tries": 1,
            })
        );
    }

    #[test]
    fn an_expired_session_has_a_next_time_in_case_that_it_is_not_believed() {
        let mut entry = written(Outcome::Expired);
        let next = entry.as_object_mut().unwrap().remove("nextInSeconds");
        assert!(next.and_then(|next| next.as_f64()).unwrap() >= 20.0);
        assert_eq!(
            entry,
            json!({
                "id": "1", "fence": 7, "kind": "expired", "outcome": "expired", "own": false,
                "upstreamStatus": 200, "durationMs": 120, "tries": 1,
            })
        );
    }

    #[test]
    fn a_failure_is_noted_and_comes_again() {
        let entry = written(Outcome::Unreachable);
        assert_eq!(
            (&entry["kind"], &entry["outcome"]),
            (&json!("failed"), &json!("unreachable"))
        );
        assert!(entry["nextInSeconds"].as_f64().unwrap() >= 5.0);
        assert_eq!((entry.get("token"), &entry["own"]), (None, &json!(false)));
    }

    #[test]
    fn what_may_be_the_sessions_own_doing_is_told_as_such() {
        assert_eq!(written(Outcome::Refused)["own"], json!(true));
        assert_eq!(written(Outcome::Unrecognised)["own"], json!(true));
    }

    #[test]
    fn the_sites_word_that_a_session_is_over_is_told_where_it_is_not_believed_yet() {
        let said = |outcome, said_over| written_as(outcome, said_over).get("saidOver").cloned();
        assert_eq!(said(Outcome::Unrecognised, true), Some(json!(true)));
        assert_eq!(said(Outcome::Unrecognised, false), None);
        assert_eq!(said(Outcome::Expired, true), None);
    }

    #[test]
    fn the_time_that_upstream_named_is_told_for_all_to_heed() {
        let retry_after = Some(Duration::from_mins(2));
        assert_eq!(
            written(Outcome::Throttled { retry_after })["retryAfterSeconds"],
            json!(120.0)
        );
    }

    #[test]
    fn the_outline_of_what_was_not_recognised_is_told() {
        let mut attempt = attempt(Outcome::Unrecognised, false);
        attempt.outline = Some("text/html, 2 bytes\ntext 2".to_owned());
        assert_eq!(entry_of(attempt)["outline"], json!("text/html, 2 bytes\ntext 2"));
        assert_eq!(written(Outcome::Unrecognised).get("outline"), None);
    }
}
