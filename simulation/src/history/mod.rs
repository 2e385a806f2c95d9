//! Random histories of calls of the SQL functions, with what the model answers: `tests/model.test.mjs` replays them
//! on a real database and compares.

mod coverage;
mod dice;
mod finishing;

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::model::{Database, DueClaim, Id, Moment, NamedClaim, Policy, SECOND, SignIn, State, UserClaim};
use coverage::Coverage;
use dice::{Dice, Mood};

/// 2026-12-01T00:00:00Z.
const START: Moment = 1_796_083_200 * SECOND;

/// What a new database's policy is.
const POLICY: Policy = Policy {
    interval_seconds: 1200,
    max_in_flight: 24,
    calls_per_second: 20.0,
    exhaust_after: 10,
};

/// Who claimed, and what is to be finished still.
struct Holder {
    id: Id,
    claimed: Vec<(Id, i64)>,
}

/// A random history; the same seed gives the same one.
pub struct History<W> {
    out: W,
    database: Database,
    dice: Dice,
    moment: Moment,
    unit: f64,
    policy: Policy,
    mood: Mood,
    holders: Vec<Holder>,
    finished: Vec<(Id, Vec<crate::model::Entry>)>,
    next_id: u64,
    tokens: u64,
    coverage: Coverage,
}

impl<W: Write> History<W> {
    /// Writes `steps` steps to `out`, each a line of JSON, and what they reached in the last one.
    pub fn write(seed: u64, steps: usize, out: W) -> io::Result<()> {
        let mut history = Self {
            out,
            database: Database::new(POLICY),
            dice: Dice::new(seed),
            moment: START,
            unit: 0.5,
            policy: POLICY,
            mood: Mood::Calm,
            holders: Vec::new(),
            finished: Vec::new(),
            next_id: 1 << 32,
            tokens: 0,
            coverage: Coverage::default(),
        };
        history.people()?;
        for step in 0..steps {
            history.tick();
            history.step()?;
            if step % 25 == 24 {
                history.tables()?;
            }
        }
        history.tables()?;
        let coverage = json!({ "call": "coverage", "answer": history.coverage.counts() });
        writeln!(history.out, "{coverage}")
    }

