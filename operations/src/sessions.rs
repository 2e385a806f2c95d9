//! Single sessions, runs, attempts and what operators did: what the database's functions `find_sessions`,
//! `session_history`, `list_runs` and `run_history` tell, and the internal routes with them. No secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use session_core::{time::Timestamp, wire::State};

/// A session as an operator sees it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(rename = "OperatorSession")
)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The row's primary key.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub id: String,
    /// Its user.
    pub email: String,
    /// How it stands.
    pub state: State,
    /// Whether the batch looks after it.
    pub enabled: bool,
    /// Whether a refresh is under way.
    pub is_refreshing: bool,
    /// The last success.
    pub last_refresh_date: Option<Timestamp>,
    /// The last attempt, whatever came of it.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next refresh falls due; `null` where none is planned.
    pub next_refresh_due: Option<Timestamp>,
    /// The last sign-in.
    pub signed_in_at: Timestamp,
    /// Successes so far.
    pub refresh_count: u32,
    /// The last attempt's outcome code, where it failed.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// The first failure since the last success, as far as the history reaches; `null` where the last attempt succeeded.
    pub failing_since: Option<Timestamp>,
}

/// Sessions that were looked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FoundSessions {
    /// The first of them.
    pub sessions: Vec<Session>,
    /// Whether there are more.
    pub more: bool,
    /// The server's clock.
    #[serde(rename(deserialize = "now", serialize = "serverTime"))]
    pub now: Timestamp,
}

/// One session and what happened to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionHistory {
    /// How it stands.
    pub session: Session,
    /// Its last attempts, newest first.
    pub attempts: Vec<Attempt>,
    /// When it was lost and came back, newest first.
    pub events: Vec<SessionEvent>,
    /// What operators did with it, newest first.
    pub actions: Vec<Action>,
    /// The server's clock.
    #[serde(rename(deserialize = "now", serialize = "serverTime"))]
    pub now: Timestamp,
}

/// An attempt.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Whose.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub session_id: String,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Within which run, if within one.
    pub run_id: Option<String>,
    /// Who started it.
    pub trigger: String,
    /// What came of it: an outcome's code, or `abandoned`, `unwritten`.
    pub outcome: String,
    /// The last answer's HTTP status, if there was one.
    pub upstream_status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// Calls made.
    pub tries: u32,
    /// How old the session's last sign of life was.
    pub age_seconds: Option<u32>,
}

/// A session was lost, or came back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: EventKind,
    /// When the app's webhook was told; `null`: it was not.
    pub delivered_at: Option<Timestamp>,
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It is over until its user signs in.
    Expired,
    /// It was given up after too many failures.
    Exhausted,
    /// It lives again.
    Recovered,
}

/// What an operator or a job did.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// When.
    pub at: Timestamp,
    /// With which key: the first digits of a digest.
    pub key_id: String,
    /// `refresh`, `enable`, `disable` or `run`.
    pub action: String,
    /// With which session, if with one.
    pub session_id: Option<String>,
    /// What came of it: `done`, or a code.
    pub result: String,
}

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub id: String,
    /// Who started it: `cron`, `queue`, `api`, `ensure_fresh`.
    pub trigger: String,
    /// When.
    pub started_at: Timestamp,
    /// When it ended; `null`: it goes on, or its Worker died.
    pub finished_at: Option<Timestamp>,
    /// Sessions leased.
    pub claimed: u32,
    /// Renewed.
    pub refreshed: u32,
    /// Found to be over.
    pub expired: u32,
    /// Not renewed, for other reasons.
    pub failed: u32,
    /// Attempts by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// Sessions due at its end; counted up to 10,001.
    pub remaining: Option<u32>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// A code, where it met trouble of ours.
    pub error: Option<String>,
}

/// Runs, newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// The runs.
    pub runs: Vec<Run>,
    /// The server's clock.
    #[serde(rename(deserialize = "now", serialize = "serverTime"))]
    pub now: Timestamp,
}

/// A run and what failed in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RunHistory {
    /// The run.
    pub run: Run,
    /// Its attempts that did not renew their session, newest first; at most two hundred.
    pub failures: Vec<Attempt>,
    /// The server's clock.
    #[serde(rename(deserialize = "now", serialize = "serverTime"))]
    pub now: Timestamp,
}
