//! What must hold after each step.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Event, World,
    settings::MINUTE,
    upstream::{Answer, Presented},
    weather::Kind,
    worker::Worker,
};
use crate::model::{Attempt, Code, Id, Moment, SECOND, Session, State};

/// How overdue a session may be while nothing is amiss: a tick that is missing, one that is late, a Worker that died
/// with its lease, a call.
const OVERDUE: Moment = 5 * MINUTE;

/// The same while upstream is slow: a few thousand sessions need most of what the calls under way can do then.
const OVERDUE_WHILE_SLOW: Moment = 7 * MINUTE;

/// For how long a token that a Worker saw may be unwritten when it presents another session.
const UNWRITTEN: Moment = 3 * SECOND + 2_000;

/// As `session-core/src/due.rs` has it.
const SHORTEST_LIFE: Moment = 30 * MINUTE;

/// No session is known to have lived longer without a refresh.
const LONGEST_LIFE: Moment = 90 * MINUTE;

/// What a world came to.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "each says it by its name")]
pub struct Counts {
    pub events: u64,
    pub runs: u64,
    pub messages: u64,
    pub refreshed: u64,
    pub refused: u64,
    pub faults: u64,
    pub throttled: u64,
    pub deaths: u64,
    pub released: u64,
    pub unwritten: u64,
    pub failed_writes: u64,
    pub sign_ins: u64,
    pub tokens_lost: u64,
    pub died_in_trouble: u64,
    pub wishes_kept: u64,
    pub wishes_missed: u64,
    pub longest_overdue_s: i64,
    pub most_at_once: u32,
    pub most_in_a_minute: usize,
}

impl Counts {
    pub(super) fn note(&mut self, answer: Answer) {
        match answer {
            Answer::Refreshed(_) => self.refreshed += 1,
            Answer::SignIn | Answer::Refused | Answer::Unrecognised => self.refused += 1,
            Answer::Throttled(_) => self.throttled += 1,
            Answer::Fault(_) | Answer::Broken | Answer::TimedOut => self.faults += 1,
        }
    }
}

#[derive(Default)]
pub(super) struct Checks {
    found: Option<String>,
    /// When the calls of the last minute began.
    calls: VecDeque<Moment>,
    /// Sessions given up while upstream showed everybody its login page, the last time until this moment.
    given_up: (Moment, u32),
    /// And which they were: they die, as nobody refreshes them.
    wronged: BTreeSet<Id>,
}

impl Checks {
    pub(super) fn hold(&mut self, holds: bool, what: &str, details: impl FnOnce() -> String) {
        if !holds && self.found.is_none() {
            self.found = Some(format!("{what}: {}", details()));
        }
    }

    pub(super) fn take(&mut self) -> Option<String> {
        self.found.take()
    }
}

impl World {
    /// Before each call of upstream.
    pub(super) fn check_call(&mut self, name: Id, id: Id, fence: i64, call: Presented) {
        let moment = self.moment;
        let twice = self.upstream.reals[call.real].open > 0;
        self.checks
            .hold(!twice, "a session is presented twice at once", || {
                format!("session {id}")
            });

        let session = self.database.session(id).expect("a row of this world");
        let held = session.lease_holder == Some(name) && session.fence == fence && session.is_leased(moment);
        let signed_in = Presented::of(&session.token).real != call.real;
        self.checks.hold(
            held || signed_in,
            "a session is presented without a lease",
            || format!("session {id}, fence {fence}, now {moment}, {session:?}"),
        );

        let policy = self.settings.policy;
        self.counts.most_at_once = self.counts.most_at_once.max(self.upstream.open + 1);
        let within = i64::from(self.upstream.open) < policy.max_in_flight;
        self.checks.hold(within, "too many calls at once", || {
            (self.upstream.open + 1).to_string()
        });

        let calls = &mut self.checks.calls;
        calls.push_back(moment);
        while calls.front().is_some_and(|first| *first <= moment - MINUTE) {
            calls.pop_front();
        }
        let count = calls.len();
        self.counts.most_in_a_minute = self.counts.most_in_a_minute.max(count);
        // Starts are handed out five seconds ahead, and who waits for an answer is let past.
        let most = policy.calls_per_second * 70.0 + policy.max_in_flight as f64;
        self.checks
            .hold(count as f64 <= most, "too many calls in a minute", || {
                count.to_string()
            });
        let long_down = self
            .weather
            .down_since()
            .is_some_and(|since| moment - since > 10 * MINUTE);
        let many = self.settings.sessions >= 500;
        self.checks.hold(
            !(long_down && many && count > 60),
            "an upstream that is down is not spared",
            || count.to_string(),
        );
    }

