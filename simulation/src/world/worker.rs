//! Workers: each drives the product's own batch as `edge-worker/src/run.rs` does, under a clock of its own, until it is
//! done or dies.

use std::time::Duration;

use session_core::{
    batch::{Batch, Claimed, Limits, Step, Tally},
    due,
    fanout::Capacity,
    finish::FinishEntry,
    session::ClaimedRow,
    time::Timestamp,
};

use super::{
    Event, World,
    errand::{Errand, Reply, Request},
    settings::MINUTE,
    upstream::Presented,
};
use crate::model::{Id, Moment, SECOND};

/// As in `edge-worker/src/run.rs`.
pub(super) const WIDTH: u32 = 6;
const START_FOR: Duration = Duration::from_secs(45);
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// For a claim by somebody who waits: as in `edge-worker/src/database.rs`.
const LONGEST_WAIT_FOR_A_START: Duration = Duration::from_secs(3);

/// What a Worker was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// The cron: looks, wakes others, works.
    Tick,
    /// A message of the queue.
    Wake,
    /// A job that wants these rows fresh.
    EnsureFresh { from: u64, count: u64 },
    /// A user.
    User { row: Id },
}

/// A token that upstream handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) id: Id,
    pub(super) fence: i64,
    pub(super) token: Presented,
    pub(super) at: Moment,
}

pub(super) struct Worker {
    pub(super) name: Id,
    task: Task,
    /// What its clock is off by.
    off: Moment,
    /// How many things it does yet before it dies, if it does.
    pub(super) acts_left: Option<u32>,
    started: Timestamp,
    /// How many sessions a run of it may have.
    sessions: u32,
    batch: Option<Batch>,
    /// What it saw of upstream's tokens and did not learn to be written yet.
    pub(super) seen: Vec<Seen>,
    timer: Option<Moment>,
    looks: u32,
}

impl Worker {
    pub(super) fn now(&self, moment: Moment) -> Timestamp {
        Timestamp::from_millis((moment + self.off).div_euclid(1000))
    }

    fn moment_of(&self, local: Timestamp) -> Moment {
        local.as_millis() * 1000 - self.off
    }

    fn limits(&self, calls: u32, batch_size: u32) -> Limits {
        Limits {
            batch_size,
            width: WIDTH,
            calls,
            sessions: self.sessions,
            deadline: self.started.after(START_FOR),
            timeout: TIMEOUT,
        }
    }

    pub(super) fn batch_mut(&mut self) -> Option<&mut Batch> {
        self.batch.as_mut()
    }

    /// Who writes says that it is done, unless its run says so at its end.
    pub(super) fn has_run(&self) -> bool {
        !matches!(self.task, Task::User { .. })
    }
}

impl World {
    pub(super) fn start(&mut self, task: Task) {
        self.workers_made += 1;
        let name = Id((1 << 40) + self.workers_made);
        let skew = self.settings.skew;
        let off = if skew == 0 { 0 } else { self.rng.i64(-skew..=skew) };
        let dies = self.rng.u32(..self.settings.deaths) == 0;
        let acts_left = dies.then(|| self.rng.u32(1..40));
        let mut worker = Worker {
            name,
            task,
            off,
            acts_left,
            started: Timestamp::from_millis(0),
            sessions: if task == Task::Tick || task == Task::Wake {
                self.settings.sessions_per_run
            } else {
                u32::MAX
            },
            batch: None,
            seen: Vec::new(),
            timer: None,
            looks: 0,
        };
        worker.started = worker.now(self.moment);
        match task {
            Task::Tick => {
                let most = self.capacity(20.0, 0).worth_counting();
                self.send(&worker, Errand::new(Request::Outlook { most }));
            }
            Task::Wake => {
                worker.batch = Some(Batch::new(
                    worker.limits(self.settings.calls, self.settings.batch_size),
                ));
            }
            Task::EnsureFresh { from, count } => {
                let lease = due::lease(count as u32, WIDTH, TIMEOUT, LONGEST_WAIT_FOR_A_START);
                let ids = (from..from + count).map(Id).collect();
                let at = worker.now(self.moment);
                self.send(&worker, Errand::new(Request::ClaimNamed { ids, lease, at }));
            }
            Task::User { row } => self.send(&worker, claim_of(row)),
        }
        self.drive(worker);
    }

    fn capacity(&self, calls_per_second: f64, refresh_ms: u64) -> Capacity {
        Capacity {
            calls: self.settings.calls,
            sessions: self.settings.sessions_per_run,
            width: WIDTH,
            time: START_FOR,
            refresh: Duration::from_millis(refresh_ms),
            in_flight: self.settings.policy.max_in_flight as u32,
            calls_per_second,
            most: self.settings.helpers,
        }
    }

    /// Runs the batch's steps as far as they go.
    fn drive(&mut self, mut worker: Worker) {
        loop {
            let now = worker.now(self.moment);
            let Some(batch) = &mut worker.batch else {
                break;
            };
            match batch.next(now) {
                Step::Claim { limit, lease } => {
                    self.send(
                        &worker,
                        Errand::new(Request::Claim {
                            limit,
                            lease,
                            at: now,
                        }),
                    );
                }
                Step::Refresh(row) => self.present(&worker, row),
                Step::Finish { entries, calls } => self.send(&worker, Errand::write(entries, calls, now)),
                Step::Wait(until) => {
                    self.wait(&mut worker, until, now);
                    break;
                }
                Step::Done => {
                    self.end(&mut worker);
                    break;
                }
            }
        }
        self.workers.insert(worker.name, worker);
    }

