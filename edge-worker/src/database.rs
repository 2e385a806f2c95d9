//! The database, over Supabase's REST API: every call is one of our SQL functions.

use std::time::Duration;

use access_token::email::Email;
use operations::messages::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use session_core::{
    batch::{CALLS_TO_END_A_RUN, Claimed, Held, Tally},
    due,
    finish::FinishEntry,
    outcome::OutcomeCode,
    problem::ErrorCode,
    requests::Wanted,
    session::ClaimedRow,
    time::{Timestamp, whole_seconds},
    wire::StoredStatus,
};
use worker::{Headers, Method, RequestInit, RequestRedirect, wasm_bindgen::JsValue};

use crate::{
    config::{Config, OWN_NAME, SupabaseKey},
    fetch::{fetch, whole_body},
    idempotency::KeyDigest,
    latency,
    runtime::{now, sleep, unit, within},
};

/// The bound on one call.
const TIMEOUT: Duration = Duration::from_secs(6);

/// Who waits for an answer waits so long at the most until their call may begin; the database puts off more.
const LONGEST_WAIT_FOR_A_START: Duration = Duration::from_secs(3);

/// For a user's claim, and the end of a run: somebody waits for it.
const SHORT_PATIENCE: Patience = Patience {
    time: Duration::from_secs(3),
    calls: CALLS_TO_END_A_RUN,
};

/// How long a write is tried: what upstream handed out is worth waiting for. A lease's margin (30 s) covers it, a last
/// call that times out included.
const WRITE_FOR: Duration = Duration::from_secs(18);

/// The first wait before a repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// Why the database did not do what it was asked. Holds no text of its answer, which can quote row values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// It could not be reached, or was overloaded or restarting: waiting helps.
    #[error("no usable answer (HTTP status {0:?})")]
    Unavailable(Option<u16>),
    /// It did not answer in time. What was asked may have been done.
    #[error("no answer in time")]
    TimedOut,
    /// It refuses the key, or lacks our functions: somebody has to mend the deployment.
    #[error("refused with HTTP status {0}: wrong address, wrong key, or migrations not applied")]
    Refused(u16),
    /// The table would not take a row, by a constraint or a trigger of the project's own.
    #[error("the table refuses what is to be written of a session")]
    RowRefused,
    /// It answered something that this version does not understand.
    #[error("an answer of an unknown shape")]
    Unintelligible,
}

impl DatabaseError {
    /// A stable code.
    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::DatabaseUnavailable,
            Self::TimedOut => ErrorCode::DatabaseTimedOut,
            Self::Refused(_) => ErrorCode::DatabaseRefused,
            Self::RowRefused => ErrorCode::DatabaseRowRefused,
            Self::Unintelligible => ErrorCode::DatabaseUnintelligible,
        }
    }

    const fn passes(self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut)
    }
}

/// Who started a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trigger {
    /// The cron.
    Cron,
    /// The internal route.
    Api,
    /// A user.
    User,
    /// A message of the queue.
    Queue,
    /// A job that needs certain sessions fresh.
    EnsureFresh,
}

impl Trigger {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Api => "api",
            Self::User => "user",
            Self::Queue => "queue",
            Self::EnsureFresh => "ensure_fresh",
        }
    }
}

/// Who claims: every claim and finish names it.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) run_id: Option<String>,
    pub(crate) lease_id: String,
    pub(crate) trigger: Trigger,
    /// The request that it works for, if it works for one: for the log.
    pub(crate) request_id: Option<String>,
}

/// What came of a claim on one user's session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserClaim {
    pub(crate) result: UserClaimResult,
    pub(crate) now: Timestamp,
    pub(crate) status: Option<StoredStatus>,
    pub(crate) session: Option<ClaimedRow>,
    pub(crate) retry_after_seconds: Option<u32>,
    pub(crate) answer: Option<KeptAnswer>,
}

/// What an earlier request with the same `Idempotency-Key` was answered, with the claim's status and time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptAnswer {
    pub(crate) outcome: OutcomeCode,
    retry_after_seconds: Option<f64>,
    pub(crate) reused: bool,
}

