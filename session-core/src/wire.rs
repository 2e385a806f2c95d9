//! The JSON told to browsers and jobs. Its shape is a promise: each is pinned by a test.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{batch::Held, due, outcome::OutcomeCode, problem::ErrorCode, time::Timestamp};

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Kept alive.
    Active,
    /// Over: only a new sign-in helps.
    Expired,
    /// Given up after too many failures; a sign-in or a manual refresh brings it back.
    Exhausted,
}

/// What the database tells of a session: no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredStatus {
    /// The row's primary key.
    pub id: String,
    /// How it stands.
    pub state: State,
    /// The last success.
    pub last_refresh_date: Option<Timestamp>,
    /// The last attempt, whatever came of it.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next refresh falls due; `None` where none is planned.
    pub next_refresh_at: Option<Timestamp>,
    /// Successes so far.
    pub refresh_count: u32,
    /// The last attempt's outcome code, where it failed.
    pub last_error: Option<String>,
    /// Whether the batch looks after it.
    pub auto_refresh_enabled: bool,
    /// Whether a refresh is under way.
    pub leased: bool,
    /// When the row came to be.
    pub created_at: Timestamp,
    /// The last sign-in.
    pub signed_in_at: Timestamp,
}

/// What the owner of a session is advised to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// Nothing.
    None,
    /// Refresh now.
    Refresh,
    /// Sign in again.
    Login,
}

/// The answer of `GET /api/auth/refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefreshStatus {
    /// Which of the user's sessions this is.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub session_id: String,
    /// The last success.
    pub last_refresh_date: Option<Timestamp>,
    /// When the next one falls due.
    pub next_refresh_due: Option<Timestamp>,
    /// Whether it is due already.
    pub needs_refresh: bool,
    /// Whether `POST` would call upstream now.
    pub can_refresh: bool,
    /// From when on it would; `null` while a refresh is under way, and where only a sign-in helps.
    pub can_refresh_at: Option<Timestamp>,
    /// Whether a refresh is under way.
    pub is_refreshing: bool,
    /// Successes so far.
    pub refresh_count: u32,
    /// How the session stands.
    pub state: State,
    /// The last attempt's outcome code, where it failed.
    pub last_error: Option<String>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// The answer of `GET /api/auth/aimharder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionCheck {
    /// Whether the session can be used for bookings, as far as is known.
    pub session_valid: bool,
    /// Until when, if no refresh succeeds any more.
    pub valid_until: Timestamp,
    /// What to do.
    pub recommendation: Recommendation,
    /// The refresh status.
    #[serde(flatten)]
    pub status: RefreshStatus,
}

/// The answer of `POST /api/auth/refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefreshAnswer {
    /// The session is fresh: renewed by this call, or moments ago by another.
    pub refreshed: bool,
    /// It was another call that renewed it.
    pub reused: bool,
    /// The last success.
    pub last_refresh_date: Option<Timestamp>,
    /// When the next one falls due.
    pub next_refresh_due: Option<Timestamp>,
    /// Successes so far.
    pub refresh_count: u32,
    /// How the session stands.
    pub state: State,
    /// From when on a further refresh by hand is possible.
    pub can_refresh_at: Option<Timestamp>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// The answer of `GET /healthz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Health {
    /// Always `ok`: a Worker that does not run tells nothing.
    pub status: Up,
}

/// That the Worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(inline))]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// It does.
    Ok,
}

/// What a batch answers that was only to tell what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Always `true`.
    #[cfg_attr(feature = "schemas", schemars(extend("const" = true)))]
    pub dry_run: bool,
    /// Always 0.
    pub claimed: u32,
    /// Sessions due, counted up to 10,001.
    pub remaining: u32,
    /// What holds calls back, if anything does.
    pub held: Option<Held>,
    /// How long sessions were found to live without a refresh.
    pub measured_life_seconds: Option<u32>,
    /// The longest interval that is safe then.
    pub recommended_interval_minutes: Option<u64>,
}

/// What taking a session into the batch's care, or out of it, answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CareAnswer {
    /// The row's primary key.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub id: String,
    /// How it stands.
    pub state: State,
    /// Whether the batch looks after it.
    pub auto_refresh_enabled: bool,
    /// The last success.
    pub last_refresh_date: Option<Timestamp>,
    /// When the next one falls due.
    pub next_refresh_due: Option<Timestamp>,
    /// Successes so far.
    pub refresh_count: u32,
    /// The last attempt's outcome code, where it failed.
    pub last_error: Option<String>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// What every failure answers; those of a batch have its summary's fields besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `false`.
    #[cfg_attr(feature = "schemas", schemars(extend("const" = false)))]
    pub success: bool,
    /// A sentence for people.
    pub error: String,
    /// Stable, for programs.
    #[cfg_attr(test, ts(type = "string"))]
    pub code: ErrorCode,
    /// Names the request in the log.
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "uuid")))]
    pub request_id: String,
    /// The server's clock.
    pub server_time: Timestamp,
}

