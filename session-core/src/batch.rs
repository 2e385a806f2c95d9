//! A batch run as a state machine: it says what to do next and is told what came of it.
//!
//! The Worker drives it: it runs each [`Step`] as it comes, several at once, and reports back. Nothing here waits
//! or calls, so that a test can play any upstream, any database and any clock against it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    due,
    finish::{FinishEntry, Kind},
    outcome::OutcomeCode,
    session::ClaimedRow,
    time::Timestamp,
};

/// A result is written at most this long after it came, however slow its neighbours are.
const LINGER: Duration = Duration::from_secs(1);

/// With a result unwritten for this long the database is in trouble: no further token is presented, since what
/// upstream hands out could be lost.
const UNWRITTEN_BOUND: Duration = Duration::from_secs(3);

/// So many unwritten answers of an upstream in trouble are told at once: the database may stop everybody.
const TROUBLES_TO_TELL: u32 = 5;

/// For what holds claims back longer than this no run waits: the next tick looks again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Calls that one refresh may make, reserved when it starts.
const CALLS_PER_REFRESH: u32 = 3;

/// Calls kept back for writing what is in flight, repetitions included.
const CALLS_TO_WRITE: u32 = 8;

/// Calls kept back beyond that for closing the run's record, and the most it may take.
pub const CALLS_TO_END_A_RUN: u32 = 3;

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions claimed at once.
    pub batch_size: u32,
    /// Fetches under way at once, claims included: the platform lets six wait. A finish doesn't wait for its turn:
    /// if it is a seventh, the platform itself holds it until one of the six has its answer's head. A claim may grant
    /// fewer.
    pub width: u32,
    /// Fetches in all.
    pub calls: u32,
    /// Sessions in all: what the platform's bound on processor time allows, which a Worker can't measure.
    pub sessions: u32,
    /// No refresh starts after this.
    pub deadline: Timestamp,
    /// The bound on one attempt.
    pub timeout: Duration,
}

/// What to do next.
pub enum Step {
    /// Claim up to so many due sessions, with a lease.
    Claim {
        /// The most to claim.
        limit: u32,
        /// How long the lease has to last.
        lease: Duration,
    },
    /// Refresh this session.
    Refresh(ClaimedRow),
    /// Write these.
    Finish {
        /// What to write.
        entries: Vec<FinishEntry>,
        /// In how many calls at the most.
        calls: u32,
    },
    /// Nothing until something under way ends, or until the given time.
    Wait(Option<Timestamp>),
    /// All is done and written.
    Done,
}

/// What a claim answered.
pub struct Claimed {
    /// The sessions, in the order in which they may start.
    pub rows: Vec<ClaimedRow>,
    /// Calls that may be under way at once.
    pub width: u32,
    /// Why it was not more, if not for want of due ones, and how long that lasts.
    pub held: Option<(Held, Duration)>,
}

/// What holds claims back: upstream is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Upstream asked to be left alone.
    Paused,
    /// Upstream is down: the circuit breaker is open.
    Breaker,
    /// As many calls are under way as may be.
    InFlight,
    /// As many calls a second are made as may be.
    Rate,
}

/// What the database said of one entry of a finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the database.
    Kept,
    /// So it is, but the end of the session is not believed: upstream calls all of them over.
    Doubted,
    /// A sign-in or another claim came between: what is stored is newer and stays.
    Superseded,
    /// The table would not take it.
    Refused,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Sessions claimed.
    pub claimed: u32,
    /// Renewed.
    pub refreshed: u32,
    /// Found to be over.
    pub expired: u32,
    /// Failed, to be tried again.
    pub failed: u32,
    /// Sessions by what came of each.
    pub outcomes: BTreeMap<OutcomeCode, u32>,
    /// Results that a sign-in or another claim overtook.
    pub superseded: u32,
    /// Claimed, but not presented for want of time, and given back.
    pub released: u32,
    /// Results that could not be written: their leases run out and the work is done again.
    pub unwritten: u32,
    /// What held the last claim back, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// A run under way.
pub struct Batch {
    limits: Limits,
    /// Beyond those for ending the run.
    calls_left: u32,
    queue: VecDeque<Queued>,
    unwritten: Vec<FinishEntry>,
    unwritten_since: Option<Timestamp>,
    /// Since when what is being written waits to be in the database.
    writing_since: Option<Timestamp>,
    refreshing: u32,
    claiming: bool,
    /// Unwritten answers that show upstream in trouble.
    troubles: u32,
    last_start: Timestamp,
    /// Refreshes that may be under way at once, as the last claim said.
    granted: u32,
    /// No claim before this.
    claim_at: Timestamp,
    supply: Supply,
    tally: Tally,
}