impl KeptAnswer {
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserClaimResult {
    Claimed,
    NotFound,
    Expired,
    Busy,
    Reused,
    TooSoon,
    /// Upstream is spared.
    Spared,
    /// An earlier request with the same key was answered.
    Replayed,
    /// And was about another session.
    KeyReused,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    sessions: Vec<ClaimedRow>,
    width: u32,
    held: Option<Held>,
    retry_in_ms: Option<u32>,
    /// Of a claim by names only.
    #[serde(default)]
    entries: Vec<NamedEntry<NamedResult>>,
}

impl Claim {
    fn retry_in(&self) -> Duration {
        Duration::from_millis(self.retry_in_ms.unwrap_or_default().into())
    }

    fn into_claimed(self) -> Claimed {
        let retry_in = self.retry_in();
        Claimed {
            rows: self.sessions,
            width: self.width,
            held: self.held.map(|held| (held, retry_in)),
        }
    }
}

/// What came of a claim on named sessions.
pub(crate) struct NamedClaim {
    /// One for each name, in their order.
    pub(crate) entries: Vec<NamedEntry<NamedResult>>,
    pub(crate) claimed: Claimed,
    /// When to ask again for those that others are at, or that have to wait for upstream.
    pub(crate) retry_in: Duration,
}

/// How a named session stands.
#[derive(Debug, Deserialize)]
pub(crate) struct NamedEntry<R> {
    pub(crate) result: R,
    pub(crate) status: Option<StoredStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NamedResult {
    Claimed,
    Fresh,
    /// Somebody else is at it.
    Busy,
    /// Upstream is spared.
    Spared,
    /// Upstream asked to leave this one alone.
    Throttled,
    Expired,
    NotFound,
}

/// How a session stands that somebody wishes fresh later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WishResult {
    Active,
    Exhausted,
    Expired,
    NotFound,
}

#[derive(Debug, Deserialize)]
struct Wish {
    now: Timestamp,
    entries: Vec<NamedEntry<WishResult>>,
}

/// What a tick has before it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outlook {
    /// Sessions due and not worked on; counted up to the limit that was asked for.
    pub(crate) due: u32,
    /// What holds all claims back, if anything does.
    pub(crate) held: Option<Held>,
    /// Calls a second that upstream gets now.
    pub(crate) calls_per_second: f64,
    /// How long refreshes took lately, on average.
    pub(crate) refresh_ms: Option<u64>,
    /// How long sessions were found to live without a refresh, in seconds.
    pub(crate) life_seconds: Option<u32>,
}

impl Outlook {
    /// The longest interval that leaves time for tries before sessions die, where their life was seen.
    pub(crate) fn recommended_interval(&self) -> Option<Duration> {
        let life = Duration::from_secs(self.life_seconds?.into());
        Some(due::recommended_interval(life))
    }
}

/// What the database wrote.
#[derive(Debug, Deserialize)]
pub(crate) struct Finish {
    pub(crate) now: Timestamp,
    pub(crate) results: Vec<FinishResult>,
    /// What holds all further calls back, if anything does.
    #[serde(default)]
    pub(crate) held: Option<Held>,
}

/// What became of one entry.
#[derive(Debug, Deserialize)]
pub(crate) struct FinishResult {
    pub(crate) result: Fate,
    pub(crate) status: Option<StoredStatus>,
}

/// Whether an entry is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Written,
    /// Written as a failure like others: the database sees that upstream calls every session over.
    Doubted,
    Already,
    Lost,
    /// The table would not take it, by a constraint or a trigger of its own.
    Refused,
    /// Somebody else holds the row: it may be written yet.
    Locked,
}

impl Fate {
    /// Why the entry is not in the database, if it should be.
    pub(crate) const fn error(self) -> Option<DatabaseError> {
        match self {
            Self::Written | Self::Doubted | Self::Already | Self::Lost => None,
            Self::Refused => Some(DatabaseError::RowRefused),
            Self::Locked => Some(DatabaseError::TimedOut),
        }
    }
}

/// A user's session as it stands.
#[derive(Debug, Deserialize)]
pub(crate) struct UserStatus {
    pub(crate) now: Timestamp,
    pub(crate) status: Option<StoredStatus>,
}

/// What a tick has to deliver: each by itself, as a newer database may know of messages that this Worker doesn't.
#[derive(Debug, Deserialize)]
pub(crate) struct Watch {
    pub(crate) messages: Vec<Value>,
}

/// A message, and how often its delivery was tried, this time included.
#[derive(Debug, Deserialize)]
pub(crate) struct Due {
    #[serde(flatten)]
    pub(crate) message: Message,
    pub(crate) tries: u32,
}