impl StoredStatus {
    /// What its owner is told. A manual refresh is possible once `pause` has passed since the last attempt.
    pub fn to_refresh_status(&self, pause: Duration, now: Timestamp) -> RefreshStatus {
        let due = self.next_refresh_at.is_some_and(|due| due <= now);
        let can_refresh_at = self.can_refresh_at(pause);
        RefreshStatus {
            session_id: self.id.clone(),
            last_refresh_date: self.last_refresh_date,
            next_refresh_due: self.next_refresh_at,
            needs_refresh: self.is_usable() && (due || self.last_error.is_some()),
            can_refresh: can_refresh_at.is_some_and(|at| at <= now),
            can_refresh_at,
            is_refreshing: self.leased,
            refresh_count: self.refresh_count,
            state: self.state,
            last_error: self.last_error.clone(),
            server_time: now,
        }
    }

    /// The last sign of life: a refresh or a sign-in.
    pub fn alive_at(&self) -> Timestamp {
        self.signed_in_at
            .max(self.last_refresh_date.unwrap_or(self.signed_in_at))
    }

    /// From when on a manual refresh is possible: after a rest, and not before the time that upstream named.
    fn can_refresh_at(&self, pause: Duration) -> Option<Timestamp> {
        let rested = self
            .last_attempt_at
            .map_or(self.signed_in_at, |last| last.after(pause));
        let throttled = self.last_error.as_deref() == Some(OutcomeCode::Throttled.as_str());
        let named = self.next_refresh_at.filter(|_| throttled);
        (self.is_usable() && !self.leased).then(|| rested.max(named.unwrap_or(rested)))
    }

    /// Whether anything but a new sign-in can help it.
    fn is_usable(&self) -> bool {
        self.state != State::Expired && self.last_error.as_deref() != Some(OutcomeCode::Unusable.as_str())
    }

    /// Whether the session can be used, and what its owner should do.
    pub fn to_session_check(&self, pause: Duration, now: Timestamp) -> SessionCheck {
        let status = self.to_refresh_status(pause, now);
        let valid_until = due::valid_until(self.created_at, self.signed_in_at, self.last_refresh_date);
        let session_valid = self.is_usable() && now < valid_until;
        let recommendation = match (session_valid, status.needs_refresh) {
            (false, _) => Recommendation::Login,
            (true, true) => Recommendation::Refresh,
            (true, false) => Recommendation::None,
        };
        SessionCheck {
            session_valid,
            valid_until,
            recommendation,
            status,
        }
    }

    /// What an operator is told who took it into the batch's care, or out of it.
    pub fn into_care_answer(self, now: Timestamp) -> CareAnswer {
        CareAnswer {
            id: self.id,
            state: self.state,
            auto_refresh_enabled: self.auto_refresh_enabled,
            last_refresh_date: self.last_refresh_date,
            next_refresh_due: self.next_refresh_at,
            refresh_count: self.refresh_count,
            last_error: self.last_error,
            server_time: now,
        }
    }

