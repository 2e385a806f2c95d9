//! What a history reached, so that a test can see that it reached everything.

use std::collections::BTreeMap;

use crate::model::{
    Breaker, Code, Database, DueClaimAnswer, Fate, FinishAnswer, Held, Id, Moment, NamedClaimAnswer,
    OutlookAnswer, Standing, State, UserClaimAnswer, UserResult,
};

#[derive(Default)]
pub(super) struct Coverage {
    counts: BTreeMap<&'static str, u64>,
    before: Seen,
    crowded: Vec<Id>,
}

/// What a step can change.
#[derive(Default)]
struct Seen {
    breaker: Option<Breaker>,
    paused_until: Moment,
    rate_at: Option<Moment>,
    exhausted: usize,
    abandoned: usize,
    wishes: usize,
    due: Vec<Option<Moment>>,
    leased: Vec<(Id, i64)>,
}

impl Seen {
    fn of(database: &Database) -> Self {
        let up = database.upstream.as_ref();
        let is_exhausted = |session: &&crate::model::Session| session.state == State::Exhausted;
        Self {
            breaker: up.map(|up| up.breaker),
            paused_until: up.map_or(Moment::MIN, |up| up.paused_until),
            rate_at: up.and_then(|up| up.rate_at),
            exhausted: database.sessions().iter().filter(is_exhausted).count(),
            abandoned: database
                .attempts
                .values()
                .filter(|attempt| attempt.outcome == Code::Abandoned)
                .count(),
            wishes: database.wishes.len(),
            leased: database
                .sessions()
                .iter()
                .filter(|session| session.lease_holder.is_some())
                .map(|session| (session.id, session.fence))
                .collect(),
            due: database
                .sessions()
                .iter()
                .map(|session| session.next_refresh)
                .collect(),
        }
    }
}

impl Coverage {
    pub(super) const fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    pub(super) fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn note_if(&mut self, is_so: bool, what: &'static str) {
        if is_so {
            self.note(what);
        }
    }

    pub(super) fn before(&mut self, database: &Database) {
        self.before = Seen::of(database);
    }

    pub(super) fn before_due_claim(&mut self, database: &Database, moment: Moment) {
        self.before(database);
        self.crowded = database
            .due_until(moment)
            .filter(|session| !session.is_leased(moment))
            .map(|session| session.id)
            .collect();
        let is_due = |session: &&crate::model::Session| {
            !session.enabled
                && session.state == State::Active
                && session.next_refresh.is_some_and(|at| at <= moment)
        };
        self.note_if(
            database.sessions().iter().any(|session| is_due(&session)),
            "disabled and left alone",
        );
    }

    pub(super) fn due_claim(&mut self, database: &Database, answer: &DueClaimAnswer) {
        let oldest = self.crowded.iter().take(answer.sessions.len());
        let same = oldest.eq(answer.sessions.iter().map(|session| &session.id));
        self.note_if(!same, "a user with many sessions passed over");
        self.note_if(!answer.sessions.is_empty(), "due sessions claimed");
        self.held(answer.held);
        self.claimed(database);
    }

    pub(super) fn user_claim(&mut self, database: &Database, answer: &UserClaimAnswer) {
        self.held(answer.held);
        self.note(match answer.result {
            UserResult::NotFound => "user: not found",
            UserResult::Expired => "user: expired",
            UserResult::Busy => "user: busy",
            UserResult::Reused => "user: reused",
            UserResult::TooSoon => "user: too soon",
            UserResult::Claimed => "user: claimed",
            UserResult::Spared => "user: spared",
        });
        let after = Seen::of(database);
        self.note_if(after.exhausted < self.before.exhausted, "revived by its user");
        self.claimed(database);
    }

