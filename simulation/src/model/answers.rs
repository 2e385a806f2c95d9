//! What the functions answer, in the words of their JSON.

use serde::Serialize;
use serde_json::Value;

use super::table::{Code, Database, Id, Moment, Session, State, in_seconds};

pub(crate) fn to_millis(moment: Moment) -> i64 {
    moment.div_euclid(1_000)
}

/// `session_status_json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    id: Id,
    pub(crate) state: State,
    last_refresh_date: Option<i64>,
    next_refresh_at: Option<i64>,
    last_attempt_at: Option<i64>,
    refresh_count: i64,
    consecutive_failures: i64,
    last_error: Option<Code>,
    auto_refresh_enabled: bool,
    leased: bool,
    created_at: i64,
    signed_in_at: i64,
}

impl Status {
    pub(crate) fn of(session: &Session, moment: Moment) -> Self {
        Self {
            id: session.id,
            state: session.state,
            last_refresh_date: session.last_refresh.map(to_millis),
            next_refresh_at: session.next_refresh.map(to_millis),
            last_attempt_at: session.last_attempt.map(to_millis),
            refresh_count: session.refresh_count,
            consecutive_failures: session.consecutive_failures,
            last_error: session.last_error,
            auto_refresh_enabled: session.enabled,
            leased: session.is_leased(moment),
            created_at: to_millis(session.created_at),
            signed_in_at: to_millis(session.signed_in_at),
        }
    }
}

/// `claimed_session_json`, with the start that a claim adds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claimed {
    pub(crate) id: Id,
    token: String,
    cookies: Value,
    fingerprint: Option<String>,
    method: Option<&'static str>,
    pub(crate) fence: i64,
    age_seconds: f64,
    in_doubt: bool,
    refusals_in_doubt: i64,
    consecutive_failures: i64,
    pub(crate) starts_in_ms: i64,
}

impl Claimed {
    pub(crate) fn of(session: &Session, moment: Moment, starts_in_ms: i64) -> Self {
        Self {
            id: session.id,
            token: session.token.clone(),
            cookies: session.cookies.clone(),
            fingerprint: session.fingerprint.clone(),
            method: session.method,
            fence: session.fence,
            age_seconds: in_seconds(moment - session.alive_at()),
            in_doubt: session.in_doubt_since.is_some(),
            refusals_in_doubt: session.refusals_in_doubt,
            consecutive_failures: session.consecutive_failures,
            starts_in_ms,
        }
    }
}

/// What stands against calling upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    Paused,
    Breaker,
    InFlight,
    Rate,
}

/// Of `claim_due_sessions`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DueClaimAnswer {
    pub(crate) now: i64,
    pub(crate) sessions: Vec<Claimed>,
    pub(crate) width: i64,
    pub(crate) held: Option<Held>,
    pub(crate) retry_in_ms: Option<i64>,
}

/// Of `claim_sessions`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedClaimAnswer {
    pub(crate) now: i64,
    pub(crate) width: i64,
    pub(crate) held: Option<Held>,
    pub(crate) retry_in_ms: i64,
    pub(crate) sessions: Vec<Claimed>,
    pub(crate) entries: Vec<Named>,
}

/// How one of the named sessions stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) result: Standing,
    status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    NotFound,
    Claimed,
    Expired,
    Busy,
    Fresh,
    Throttled,
    Spared,
    Active,
    Exhausted,
}

impl Database {
    pub(crate) fn named(&self, id: Option<Id>, result: Standing, moment: Moment) -> Named {
        let session = id.and_then(|id| self.session(id));
        Named {
            result: if session.is_some() {
                result
            } else {
                Standing::NotFound
            },
            status: session.map(|session| Status::of(session, moment)),
        }
    }
}

/// Of `claim_session`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserClaimAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<i64>,
    pub(crate) result: UserResult,
    pub(crate) now: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
    /// The inner `None` is JSON's null; the outer one leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "absent and null are two things in this JSON")]
    pub(crate) session: Option<Option<Claimed>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserResult {
    NotFound,
    Expired,
    Busy,
    Reused,
    TooSoon,
    Claimed,
    Spared,
}

/// Of `finish_sessions`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FinishAnswer {
    pub(crate) now: i64,
    pub(crate) results: Vec<Told>,
    pub(crate) held: Option<Held>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    pub(crate) id: Id,
    pub(crate) result: Fate,
    pub(crate) status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Written,
    Doubted,
    Already,
    Lost,
}

/// Of `outlook`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutlookAnswer {
    pub(crate) now: i64,
    pub(crate) due: usize,
    pub(crate) held: Option<Held>,
    pub(crate) retry_in_ms: Option<i64>,
    pub(crate) in_flight: i64,
    pub(crate) calls_per_second: f64,
    pub(crate) refresh_ms: Option<i64>,
    pub(crate) life_seconds: Option<i64>,
}