/// What came of a delivery.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    pub(crate) id: String,
    /// A code, where it failed.
    pub(crate) error: Option<&'static str>,
    pub(crate) retry_in_seconds: f64,
}

/// What `finish_sessions` is called with.
#[derive(Serialize)]
struct FinishCall<'a> {
    #[serde(rename = "p_holder")]
    holder: &'a str,
    #[serde(rename = "p_run_id")]
    run_id: Option<&'a str>,
    #[serde(rename = "p_trigger")]
    trigger: Trigger,
    #[serde(rename = "p_results")]
    results: &'a [FinishEntry],
    #[serde(rename = "p_upstream")]
    upstream: &'a str,
    #[serde(rename = "p_done")]
    done: bool,
    /// Functions of before that know of no key go on serving requests without.
    #[serde(rename = "p_key", skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct RunEnd {
    remaining: u32,
}

impl Config {
    /// Takes a lease on up to `limit` due sessions. Not repeated: a claim whose answer was lost runs out.
    pub(crate) async fn claim_due(
        &self,
        holder: &Holder,
        limit: u32,
        width: u32,
        lease: Duration,
    ) -> Result<Claimed, DatabaseError> {
        let arguments = json!({
            "p_run_id": holder.run_id, "p_trigger": holder.trigger, "p_holder": holder.lease_id, "p_limit": limit,
            "p_width": width, "p_lease_seconds": lease.as_secs(), "p_upstream": self.upstream(),
            "p_policy": self.policy(),
        });
        let claim: Claim = self.call("claim_due_sessions", &arguments).await?;
        Ok(claim.into_claimed())
    }

    /// Takes a lease on up to `limit` of the named sessions that are older than `max_age` and may be refreshed now; with
    /// no `width` on none. Repeated it gives the same leases again: between two claims nothing may be under way.
    pub(crate) async fn claim_named(
        &self,
        holder: &Holder,
        names: Names<'_>,
        max_age: Duration,
        (limit, width): (u32, u32),
        lease: Duration,
    ) -> Patient<NamedClaim> {
        let arguments = json!({
            "p_run_id": holder.run_id, "p_trigger": holder.trigger, "p_holder": holder.lease_id,
            "p_ids": names.ids, "p_emails": names.emails, "p_max_age_seconds": whole_seconds(max_age),
            "p_limit": limit, "p_width": width,
            "p_lease_seconds": lease.as_secs(), "p_upstream": self.upstream(), "p_policy": self.policy(),
        });
        let Patient { answer, calls } = self
            .call_patiently("claim_sessions", &arguments, SHORT_PATIENCE)
            .await;
        let answer = answer.and_then(|mut claim: Claim| {
            names.check(&claim.entries)?;
            let (entries, retry_in) = (std::mem::take(&mut claim.entries), claim.retry_in());
            Ok(NamedClaim {
                entries,
                claimed: claim.into_claimed(),
                retry_in,
            })
        });
        Patient { answer, calls }
    }

    /// Has the named sessions fresh at that time: their next refresh is brought forward to just before.
    pub(crate) async fn wish_fresh(
        &self,
        names: Names<'_>,
        fresh_at: Timestamp,
    ) -> Result<(Timestamp, Vec<NamedEntry<WishResult>>), DatabaseError> {
        let arguments = json!({ "p_ids": names.ids, "p_emails": names.emails, "p_fresh_at": fresh_at });
        let wish: Wish = self
            .call_patiently("wish_fresh", &arguments, SHORT_PATIENCE)
            .await
            .answer?;
        names.check(&wish.entries)?;
        Ok((wish.now, wish.entries))
    }

    /// Takes a session out of the batch's care, or gives it back.
    pub(crate) async fn set_enabled(
        &self,
        session_id: &str,
        enabled: bool,
        key_id: &str,
    ) -> Result<UserStatus, DatabaseError> {
        let arguments = json!({ "p_session_id": session_id, "p_enabled": enabled, "p_key_id": key_id });
        self.call_patiently("set_session_enabled", &arguments, SHORT_PATIENCE)
            .await
            .answer
    }

    /// What there is to do; due sessions are counted up to `limit`.
    pub(crate) async fn outlook(&self, limit: u32) -> Result<Outlook, DatabaseError> {
        let arguments = json!({ "p_upstream": self.upstream(), "p_policy": self.policy(), "p_limit": limit });
        self.call("outlook", &arguments).await
    }

