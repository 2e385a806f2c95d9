//! Users, jobs and operators, who come in between.

use super::{
    Event, World,
    settings::{DAY, HOUR, MINUTE},
    upstream::Presented,
    weather::Kind,
    worker::Task,
};
use crate::model::{Id, Moment, SECOND, SignIn, State};

/// What happens how often to a session in a hundred days.
const REFRESHES: u32 = 150;
const JOBS: u32 = 20;
const SIGN_INS: u32 = 10;
const SIGN_OUTS: u32 = 3;
const WISHES: u32 = 10;
const SWITCHES: u32 = 3;
const ALL: u32 = REFRESHES + JOBS + SIGN_INS + SIGN_OUTS + WISHES + SWITCHES;

#[derive(Default)]
pub(super) struct People {
    /// Who is about to sign in.
    awaited: Vec<bool>,
    /// Until when a session was out of the product's hands.
    pub(super) absent_until: Vec<Moment>,
}

impl World {
    pub(super) fn insert(&mut self) {
        let number = self.database.sessions().len() as u64 + 1;
        // A tenth of all sessions are one user's, the others have one or two.
        let user = if number.is_multiple_of(10) {
            0
        } else {
            1 + number / 2
        };
        let token = self.upstream.sign_in(Id(number), self.moment, &mut self.rng);
        let sign_in = signed_in(token);
        let unit = self.rng.f64();
        self.database
            .insert(&format!("user{user}@example.com"), sign_in, self.moment, unit);
        self.people.awaited.push(false);
        self.people.absent_until.push(Moment::MIN);
    }

    pub(super) fn sign_in(&mut self, row: Id) {
        if self.is_database_away() {
            self.at(self.moment + MINUTE, Event::SignIn(row));
            return;
        }
        self.people.awaited[row.0 as usize - 1] = false;
        let token = self.upstream.sign_in(row, self.moment, &mut self.rng);
        let unit = self.rng.f64();
        self.database.sign_in(row, signed_in(token), self.moment, unit);
        self.counts.sign_ins += 1;
    }

    pub(super) fn enable(&mut self, row: Id) {
        if self.is_database_away() {
            self.at(self.moment + MINUTE, Event::Enable(row));
            return;
        }
        self.database.set_session_enabled(row, true, self.moment);
        self.people.absent_until[row.0 as usize - 1] = self.moment;
    }

    /// Somebody does something.
    pub(super) fn deed(&mut self) {
        let every = 100 * DAY / i64::from(ALL) / self.settings.sessions as Moment;
        let gap = self.rng.i64(1..2 * every);
        self.at(self.moment + gap, Event::Deed);
        if self.database.sessions().is_empty() {
            return;
        }
        let row = Id(self.rng.u64(1..=self.database.sessions().len() as u64));
        let dice = self.rng.u32(..ALL);
        let mut upto = 0;
        let mut falls = |share: u32| {
            upto += share;
            dice < upto
        };
        if falls(REFRESHES) {
            self.start(Task::User { row });
        } else if falls(JOBS) {
            let last = self.database.sessions().len() as u64;
            let count = self.rng.u64(1..12).min(last);
            let from = self.rng.u64(1..=last + 1 - count);
            self.start(Task::EnsureFresh { from, count });
        } else if falls(SIGN_INS) {
            self.sign_in(row);
        } else if falls(SIGN_OUTS) {
            let token = self.stored(row);
            self.upstream.reals[token.real].ended = true;
        } else if falls(WISHES) {
            self.wish(row);
        } else if !self.is_database_away() {
            self.database.set_session_enabled(row, false, self.moment);
            self.people.absent_until[row.0 as usize - 1] = Moment::MAX;
            let back = self.rng.i64(MINUTE..3 * HOUR);
            self.at(self.moment + back, Event::Enable(row));
        }
    }

    fn wish(&mut self, row: Id) {
        if self.is_database_away() {
            return;
        }
        let fresh_at = self.moment + self.rng.i64(5 * MINUTE..6 * HOUR);
        self.database.wish_fresh(&[row], &[], fresh_at, self.moment);
        self.at(fresh_at + 30 * SECOND, Event::WishedFor(row, fresh_at));
    }

    /// Who finds the session over signs in again, some time.
    pub(super) fn expect_sign_ins(&mut self) {
        for index in 0..self.database.sessions().len() {
            let session = &self.database.sessions()[index];
            if session.state == State::Active || self.people.awaited[index] {
                continue;
            }
            self.people.awaited[index] = true;
            let at = self.moment + self.rng.i64(MINUTE..8 * HOUR);
            self.at(at, Event::SignIn(Id(index as u64 + 1)));
        }
    }

    pub(super) fn stored(&self, row: Id) -> Presented {
        Presented::of(&self.database.session(row).expect("a row of this world").token)
    }

    fn is_database_away(&self) -> bool {
        let away = |kind| matches!(kind, Kind::DatabaseAway { .. }).then_some(());
        self.weather.find(away).is_some()
    }
}

fn signed_in(token: Presented) -> SignIn {
    SignIn {
        token: token.text(),
        cookies: serde_json::json!([{ "name": "PHPSESSID", "value": "1" }]),
    }
}
