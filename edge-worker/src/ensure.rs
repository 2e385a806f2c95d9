//! The booking job's guarantee: these sessions, no older than so many seconds, now. Or fresh at a time to come.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use session_core::{
    batch::{Batch, CALLS_TO_END_A_RUN, Limits, Tally},
    due,
    outcome::OutcomeCode,
    requests::Wanted,
    time::Timestamp,
    wire::{State, StoredStatus},
};

use crate::{
    config::Config,
    database::{
        DatabaseError, Fate, NamedClaim, NamedEntry, NamedResult, Names, Patient, Trigger, WishResult,
    },
    run::{Driver, Told, WIDTH},
    runtime::{Asker, now, sleep},
};

/// How long a refresh that somebody else has under way, or one that has to wait for upstream, is waited for beyond the
/// bound of a call.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between the first two looks at what somebody else is at; it doubles.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Younger than this is fresh enough for anybody: it may have been refreshed while the claim was on its way, or waited for
/// its turn behind others'.
const JUST_NOW: Duration = Duration::from_secs(5);

/// Calls that have to be left for another round: a claim, and what a batch keeps back.
const CALLS_FOR_A_ROUND: u32 = 16;

/// What came of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Freshness {
    /// It was fresh enough.
    Fresh,
    /// It was refreshed, by this call or by another that this one waited for.
    Refreshed,
    /// The attempt failed: `outcome` says how. Without one, what came of it could not be written.
    Failed,
    /// Somebody else is at it still.
    Busy,
    /// There was no room for its call: too many are under way, or upstream is left alone for the moment.
    Spared,
    /// Upstream asked to leave this one alone for longer.
    Throttled,
    /// Over: only a sign-in helps.
    Expired,
    /// There is no such session.
    NotFound,
    /// It will be refreshed in time; at once, where that is a minute and a half away or less.
    Scheduled,
    /// Given up, or taken out of the batch's care: nothing will be done in time.
    NotScheduled,
}

/// How one named session stands.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NamedSession"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// The name, where it was an e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The session, as far as it is known.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    id: Option<String>,
    /// What came of the name.
    result: Freshness,
    /// How the session stands.
    state: Option<State>,
    /// Seconds since the last sign of life: a refresh or a sign-in.
    age_seconds: Option<u64>,
    /// What the attempt came to, if one was made.
    outcome: Option<OutcomeCode>,
    /// The last success.
    last_refresh_date: Option<Timestamp>,
    /// When the next refresh falls due.
    next_refresh_due: Option<Timestamp>,
    /// The last attempt's outcome code, where it failed.
    last_error: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FreshAnswer"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// Whether every session that was named is as fresh as was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_fresh: Option<bool>,
    /// In its place where a time to come was asked for: whether every one will be refreshed in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_scheduled: Option<bool>,
    /// One for each name, ids before e-mails, in their order.
    sessions: Vec<Entry>,
    /// The server's clock.
    server_time: Timestamp,
}

/// Why none of the named sessions is as fresh as was asked for, though one could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoneFresh {
    /// The database failed over them.
    Database(DatabaseError),
    /// Upstream did not renew them.
    Failed,
    /// Upstream is left alone.
    Spared { retry_after: Duration },
    /// Others are at them.
    Busy,
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
    max_age: Duration,
    config: &Config,
    asker: &Asker,
) -> Result<(Answer, Option<NoneFresh>), DatabaseError> {
    let driver = Driver::new(config, asker, Trigger::EnsureFresh);
    let mut round = Rounds::new(wanted, max_age, config, &driver);
    if let Err(error) = round.go_on(asker).await {
        driver.note(error);
    }
    let Rounds {
        entries,
        tally,
        started,
        retry_in,
        ..
    } = round;
    // Not what goes wrong with the run's record: by then all is told.
    let error = driver.first_error();
    driver.close(tally, started).await;
    match error {
        Some(error) if entries.iter().all(Option::is_none) => Err(error),
        _ => {
            let answer = Answer::of_now(entries.into_iter().flatten().collect());
            let why = answer.none_fresh(error, retry_in);
            Ok((answer, why))
        }
    }
}

/// Has the named sessions fresh at a time to come.
pub(crate) async fn schedule(
    wanted: &Wanted,
    fresh_at: Timestamp,
    config: &Config,
) -> Result<Answer, DatabaseError> {
    let (moment, told) = config.wish_fresh(Names::of(wanted), fresh_at).await?;
    let entries = pending(wanted).into_iter().zip(told).map(|(name, told)| {
        let status = told.status.as_ref();
        let looked_after = status.is_some_and(|status| status.auto_refresh_enabled);
        let in_time = status
            .and_then(|status| status.next_refresh_at)
            .is_some_and(|due| due <= fresh_at);
        let result = match told.result {
            WishResult::NotFound => Freshness::NotFound,
            WishResult::Expired => Freshness::Expired,
            WishResult::Active if looked_after && in_time => Freshness::Scheduled,
            WishResult::Active if looked_after => Freshness::Throttled,
            WishResult::Active | WishResult::Exhausted => Freshness::NotScheduled,
        };
        Entry::new(&name, result, None, told.status.as_ref(), moment)
    });
    let sessions: Vec<_> = entries.collect();
    Ok(Answer {
        all_fresh: None,
        all_scheduled: Some(sessions.iter().all(|entry| entry.result == Freshness::Scheduled)),
        sessions,
        server_time: moment,
    })
}

