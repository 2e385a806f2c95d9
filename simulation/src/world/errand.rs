//! Calls of the database: late, refused, unanswered, repeated as `edge-worker/src/database.rs` repeats them.

use std::time::Duration;

use session_core::{
    batch::{Claimed, Held, Written},
    due,
    finish::FinishEntry,
    session::ClaimedRow,
    time::Timestamp,
};

use super::{
    Event, World,
    upstream::Presented,
    weather::Kind,
    worker::{Seen, TIMEOUT, WIDTH, Worker},
};
use crate::model::{
    self, DueClaim, Entry, Fate, Finish, Id, Moment, NamedClaim, OutlookAnswer, SECOND, UserClaim,
};

/// As in `edge-worker/src/database.rs`.
const CALL_TIMEOUT: Moment = 6 * SECOND;
const WRITE_FOR: Duration = Duration::from_secs(18);
const SHORT_PATIENCE: Duration = Duration::from_secs(3);
const FIRST_WAIT: Moment = 300_000;

/// A function that is called until it is known to be done, or patience ends.
pub(super) struct Errand {
    pub(super) request: Request,
    patience: Duration,
    most_calls: u32,
    since: Timestamp,
    pub(super) calls: u32,
    wait: Moment,
}

pub(super) enum Request {
    Outlook {
        most: u32,
    },
    Claim {
        limit: u32,
        lease: Duration,
        at: Timestamp,
    },
    ClaimNamed {
        ids: Vec<Id>,
        lease: Duration,
        at: Timestamp,
    },
    ClaimOf {
        row: Id,
    },
    Finish {
        entries: Vec<FinishEntry>,
        parsed: Vec<Entry>,
    },
    FinishRun {
        claimed: usize,
    },
}

pub(super) enum Reply {
    Outlook(OutlookAnswer),
    Claimed(Claimed),
    Finished(Vec<Fate>, Option<model::Held>),
    Ended,
    Failed,
}

impl Errand {
    /// Called once.
    pub(super) fn new(request: Request) -> Self {
        Self {
            request,
            patience: Duration::ZERO,
            most_calls: 1,
            since: Timestamp::from_millis(0),
            calls: 0,
            wait: FIRST_WAIT,
        }
    }

    pub(super) fn patient(request: Request, now: Timestamp) -> Self {
        Self {
            patience: SHORT_PATIENCE,
            most_calls: 3,
            since: now,
            ..Self::new(request)
        }
    }

    pub(super) fn write(entries: Vec<FinishEntry>, calls: u32, now: Timestamp) -> Self {
        // What the product would send, as the database would read it.
        let text = serde_json::to_string(&entries).expect("entries can be written");
        let parsed = serde_json::from_str(&text).expect("the database reads entries");
        Self {
            patience: WRITE_FOR,
            most_calls: calls,
            since: now,
            ..Self::new(Request::Finish { entries, parsed })
        }
    }
}

impl World {
    pub(super) fn send(&mut self, worker: &Worker, errand: Errand) {
        self.send_as(worker.name, worker.has_run(), errand);
    }

    fn send_as(&mut self, name: Id, has_run: bool, mut errand: Errand) {
        errand.calls += 1;
        let takes = self.rng.i64(1_000..30_000);
        self.at(self.moment + takes, Event::Asked(name, has_run, Box::new(errand)));
    }

    /// The database gets to a call, whether or not who sent it lives.
    pub(super) fn asked(&mut self, name: Id, has_run: bool, errand: Box<Errand>) {
        let away = self.weather.find(|kind| match kind {
            Kind::DatabaseAway { hangs } => Some(hangs),
            _ => None,
        });
        let takes = self.rng.i64(1_000..60_000);
        let (reply, takes) = match away {
            Some(true) => (Reply::Failed, CALL_TIMEOUT),
            Some(false) => (Reply::Failed, takes),
            None => {
                let reply = self.execute(name, has_run, &errand.request);
                // Done, but nobody learns of it.
                if self.rng.u32(..1000) == 0 {
                    (Reply::Failed, CALL_TIMEOUT)
                } else {
                    (reply, takes)
                }
            }
        };
        self.at(
            self.moment + takes,
            Event::Replied(name, has_run, errand, Box::new(reply)),
        );
    }

    pub(super) fn replied(&mut self, name: Id, has_run: bool, mut errand: Errand, reply: Reply) {
        let Some(worker) = self.workers.get(&name) else {
            return;
        };
        let left = errand
            .patience
            .saturating_sub(worker.now(self.moment).since(errand.since));
        let settled = !matches!(reply, Reply::Failed);
        if settled || left.is_zero() || errand.calls >= errand.most_calls {
            self.told(name, errand, reply);
            return;
        }
        let wait = (errand.wait as f64 * (0.5 + self.rng.f64() / 2.0)) as Moment;
        errand.wait *= 2;
        let wait = wait.min(left.as_micros() as Moment);
        self.at(self.moment + wait, Event::Resend(name, has_run, Box::new(errand)));
    }

    pub(super) fn resend(&mut self, name: Id, has_run: bool, errand: Errand) {
        if self.workers.contains_key(&name) {
            self.send_as(name, has_run, errand);
        }
    }

