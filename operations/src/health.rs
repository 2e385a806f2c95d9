//! Whether all is well: `GET /api/internal/health`.

use serde::{Deserialize, Serialize};
use session_core::time::Timestamp;

use crate::overview::{Backlog, Breaker, MARGIN_SECONDS, Upstream};

/// What the functions of the migrations that came with this version call themselves.
pub const SCHEMA: u32 = 1;

/// Without a tick for so long the cron counts as silent, in seconds: it fires each minute.
pub const SILENCE_SECONDS: u64 = 180;

/// What the database function `health` tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The database's clock.
    pub now: Timestamp,
    /// What its functions call themselves.
    pub schema: u32,
    /// How old a refresh may grow.
    pub interval_seconds: u32,
    /// The last cron tick that reached the database.
    pub last_tick_at: Option<Timestamp>,
    /// What waits to be refreshed.
    pub backlog: Backlog,
    /// How upstream is called.
    pub upstream: Upstream,
}

/// One thing that has to be well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// Whether it is.
    pub ok: bool,
    /// How it stands, in words.
    pub detail: String,
}

/// What has to be well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// The Worker's settings.
    Configuration,
    /// The database answers.
    Database,
    /// It has this version's functions.
    Migrations,
    /// The session that waits longest is young enough.
    OldestDue,
    /// The cron was heard of lately.
    Cron,
    /// Upstream is called.
    Breaker,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether all is well.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// Judges what the database told. `error`: why it told nothing, in words, and whether its functions are what is
    /// missing.
    pub fn of(told: Result<&Facts, (&str, bool)>, cron_enabled: bool) -> Self {
        let mut checks = vec![check(CheckName::Configuration, true, "It can be used.")];
        match told {
            Ok(facts) => {
                checks.push(check(CheckName::Database, true, "It answers."));
                checks.extend(judge(facts, cron_enabled));
            }
            Err((error, is_schema)) => {
                let name = if is_schema {
                    CheckName::Migrations
                } else {
                    CheckName::Database
                };
                checks.push(check(name, false, error));
            }
        }
        Self {
            ready: checks.iter().all(|check| check.ok),
            checks,
        }
    }
}

fn check(name: CheckName, ok: bool, detail: impl Into<String>) -> Check {
    Check {
        name,
        ok,
        detail: detail.into(),
    }
}

fn judge(facts: &Facts, cron_enabled: bool) -> [Check; 4] {
    let limit = facts.interval_seconds.saturating_add(MARGIN_SECONDS);
    let oldest = match facts.backlog.oldest_age_seconds {
        Some(age) => check(
            CheckName::OldestDue,
            age <= limit,
            format!("The session that waits longest is {age} seconds old; {limit} are allowed."),
        ),
        None => check(CheckName::OldestDue, true, "No session waits."),
    };
    let breaker = match facts.upstream.breaker {
        Breaker::Closed => check(CheckName::Breaker, true, "aimharder is called."),
        Breaker::Open | Breaker::HalfOpen => check(
            CheckName::Breaker,
            false,
            "aimharder has trouble, and is left alone but for probes.",
        ),
    };
    let schema = check(
        CheckName::Migrations,
        facts.schema >= SCHEMA,
        format!(
            "The functions are of version {}; {SCHEMA} is wanted.",
            facts.schema
        ),
    );
    [schema, oldest, cron(facts, cron_enabled), breaker]
}

fn cron(facts: &Facts, enabled: bool) -> Check {
    if !enabled {
        return check(
            CheckName::Cron,
            true,
            "It is switched off by REFRESH_CRON_ENABLED.",
        );
    }
    match facts.last_tick_at.map(|at| facts.now.since(at).as_secs()) {
        Some(ago) => check(
            CheckName::Cron,
            ago <= SILENCE_SECONDS,
            format!("Its last tick was {ago} seconds ago."),
        ),
        None => check(CheckName::Cron, false, "It was never heard of."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut facts = Facts {
            now,
            schema: SCHEMA,
            interval_seconds: 1_200,
            last_tick_at: Some(Timestamp::from_millis(1_799_999_940_000)),
            backlog: Backlog::default(),
            upstream: Upstream {
                breaker: Breaker::Closed,
                held_until: None,
                in_flight: 0,
                calls_per_second: 20.0,
            },
        };
        change(&mut facts);
        facts
    }

    fn failing(facts: &Facts, cron_enabled: bool) -> Vec<CheckName> {
        let readiness = Readiness::of(Ok(facts), cron_enabled);
        let names: Vec<_> = readiness
            .checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect();
        assert_eq!(readiness.ready, names.is_empty());
        names
    }

    #[test]
    fn each_trouble_is_named() {
        let silent = Timestamp::from_millis(1_799_999_819_000);
        assert_eq!(failing(&facts(|_| ()), true), []);
        let cron = [CheckName::Cron];
        assert_eq!(failing(&facts(|f| f.last_tick_at = Some(silent)), true), cron);
        assert_eq!(failing(&facts(|f| f.last_tick_at = None), true), cron);
        assert_eq!(failing(&facts(|f| f.last_tick_at = None), false), []);
        let old = |age| facts(|f: &mut Facts| f.backlog.oldest_age_seconds = Some(age));
        assert_eq!(failing(&old(1_500), true), []);
        assert_eq!(failing(&old(1_501), true), [CheckName::OldestDue]);
        let open = facts(|f| f.upstream.breaker = Breaker::HalfOpen);
        assert_eq!(failing(&open, true), [CheckName::Breaker]);
        assert_eq!(failing(&facts(|f| f.schema = 0), true), [CheckName::Migrations]);
    }

    #[test]
    fn a_database_that_tells_nothing_is_not_ready() {
        for (is_schema, name) in [(false, CheckName::Database), (true, CheckName::Migrations)] {
            let readiness = Readiness::of(Err(("It is away.", is_schema)), true);
            assert!(!readiness.ready);
            assert_eq!(readiness.checks.last().map(|check| check.name), Some(name));
        }
    }
}
