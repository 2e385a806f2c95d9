//! Drives a batch: runs the steps that the core decides on, several at once, and reports back to it.

use std::{cell::RefCell, future::Future, pin::Pin, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use serde::Serialize;
use session_core::{
    batch::{Batch, Claimed, Limits, Step, Tally, Written},
    finish::FinishEntry,
    outcome::OutcomeCode,
    time::Timestamp,
    wire::StoredStatus,
};

use crate::{
    config::Config,
    database::{DatabaseError, Fate, Finish, FinishResult, Holder, Patient, Trigger},
    log,
    refresh::{Refreshed, refresh_one},
    runtime::{Asker, fresh_id, now, sleep},
};

/// Fetches that the platform lets an invocation wait for at once.
pub(crate) const WIDTH: u32 = 6;

/// How long a run starts refreshes: it is over before the next minute's tick.
pub(crate) const START_FOR: Duration = Duration::from_secs(45);

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) trigger: Trigger,
    pub(crate) tally: Tally,
    pub(crate) summary: Summary,
    /// What went wrong with the database, if anything did: the run is not to be called a success then.
    pub(crate) error: Option<DatabaseError>,
    /// The request that it was started by, if it was.
    pub(crate) request_id: Option<String>,
}

impl Report {
    /// What came of it as a whole.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.error {
            Some(_) => "error",
            None if self.tally.failed_altogether() => "failed",
            None => "done",
        }
    }
}

/// What a batch answers.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// Names the run in the log and in `refresh_runs`.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    pub(crate) run_id: String,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// Sessions due still, counted up to 10,001; `null` where the database did not say.
    pub(crate) remaining: Option<u32>,
    /// How long the run took.
    pub(crate) duration_ms: u64,
}

/// Refreshes what is due, until nothing is or the bounds of a run are reached. If the asker leaves, it winds up.
/// Cron, queue and internal route alike; `calls` is how many fetches the invocation has left.
pub(crate) async fn run(
    config: &Config,
    trigger: Trigger,
    batch_size: u32,
    calls: u32,
    asker: &Asker,
) -> Report {
    let started = now();
    let limits = Limits {
        batch_size,
        width: WIDTH,
        calls,
        sessions: config.sessions_per_run,
        deadline: started.after(START_FOR),
        timeout: config.timeout,
    };
    let driver = Driver::new(config, asker, trigger);
    let mut batch = Batch::new(limits);
    driver.drive(&mut batch).await;
    driver.close(batch.into_tally(), started).await
}

impl Driver<'_> {
    /// Ends the run's record.
    pub(crate) async fn close(self, tally: Tally, started: Timestamp) -> Report {
        let (trigger, error) = (self.holder.trigger, self.error.into_inner());
        let request_id = self.holder.request_id.clone();
        let duration = now().since(started);
        let closed = self
            .config
            .finish_run(&self.holder, &tally, duration, error)
            .await;
        let summary = Summary {
            run_id: self.holder.run_id.unwrap_or_default(),
            tally: tally.clone(),
            remaining: closed.as_ref().ok().copied(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        };
        let report = Report {
            trigger,
            tally,
            summary,
            error: error.or(closed.err()),
            request_id,
        };
        log::run(&report);
        report
    }
}

/// Does what a batch decides on, under one lease's name.
pub(crate) struct Driver<'a> {
    config: &'a Config,
    asker: &'a Asker,
    pub(crate) holder: Holder,
    error: RefCell<Option<DatabaseError>>,
    told: RefCell<Vec<Told>>,
}

/// What came of one session, once it was written.
pub(crate) struct Told {
    pub(crate) session_id: String,
    /// `None`: it was given back unpresented.
    pub(crate) outcome: Option<OutcomeCode>,
    pub(crate) fate: Fate,
    pub(crate) status: Option<StoredStatus>,
}

enum Event {
    Claimed {
        claimed: Result<Claimed, DatabaseError>,
        asked: u32,
        lease: Duration,
        at: Timestamp,
    },
    Refreshed(Refreshed),
    Finished(Vec<FinishEntry>, Patient<Finish>),
}

type Task<'a> = Pin<Box<dyn Future<Output = Event> + 'a>>;

impl<'a> Driver<'a> {
    /// A run that has done nothing yet.
    pub(crate) fn new(config: &'a Config, asker: &'a Asker, trigger: Trigger) -> Self {
        let holder = Holder {
            run_id: Some(fresh_id()),
            lease_id: fresh_id(),
            trigger,
            request_id: asker.request_id().map(str::to_owned),
        };
        Self {
            config,
            asker,
            holder,
            error: RefCell::new(None),
            told: RefCell::new(Vec::new()),
        }
    }

    /// What came of the sessions that were driven since this was last asked.
    pub(crate) fn take_told(&self) -> Vec<Told> {
        self.told.take()
    }