    /// Nobody is given up whose stored token would do.
    pub(super) fn check_state(&mut self, id: Id) {
        let session = self.database.session(id).expect("a row of this world");
        if session.state == State::Active {
            self.checks.wronged.remove(&id);
            return;
        }
        // Two sessions don't tell an odd site from odd sessions, and a third counts from its second odd answer on.
        let is_active = |other: &&Session| other.state == State::Active && other.enabled;
        let few = self.database.sessions().iter().filter(is_active).count() < 3;
        if session.state == State::Exhausted && few {
            return;
        }
        // Ten are believed, or until a fifth of the last hundred attempts, and of one finish, tells of it.
        if session.state == State::Expired && self.all_signed_out() {
            let is_old = self.moment - session.alive_at() > LONGEST_LIFE;
            self.checks.wronged.insert(id);
            // Upstream may have renewed it in an answer that was lost: nobody can know.
            if is_old {
                return;
            }
            let window = self.weather.signed_out_until();
            if self.checks.given_up.0 != window {
                self.checks.given_up = (window, 0);
            }
            self.checks.given_up.1 += 1;
            let count = self.checks.given_up.1;
            self.checks
                .hold(count <= 40, "a login page for everybody is believed", || {
                    count.to_string()
                });
            return;
        }
        let token = Presented::of(&session.token);
        let would_do =
            self.upstream.lives(token.real, self.moment) && self.upstream.takes(token, self.moment);
        self.checks
            .hold(!would_do, "a session is given up that lives", || {
                format!("{session:?}")
            });
    }

    fn all_signed_out(&self) -> bool {
        let until = self
            .weather
            .find(|kind| (kind == Kind::SignsAllOut).then_some(()));
        until.is_some() || self.moment < self.weather.signed_out_until() + MINUTE
    }

    /// Upstream says that a session is over: whose doing was it?
    pub(super) fn judge_refusal(&mut self, call: Presented, answer: Answer) {
        if matches!(answer, Answer::SignIn) {
            self.judge_death(call.real);
        }
    }

    fn judge_death(&mut self, index: usize) {
        let real = &mut self.upstream.reals[index];
        let died_at = real.alive_at + real.life;
        if real.ended || real.judged || self.moment <= died_at {
            return;
        }
        real.judged = true;
        let row = real.row;
        let (alive_at, generation) = (real.alive_at, real.generation);
        let stored = self.stored(row);
        if stored.real != index {
            return;
        }
        if stored.generation != generation {
            self.counts.tokens_lost += 1;
            return;
        }
        let absent = self.people.absent_until[row.0 as usize - 1] > alive_at;
        // While it should still live, tries are five minutes apart at the most, beyond that a quarter of an hour.
        let usual = self.settling();
        let settling = |end: Moment| {
            let beyond = if end - alive_at < SHORTEST_LIFE {
                0
            } else {
                10 * MINUTE
            };
            usual + beyond
        };
        let mut ends = self.weather.ends_of_trouble(died_at);
        if absent || self.checks.wronged.contains(&row) || ends.any(|end| end + settling(end) > died_at) {
            self.counts.died_in_trouble += 1;
            return;
        }
        let session = self.database.session(row).expect("a row of this world");
        self.checks.hold(false, "a session died by our doing", || {
            let age = (self.moment - alive_at) / SECOND;
            let dead_for = (self.moment - died_at) / SECOND;
            format!(
                "alive {age} s ago, dead for {dead_for} s, now {}, {session:?}",
                self.moment
            )
        });
    }