    fn execute(&mut self, name: Id, has_run: bool, request: &Request) -> Reply {
        let moment = self.moment;
        let policy = self.settings.policy;
        match request {
            Request::Outlook { most } => {
                Reply::Outlook(self.database.outlook(policy, *most as usize, moment))
            }
            Request::Claim { limit, lease, .. } => {
                let claim = DueClaim {
                    holder: name,
                    limit: i64::from(*limit),
                    width: i64::from(WIDTH),
                    lease_seconds: lease.as_secs() as i64,
                    policy,
                };
                let answer = self.database.claim_due_sessions(&claim, moment);
                let held = answer.held.map(|held| {
                    (
                        held_of(held),
                        Duration::from_millis(answer.retry_in_ms.unwrap_or(0) as u64),
                    )
                });
                Reply::Claimed(claimed(&answer.sessions, answer.width, held))
            }
            Request::ClaimNamed { ids, lease, .. } => {
                let claim = NamedClaim {
                    holder: name,
                    ids,
                    emails: &[],
                    max_age_seconds: 300,
                    limit: 100,
                    width: i64::from(WIDTH),
                    lease_seconds: lease.as_secs() as i64,
                    policy,
                };
                let answer = self.database.claim_sessions(&claim, moment);
                Reply::Claimed(claimed(&answer.sessions, answer.width, None))
            }
            Request::ClaimOf { row } => {
                let lease = due::lease(1, 1, TIMEOUT, Duration::from_secs(3));
                let Some(user) = self.database.session(*row).map(|session| session.user.clone()) else {
                    return Reply::Failed;
                };
                let claim = UserClaim {
                    email: &user,
                    session_id: Some(*row),
                    holder: name,
                    lease_seconds: lease.as_secs() as i64,
                    reuse_seconds: 30,
                    min_seconds: 30,
                    policy,
                };
                let answer = self.database.claim_session(&claim, moment);
                let rows: Vec<_> = answer.session.flatten().into_iter().collect();
                Reply::Claimed(claimed(&rows, 1, None))
            }
            Request::Finish { parsed, .. } => {
                let finish = Finish {
                    holder: name,
                    entries: parsed,
                    done: !has_run,
                };
                let answer = self.database.finish_sessions(&finish, moment, self.rng.f64());
                for told in &answer.results {
                    self.check_state(told.id);
                }
                Reply::Finished(
                    answer.results.iter().map(|told| told.result).collect(),
                    answer.held,
                )
            }
            Request::FinishRun { claimed } => {
                self.database.finish_run(name, *claimed, 1, moment);
                Reply::Ended
            }
        }
    }

    /// What a Worker makes of what became of its entries.
    pub(super) fn written(
        &mut self,
        worker: &mut Worker,
        entries: Vec<FinishEntry>,
        reply: Reply,
        calls: u32,
    ) {
        let Reply::Finished(fates, held) = reply else {
            self.counts.failed_writes += 1;
            for entry in &entries {
                worker.seen.retain(|seen| seen.id.to_string() != entry.id());
            }
            if let Some(batch) = worker.batch_mut() {
                batch.finish_failed(&entries, calls);
            }
            return;
        };
        for (entry, fate) in entries.iter().zip(&fates) {
            self.check_fate(worker, entry.id(), *fate);
        }
        if let Some(batch) = worker.batch_mut() {
            let written = fates.iter().map(|fate| match fate {
                Fate::Written | Fate::Already => Written::Kept,
                Fate::Doubted => Written::Doubted,
                Fate::Lost => Written::Superseded,
            });
            batch.finished(entries.into_iter().zip(written), calls, held.map(held_of));
        }
    }

    fn check_fate(&mut self, worker: &mut Worker, entry: &str, fate: Fate) {
        let Some(place) = worker.seen.iter().position(|seen| seen.id.to_string() == entry) else {
            return;
        };
        let Seen { id, fence, token, .. } = worker.seen.swap_remove(place);
        let stored = self
            .database
            .session(id)
            .map(|session| Presented::of(&session.token));
        let signed_in = stored.is_some_and(|stored| stored.real != token.real);
        let newer = stored.is_some_and(|stored| stored.generation >= token.generation);
        let kept = match fate {
            Fate::Written | Fate::Doubted | Fate::Already => signed_in || newer,
            Fate::Lost => signed_in,
        };
        self.checks.hold(
            kept,
            "a token that upstream handed out was lost though its Worker lived",
            || format!("session {id}, fence {fence}, {fate:?}, stored {stored:?}, seen {token:?}"),
        );
    }
}

fn claimed(rows: &[model::Claimed], width: i64, held: Option<(Held, Duration)>) -> Claimed {
    let read = |row: &model::Claimed| -> ClaimedRow {
        let text = serde_json::to_string(row).expect("a row can be written");
        serde_json::from_str(&text).expect("the product reads what a claim answers")
    };
    Claimed {
        rows: rows.iter().map(read).collect(),
        width: width as u32,
        held,
    }
}

fn held_of(held: model::Held) -> Held {
    match held {
        model::Held::Paused => Held::Paused,
        model::Held::Breaker => Held::Breaker,
        model::Held::InFlight => Held::InFlight,
        model::Held::Rate => Held::Rate,
    }
}