/// Where further work can come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// The database may have more that is due.
    More,
    /// It has not, or can't be asked: what is claimed is still worked on.
    Dry,
    /// Nothing is presented any more: it could not be written, or there would be no time to.
    Halted,
}

struct Queued {
    row: ClaimedRow,
    not_before: Timestamp,
    /// From the row before in the same claim.
    distance: Duration,
    start_by: Timestamp,
}

impl Batch {
    /// A run that has done nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            calls_left: limits.calls.saturating_sub(CALLS_TO_END_A_RUN),
            queue: VecDeque::new(),
            unwritten: Vec::new(),
            unwritten_since: None,
            writing_since: None,
            refreshing: 0,
            claiming: false,
            troubles: 0,
            last_start: Timestamp::from_millis(i64::MIN),
            granted: 0,
            claim_at: Timestamp::from_millis(i64::MIN),
            supply: Supply::More,
            tally: Tally::default(),
        }
    }

    /// A run over sessions that were claimed already, and no others.
    pub fn of(
        claimed: Claimed,
        lease: Duration,
        asked_at: Timestamp,
        now: Timestamp,
        limits: Limits,
    ) -> Self {
        let mut batch = Self::new(limits);
        batch.supply = Supply::Dry;
        batch.claimed(claimed, 0, lease, asked_at, now);
        batch
    }

    /// The next thing to do. To be called until it answers [`Step::Wait`] or [`Step::Done`], and again whenever
    /// something has been reported or the time given has come.
    pub fn next(&mut self, now: Timestamp) -> Step {
        self.give_back_what_is_too_late(now);
        if self.should_finish(now) {
            return self.finish();
        }
        if self.under_way() < self.limits.width {
            if self.should_claim(now) {
                return self.claim(now);
            }
            if let Some(row) = self.next_row(now) {
                return Step::Refresh(row);
            }
        }
        let until = [self.write_at(), self.start_at(now), self.next_claim_at(now)]
            .into_iter()
            .flatten()
            .min();
        match (self.under_way(), until) {
            (0, None) => Step::Done,
            _ => Step::Wait(until),
        }
    }

    /// A claim was answered, `asked` being its limit; `asked_at` is when it was sent.
    pub fn claimed(
        &mut self,
        claimed: Claimed,
        asked: u32,
        lease: Duration,
        asked_at: Timestamp,
        now: Timestamp,
    ) {
        self.claiming = false;
        let count = u32::try_from(claimed.rows.len()).unwrap_or(u32::MAX);
        self.tally.claimed = self.tally.claimed.saturating_add(count);
        self.tally.held = claimed.held.map(|(held, _)| held);
        match claimed.held {
            Some((_, wait)) if wait <= PATIENCE => self.claim_at = now.after(wait),
            None if count >= asked => {}
            _ => self.run_dry(),
        }
        if count > 0 {
            self.granted = claimed.width;
        }
        let start_by = asked_at.after(lease.saturating_sub(due::lease_left_to_start(self.limits.timeout)));
        let mut before = None;
        for row in claimed.rows {
            let starts_in = row.starts_in();
            let distance = starts_in.saturating_sub(before.unwrap_or(starts_in));
            before = Some(starts_in);
            self.queue.push_back(Queued {
                not_before: now.after(starts_in),
                distance,
                start_by,
                row,
            });
        }
    }

    /// A claim failed: nothing more is claimed, what is claimed already is still worked on.
    pub fn claim_failed(&mut self) {
        self.claiming = false;
        self.run_dry();
    }

    /// A refresh ended, having made `calls` calls.
    pub fn answered(&mut self, entry: FinishEntry, calls: u32, now: Timestamp) {
        self.refreshing = self.refreshing.saturating_sub(1);
        self.calls_left = self
            .calls_left
            .saturating_add(CALLS_PER_REFRESH.saturating_sub(calls));
        if entry.outcome().is_some_and(OutcomeCode::is_trouble) {
            self.troubles = self.troubles.saturating_add(1);
        }
        self.keep_for_writing(entry, now);
    }

    /// A finish was answered, having taken `calls` calls. With `held`, upstream is in such trouble that what is claimed
    /// is given back.
    pub fn finished(
        &mut self,
        results: impl IntoIterator<Item = (FinishEntry, Written)>,
        calls: u32,
        held: Option<Held>,
    ) {
        self.finish_ended(calls);
        if held.is_some() {
            self.tally.held = held;
            self.supply = Supply::Halted;
        }
        let mut all_refused = true;
        for (entry, written) in results {
            all_refused &= written == Written::Refused;
            match written {
                Written::Kept => self.tally.count(entry.kind(), entry.outcome()),
                Written::Doubted => self.tally.count(Kind::Failed, Some(OutcomeCode::Unrecognised)),
                Written::Superseded => self.tally.superseded = self.tally.superseded.saturating_add(1),
                Written::Refused => self.tally.unwritten = self.tally.unwritten.saturating_add(1),
            }
        }
        if all_refused {
            // Not one session's doing: further tokens would be lost like these.
            self.supply = Supply::Halted;
        }
    }

    /// A finish failed for good: no further token is presented, as nothing could be written.
    pub fn finish_failed(&mut self, entries: &[FinishEntry], calls: u32) {
        self.finish_ended(calls);
        self.supply = Supply::Halted;
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.tally.unwritten = self.tally.unwritten.saturating_add(count);
    }

    /// Whoever asked for the run has left: what is under way is brought to its end, nothing is started any more.
    pub fn wind_up(&mut self) {
        self.supply = Supply::Halted;
    }

    /// Calls that are left of [`Limits::calls`].
    pub const fn calls_left(&self) -> u32 {
        self.calls_left.saturating_add(CALLS_TO_END_A_RUN)
    }

    /// What the run has come to so far.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    fn under_way(&self) -> u32 {
        let database = u32::from(self.claiming).saturating_add(u32::from(self.is_finishing()));
        self.refreshing.saturating_add(database)
    }

    const fn is_finishing(&self) -> bool {
        self.writing_since.is_some()
    }

    fn run_dry(&mut self) {
        if self.supply == Supply::More {
            self.supply = Supply::Dry;
        }
    }

    fn write_at(&self) -> Option<Timestamp> {
        self.unwritten_since
            .filter(|_| !self.is_finishing())
            .map(|since| since.after(LINGER))
    }

    /// When the next row may start. After a late one it keeps its distance, or all that is late would start at once.
    fn next_start(&self) -> Option<Timestamp> {
        let next = self.queue.front()?;
        Some(next.not_before.max(self.last_start.after(next.distance)))
    }

    /// When the next row's turn comes, if it is that which it waits for.
    fn start_at(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.next_start()?;
        (next > now && self.may_start(now) && self.has_room()).then_some(next)
    }

    /// When to claim again, if it is that which the run waits for.
    fn next_claim_at(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.wants_more() && self.may_start(now);
        (waits && self.claim_at > now && self.claim_at < self.limits.deadline).then_some(self.claim_at)
    }

    fn has_room(&self) -> bool {
        self.refreshing < self.granted && self.under_way() < self.limits.width
    }

    fn may_start(&self, now: Timestamp) -> bool {
        let stuck = self
            .oldest_result()
            .is_some_and(|since| now.since(since) > UNWRITTEN_BOUND);
        self.supply != Supply::Halted && !stuck && now < self.limits.deadline && !self.is_short_of_calls()
    }

    /// Since when the result that waits longest to be in the database has waited.
    fn oldest_result(&self) -> Option<Timestamp> {
        self.writing_since.or(self.unwritten_since)
    }

    fn is_short_of_calls(&self) -> bool {
        self.calls_left <= CALLS_TO_WRITE.saturating_add(CALLS_PER_REFRESH)
    }

    fn should_finish(&self, now: Timestamp) -> bool {
        let waited = self
            .unwritten_since
            .is_some_and(|since| now.since(since) >= LINGER)
            || self.troubles >= TROUBLES_TO_TELL;
        let last = self.queue.is_empty() && self.refreshing == 0 && !self.claiming;
        !self.is_finishing() && !self.unwritten.is_empty() && (waited || last)
    }

    fn should_claim(&self, now: Timestamp) -> bool {
        self.wants_more() && self.claim_at <= now && self.may_start(now)
    }

    fn wants_more(&self) -> bool {
        let low = u32::try_from(self.queue.len()).unwrap_or(u32::MAX) < self.limits.width;
        self.supply == Supply::More && !self.claiming && low && self.sessions_left() > 0
    }

    const fn sessions_left(&self) -> u32 {
        self.limits.sessions.saturating_sub(self.tally.claimed)
    }

    fn finish_ended(&mut self, calls: u32) {
        self.writing_since = None;
        // The first call was reserved when the finish began.
        self.calls_left = self.calls_left.saturating_sub(calls.saturating_sub(1));
    }

    fn claim(&mut self, now: Timestamp) -> Step {
        self.claiming = true;
        self.calls_left = self.calls_left.saturating_sub(1);
        let spare = self.calls_left.saturating_sub(CALLS_TO_WRITE);
        let limit = self.limits.batch_size.min(spare).min(self.sessions_left()).max(1);
        // The new ones wait behind those in the queue and under way: twice the width at most.
        let ahead = self.limits.width.saturating_mul(2);
        let lease = due::lease(
            limit.saturating_add(ahead),
            self.limits.width,
            self.limits.timeout,
            self.limits.deadline.since(now),
        );
        Step::Claim { limit, lease }
    }

    fn finish(&mut self) -> Step {
        self.writing_since = self.unwritten_since.take();
        self.troubles = 0;
        let calls = self.calls_left.max(1);
        self.calls_left = self.calls_left.saturating_sub(1);
        Step::Finish {
            entries: std::mem::take(&mut self.unwritten),
            calls,
        }
    }

    fn next_row(&mut self, now: Timestamp) -> Option<ClaimedRow> {
        if self.next_start()? > now || !self.has_room() || !self.may_start(now) {
            return None;
        }
        let queued = self.queue.pop_front()?;
        self.last_start = now;
        self.refreshing = self.refreshing.saturating_add(1);
        self.calls_left = self.calls_left.saturating_sub(CALLS_PER_REFRESH);
        Some(queued.row)
    }

    /// A session whose lease could run out during its refresh, or for which the run has no time left, is not
    /// presented: another run may claim it.
    fn give_back_what_is_too_late(&mut self, now: Timestamp) {
        let over = self.supply == Supply::Halted || now >= self.limits.deadline || self.out_of_calls();
        let (late, kept): (VecDeque<_>, VecDeque<_>) = self
            .queue
            .drain(..)
            .partition(|queued| over || queued.start_by <= now);
        self.queue = kept;
        for queued in late {
            self.keep_for_writing(FinishEntry::released(&queued.row), now);
        }
    }

    /// With refreshes under way, calls that they reserved may still come back.
    fn out_of_calls(&self) -> bool {
        self.refreshing == 0 && self.is_short_of_calls()
    }

    fn keep_for_writing(&mut self, entry: FinishEntry, now: Timestamp) {
        self.unwritten_since.get_or_insert(now);
        self.unwritten.push(entry);
    }
}