    pub(super) fn named_claim(&mut self, database: &Database, answer: &NamedClaimAnswer) {
        self.held(answer.held);
        for entry in &answer.entries {
            self.note(match entry.result {
                Standing::NotFound => "named: not found",
                Standing::Claimed => "named: claimed",
                Standing::Expired => "named: expired",
                Standing::Busy => "named: busy",
                Standing::Fresh => "named: fresh",
                Standing::Throttled => "named: throttled",
                Standing::Spared => "named: spared",
                Standing::Active | Standing::Exhausted => "named: impossible",
            });
        }
        let again = answer
            .sessions
            .iter()
            .any(|session| self.before.leased.contains(&(session.id, session.fence)));
        self.note_if(again, "named: the same lease again");
        let after = Seen::of(database);
        self.note_if(after.exhausted < self.before.exhausted, "revived by name");
        self.claimed(database);
    }

    fn held(&mut self, held: Option<Held>) {
        match held {
            Some(Held::Paused) => self.note("held: paused"),
            Some(Held::Breaker) => self.note("held: breaker"),
            Some(Held::InFlight) => self.note("held: in flight"),
            Some(Held::Rate) => self.note("held: rate"),
            None => {}
        }
    }

    fn claimed(&mut self, database: &Database) {
        let after = Seen::of(database);
        self.note_if(
            after.abandoned > self.before.abandoned,
            "an abandoned lease taken over",
        );
        let half_open = after.breaker == Some(Breaker::HalfOpen);
        self.note_if(
            half_open && self.before.breaker == Some(Breaker::Open),
            "breaker half open",
        );
    }

    pub(super) fn odd_site(&mut self, odd: bool) {
        self.note_if(odd, "an odd site");
    }

    pub(super) fn clash(&mut self, clash: bool) {
        self.note_if(clash, "fingerprints clash");
    }

    pub(super) fn finish(&mut self, database: &Database, answer: &FinishAnswer) {
        for told in &answer.results {
            self.note(match told.result {
                Fate::Written => "finish: written",
                Fate::Doubted => "finish: doubted",
                Fate::Already => "finish: already",
                Fate::Lost => "finish: lost",
            });
        }
        let after = Seen::of(database);
        match (self.before.breaker, after.breaker) {
            (Some(Breaker::Closed), Some(Breaker::Open)) => self.note("breaker opens"),
            (Some(Breaker::HalfOpen), Some(Breaker::Open)) => self.note("breaker opens again"),
            (Some(Breaker::HalfOpen), Some(Breaker::Closed)) => self.note("breaker closes"),
            _ => {}
        }
        self.note_if(after.paused_until > self.before.paused_until, "paused by a 429");
        let slowed = after.rate_at > self.before.rate_at && after.breaker == self.before.breaker;
        self.note_if(slowed, "slowed by a 429");
        self.note_if(after.exhausted > self.before.exhausted, "exhausted");
        self.note_if(after.wishes < self.before.wishes, "a wish granted");
    }

    pub(super) fn sign_in(&mut self, database: &Database, id: Id, same: bool, moment: Moment) {
        let Some(session) = database.session(id) else {
            return;
        };
        self.note_if(same, "a sign-in that changes nothing");
        self.note_if(!same && session.is_leased(moment), "a sign-in under a lease");
        self.note_if(!same && session.state == State::Exhausted, "revived by a sign-in");
        self.note_if(
            !same && session.state == State::Expired,
            "a sign-in after the end",
        );
    }

    pub(super) fn wish(&mut self, database: &Database) {
        let after = Seen::of(database);
        self.note_if(after.due != self.before.due, "a wish brings a refresh forward");
    }

    pub(super) fn enabled(&mut self, database: &Database) {
        let after = Seen::of(database);
        self.note_if(after.exhausted < self.before.exhausted, "revived by an operator");
    }

    pub(super) fn outlook(&mut self, answer: &OutlookAnswer) {
        self.note_if(answer.held.is_some(), "outlook: held");
        self.note_if(answer.life_seconds.is_some(), "outlook: a life measured");
    }
}