    /// Once a minute.
    pub(super) fn look(&mut self) {
        self.at(self.moment + MINUTE, Event::Look);
        self.check_oldest();
        if (self.moment / MINUTE) % 10 == 0 {
            for index in 0..self.database.sessions().len() {
                let token = self.stored(Id(index as u64 + 1));
                self.judge_death(token.real);
            }
            self.expect_sign_ins();
        }
    }

    fn settling(&self) -> Moment {
        self.settings.settling(self.weather.is_slow(self.moment))
    }

    fn check_oldest(&mut self) {
        let moment = self.moment;
        if moment <= self.weather.trouble_until() + self.settling() {
            return;
        }
        let oldest = self
            .database
            .due_until(moment)
            .find(|session| !session.is_leased(moment));
        let Some(session) = oldest else {
            return;
        };
        let due_at = session
            .next_refresh
            .unwrap_or(moment)
            .max(self.people.absent_until[session.id.0 as usize - 1]);
        let overdue = (moment - due_at) / SECOND;
        // Each Worker that died over it had it for as long as a lease lasts, and until the next tick.
        let died = self.abandoned_since(session, due_at) as i64;
        self.counts.longest_overdue_s = self.counts.longest_overdue_s.max(overdue);
        let allowed = if self.weather.is_slow(moment) {
            OVERDUE_WHILE_SLOW
        } else {
            OVERDUE
        };
        self.checks.hold(
            overdue <= allowed / SECOND + 150 * died,
            "a session starves",
            || {
                let up = &self.database.upstream;
                format!(
                    "due {overdue} s ago, {died} died over it, {session:?}, {up:?}, {:?}",
                    self.database.slots
                )
            },
        );
    }

    fn abandoned_since(&self, session: &Session, due_at: Moment) -> usize {
        let attempts = self
            .database
            .attempts
            .range((session.id, 0)..=(session.id, session.fence));
        let abandoned =
            |attempt: &Attempt| attempt.outcome == Code::Abandoned && attempt.finished_at > due_at;
        attempts.filter(|(_, attempt)| abandoned(attempt)).count()
            + usize::from(session.lease_holder.is_some())
    }

    /// Half a minute after a session was to be fresh.
    pub(super) fn check_wish(&mut self, row: Id, fresh_at: Moment) {
        let calm = self.moment > self.weather.trouble_until() + self.settling();
        let session = self.database.session(row).expect("a row of this world");
        if !calm
            || session.state != State::Active
            || self.people.absent_until[row.0 as usize - 1] > fresh_at - 60 * MINUTE
        {
            return;
        }
        if session.alive_at() >= fresh_at - 90 * SECOND {
            self.counts.wishes_kept += 1;
        } else {
            self.counts.wishes_missed += 1;
        }
    }

    /// Before a Worker presents another session.
    pub(super) fn check_unwritten(&mut self, worker: &Worker) {
        let oldest = worker.seen.iter().map(|seen| seen.at).min();
        let waits = oldest.map_or(0, |at| self.moment - at);
        self.checks.hold(
            waits <= UNWRITTEN,
            "a session is presented while tokens can't be written",
            || format!("for {} s", waits / SECOND),
        );
    }

    /// What a Worker that ends leaves behind.
    pub(super) fn check_end(&mut self, worker: &Worker) {
        self.checks.hold(
            worker.seen.is_empty(),
            "a token that a Worker saw was not written",
            || format!("{:?}", worker.seen),
        );
    }
}
