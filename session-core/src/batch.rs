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
    finishing: bool,
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
            finishing: false,
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
        let database = u32::from(self.claiming).saturating_add(u32::from(self.finishing));
        self.refreshing.saturating_add(database)
    }

    fn run_dry(&mut self) {
        if self.supply == Supply::More {
            self.supply = Supply::Dry;
        }
    }

    fn write_at(&self) -> Option<Timestamp> {
        self.unwritten_since
            .filter(|_| !self.finishing)
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
        !self.finishing && !self.unwritten.is_empty() && (waited || last)
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
        self.finishing = false;
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
        self.finishing = true;
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
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        finish::Attempt,
        outcome::{Outcome, Renewal},
        token::RefreshToken,
    };

    const LIMITS: Limits = Limits {
        batch_size: 10,
        width: 6,
        calls: 1_000,
        sessions: u32::MAX,
        deadline: Timestamp::from_millis(50_000),
        timeout: Duration::from_secs(10),
    };

    fn row(id: u32, starts_in_ms: u32) -> ClaimedRow {
        serde_json::from_value(json!({
            "id": id.to_string(), "fence": 1, "consecutiveFailures": 0, "refusalsInDoubt": 0, "inDoubt": false,
            "ageSeconds": 1000, "startsInMs": starts_in_ms, "fingerprint": null, "cookies": [],
            "token": "1|1766731601|03485f300f1a53a7e34143a0af9d2592",
        }))
        .unwrap()
    }

    fn refreshed(row: &ClaimedRow) -> FinishEntry {
        let token = RefreshToken::parse("1|1766731601|03485f300f1a53a7e34143a0af9d2592").unwrap();
        let outcome = Outcome::Refreshed(Renewal {
            token,
            fingerprint: None,
        });
        let attempt = Attempt {
            outcome,
            said_over: false,
            cookies: None,
            status: Some(200),
            tries: 1,
            duration: Duration::ZERO,
        };
        FinishEntry::attempted(row, attempt, Duration::from_mins(20), 0.5)
    }

    fn failed(row: &ClaimedRow) -> FinishEntry {
        let attempt = Attempt {
            outcome: Outcome::Unreachable,
            cookies: None,
            status: None,
            said_over: false,
            tries: 1,
            duration: Duration::ZERO,
        };
        FinishEntry::attempted(row, attempt, Duration::from_mins(20), 0.5)
    }

    /// Plays a whole run on a virtual clock.
    struct World {
        now: i64,
        due: u32,
        /// How long upstream takes for the n-th session.
        latency: Box<dyn Fn(u32) -> i64>,
        database_down_from: i64,
        under_way: Vec<(i64, Event)>,
        claims: u32,
        finishes: u32,
        most_at_once: usize,
        most_refreshing: usize,
        written: BTreeSet<String>,
        longest_unwritten: i64,
        presented_while_unwritten: i64,
        /// Calls at once that a claim grants.
        width: u32,
        /// Milliseconds between two starts.
        spacing: u32,
        next_start: i64,
        starts: Vec<i64>,
        /// Until when claims are held back, by what, and for how long they are told.
        held: Option<(i64, Held, Duration)>,
    }

    enum Event {
        Claim {
            claimed: Claimed,
            asked: u32,
            lease: Duration,
            at: i64,
        },
        Refresh(ClaimedRow),
        Finish(Vec<FinishEntry>),
    }

    impl World {
        fn new(due: u32, latency: impl Fn(u32) -> i64 + 'static) -> Self {
            Self {
                now: 0,
                due,
                latency: Box::new(latency),
                database_down_from: i64::MAX,
                under_way: Vec::new(),
                claims: 0,
                finishes: 0,
                most_at_once: 0,
                most_refreshing: 0,
                written: BTreeSet::new(),
                longest_unwritten: 0,
                presented_while_unwritten: 0,
                width: 6,
                spacing: 0,
                next_start: 0,
                starts: Vec::new(),
                held: None,
            }
        }

        /// As the database answers a claim: starts at a pace, five seconds ahead at the most.
        fn claim(&mut self, limit: u32, next_id: u32) -> Claimed {
            self.claims += 1;
            if let Some((_, held, wait)) = self.held.filter(|(until, ..)| self.now < *until) {
                return Claimed {
                    rows: Vec::new(),
                    width: 0,
                    held: Some((held, wait)),
                };
            }
            self.next_start = self.next_start.max(self.now);
            let ahead = u32::try_from((self.now + 5_000 - self.next_start).max(0)).unwrap();
            let room = ahead.checked_div(self.spacing).unwrap_or(u32::MAX);
            let count = limit.min(self.due).min(room);
            self.due -= count;
            let rows = (0..count).map(|index| {
                let offset = self.next_start - self.now + i64::from(index * self.spacing);
                row(next_id + index, u32::try_from(offset).unwrap())
            });
            let rows = rows.collect();
            self.next_start += i64::from(count * self.spacing);
            let held = (room < limit).then_some((Held::Rate, Duration::from_millis(2_500)));
            Claimed {
                rows,
                width: self.width,
                held,
            }
        }

        fn run(&mut self, limits: Limits) -> Tally {
            let mut batch = Batch::new(limits);
            let mut next_id = 0;
            for _ in 0..100_000 {
                let now = Timestamp::from_millis(self.now);
                match batch.next(now) {
                    Step::Claim { limit, lease } => {
                        let claimed = self.claim(limit, next_id);
                        next_id += u32::try_from(claimed.rows.len()).unwrap();
                        let event = Event::Claim {
                            claimed,
                            asked: limit,
                            lease,
                            at: self.now,
                        };
                        self.under_way.push((self.now + 5, event));
                    }
                    Step::Refresh(row) => {
                        let since = batch
                            .oldest_result()
                            .map_or(0, |since| self.now - since.as_millis());
                        self.presented_while_unwritten = self.presented_while_unwritten.max(since);
                        let takes = (self.latency)(row.id.parse().unwrap());
                        self.starts.push(self.now);
                        self.under_way.push((self.now + takes, Event::Refresh(row)));
                    }
                    Step::Finish { entries, calls } => {
                        assert!(calls >= 1);
                        self.finishes += 1;
                        let waited = batch
                            .writing_since
                            .map_or(0, |since| self.now - since.as_millis());
                        self.longest_unwritten = self.longest_unwritten.max(waited);
                        let takes = if self.now >= self.database_down_from {
                            10_000
                        } else {
                            5
                        };
                        self.under_way.push((self.now + takes, Event::Finish(entries)));
                    }
                    Step::Wait(until) => self.advance(&mut batch, until),
                    Step::Done => {
                        assert!(self.under_way.is_empty());
                        return batch.into_tally();
                    }
                }
                self.most_at_once = self.most_at_once.max(self.under_way.len());
                let refreshing = self
                    .under_way
                    .iter()
                    .filter(|(_, event)| matches!(event, Event::Refresh(_)));
                self.most_refreshing = self.most_refreshing.max(refreshing.count());
            }
            panic!("the run does not end");
        }

        fn advance(&mut self, batch: &mut Batch, until: Option<Timestamp>) {
            let next = self
                .under_way
                .iter()
                .enumerate()
                .min_by_key(|(_, (at, _))| *at)
                .map(|(index, _)| index);
            let at = next.map_or(i64::MAX, |index| self.under_way[index].0);
            let timer = until.map_or(i64::MAX, Timestamp::as_millis);
            assert!(at.min(timer) < i64::MAX, "waits for nothing");
            if timer < at {
                assert!(timer > self.now, "a loop without delay");
                self.now = timer;
                return;
            }
            self.now = at;
            let now = Timestamp::from_millis(at);
            match self.under_way.swap_remove(next.unwrap()).1 {
                Event::Claim {
                    claimed,
                    asked,
                    lease,
                    at,
                } => batch.claimed(claimed, asked, lease, Timestamp::from_millis(at), now),
                Event::Refresh(row) => batch.answered(refreshed(&row), 1, now),
                Event::Finish(entries) if self.now >= self.database_down_from => {
                    batch.finish_failed(&entries, 6);
                }
                Event::Finish(entries) => {
                    for entry in entries.iter().filter(|entry| entry.kind() == Kind::Refreshed) {
                        assert!(self.written.insert(entry.id().to_owned()), "written twice");
                    }
                    batch.finished(entries.into_iter().map(|entry| (entry, Written::Kept)), 1, None);
                }
            }
        }
    }

    #[test]
    fn works_until_nothing_is_due() {
        let mut world = World::new(25, |_| 100);
        let tally = world.run(LIMITS);
        assert_eq!(
            (tally.claimed, tally.refreshed, world.written.len()),
            (25, 25, 25)
        );
        assert_eq!(tally.outcomes, BTreeMap::from([(OutcomeCode::Refreshed, 25)]));
    }

    #[test]
    fn an_empty_run_claims_once() {
        let mut world = World::new(0, |_| 100);
        assert_eq!(world.run(LIMITS), Tally::default());
        assert_eq!((world.claims, world.finishes), (1, 0));
    }

    #[test]
    fn no_session_is_presented_before_its_turn() {
        let mut world = World::new(30, |_| 50);
        world.spacing = 500;
        let tally = world.run(LIMITS);
        assert_eq!(tally.refreshed, 30);
        assert!(
            world.starts.windows(2).all(|pair| pair[1] - pair[0] >= 500),
            "{:?}",
            world.starts
        );
        assert!(world.now <= 18_000, "{} ms for 15 s of starts", world.now);
        assert!(world.longest_unwritten <= 1_000);
    }

    #[test]
    fn after_a_stall_the_pace_is_kept() {
        let mut world = World::new(25, |id| if id < 6 { 6_000 } else { 50 });
        world.spacing = 200;
        assert_eq!(world.run(LIMITS).refreshed, 25);
        assert!(
            // Where a claim ends and the next begins, two may meet.
            world.starts.windows(3).all(|three| three[2] - three[0] >= 200),
            "{:?}",
            world.starts
        );
    }

    #[test]
    fn no_more_calls_are_under_way_than_were_granted() {
        let mut world = World::new(30, |_| 200);
        world.width = 2;
        assert_eq!(world.run(LIMITS).refreshed, 30);
        assert_eq!(world.most_refreshing, 2);
    }

    #[test]
    fn waits_a_little_for_room_and_goes_on() {
        let mut world = World::new(12, |_| 50);
        world.held = Some((3_000, Held::InFlight, Duration::from_secs(1)));
        let tally = world.run(LIMITS);
        assert_eq!((tally.refreshed, tally.held), (12, None));
        assert!(world.claims <= 7, "{}", world.claims);
    }

    #[test]
    fn ends_at_once_while_upstream_is_spared() {
        let mut world = World::new(12, |_| 50);
        world.held = Some((i64::MAX, Held::Breaker, Duration::from_secs(20)));
        let tally = world.run(LIMITS);
        assert_eq!(
            (tally.claimed, tally.held, world.claims),
            (0, Some(Held::Breaker), 1)
        );
        assert!(world.now < 100);
    }

    #[test]
    fn trouble_is_told_at_once_and_what_is_left_is_given_back() {
        let now = Timestamp::from_millis(0);
        let rows = (0..12).map(|id| row(id, 0)).collect();
        let claimed = Claimed {
            rows,
            width: 6,
            held: None,
        };
        let mut batch = Batch::of(claimed, Duration::from_mins(1), now, now, LIMITS);
        for _ in 0..6 {
            let Step::Refresh(row) = batch.next(now) else {
                panic!("six at once")
            };
            batch.answered(failed(&row), 1, now);
            if batch.troubles == 5 {
                break;
            }
        }
        let Step::Finish { entries, .. } = batch.next(now) else {
            panic!("not told")
        };
        let results = entries.into_iter().map(|entry| (entry, Written::Kept));
        batch.finished(results, 1, Some(Held::Breaker));
        let Step::Finish { entries, .. } = batch.next(now) else {
            panic!("not given back")
        };
        assert_eq!(entries.len(), 7);
        batch.finished(entries.into_iter().map(|entry| (entry, Written::Kept)), 1, None);
        assert!(matches!(batch.next(now), Step::Done));
        let tally = batch.into_tally();
        assert_eq!(
            (tally.failed, tally.released, tally.held),
            (5, 7, Some(Held::Breaker))
        );
    }

    #[test]
    fn sessions_claimed_elsewhere_are_worked_through_and_no_others() {
        let now = Timestamp::from_millis(0);
        let claimed = Claimed {
            rows: vec![row(0, 0)],
            width: 6,
            held: None,
        };
        let mut batch = Batch::of(claimed, Duration::from_mins(1), now, now, LIMITS);
        let Step::Refresh(only) = batch.next(now) else {
            panic!("nothing to do")
        };
        assert!(matches!(batch.next(now), Step::Wait(None)));
        batch.answered(refreshed(&only), 1, now);
        let Step::Finish { entries, .. } = batch.next(now) else {
            panic!("nothing to write")
        };
        batch.finished(entries.into_iter().map(|entry| (entry, Written::Kept)), 1, None);
        assert!(matches!(batch.next(now), Step::Done));
    }

    #[test]
    fn a_batch_costs_few_database_calls() {
        let mut world = World::new(120, |_| 50);
        world.run(Limits {
            batch_size: 120,
            ..LIMITS
        });
        assert!(
            world.claims <= 2 && world.finishes <= 2,
            "{} {}",
            world.claims,
            world.finishes
        );
    }

    #[test]
    fn six_at_once_keep_upstream_busy() {
        let mut world = World::new(120, |_| 500);
        world.run(LIMITS);
        assert!(
            world.now <= 11_000,
            "{} ms, 20 waves of 500 ms are the limit",
            world.now
        );
    }

    #[test]
    fn one_slow_session_holds_back_no_neighbours_token() {
        let mut world = World::new(6, |id| if id == 0 { 10_000 } else { 50 });
        world.run(LIMITS);
        assert!(world.longest_unwritten <= 1_000, "{}", world.longest_unwritten);
    }

    #[test]
    fn with_the_database_gone_no_further_token_is_presented() {
        let mut world = World::new(500, |_| 400);
        world.database_down_from = 5_000;
        let tally = world.run(LIMITS);
        assert!(
            world.presented_while_unwritten <= 3_400,
            "{}",
            world.presented_while_unwritten
        );
        assert!(tally.unwritten > 0 && tally.claimed < 500);
    }

    #[test]
    fn at_the_deadline_the_rest_is_given_back() {
        let mut world = World::new(500, |_| 9_000);
        let tally = world.run(LIMITS);
        assert!(tally.released > 0);
        assert_eq!(tally.refreshed + tally.released, tally.claimed);
        assert!(world.now <= 60_000, "{}", world.now);
    }

    #[test]
    fn the_free_plans_fifty_calls_suffice_to_close_in_good_order() {
        let mut world = World::new(500, |_| 50);
        let tally = world.run(Limits { calls: 50, ..LIMITS });
        let made = tally.refreshed + world.claims + world.finishes;
        assert!(
            tally.refreshed >= 25 && made <= 49,
            "{} refreshed, {made} calls",
            tally.refreshed
        );
        assert_eq!(tally.refreshed + tally.released, tally.claimed);
    }

    #[test]
    fn no_more_sessions_are_claimed_than_the_platforms_processor_time_allows() {
        let mut world = World::new(500, |_| 50);
        let tally = world.run(Limits {
            sessions: 25,
            ..LIMITS
        });
        assert_eq!((tally.claimed, tally.refreshed), (25, 25));
    }

    proptest! {
        #[test]
        fn every_run_ends_with_each_claimed_session_accounted_for(
            due in 0_u32..200, size in 1_u32..120, calls in 10_u32..400, seed in 0_u32..1_000, slowest in 20_u32..10_000,
            down in proptest::option::of(0_i64..60_000), width in 1_u32..=6, spacing in 0_u32..2_000,
        ) {
            let mut world = World::new(due, move |id| i64::from(id.wrapping_mul(2_654_435_761).wrapping_add(seed) % slowest) + 1);
            world.database_down_from = down.unwrap_or(i64::MAX);
            world.width = width;
            world.spacing = spacing;
            let tally = world.run(Limits { batch_size: size, calls, ..LIMITS });
            prop_assert_eq!(tally.refreshed + tally.released + tally.unwritten, tally.claimed);
            prop_assert!(world.most_at_once <= 7);
            prop_assert!(world.most_refreshing <= usize::try_from(width).unwrap());
            prop_assert!(world.longest_unwritten <= 1_000 || down.is_some());
        }
    }
}
