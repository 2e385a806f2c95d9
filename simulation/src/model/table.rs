//! The tables, and what a sign-in's trigger does to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

/// Microseconds since the epoch: what `PostgreSQL` counts in.
pub(crate) type Moment = i64;

pub(crate) const SECOND: Moment = 1_000_000;
pub(crate) const HOUR: Moment = 3_600 * SECOND;

/// `PostgreSQL`'s `-infinity`.
pub(crate) const LONG_AGO: Moment = i64::MIN;

/// How long before its wished-for time a refresh begins.
pub(crate) const WISH_AHEAD: Moment = 90 * SECOND;

/// As the SQL function `seconds`: rounds to microseconds, halves to even.
pub(crate) fn seconds(number: f64) -> Moment {
    (number * 1e6).round_ties_even() as Moment
}

/// As `extract(epoch from …)` of an interval, as a double.
pub(crate) fn in_seconds(interval: Moment) -> f64 {
    interval as f64 / 1e6
}

/// A `uuid`, of those that the simulation hands out: they sort as their numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u64);

impl Id {
    pub(crate) fn parse(text: &str) -> Result<Self, std::num::ParseIntError> {
        let digits = text.rsplit('-').next().unwrap_or_default();
        u64::from_str_radix(digits, 16).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00000000-0000-4000-8000-{:012x}", self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(<&str>::deserialize(deserializer)?).map_err(Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Active,
    Expired,
    Exhausted,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    Refreshed,
    Expired,
    Throttled,
    Refused,
    UpstreamFault,
    Unreachable,
    TimedOut,
    Unrecognised,
    Unusable,
    /// Of a holder that died.
    Abandoned,
}

/// A row of `auth_sessions`.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "named as the columns are")]
pub(crate) struct Session {
    pub(crate) id: Id,
    pub(crate) user: Rc<str>,
    pub(crate) token: String,
    pub(crate) cookies: Value,
    pub(crate) fingerprint: Option<String>,
    pub(crate) method: Option<&'static str>,
    pub(crate) created_at: Moment,
    pub(crate) signed_in_at: Moment,
    pub(crate) last_refresh: Option<Moment>,
    pub(crate) refresh_count: i64,
    pub(crate) last_error: Option<Code>,
    pub(crate) enabled: bool,
    pub(crate) next_refresh: Option<Moment>,
    pub(crate) state: State,
    pub(crate) consecutive_failures: i64,
    pub(crate) session_failures: i64,
    pub(crate) refusals_in_doubt: i64,
    pub(crate) in_doubt_since: Option<Moment>,
    pub(crate) last_attempt: Option<Moment>,
    pub(crate) lease_holder: Option<Id>,
    pub(crate) lease_expires: Option<Moment>,
    pub(crate) fence: i64,
}

impl Session {
    pub(crate) fn alive_at(&self) -> Moment {
        self.last_refresh.unwrap_or(LONG_AGO).max(self.signed_in_at)
    }

    pub(crate) fn is_leased(&self, moment: Moment) -> bool {
        self.lease_expires.is_some_and(|until| until > moment)
    }

    fn due_key(&self) -> Option<(Moment, Id)> {
        (self.state == State::Active && self.enabled)
            .then_some(self.next_refresh)
            .flatten()
            .map(|at| (at, self.id))
    }
}

/// What a sign-in writes.
pub(crate) struct SignIn {
    pub(crate) token: String,
    pub(crate) cookies: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    pub(crate) interval_seconds: i64,
    pub(crate) max_in_flight: i64,
    pub(crate) calls_per_second: f64,
    pub(crate) exhaust_after: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Breaker {
    Closed,
    Open,
    HalfOpen,
}

/// The row of `refresh_upstreams`.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) next_start: Moment,
    pub(crate) next_urgent: Moment,
    pub(crate) rate: Option<f64>,
    pub(crate) rate_at: Option<Moment>,
    pub(crate) paused_until: Moment,
    pub(crate) breaker: Breaker,
    pub(crate) breaker_until: Moment,
    pub(crate) openings: i64,
    pub(crate) window_at: Moment,
    pub(crate) now: Counts,
    pub(crate) before: Counts,
    pub(crate) throttled: Vec<Id>,
    pub(crate) throttled_before: Vec<Id>,
}

/// Answers within a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answers: i64,
    pub(crate) faults: i64,
    pub(crate) throttles: i64,
}

impl Upstream {
    pub(crate) fn new() -> Self {
        Self {
            next_start: LONG_AGO,
            next_urgent: LONG_AGO,
            rate: None,
            rate_at: None,
            paused_until: LONG_AGO,
            breaker: Breaker::Closed,
            breaker_until: LONG_AGO,
            openings: 0,
            window_at: LONG_AGO,
            now: Counts::default(),
            before: Counts::default(),
            throttled: Vec::new(),
            throttled_before: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) width: i64,
    pub(crate) expires: Moment,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) finished_at: Moment,
    pub(crate) outcome: Code,
    pub(crate) tries: i64,
    pub(crate) duration_ms: i64,
    pub(crate) age_seconds: Option<i64>,
}

/// All tables.
pub(crate) struct Database {
    pub(crate) policy: Policy,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) slots: BTreeMap<Id, Slot>,
    pub(crate) wishes: BTreeSet<(Id, Moment)>,
    pub(crate) attempts: BTreeMap<(Id, i64), Attempt>,
    pub(crate) attempts_by_time: BTreeSet<(Moment, Id, i64)>,
    /// By the hour and the minute of age: sessions renewed or found expired, and those found expired. Never dropped.
    pub(crate) ages: BTreeMap<(Moment, i64), (i64, i64)>,
    pub(crate) life: (Option<Moment>, Option<i64>),
    sessions: Vec<Session>,
    due: BTreeSet<(Moment, Id)>,
    by_user: BTreeMap<Rc<str>, Vec<Id>>,
}