    /// The answer to a refresh that left the session in this status.
    pub fn to_refresh_answer(&self, reused: bool, pause: Duration, now: Timestamp) -> RefreshAnswer {
        RefreshAnswer {
            refreshed: true,
            reused,
            last_refresh_date: self.last_refresh_date,
            next_refresh_due: self.next_refresh_at,
            refresh_count: self.refresh_count,
            state: self.state,
            can_refresh_at: self.can_refresh_at(pause),
            server_time: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_766_731_601_000);
    const PAUSE: Duration = Duration::from_mins(1);

    fn stored(change: &Value) -> StoredStatus {
        let mut json = json!({
            "id": "1", "state": "active", "lastRefreshDate": 1_766_731_001_000_i64,
            "nextRefreshAt": 1_766_732_001_000_i64, "refreshCount": 4, "consecutiveFailures": 0, "lastError": null,
            "autoRefreshEnabled": true, "leased": false, "createdAt": 1_766_000_000_000_i64,
            "signedInAt": 1_766_000_000_000_i64, "lastAttemptAt": null,
        });
        json.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        serde_json::from_value(json).unwrap()
    }

    /// The client's types are these. `UPDATE_TYPES=1 cargo test` writes them anew.
    #[test]
    fn the_client_s_types_are_up_to_date() {
        use ts_rs::{Config, TS};

        let config = Config::new();
        let declarations = [
            Timestamp::decl(&config),
            State::decl(&config),
            Recommendation::decl(&config),
            RefreshStatus::decl(&config),
            SessionCheck::decl(&config),
            RefreshAnswer::decl(&config),
            Problem::decl(&config),
        ];
        let mut types =
            "// The JSON of the Worker's routes. Made from session-core/src/wire.rs by its tests.\n"
                .to_owned();
        for declaration in declarations {
            types.push_str("\nexport ");
            types.push_str(&declaration);
            types.push('\n');
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../client-wasm/js/wire.ts");
        if std::env::var_os("UPDATE_TYPES").is_some() {
            std::fs::write(file, &types).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(file).unwrap_or_default(),
            types,
            "run UPDATE_TYPES=1 cargo test"
        );
    }

    #[test]
    fn the_check_answers_in_this_shape() {
        assert_eq!(
            serde_json::to_value(stored(&json!({})).to_session_check(PAUSE, NOW)).unwrap(),
            json!({
                "sessionValid": true, "validUntil": "2026-01-02T06:36:41.000Z", "recommendation": "none",
                "sessionId": "1", "lastRefreshDate": "2025-12-26T06:36:41.000Z",
                "nextRefreshDue": "2025-12-26T06:53:21.000Z", "needsRefresh": false, "canRefresh": true,
                "canRefreshAt": "2025-12-17T19:33:20.000Z",
                "isRefreshing": false, "refreshCount": 4, "state": "active", "lastError": null,
                "serverTime": "2025-12-26T06:46:41.000Z",
            })
        );
    }

    #[test]
    fn a_refresh_answers_in_this_shape() {
        assert_eq!(
            serde_json::to_value(stored(&json!({})).to_refresh_answer(false, PAUSE, NOW)).unwrap(),
            json!({
                "refreshed": true, "reused": false, "lastRefreshDate": "2025-12-26T06:36:41.000Z",
                "nextRefreshDue": "2025-12-26T06:53:21.000Z", "refreshCount": 4, "state": "active",
                "canRefreshAt": "2025-12-17T19:33:20.000Z", "serverTime": "2025-12-26T06:46:41.000Z",
            })
        );
    }

    #[test]
    fn advises_what_helps() {
        let week_ago = 1_766_000_000_000_i64;
        for (change, valid, recommendation) in [
            (json!({}), true, Recommendation::None),
            (
                json!({"nextRefreshAt": 1_766_731_600_000_i64}),
                true,
                Recommendation::Refresh,
            ),
            (json!({"lastError": "unreachable"}), true, Recommendation::Refresh),
            (
                json!({"state": "exhausted", "lastError": "refused"}),
                true,
                Recommendation::Refresh,
            ),
            (
                json!({"state": "expired", "nextRefreshAt": null, "lastError": "expired"}),
                false,
                Recommendation::Login,
            ),
            (json!({"lastError": "unusable"}), false, Recommendation::Login),
            (json!({"lastRefreshDate": null}), false, Recommendation::Login),
            (
                json!({"lastRefreshDate": null, "signedInAt": week_ago + 200_000_000}),
                true,
                Recommendation::None,
            ),
        ] {
            let check = stored(&change).to_session_check(PAUSE, NOW);
            assert_eq!(
                (check.session_valid, check.recommendation),
                (valid, recommendation),
                "{change}"
            );
        }
    }

    #[test]
    fn hazard_2_a_failed_refresh_never_looks_healthy() {
        let status = stored(&json!({"lastError": "upstream_fault"})).to_refresh_status(PAUSE, NOW);
        assert!(status.needs_refresh);
        assert_eq!(status.last_error.as_deref(), Some("upstream_fault"));
    }

    #[test]
    fn a_manual_refresh_waits_for_its_turn() {
        for (change, can) in [
            (json!({}), true),
            (json!({"leased": true}), false),
            (json!({"state": "expired"}), false),
            (json!({"lastError": "unusable"}), false),
            (json!({"lastAttemptAt": 1_766_731_590_000_i64}), false),
            (json!({"lastError": "throttled"}), false),
            (
                json!({"lastError": "throttled", "nextRefreshAt": 1_766_731_600_000_i64}),
                true,
            ),
            (json!({"lastError": "unreachable"}), true),
        ] {
            assert_eq!(
                stored(&change).to_refresh_status(PAUSE, NOW).can_refresh,
                can,
                "{change}"
            );
        }
    }
}