    /// A user with many sessions, and others with a few.
    fn people(&mut self) -> io::Result<()> {
        for index in 0..60_usize {
            let user = if index % 2 == 0 { 0 } else { 1 + index / 2 % 19 };
            self.tick();
            self.insert(&format!("user{user}@example.com"))?;
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.moment += self.dice.pause();
        self.unit = self.dice.unit();
        if self.dice.one_in(25) {
            self.mood = self.dice.mood();
        }
        if self.dice.one_in(60) {
            self.policy = self.dice.policy();
            self.coverage.note("policy changed");
        }
    }

    fn step(&mut self) -> io::Result<()> {
        match self.dice.below(100) {
            0..=27 => self.claim_due(),
            28..=35 => self.claim_of_user(),
            36..=43 => self.claim_named(),
            44..=76 => self.finish(),
            77..=78 => self.finish_again(),
            79..=83 => self.sign_in(),
            84 => {
                let user = self.dice.user();
                self.insert(&user)
            }
            85..=88 => self.wish(),
            89..=93 => self.enable(),
            94..=95 => self.finish_run(),
            96..=97 => self.outlook(),
            _ => self.status(),
        }
    }

    fn claim_due(&mut self) -> io::Result<()> {
        let holder = self.holder();
        let claim = DueClaim {
            holder,
            limit: self.dice.between(1, 25),
            width: self.dice.between(1, 8),
            lease_seconds: self.dice.between(10, 90),
            policy: self.policy,
        };
        let arguments = json!({
            "p_run_id": holder, "p_trigger": "cron", "p_holder": holder, "p_limit": claim.limit, "p_width": claim.width,
            "p_lease_seconds": claim.lease_seconds, "p_upstream": "setrefresh", "p_policy": claim.policy,
        });
        self.coverage.before_due_claim(&self.database, self.moment);
        let answer = self.database.claim_due_sessions(&claim, self.moment);
        self.coverage.due_claim(&self.database, &answer);
        self.keep(holder, &answer.sessions);
        self.tell("claim_due_sessions", &arguments, &json!(answer))
    }

    fn claim_of_user(&mut self) -> io::Result<()> {
        let id = self.some_session();
        let session_id = self.dice.one_in(3).then_some(id);
        // Mostly its user.
        let email = if self.dice.one_in(3) {
            self.dice.user()
        } else {
            self.database.sessions()[id.0 as usize - 1].user.to_string()
        };
        let claim = UserClaim {
            email: &email,
            session_id,
            holder: self.holder(),
            lease_seconds: self.dice.between(10, 60),
            reuse_seconds: self.dice.between(0, 60),
            min_seconds: self.dice.between(0, 60),
            policy: self.policy,
        };
        let arguments = json!({
            "p_email": email, "p_session_id": session_id, "p_holder": claim.holder,
            "p_lease_seconds": claim.lease_seconds, "p_reuse_seconds": claim.reuse_seconds,
            "p_min_seconds": claim.min_seconds, "p_upstream": "setrefresh", "p_policy": claim.policy,
        });
        self.coverage.before(&self.database);
        let answer = self.database.claim_session(&claim, self.moment);
        self.coverage.user_claim(&self.database, &answer);
        if let Some(Some(claimed)) = &answer.session {
            self.keep(claim.holder, std::slice::from_ref(claimed));
        }
        self.tell("claim_session", &arguments, &json!(answer))
    }

    fn claim_named(&mut self) -> io::Result<()> {
        let holder = self.holder();
        let (ids, emails) = self.names();
        let claim = NamedClaim {
            holder,
            ids: &ids,
            emails: &emails,
            max_age_seconds: self.dice.between(0, 1200),
            limit: self.dice.between(1, 20),
            width: self.dice.between(1, 6),
            lease_seconds: self.dice.between(10, 60),
            policy: self.policy,
        };
        let arguments = json!({
            "p_run_id": holder, "p_trigger": "api", "p_holder": holder, "p_ids": ids, "p_emails": emails,
            "p_max_age_seconds": claim.max_age_seconds, "p_limit": claim.limit, "p_width": claim.width,
            "p_lease_seconds": claim.lease_seconds, "p_upstream": "setrefresh", "p_policy": claim.policy,
        });
        self.coverage.before(&self.database);
        let answer = self.database.claim_sessions(&claim, self.moment);
        self.coverage.named_claim(&self.database, &answer);
        self.keep(holder, &answer.sessions);
        self.tell("claim_sessions", &arguments, &json!(answer))
    }

    fn sign_in(&mut self) -> io::Result<()> {
        let id = self.some_session();
        let same = self.dice.one_in(6);
        let session = self.database.session(id).expect("some session");
        let (token, cookies) = if same {
            (session.token.clone(), session.cookies.clone())
        } else {
            self.secrets()
        };
        let arguments = json!({ "id": id, "token": token, "cookies": cookies });
        self.coverage.before(&self.database);
        self.coverage.sign_in(&self.database, id, same, self.moment);
        self.database
            .sign_in(id, SignIn { token, cookies }, self.moment, self.unit);
        self.tell("sign_in", &arguments, &Value::Null)
    }

    fn insert(&mut self, user: &str) -> io::Result<()> {
        let (token, cookies) = self.secrets();
        let sign_in = SignIn {
            token: token.clone(),
            cookies: cookies.clone(),
        };
        let id = self.database.insert(user, sign_in, self.moment, self.unit);
        let arguments = json!({
            "id": id, "user": user, "token": token, "cookies": cookies, "created_at": self.moment,
        });
        self.tell("insert", &arguments, &Value::Null)
    }

    fn wish(&mut self) -> io::Result<()> {
        let (ids, emails) = self.names();
        let fresh_at = self.moment + self.dice.between(0, 2400) * SECOND + self.dice.between(0, 999_999);
        let arguments = json!({ "p_ids": ids, "p_emails": emails, "p_fresh_at": fresh_at });
        self.coverage.before(&self.database);
        let answer = self.database.wish_fresh(&ids, &emails, fresh_at, self.moment);
        self.coverage.wish(&self.database);
        self.tell("wish_fresh", &arguments, &answer)
    }

    fn enable(&mut self) -> io::Result<()> {
        let id = self.some_session();
        let enabled = !self.dice.one_in(3);
        let arguments = json!({ "p_session_id": id, "p_enabled": enabled });
        self.coverage.before(&self.database);
        let answer = self.database.set_session_enabled(id, enabled, self.moment);
        self.coverage.enabled(&self.database);
        self.tell("set_session_enabled", &arguments, &answer)
    }

    fn finish_run(&mut self) -> io::Result<()> {
        let holder = self.old_holder().unwrap_or(Id(7));
        let arguments = json!({
            "p_run_id": holder, "p_holder": holder, "p_summary": { "claimed": 3, "durationMs": 5 },
            "p_retention_days": 1,
        });
        let answer = self.database.finish_run(holder, 3, 1, self.moment);
        self.tell("finish_run", &arguments, &answer)
    }

    fn outlook(&mut self) -> io::Result<()> {
        let arguments = json!({ "p_upstream": "setrefresh", "p_policy": self.policy, "p_limit": 30 });
        let answer = self.database.outlook(self.policy, 30, self.moment);
        self.coverage.outlook(&answer);
        self.tell("outlook", &arguments, &json!(answer))
    }

    fn status(&mut self) -> io::Result<()> {
        let email = self.dice.user();
        let session_id = self.dice.one_in(3).then(|| self.some_session());
        let arguments = json!({ "p_email": email, "p_session_id": session_id });
        let answer = self.database.session_status(&email, session_id, self.moment);
        self.tell("session_status", &arguments, &answer)
    }

    fn tables(&mut self) -> io::Result<()> {
        let tables = self.database.tables();
        self.tell("tables", &json!({}), &tables)
    }

    fn tell(&mut self, call: &str, arguments: &Value, answer: &Value) -> io::Result<()> {
        let step = json!({
            "call": call, "arguments": arguments, "at": self.moment, "unit": self.unit, "answer": answer,
        });
        writeln!(self.out, "{step}")
    }

    fn secrets(&mut self) -> (String, Value) {
        self.tokens += 1;
        let cookies = json!([{ "name": "PHPSESSID", "value": self.tokens.to_string() }]);
        (format!("1|1|{:032x}", self.tokens), cookies)
    }

    /// Those that were given up more often than others: they are few.
    fn some_session(&mut self) -> Id {
        let sessions = self.database.sessions();
        let given_up: Vec<Id> = sessions
            .iter()
            .filter(|session| session.state == State::Exhausted)
            .map(|session| session.id)
            .collect();
        if !given_up.is_empty() && self.dice.one_in(2) {
            return given_up[self.dice.below(given_up.len())];
        }
        Id(self.dice.below(self.database.sessions().len()) as u64 + 1)
    }

    /// Ids and e-mails, some of nobody, some twice.
    fn names(&mut self) -> (Vec<Id>, Vec<String>) {
        let mut ids = Vec::new();
        for _ in 0..self.dice.below(5) {
            ids.push(self.some_session());
        }
        if self.dice.one_in(4) {
            ids.extend(ids.last().copied());
            ids.push(Id(99_999));
        }
        let emails = (0..self.dice.below(3)).map(|_| self.dice.user()).collect();
        (ids, emails)
    }

    /// Mostly a new one.
    fn holder(&mut self) -> Id {
        if self.dice.one_in(3)
            && let Some(old) = self.old_holder()
        {
            return old;
        }
        self.next_id += 1;
        Id(self.next_id)
    }

    fn old_holder(&mut self) -> Option<Id> {
        let index = self.dice.below(self.holders.len().max(1));
        self.holders.get(index).map(|holder| holder.id)
    }

    fn keep(&mut self, holder: Id, sessions: &[crate::model::Claimed]) {
        if sessions.is_empty() {
            return;
        }
        let claimed = sessions.iter().map(|session| (session.id, session.fence));
        if let Some(old) = self.holders.iter_mut().find(|old| old.id == holder) {
            old.claimed.extend(claimed);
        } else {
            let claimed = claimed.collect();
            self.holders.push(Holder { id: holder, claimed });
        }
        // The oldest died: its leases run out.
        if self.holders.len() > 12 {
            self.holders.remove(0);
        }
    }
}