impl Database {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            upstream: None,
            slots: BTreeMap::new(),
            wishes: BTreeSet::new(),
            attempts: BTreeMap::new(),
            attempts_by_time: BTreeSet::new(),
            ages: BTreeMap::new(),
            life: (None, None),
            sessions: Vec::new(),
            due: BTreeSet::new(),
            by_user: BTreeMap::new(),
        }
    }

    pub(crate) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Rows are numbered from 1 in the order of their insertion.
    pub(crate) fn session(&self, id: Id) -> Option<&Session> {
        self.sessions.get((id.0 as usize).wrapping_sub(1))
    }

    /// Those that a batch may claim some time, by when they fall due.
    pub(crate) fn due_until(&self, moment: Moment) -> impl Iterator<Item = &Session> {
        self.due
            .range(..=(moment, Id(u64::MAX)))
            .map(|(_, id)| &self.sessions[id.0 as usize - 1])
    }

    pub(crate) fn change<T>(&mut self, id: Id, change: impl FnOnce(&mut Session) -> T) -> T {
        let session = &mut self.sessions[id.0 as usize - 1];
        let before = session.due_key();
        let answer = change(session);
        let after = session.due_key();
        if before != after {
            before.inspect(|key| {
                self.due.remove(key);
            });
            self.due.extend(after);
        }
        answer
    }

    /// A new row, written by the app at a sign-in.
    pub(crate) fn insert(&mut self, user: &str, sign_in: SignIn, moment: Moment, unit: f64) -> Id {
        let id = Id(self.sessions.len() as u64 + 1);
        let user: Rc<str> = user.into();
        self.by_user.entry(Rc::clone(&user)).or_default().push(id);
        let next = moment + self.fresh_for(unit);
        self.sessions.push(Session {
            id,
            user,
            token: sign_in.token,
            cookies: sign_in.cookies,
            fingerprint: None,
            method: None,
            created_at: moment,
            signed_in_at: moment,
            last_refresh: None,
            refresh_count: 0,
            last_error: None,
            enabled: true,
            next_refresh: None,
            state: State::Active,
            consecutive_failures: 0,
            session_failures: 0,
            refusals_in_doubt: 0,
            in_doubt_since: None,
            last_attempt: None,
            lease_holder: None,
            lease_expires: None,
            fence: 0,
        });
        self.change(id, |session| session.next_refresh = Some(next));
        id
    }

    /// `note_sign_in`: the app wrote a token and cookies.
    pub(crate) fn sign_in(&mut self, id: Id, sign_in: SignIn, moment: Moment, unit: f64) {
        let fresh_until = moment + self.fresh_for(unit);
        let next = earlier(fresh_until, self.next_wish(id, moment));
        self.change(id, |session| {
            if session.token == sign_in.token && session.cookies == sign_in.cookies {
                return;
            }
            session.token = sign_in.token;
            session.cookies = sign_in.cookies;
            session.state = State::Active;
            session.last_error = None;
            session.consecutive_failures = 0;
            session.session_failures = 0;
            session.refusals_in_doubt = 0;
            session.in_doubt_since = None;
            session.lease_holder = None;
            session.lease_expires = None;
            session.fence += 1;
            session.signed_in_at = moment;
            session.next_refresh = Some(next);
        });
    }

    fn fresh_for(&self, unit: f64) -> Moment {
        let interval = self.policy.interval_seconds as f64;
        seconds((interval * (0.80 + 0.15 * unit)).min((interval - 60.0).max(0.0)))
    }

    pub(crate) fn next_wish(&self, id: Id, moment: Moment) -> Option<Moment> {
        self.wishes
            .range((id, moment + WISH_AHEAD + 1)..=(id, Moment::MAX))
            .next()
            .map(|(_, fresh_at)| fresh_at - WISH_AHEAD)
    }

    /// For a session that failed: soon, where such a time is near.
    pub(crate) fn next_try_for_wish(&self, id: Id, moment: Moment) -> Option<Moment> {
        self.wishes
            .range((id, moment + 1)..=(id, Moment::MAX))
            .next()
            .map(|(_, fresh_at)| (fresh_at - WISH_AHEAD).max(moment + 15 * SECOND))
    }

    pub(crate) fn latest_of(&self, user: &str) -> Option<Id> {
        let ids = self.by_user.get(user)?;
        ids.iter()
            .copied()
            .min_by_key(|id| (-self.sessions[id.0 as usize - 1].signed_in_at, *id))
    }

    pub(crate) fn of_user(&self, user: &str) -> &[Id] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn note_attempt(&mut self, id: Id, fence: i64, attempt: Attempt) {
        if self.attempts.contains_key(&(id, fence)) {
            return;
        }
        self.attempts.insert((id, fence), attempt);
        self.attempts_by_time.insert((attempt.finished_at, id, fence));
        if let (Code::Refreshed | Code::Expired, Some(age)) = (attempt.outcome, attempt.age_seconds) {
            let hour = attempt.finished_at.div_euclid(HOUR);
            let (told, ended) = self.ages.entry((hour, age / 60)).or_default();
            *told += 1;
            *ended += i64::from(attempt.outcome == Code::Expired);
        }
    }
}

pub(crate) fn earlier(at: Moment, other: Option<Moment>) -> Moment {
    other.map_or(at, |other| at.min(other))
}
