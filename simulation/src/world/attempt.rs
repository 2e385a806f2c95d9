//! One session's refresh, as `edge-worker/src/refresh.rs` makes it: calls of upstream until one is worth no other.

use std::time::Duration;

use session_core::{
    due,
    finish::{Attempt, FinishEntry},
    outcome::{Outcome, Renewal},
    session::ClaimedRow,
    time::Timestamp,
    token::Fingerprint,
};

use super::{
    Event, World,
    upstream::{Answer, Course, Presented},
    worker::{Seen, TIMEOUT, Worker},
};
use crate::model::{Id, Moment};

/// An attempt under way.
pub(super) struct Refresh {
    row: ClaimedRow,
    id: Id,
    call: Presented,
    started: Timestamp,
    tries: u32,
}

impl World {
    /// A Worker presents a session that it holds.
    pub(super) fn present(&mut self, worker: &Worker, row: ClaimedRow) {
        let fallback = Fingerprint::parse("fallback").expect("one of the documented shape");
        let credentials = row
            .credentials(&fallback)
            .expect("rows of this world can be presented");
        let call = Presented::of(credentials.token.expose());
        let id = Id::parse(&row.id).expect("an id of this world");
        let refresh = Refresh {
            started: worker.now(self.moment),
            id,
            row,
            call,
            tries: 0,
        };
        self.check_unwritten(worker);
        self.call(worker.name, Box::new(refresh));
    }

    fn call(&mut self, name: Id, mut refresh: Box<Refresh>) {
        refresh.tries += 1;
        self.check_call(name, refresh.id, refresh.row.fence, refresh.call);
        self.upstream.open += 1;
        self.upstream.reals[refresh.call.real].open += 1;
        let now = self.workers_clock(name, refresh.started);
        let bound = TIMEOUT.saturating_sub(now.since(refresh.started)).as_micros() as Moment;
        let course = Course::of(&self.weather, &mut self.rng);
        if course.arrives_in >= bound {
            // It gets to upstream, when nobody waits for it any more.
            self.at(self.moment + course.arrives_in, Event::Ghost(refresh.call));
            self.at(
                self.moment + bound,
                Event::Answered(name, refresh, Answer::TimedOut),
            );
        } else {
            let until = self.moment + bound;
            let takes = course.answer_takes;
            self.at(
                self.moment + course.arrives_in,
                Event::Arrives(name, refresh, takes, until, course.lost),
            );
        }
    }

    /// Upstream gets to a call.
    pub(super) fn arrives(
        &mut self,
        name: Id,
        refresh: Box<Refresh>,
        takes: Moment,
        until: Moment,
        lost: bool,
    ) {
        let answer = self
            .upstream
            .answer(refresh.call, self.moment, &self.weather, &mut self.rng);
        self.judge_refusal(refresh.call, answer);
        let answer = if lost { Answer::Broken } else { answer };
        if self.moment + takes > until {
            self.at(until, Event::Answered(name, refresh, Answer::TimedOut));
        } else {
            self.at(self.moment + takes, Event::Answered(name, refresh, answer));
        }
    }

    pub(super) fn ghost(&mut self, call: Presented) {
        let answer = self
            .upstream
            .answer(call, self.moment, &self.weather, &mut self.rng);
        self.judge_refusal(call, answer);
    }

    /// An answer comes back to who called, if there is anybody still.
    pub(super) fn answered(&mut self, name: Id, refresh: Box<Refresh>, answer: Answer) {
        self.upstream.open -= 1;
        self.upstream.reals[refresh.call.real].open -= 1;
        let Some(worker) = self.workers.get(&name) else {
            return;
        };
        let now = worker.now(self.moment);
        let (outcome, status) = outcome_of(answer);
        self.counts.note(answer);
        let spent = now.since(refresh.started);
        let left = TIMEOUT.saturating_sub(spent);
        if let Some(wait) = due::retry_within(&outcome, status, refresh.tries, left, self.rng.f64()) {
            let at = self.moment + wait.as_micros() as Moment;
            self.at(at, Event::CallAgain(name, refresh));
            return;
        }
        let said_over = matches!(outcome, Outcome::Expired);
        let outcome = if refresh.tries > 1 {
            outcome.after_lost_answer()
        } else {
            outcome
        };
        let attempt = Attempt {
            outcome: refresh.row.judge(outcome),
            said_over,
            cookies: None,
            status,
            tries: refresh.tries,
            duration: spent,
            outline: None,
        };
        let interval = Duration::from_secs(self.settings.policy.interval_seconds as u64);
        let entry = FinishEntry::attempted(&refresh.row, attempt, interval, self.rng.f64());
        let token = match answer {
            Answer::Refreshed(token) => Some(Seen {
                id: refresh.id,
                fence: refresh.row.fence,
                token,
                at: self.moment,
            }),
            _ => None,
        };
        self.refreshed(name, entry, refresh.tries, token);
    }

    pub(super) fn call_again(&mut self, name: Id, refresh: Box<Refresh>) {
        if self.workers.contains_key(&name) {
            self.call(name, refresh);
        }
    }

    fn workers_clock(&self, name: Id, otherwise: Timestamp) -> Timestamp {
        self.workers
            .get(&name)
            .map_or(otherwise, |worker| worker.now(self.moment))
    }
}

fn outcome_of(answer: Answer) -> (Outcome, Option<u16>) {
    match answer {
        Answer::Refreshed(token) => {
            let renewal = Renewal {
                token: token.token(),
                fingerprint: None,
            };
            (Outcome::Refreshed(renewal), Some(200))
        }
        Answer::SignIn => (Outcome::Expired, Some(302)),
        Answer::Throttled(wait) => {
            let retry_after = wait.map(Duration::from_secs);
            (Outcome::Throttled { retry_after }, Some(429))
        }
        Answer::Refused => (Outcome::Refused, Some(403)),
        Answer::Fault(wait) => {
            let retry_after = wait.map(Duration::from_secs);
            (Outcome::UpstreamFault { retry_after }, Some(503))
        }
        Answer::Broken => (Outcome::Unreachable, None),
        Answer::Unrecognised => (Outcome::Unrecognised, Some(200)),
        Answer::TimedOut => (Outcome::TimedOut, None),
    }
}