impl Tally {
    /// Takes another run's in.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.claimed, other.claimed),
            (&mut self.refreshed, other.refreshed),
            (&mut self.expired, other.expired),
            (&mut self.failed, other.failed),
            (&mut self.superseded, other.superseded),
            (&mut self.released, other.released),
            (&mut self.unwritten, other.unwritten),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        for (outcome, count) in &other.outcomes {
            let mine = self.outcomes.entry(*outcome).or_default();
            *mine = mine.saturating_add(*count);
        }
        self.held = other.held;
    }

    fn count(&mut self, kind: Kind, outcome: Option<OutcomeCode>) {
        let slot = match kind {
            Kind::Refreshed => &mut self.refreshed,
            Kind::Failed => &mut self.failed,
            Kind::Expired => &mut self.expired,
            Kind::Released => &mut self.released,
        };
        *slot = slot.saturating_add(1);
        if let Some(outcome) = outcome {
            let count = self.outcomes.entry(outcome).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Whether nothing was claimed because upstream is spared.
    pub const fn was_held_altogether(&self) -> bool {
        self.claimed == 0 && self.held.is_some()
    }

    /// Whether the run kept nobody alive though there was somebody to keep: upstream is away or turns us away.
    /// Rows that can't be presented say nothing of upstream.
    pub fn failed_altogether(&self) -> bool {
        let unusable = self.outcomes.get(&OutcomeCode::Unusable).copied().unwrap_or(0);
        self.failed > unusable && self.refreshed == 0
    }
}

#[cfg(test)]
mod tests;