impl Answer {
    fn of_now(sessions: Vec<Entry>) -> Self {
        Self {
            all_fresh: Some(sessions.iter().all(|entry| entry.result.is_fresh())),
            all_scheduled: None,
            sessions,
            server_time: now(),
        }
    }

    /// What came of the first name.
    pub(crate) fn first_result(&self) -> Option<Freshness> {
        self.sessions.first().map(|entry| entry.result)
    }

    /// Whether none is fresh though one could be, and why: for the asker that is a failed call.
    fn none_fresh(&self, error: Option<DatabaseError>, retry_in: Duration) -> Option<NoneFresh> {
        let any = |wanted: fn(Freshness) -> bool| self.sessions.iter().any(|entry| wanted(entry.result));
        if any(Freshness::is_fresh) || self.sessions.iter().all(Entry::is_beyond_help) {
            return None;
        }
        Some(match error {
            Some(error) => NoneFresh::Database(error),
            None if any(|result| result == Freshness::Failed) => NoneFresh::Failed,
            None if any(|result| matches!(result, Freshness::Spared | Freshness::Throttled)) => {
                let waits = self.sessions.iter().filter_map(|entry| match entry.result {
                    Freshness::Spared => Some(retry_in),
                    Freshness::Throttled => entry.next_refresh_due.map(|due| due.since(self.server_time)),
                    _ => None,
                });
                NoneFresh::Spared {
                    retry_after: waits.min().unwrap_or(retry_in),
                }
            }
            None => NoneFresh::Busy,
        })
    }
}

impl Freshness {
    /// The name, as it is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Refreshed => "refreshed",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Spared => "spared",
            Self::Throttled => "throttled",
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::Scheduled => "scheduled",
            Self::NotScheduled => "not_scheduled",
        }
    }

    const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::Refreshed)
    }

    /// Whether another round may come to more.
    const fn may_change(self) -> bool {
        matches!(self, Self::Busy | Self::Spared)
    }
}

/// Rounds of claims over the names that are not dealt with yet.
struct Rounds<'a> {
    driver: &'a Driver<'a>,
    config: &'a Config,
    started: Timestamp,
    deadline: Timestamp,
    max_age: Duration,
    /// Calls that the invocation has left.
    calls: u32,
    pending: Vec<Pending>,
    entries: Vec<Option<Entry>>,
    tally: Tally,
    /// When to come back for what upstream has no room for.
    retry_in: Duration,
    claimed_any: bool,
}

impl<'a> Rounds<'a> {
    fn new(wanted: &Wanted, max_age: Duration, config: &'a Config, driver: &'a Driver<'a>) -> Self {
        let started = now();
        let pending = pending(wanted);
        Self {
            driver,
            config,
            started,
            deadline: started.after(config.timeout.saturating_add(PATIENCE)),
            max_age: max_age.max(JUST_NOW),
            calls: config.subrequest_limit,
            entries: pending.iter().map(|_| None).collect(),
            pending,
            tally: Tally::default(),
            retry_in: Duration::ZERO,
            claimed_any: false,
        }
    }

    /// Until all is dealt with, or there is no time or no call left for another round.
    async fn go_on(&mut self, asker: &Asker) -> Result<(), DatabaseError> {
        let mut look = FIRST_LOOK;
        loop {
            self.go(WIDTH).await?;
            let is_busy = self.pending.iter().any(|name| name.was_busy);
            let wait = if is_busy || self.claimed_any {
                look
            } else {
                self.retry_in.max(look)
            };
            if self.pending.is_empty() || asker.has_left() {
                return Ok(());
            }
            if self.calls <= CALLS_FOR_A_ROUND || now().after(wait) > self.deadline {
                // Claimed ones may have taken long: what others were at is over by now, maybe.
                let affordable = self.calls > CALLS_TO_END_A_RUN.saturating_mul(2);
                return if is_busy && affordable {
                    self.go(0).await
                } else {
                    Ok(())
                };
            }
            sleep(wait).await;
            look = look.saturating_mul(2).min(LONGEST_LOOK);
        }
    }