    /// What the database has to know of the settings.
    fn policy(&self) -> Value {
        json!({
            "intervalSeconds": self.interval.as_secs(), "maxInFlight": self.max_in_flight,
            "callsPerSecond": self.calls_per_second, "exhaustAfter": self.exhaust_after,
        })
    }

    /// Takes a lease on the session that a user wishes to be refreshed, if it may be now. A success that is younger than
    /// `reuse` is the answer.
    pub(crate) async fn claim_of_user(
        &self,
        wish: &UserWish,
        holder: &Holder,
        reuse: Duration,
    ) -> Result<UserClaim, DatabaseError> {
        let lease = due::lease(1, 1, self.timeout, LONGEST_WAIT_FOR_A_START);
        let mut arguments = json!({
            "p_email": wish.email.as_str(), "p_session_id": wish.session_id, "p_holder": holder.lease_id,
            "p_lease_seconds": lease.as_secs(), "p_reuse_seconds": reuse.as_secs(),
            "p_min_seconds": self.manual_interval.as_secs(), "p_upstream": self.upstream(), "p_policy": self.policy(),
        });
        with_key(&mut arguments, wish.key());
        self.call_patiently("claim_session", &arguments, SHORT_PATIENCE)
            .await
            .answer
    }

    /// Writes what came of claimed sessions, in `calls` calls at the most. Repeated until it is known to be written:
    /// the function tells an entry that it has written already.
    pub(crate) async fn finish(
        &self,
        holder: &Holder,
        entries: &[FinishEntry],
        calls: u32,
    ) -> Patient<Finish> {
        self.finish_with_key(holder, entries, calls, None).await
    }

    /// The same of one entry, whose answer is kept with it for a retry with the same key.
    pub(crate) async fn finish_with_key(
        &self,
        holder: &Holder,
        entries: &[FinishEntry],
        calls: u32,
        key: Option<&str>,
    ) -> Patient<Finish> {
        // Written at once, not by way of a `Value`: a run's results are most of what it sends.
        let arguments = FinishCall {
            holder: &holder.lease_id,
            run_id: holder.run_id.as_deref(),
            trigger: holder.trigger,
            results: entries,
            upstream: self.upstream(),
            // A run says so at its end.
            done: holder.run_id.is_none(),
            key,
        };
        let Ok(arguments) = serde_json::to_string(&arguments) else {
            let answer = Err(DatabaseError::Unintelligible);
            return Patient { answer, calls: 0 };
        };
        let mut finish: Patient<Finish> = self
            .call_until(
                "finish_sessions",
                &arguments,
                Patience {
                    time: WRITE_FOR,
                    calls,
                },
                |finish: &Finish| !finish.results.iter().any(|told| told.result == Fate::Locked),
            )
            .await;
        finish.answer = finish.answer.and_then(|finish| {
            let complete = finish.results.len() == entries.len();
            complete.then_some(finish).ok_or(DatabaseError::Unintelligible)
        });
        finish
    }

    /// How the user's session stands.
    pub(crate) async fn status(
        &self,
        email: &str,
        session_id: Option<&str>,
    ) -> Result<UserStatus, DatabaseError> {
        self.call(
            "session_status",
            &json!({ "p_email": email, "p_session_id": session_id }),
        )
        .await
    }

    /// Closes a run's record, and says how many sessions are due still; counted up to 10,001.
    pub(crate) async fn finish_run(
        &self,
        holder: &Holder,
        tally: &Tally,
        duration: Duration,
        error: Option<DatabaseError>,
    ) -> Result<u32, DatabaseError> {
        let mut summary = serde_json::to_value(tally).unwrap_or_default();
        if let Value::Object(fields) = &mut summary {
            fields.insert(
                "durationMs".to_owned(),
                json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            );
            fields.insert("error".to_owned(), json!(error.map(DatabaseError::code)));
            fields.insert("database".to_owned(), json!(latency::take()));
        }
        let arguments = json!({
            "p_run_id": holder.run_id, "p_holder": holder.lease_id, "p_summary": summary,
            "p_retention_days": self.history_days,
        });
        let end: Patient<RunEnd> = self
            .call_patiently("finish_run", &arguments, SHORT_PATIENCE)
            .await;
        end.answer.map(|end| end.remaining)
    }