    /// Works through a batch.
    pub(crate) async fn drive(&self, batch: &mut Batch) {
        let mut tasks: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
        let mut alarm = Alarm::default();
        loop {
            if self.asker.has_left() {
                batch.wind_up();
            }
            match batch.next(now()) {
                Step::Claim { limit, lease } => tasks.push(Box::pin(self.claim(limit, lease))),
                Step::Refresh(row) => tasks.push(Box::pin(async move {
                    Event::Refreshed(refresh_one(&row, &self.holder, self.config).await)
                })),
                Step::Finish { entries, calls } => tasks.push(Box::pin(self.finish(entries, calls))),
                Step::Wait(until) => {
                    if let Some(event) = next_event(&mut tasks, until, &mut alarm).await {
                        self.report(batch, event);
                    }
                }
                Step::Done => return,
            }
        }
    }

    async fn claim(&self, limit: u32, lease: Duration) -> Event {
        let at = now();
        let claimed = self.config.claim_due(&self.holder, limit, WIDTH, lease).await;
        Event::Claimed {
            claimed,
            asked: limit,
            lease,
            at,
        }
    }

    async fn finish(&self, entries: Vec<FinishEntry>, calls: u32) -> Event {
        let written = self.config.finish(&self.holder, &entries, calls).await;
        Event::Finished(entries, written)
    }

    fn report(&self, batch: &mut Batch, event: Event) {
        match event {
            Event::Claimed {
                claimed: Ok(claimed),
                asked,
                lease,
                at,
            } => batch.claimed(claimed, asked, lease, at, now()),
            Event::Claimed {
                claimed: Err(error), ..
            } => {
                self.note(error);
                batch.claim_failed();
            }
            Event::Refreshed(refreshed) => batch.answered(refreshed.entry, refreshed.calls, now()),
            Event::Finished(entries, Patient { answer, calls }) => match answer {
                Ok(finish) => {
                    let fates: Vec<_> = finish.results.iter().map(|result| result.result).collect();
                    self.note_unwritten(&entries, &fates);
                    let held = finish.held;
                    self.keep_told(&entries, finish.results);
                    let written = fates.into_iter().map(|fate| match fate {
                        Fate::Written | Fate::Already => Written::Kept,
                        Fate::Doubted => Written::Doubted,
                        Fate::Lost => Written::Superseded,
                        Fate::Refused | Fate::Locked => Written::Refused,
                    });
                    batch.finished(entries.into_iter().zip(written), calls, held);
                }
                Err(error) => {
                    log::unwritten(entries.iter().map(FinishEntry::id), error);
                    self.note(error);
                    batch.finish_failed(&entries, calls);
                }
            },
        }
    }

    fn note_unwritten(&self, entries: &[FinishEntry], fates: &[Fate]) {
        for fate in [Fate::Refused, Fate::Locked] {
            let pairs = entries.iter().zip(fates).filter(|(_, told)| **told == fate);
            let ids: Vec<_> = pairs.map(|(entry, _)| entry.id()).collect();
            if let Some(error) = fate.error()
                && !ids.is_empty()
            {
                log::unwritten(ids, error);
                self.note(error);
            }
        }
    }

    /// A batch of thousands is told in numbers; only who named sessions asks for each.
    fn keep_told(&self, entries: &[FinishEntry], results: Vec<FinishResult>) {
        if self.holder.trigger != Trigger::EnsureFresh {
            return;
        }
        let told = entries.iter().zip(results).map(|(entry, result)| Told {
            session_id: entry.id().to_owned(),
            outcome: entry.outcome(),
            fate: result.result,
            status: result.status,
        });
        self.told.borrow_mut().extend(told);
    }

    /// What went wrong with the database first, if anything did.
    pub(crate) fn first_error(&self) -> Option<DatabaseError> {
        *self.error.borrow()
    }

    /// Keeps the first error, for the run's record.
    pub(crate) fn note(&self, error: DatabaseError) {
        self.error.borrow_mut().get_or_insert(error);
    }
}

/// A timer that is kept while what is waited for stays the same: most events come long before it.
#[derive(Default)]
struct Alarm(Option<(Timestamp, Timer)>);

type Timer = Pin<Box<dyn Future<Output = ()>>>;

impl Alarm {
    fn at(&mut self, time: Timestamp) -> Pin<&mut dyn Future<Output = ()>> {
        let kept = self.0.take().filter(|(set, _)| *set == time);
        let fresh = || (time, Box::pin(sleep(time.since(now()))) as Timer);
        self.0.insert(kept.unwrap_or_else(fresh)).1.as_mut()
    }
}

/// What ends next of what is under way; `None` when `until` comes first.
async fn next_event(
    tasks: &mut FuturesUnordered<Task<'_>>,
    until: Option<Timestamp>,
    alarm: &mut Alarm,
) -> Option<Event> {
    match until {
        None => tasks.next().await,
        // No tasks are ready at once with nothing, and the clock would stand still in a loop that waits for nothing.
        Some(until) if tasks.is_empty() => {
            sleep(until.since(now())).await;
            None
        }
        Some(until) => match select(tasks.next(), alarm.at(until)).await {
            Either::Left((event, _)) => event,
            Either::Right(((), _)) => {
                *alarm = Alarm::default();
                None
            }
        },
    }
}
