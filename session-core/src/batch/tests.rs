//! Whole runs, played on a virtual clock.

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
        outline: None,
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
        outline: None,
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