    /// Does a tick's part besides refreshing; answers the messages to deliver.
    pub(crate) async fn watch(&self, watch: &Value) -> Result<Watch, DatabaseError> {
        let arguments = json!({ "p_upstream": self.upstream(), "p_policy": self.policy(), "p_watch": watch });
        self.call("watch", &arguments).await
    }

    /// Has all sessions counted, if that is due.
    pub(crate) async fn count_sessions(&self) -> Result<(), DatabaseError> {
        self.call::<Value>("count_sessions", &json!({})).await.map(drop)
    }

    /// Says what came of deliveries.
    pub(crate) async fn messages_told(&self, told: &[Told]) -> Result<(), DatabaseError> {
        let answer: Patient<Value> = self
            .call_patiently("messages_told", &json!({ "p_told": told }), SHORT_PATIENCE)
            .await;
        answer.answer.map(drop)
    }

    /// Calls a function that wants to know upstream.
    pub(crate) async fn ask_of_upstream<T: DeserializeOwned>(
        &self,
        function: &str,
        mut arguments: Value,
    ) -> Result<T, DatabaseError> {
        if let Value::Object(fields) = &mut arguments {
            fields.insert("p_upstream".to_owned(), json!(self.upstream()));
        }
        self.call(function, &arguments).await
    }

    /// Records what somebody with the internal key did.
    pub(crate) async fn note_action(
        &self,
        key_id: &str,
        action: &str,
        session_id: Option<&str>,
        result: &str,
    ) -> Result<(), DatabaseError> {
        let arguments = json!({
            "p_key_id": key_id, "p_action": action, "p_session_id": session_id, "p_result": result,
        });
        self.call::<Value>("note_action", &arguments).await.map(drop)
    }

    async fn call_patiently<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &Value,
        patience: Patience,
    ) -> Patient<T> {
        self.call_until(function, &arguments.to_string(), patience, |_| true)
            .await
    }

    /// Repeats a call while its trouble may pass, and until its answer is `done`.
    async fn call_until<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &str,
        patience: Patience,
        done: impl Fn(&T) -> bool,
    ) -> Patient<T> {
        let started = now();
        let mut wait = FIRST_WAIT;
        let mut calls = 0_u32;
        loop {
            calls = calls.saturating_add(1);
            let answer = self.send(function, arguments).await;
            let settled = match &answer {
                Ok(answer) => done(answer),
                Err(error) => !error.passes(),
            };
            let left = patience.time.saturating_sub(now().since(started));
            if settled || left.is_zero() || calls >= patience.calls {
                return Patient { answer, calls };
            }
            sleep(wait.mul_f64(0.5 + unit() / 2.0).min(left)).await;
            wait = wait.saturating_mul(2);
        }
    }

    /// Calls a function, once.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &Value,
    ) -> Result<T, DatabaseError> {
        self.send(function, &arguments.to_string()).await
    }

    async fn send<T: DeserializeOwned>(&self, function: &str, arguments: &str) -> Result<T, DatabaseError> {
        let init = self.init(arguments).map_err(|_| DatabaseError::Unintelligible)?;
        let base = self.supabase_url.as_str().trim_end_matches('/');
        let url = format!("{base}/rest/v1/rpc/{function}");
        let exchange = async {
            let response = fetch(&url, &init, None)
                .await
                .map_err(|_| DatabaseError::Unavailable(None))?;
            let status = response.status();
            let body = whole_body(&response)
                .await
                .map_err(|_| DatabaseError::Unavailable(Some(status)))?;
            Ok((status, body))
        };
        let started = now();
        let answer = within(TIMEOUT, exchange).await;
        latency::note(now().since(started));
        let (status, body) = answer.unwrap_or(Err(DatabaseError::TimedOut))?;
        read(status, &body)
    }

    fn init(&self, arguments: &str) -> worker::Result<RequestInit> {
        let headers = Headers::new();
        headers.set("Content-Type", "application/json")?;
        // Not a browser's: Supabase refuses its new keys from one.
        headers.set("User-Agent", OWN_NAME)?;
        match &self.supabase_key {
            SupabaseKey::Opaque(key) => headers.set("apikey", key.expose())?,
            SupabaseKey::Jwt(key) => {
                headers.set("apikey", key.expose())?;
                headers.set("Authorization", &format!("Bearer {}", key.expose()))?;
            }
        }
        let mut init = RequestInit::new();
        init.with_method(Method::Post)
            .with_headers(headers)
            // Followed, a redirect would carry the key and the tokens to another host.
            .with_redirect(RequestRedirect::Manual)
            .with_body(Some(JsValue::from_str(arguments)));
        Ok(init)
    }
}

