//! The booking job's guarantee: these sessions, no older than so many seconds, now.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use session_core::{
    batch::{Batch, CALLS_TO_END_A_RUN, Limits, Tally},
    due,
    outcome::OutcomeCode,
    time::Timestamp,
    wire::{State, StoredStatus},
};

use crate::{
    config::Config,
    database::{DatabaseError, Fate, NamedClaim, NamedEntry, NamedResult, Names, Trigger},
    run::{Driver, Report, Told, WIDTH},
    runtime::{Asker, now, sleep},
};

/// How long a refresh that somebody else has under way, or one that has to wait for upstream, is waited for beyond the
/// bound of a call.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between two looks at what somebody else is at.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Calls that have to be left for another round: a claim, and what a batch keeps back.
const CALLS_FOR_A_ROUND: u32 = 16;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) ids: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) max_age: Duration,
}

/// What came of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Result {
    /// It was fresh enough.
    Fresh,
    /// It was refreshed, by this call or by another that this one waited for.
    Refreshed,
    /// The attempt failed: `outcome` says how.
    Failed,
    /// Somebody else is at it still.
    Busy,
    /// There was no room for its call: too many are under way, or upstream is left alone for the moment.
    Spared,
    /// Upstream asked to leave this one alone for longer.
    Throttled,
    /// Over: only a sign-in helps.
    Expired,
    NotFound,
    /// It will be refreshed in time.
    Scheduled,
    /// Given up, or taken out of the batch's care: nothing will be done in time.
    NotScheduled,
}

/// How one named session stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    id: Option<String>,
    pub(crate) result: Result,
    state: Option<State>,
    /// Seconds since the last sign of life: a refresh or a sign-in.
    age_seconds: Option<u64>,
    /// What the attempt came to, if one was made.
    outcome: Option<OutcomeCode>,
    last_refresh_date: Option<Timestamp>,
    next_refresh_due: Option<Timestamp>,
    last_error: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// Whether every session that was named is as fresh as was asked for.
    pub(crate) all_fresh: bool,
    /// One for each name, ids before e-mails, in their order.
    pub(crate) sessions: Vec<Entry>,
    server_time: Timestamp,
}

/// A name that is not dealt with yet, and its place in the answer.
struct Pending {
    place: usize,
    id: Option<String>,
    email: Option<String>,
    /// Somebody else was at it when it was last looked at.
    was_busy: bool,
}

/// Refreshes what is older than was asked for, ahead of what is merely due. Joins refreshes that are under way.
pub(crate) async fn ensure_fresh(
    wanted: &Wanted,
    config: &Config,
    asker: &Asker,
) -> std::result::Result<Answer, DatabaseError> {
    let started = now();
    let deadline = started.after(config.timeout.saturating_add(PATIENCE));
    let driver = Driver::new(config, asker, Trigger::EnsureFresh);
    let mut round = Round {
        driver: &driver,
        config,
        deadline,
        calls: config.subrequest_limit.saturating_sub(CALLS_TO_END_A_RUN),
        tally: Tally::default(),
    };
    let mut pending = wanted.names();
    let mut entries: Vec<Option<Entry>> = pending.iter().map(|_| None).collect();
    while !pending.is_empty() {
        let again = round.go(&mut pending, &mut entries, wanted.max_age).await?;
        if again.is_none_or(|wait| now().after(wait) > deadline) || asker.has_left() {
            break;
        }
        sleep(again.unwrap_or_default()).await;
    }
    let tally = round.tally;
    let Report { error, .. } = driver.close(tally, started).await;
    // What is known of single sessions is worth telling even if the database failed over others.
    if let Some(error) = error
        && entries.iter().all(Option::is_none)
    {
        return Err(error);
    }
    Ok(answer(entries.into_iter().flatten().collect()))
}

/// Has the named sessions fresh at a time to come.
pub(crate) async fn schedule(
    wanted: &Wanted,
    fresh_at: &str,
    config: &Config,
) -> std::result::Result<Answer, DatabaseError> {
    let (moment, told) = config.wish_fresh(wanted.as_names(), fresh_at).await?;
    let entries = wanted.names().into_iter().zip(told).map(|(name, told)| {
        let looked_after = told
            .status
            .as_ref()
            .is_some_and(|status| status.auto_refresh_enabled);
        let result = match told.result {
            NamedResult::NotFound => Result::NotFound,
            NamedResult::Expired => Result::Expired,
            NamedResult::Active if looked_after => Result::Scheduled,
            _ => Result::NotScheduled,
        };
        Entry::new(&name, result, None, told.status.as_ref(), moment)
    });
    Ok(answer(entries.collect()))
}

fn answer(sessions: Vec<Entry>) -> Answer {
    let is_fresh = |entry: &Entry| {
        matches!(
            entry.result,
            Result::Fresh | Result::Refreshed | Result::Scheduled
        )
    };
    Answer {
        all_fresh: sessions.iter().all(is_fresh),
        sessions,
        server_time: now(),
    }
}

impl Answer {
    /// Whether none is fresh though one could be: for the asker that is a failed call.
    pub(crate) fn is_a_failure(&self) -> bool {
        let beyond_help = |entry: &Entry| matches!(entry.result, Result::Expired | Result::NotFound);
        let fresh = |entry: &Entry| matches!(entry.result, Result::Fresh | Result::Refreshed);
        !self.sessions.iter().any(fresh) && !self.sessions.iter().all(beyond_help)
    }
}

struct Round<'a> {
    driver: &'a Driver<'a>,
    config: &'a Config,
    deadline: Timestamp,
    calls: u32,
    tally: Tally,
}