    fn wait(&mut self, worker: &mut Worker, until: Option<Timestamp>, now: Timestamp) {
        let Some(until) = until else {
            return;
        };
        self.checks
            .hold(until > now, "a loop without delay", || worker.name.to_string());
        let at = worker.moment_of(until);
        if worker.timer != Some(at) {
            worker.timer = Some(at);
            self.at(at, Event::Turn(worker.name));
        }
    }

    fn end(&mut self, worker: &mut Worker) {
        let Some(batch) = worker.batch.take() else {
            return;
        };
        let tally = batch.into_tally();
        self.check_end(worker);
        self.count_run(&tally);
        let claimed = tally.claimed as usize;
        self.send(
            worker,
            Errand::patient(Request::FinishRun { claimed }, worker.now(self.moment)),
        );
    }

    fn count_run(&mut self, tally: &Tally) {
        self.counts.runs += 1;
        self.counts.released += u64::from(tally.released);
        self.counts.unwritten += u64::from(tally.unwritten);
    }

    pub(super) fn turn(&mut self, name: Id) {
        if self.workers.get(&name).and_then(|worker| worker.timer) != Some(self.moment) {
            return;
        }
        if let Some(mut worker) = self.wake(name) {
            worker.timer = None;
            self.drive(worker);
        }
    }

    /// The Worker, if it lives; each thing that it does may be the last.
    fn wake(&mut self, name: Id) -> Option<Worker> {
        let worker = self.workers.get_mut(&name)?;
        if let Some(left) = &mut worker.acts_left {
            *left -= 1;
            if *left == 0 {
                self.counts.deaths += 1;
                self.workers.remove(&name);
                return None;
            }
        }
        self.workers.remove(&name)
    }

    /// A refresh ended.
    pub(super) fn refreshed(&mut self, name: Id, entry: FinishEntry, calls: u32, token: Option<Seen>) {
        let Some(mut worker) = self.wake(name) else {
            return;
        };
        worker.seen.extend(token);
        let now = worker.now(self.moment);
        match &mut worker.batch {
            Some(batch) => batch.answered(entry, calls, now),
            // A user's.
            None => self.send(&worker, Errand::write(vec![entry], 6, now)),
        }
        self.drive(worker);
    }

    /// The database answered, or did not.
    pub(super) fn told(&mut self, name: Id, errand: Errand, reply: Reply) {
        let Some(mut worker) = self.wake(name) else {
            return;
        };
        let now = worker.now(self.moment);
        match (errand.request, reply) {
            (Request::Outlook { .. }, reply) => {
                if let Reply::Outlook(outlook) = reply
                    && outlook.held.is_none()
                {
                    let took = outlook.refresh_ms.unwrap_or(0) as u64;
                    let helpers = self
                        .capacity(outlook.calls_per_second, took)
                        .helpers(outlook.due as u32);
                    self.wake_others(helpers);
                }
                let calls = self.settings.calls - 2;
                worker.batch = Some(Batch::new(worker.limits(calls, self.settings.batch_size)));
            }
            (Request::Claim { limit, lease, at }, reply) => {
                if let Some(batch) = &mut worker.batch {
                    match reply {
                        Reply::Claimed(claimed) => batch.claimed(claimed, limit, lease, at, now),
                        _ => batch.claim_failed(),
                    }
                }
            }
            (Request::ClaimNamed { lease, at, .. }, Reply::Claimed(claimed)) => {
                let calls = self.settings.calls;
                worker.batch = Some(Batch::of(claimed, lease, at, now, worker.limits(calls, 1)));
            }
            (Request::ClaimOf { row }, Reply::Claimed(claimed)) => {
                if !self.claimed_of_user(&mut worker, row, claimed) {
                    return;
                }
            }
            (Request::Finish { entries, .. }, reply) => {
                self.written(&mut worker, entries, reply, errand.calls);
                if worker.batch.is_none() {
                    return;
                }
            }
            _ => return,
        }
        self.drive(worker);
    }

    /// Whether there is anything to do still.
    fn claimed_of_user(&mut self, worker: &mut Worker, row: Id, mut claimed: Claimed) -> bool {
        if let Some(row) = claimed.rows.pop() {
            let starts_in = row.starts_in().as_micros() as Moment;
            self.at(self.moment + starts_in, Event::Begin(worker.name, Box::new(row)));
            return true;
        }
        if worker.looks < 4 {
            // Somebody else is at it, or calls of others are in the way.
            worker.looks += 1;
            let at = self.moment + SECOND * i64::from(worker.looks);
            self.at(at, Event::Ask(worker.name, row));
            return true;
        }
        false
    }

    pub(super) fn ask_again(&mut self, name: Id, row: Id) {
        if let Some(worker) = self.wake(name) {
            self.send(&worker, claim_of(row));
            self.drive(worker);
        }
    }

    pub(super) fn begin(&mut self, name: Id, row: ClaimedRow) {
        if let Some(worker) = self.wake(name) {
            self.present(&worker, row);
            self.drive(worker);
        }
    }

    /// Messages may be lost, doubled, late.
    fn wake_others(&mut self, count: u32) {
        self.counts.messages += u64::from(count);
        for _ in 0..count {
            let copies = match self.rng.u32(..20) {
                0 => 0,
                1 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let late = if self.rng.u32(..30) == 0 {
                    3 * MINUTE
                } else {
                    3 * SECOND
                };
                let at = self.moment + self.rng.i64(0..late);
                self.at(at, Event::Start(Task::Wake));
            }
        }
    }
}

fn claim_of(row: Id) -> Errand {
    Errand::new(Request::ClaimOf { row })
}