/// Adds a key, if there is one: functions of before that know of none go on serving requests without.
fn with_key(arguments: &mut Value, key: Option<&str>) {
    if let (Some(key), Value::Object(arguments)) = (key, arguments) {
        arguments.insert("p_key".to_owned(), json!(key));
    }
}

/// What a user asks for.
#[derive(Debug)]
pub(crate) struct UserWish {
    /// Verified.
    pub(crate) email: Email,
    /// Which of their sessions; `None`: the one signed in most recently.
    pub(crate) session_id: Option<String>,
    /// Names the request, over its retries.
    pub(crate) key: Option<KeyDigest>,
}

impl UserWish {
    /// The key, as the database knows it.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(KeyDigest::as_str)
    }
}

/// The sessions that somebody names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) ids: &'a [String],
    /// Each stands for its user's session signed in most recently.
    pub(crate) emails: &'a [String],
}

impl<'a> Names<'a> {
    /// Those that a caller asked for.
    pub(crate) fn of(wanted: &'a Wanted) -> Self {
        Self {
            ids: &wanted.ids,
            emails: &wanted.emails,
        }
    }

    fn check<R>(self, entries: &[NamedEntry<R>]) -> Result<(), DatabaseError> {
        let count = self.ids.len().saturating_add(self.emails.len());
        (entries.len() == count)
            .then_some(())
            .ok_or(DatabaseError::Unintelligible)
    }
}

/// How long, and how often at the most, a call is repeated.
#[derive(Clone, Copy)]
struct Patience {
    time: Duration,
    calls: u32,
}

/// What came of a call that was repeated while the database was away, and how many calls that took.
pub(crate) struct Patient<T> {
    pub(crate) answer: Result<T, DatabaseError>,
    pub(crate) calls: u32,
}

/// Tells a usable answer from the rest by status and body, since a gateway's error page is no JSON of `PostgREST`'s.
fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, DatabaseError> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|_| match serde_json::from_slice::<Value>(body) {
            Ok(_) => DatabaseError::Unintelligible,
            Err(_) => DatabaseError::Unavailable(Some(status)),
        });
    }
    let told = serde_json::from_slice::<Problem>(body).is_ok();
    Err(match status {
        // Overload, a restart, a cancelled statement, a gateway's fault.
        429 | 500..=599 => DatabaseError::Unavailable(Some(status)),
        300..=399 | 401 | 403 | 404 => DatabaseError::Refused(status),
        _ if told => DatabaseError::Refused(status),
        _ => DatabaseError::Unavailable(Some(status)),
    })
}

/// How `PostgREST` words an error. Its texts are left unread: they can quote row values.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "code")]
    _code: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> DatabaseError {
        read::<u32>(status, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn hazard_9_no_error_is_read_as_an_empty_answer() {
        for (status, body, expected) in [
            (
                502,
                "<html>Bad gateway</html>",
                DatabaseError::Unavailable(Some(502)),
            ),
            (
                200,
                "<html>Checking your browser</html>",
                DatabaseError::Unavailable(Some(200)),
            ),
            (200, "", DatabaseError::Unavailable(Some(200))),
            (200, "[]", DatabaseError::Unintelligible),
            (
                503,
                r#"{"code":"PGRST000"}"#,
                DatabaseError::Unavailable(Some(503)),
            ),
            (
                500,
                r#"{"code":"57014","details":"secret"}"#,
                DatabaseError::Unavailable(Some(500)),
            ),
            (404, r#"{"code":"PGRST202"}"#, DatabaseError::Refused(404)),
            (307, "", DatabaseError::Refused(307)),
            (401, r#"{"code":"PGRST301"}"#, DatabaseError::Refused(401)),
            (403, r#"{"code":"42501"}"#, DatabaseError::Refused(403)),
            (
                401,
                r#"{"message":"Invalid API key"}"#,
                DatabaseError::Refused(401),
            ),
            (429, "", DatabaseError::Unavailable(Some(429))),
        ] {
            assert_eq!(error(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_usable_answer_is_read() {
        assert_eq!(read::<u32>(200, b"7"), Ok(7));
    }
}