impl Round<'_> {
    /// Deals with what can be dealt with now. Answers after what time to look at the rest; `None`: not any more.
    async fn go(
        &mut self,
        pending: &mut Vec<Pending>,
        entries: &mut [Option<Entry>],
        max_age: Duration,
    ) -> std::result::Result<Option<Duration>, DatabaseError> {
        let asked_at = now();
        let lease = due::lease(
            u32::try_from(pending.len()).unwrap_or(u32::MAX),
            WIDTH,
            self.config.timeout,
            self.deadline.since(asked_at),
        );
        let NamedClaim {
            entries: told,
            claimed,
            retry_in,
        } = self.claim(pending, max_age, lease).await?;
        let claimed_any = !claimed.rows.is_empty();
        let limits = Limits {
            batch_size: 1,
            width: WIDTH,
            calls: self.calls,
            sessions: u32::MAX,
            deadline: self.deadline,
            timeout: self.config.timeout,
        };
        let batch = Batch::of(claimed, lease, asked_at, now(), limits);
        let tally = self.driver.drive(batch).await;
        self.calls = self.calls.saturating_sub(calls_of(&tally));
        self.tally.add(&tally);
        let came_of: HashMap<String, Told> = self
            .driver
            .take_told()
            .into_iter()
            .map(|told| (told.session_id.clone(), told))
            .collect();

        let moment = now();
        let mut left = Vec::new();
        for (mut name, told) in std::mem::take(pending).into_iter().zip(told) {
            let done = settle(&mut name, &told, &came_of, moment);
            let goes_on = matches!(done.result, Result::Busy | Result::Spared);
            if let Some(slot) = entries.get_mut(name.place) {
                *slot = Some(done);
            }
            if goes_on {
                left.push(name);
            }
        }
        *pending = left;
        let affordable = self.calls > CALLS_FOR_A_ROUND;
        let wait = if claimed_any {
            LOOK_AGAIN
        } else {
            retry_in.max(LOOK_AGAIN)
        };
        Ok(affordable.then_some(wait))
    }

    async fn claim(
        &mut self,
        pending: &[Pending],
        max_age: Duration,
        lease: Duration,
    ) -> std::result::Result<NamedClaim, DatabaseError> {
        let ids: Vec<_> = pending.iter().filter_map(|name| name.id.clone()).collect();
        let emails: Vec<_> = pending.iter().filter_map(|name| name.email.clone()).collect();
        let names = Names {
            ids: &ids,
            emails: &emails,
        };
        self.calls = self.calls.saturating_sub(1);
        self.config
            .claim_named(&self.driver.holder, names, max_age, WIDTH, lease)
            .await
    }
}

/// A generous count: retries within attempts and repeated writes are in what a batch keeps back.
fn calls_of(tally: &Tally) -> u32 {
    tally
        .claimed
        .saturating_add(tally.claimed.div_ceil(WIDTH))
        .saturating_add(1)
}

fn settle(
    name: &mut Pending,
    told: &NamedEntry,
    came_of: &HashMap<String, Told>,
    moment: Timestamp,
) -> Entry {
    let status = told.status.as_ref();
    let plain = |result| Entry::new(name, result, None, status, moment);
    match told.result {
        NamedResult::Fresh | NamedResult::Active if name.was_busy => plain(Result::Refreshed),
        NamedResult::Fresh | NamedResult::Active => plain(Result::Fresh),
        NamedResult::Throttled => plain(Result::Throttled),
        NamedResult::Expired => plain(Result::Expired),
        NamedResult::NotFound => plain(Result::NotFound),
        NamedResult::Spared | NamedResult::Exhausted => plain(Result::Spared),
        NamedResult::Busy => {
            let entry = plain(Result::Busy);
            name.was_busy = true;
            entry
        }
        NamedResult::Claimed => {
            let Some(told) = status.and_then(|status| came_of.get(&status.id)) else {
                return plain(Result::Failed);
            };
            let result = match (told.outcome, told.fate) {
                (None, _) => Result::Spared,
                (_, Fate::Refused | Fate::Locked) => Result::Failed,
                // A sign-in came between: nothing is fresher.
                (_, Fate::Lost) | (Some(OutcomeCode::Refreshed), _) => Result::Refreshed,
                (Some(OutcomeCode::Expired), _) => Result::Expired,
                (Some(_), _) => Result::Failed,
            };
            Entry::new(
                name,
                result,
                told.outcome,
                told.status.as_ref().or(status),
                moment,
            )
        }
    }
}

impl Wanted {
    fn as_names(&self) -> Names<'_> {
        Names {
            ids: &self.ids,
            emails: &self.emails,
        }
    }

    fn names(&self) -> Vec<Pending> {
        let ids = self.ids.iter().map(|id| (Some(id.clone()), None));
        let emails = self.emails.iter().map(|email| (None, Some(email.clone())));
        ids.chain(emails)
            .enumerate()
            .map(|(place, (id, email))| Pending {
                place,
                id,
                email,
                was_busy: false,
            })
            .collect()
    }
}

impl Entry {
    fn new(
        name: &Pending,
        result: Result,
        outcome: Option<OutcomeCode>,
        status: Option<&StoredStatus>,
        moment: Timestamp,
    ) -> Self {
        Self {
            email: name.email.clone(),
            id: status.map(|status| status.id.clone()).or_else(|| name.id.clone()),
            result,
            state: status.map(|status| status.state),
            age_seconds: status.map(|status| moment.since(status.alive_at()).as_secs()),
            outcome,
            last_refresh_date: status.and_then(|status| status.last_refresh_date),
            next_refresh_due: status.and_then(|status| status.next_refresh_at),
            last_error: status.and_then(|status| status.last_error.clone()),
        }
    }
}