    /// Deals with what can be dealt with now. With no `width` it only looks.
    async fn go(&mut self, width: u32) -> Result<(), DatabaseError> {
        let asked_at = now();
        let lease = due::lease(
            u32::try_from(self.pending.len()).unwrap_or(u32::MAX),
            WIDTH,
            self.config.timeout,
            self.deadline.since(asked_at),
        );
        let NamedClaim {
            entries: told,
            claimed,
            retry_in,
        } = self.claim(width, lease).await?;
        self.retry_in = retry_in;
        self.claimed_any = !claimed.rows.is_empty();
        let limits = Limits {
            batch_size: 1,
            width: WIDTH,
            calls: self.calls,
            sessions: u32::MAX,
            deadline: self.deadline,
            timeout: self.config.timeout,
        };
        let mut batch = Batch::of(claimed, lease, asked_at, now(), limits);
        self.driver.drive(&mut batch).await;
        self.calls = batch.calls_left();
        self.tally.add(&batch.into_tally());
        self.settle(told);
        Ok(())
    }

    /// As many sessions as there are calls for: more would be leased in vain.
    fn affordable(&self) -> u32 {
        self.calls.saturating_sub(CALLS_FOR_A_ROUND).max(1)
    }

    async fn claim(&mut self, width: u32, lease: Duration) -> Result<NamedClaim, DatabaseError> {
        let ids: Vec<_> = self.pending.iter().filter_map(|name| name.id.clone()).collect();
        let emails: Vec<_> = self
            .pending
            .iter()
            .filter_map(|name| name.email.clone())
            .collect();
        let names = Names {
            ids: &ids,
            emails: &emails,
        };
        // Fresh as of when it was asked: another's refresh that this one waited for has aged since.
        let max_age = self.max_age.saturating_add(now().since(self.started));
        let Patient { answer, calls } = self
            .config
            .claim_named(
                &self.driver.holder,
                names,
                max_age,
                (self.affordable(), width),
                lease,
            )
            .await;
        self.calls = self.calls.saturating_sub(calls);
        answer
    }

    fn settle(&mut self, told: Vec<NamedEntry<NamedResult>>) {
        let moment = now();
        let told_of = |told: Told| (told.session_id.clone(), told);
        let came_of: HashMap<String, Told> = self.driver.take_told().into_iter().map(told_of).collect();
        let mut left = Vec::new();
        for (mut name, told) in std::mem::take(&mut self.pending).into_iter().zip(told) {
            let entry = settled(&name, &told, &came_of, moment);
            name.was_busy = entry.result == Freshness::Busy;
            let goes_on = entry.result.may_change();
            if let Some(slot) = self.entries.get_mut(name.place) {
                *slot = Some(entry);
            }
            if goes_on {
                left.push(name);
            }
        }
        self.pending = left;
    }
}

fn settled(
    name: &Pending,
    told: &NamedEntry<NamedResult>,
    came_of: &HashMap<String, Told>,
    moment: Timestamp,
) -> Entry {
    let status = told.status.as_ref();
    let plain = |result| Entry::new(name, result, None, status, moment);
    match told.result {
        NamedResult::Fresh if name.was_busy => plain(Freshness::Refreshed),
        NamedResult::Fresh => plain(Freshness::Fresh),
        NamedResult::Throttled => plain(Freshness::Throttled),
        NamedResult::Expired => plain(Freshness::Expired),
        NamedResult::NotFound => plain(Freshness::NotFound),
        NamedResult::Spared => plain(Freshness::Spared),
        NamedResult::Busy => plain(Freshness::Busy),
        NamedResult::Claimed => {
            let Some(told) = status.and_then(|status| came_of.get(&status.id)) else {
                return plain(Freshness::Failed);
            };
            let (result, outcome) = match (told.fate, told.outcome) {
                (_, None) => (Freshness::Spared, None),
                (Fate::Refused | Fate::Locked, _) => (Freshness::Failed, None),
                (Fate::Doubted, _) => (Freshness::Failed, Some(OutcomeCode::Unrecognised)),
                // A sign-in or another claim came between: a further look tells.
                (Fate::Lost, _) => (Freshness::Busy, None),
                (_, outcome @ Some(OutcomeCode::Refreshed)) => (Freshness::Refreshed, outcome),
                (_, outcome @ Some(OutcomeCode::Expired)) => (Freshness::Expired, outcome),
                (_, outcome) => (Freshness::Failed, outcome),
            };
            Entry::new(name, result, outcome, told.status.as_ref().or(status), moment)
        }
    }
}

fn pending(wanted: &Wanted) -> Vec<Pending> {
    let ids = wanted.ids.iter().map(|id| (Some(id.clone()), None));
    let emails = wanted.emails.iter().map(|email| (None, Some(email.clone())));
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

impl Entry {
    fn new(
        name: &Pending,
        result: Freshness,
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

    /// Whether only a sign-in can make it fresh.
    fn is_beyond_help(&self) -> bool {
        matches!(self.result, Freshness::Expired | Freshness::NotFound)
            || self.outcome == Some(OutcomeCode::Unusable)
    }
}
