//! Finishes of a random history: in parts, late, repeated, of holders that lost their leases.

use std::io::{self, Write};

use serde_json::json;

use super::History;
use crate::model::{Code, Entry, Finish, Id, Kind};

impl<W: Write> History<W> {
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.holders.is_empty() {
            return self.claim_due();
        }
        let index = self.dice.below(self.holders.len());
        let count = self.holders[index].claimed.len();
        let take = if self.dice.one_in(3) {
            self.dice.below(count + 1)
        } else {
            count
        };
        self.dice.shuffle(&mut self.holders[index].claimed);
        let holder = self.holders[index].id;
        let claimed: Vec<_> = self.holders[index].claimed.drain(..take).collect();
        let done = self.holders[index].claimed.is_empty();
        if done {
            self.holders.remove(index);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (id, fence) in claimed {
            // The same session claimed twice by one holder: each finish names it once.
            if entries.iter().all(|entry| entry.id != id) {
                let entry = self.entry(id, fence);
                entries.push(entry);
            }
        }
        self.finish_with(holder, entries, done)
    }

    /// The answer was lost on its way: the same once more.
    pub(super) fn finish_again(&mut self) -> io::Result<()> {
        if self.finished.is_empty() {
            return self.finish();
        }
        let recent = self.finished.len().saturating_sub(1 + self.dice.below(3));
        let (holder, entries) = self.finished[recent].clone();
        self.finish_with(holder, entries, true)
    }

    fn finish_with(&mut self, holder: Id, entries: Vec<Entry>, done: bool) -> io::Result<()> {
        let arguments = json!({
            "p_holder": holder, "p_run_id": holder, "p_trigger": "cron", "p_results": entries,
            "p_upstream": "setrefresh", "p_done": done,
        });
        let finish = Finish {
            holder,
            entries: &entries,
            done,
        };
        self.coverage.before(&self.database);
        self.coverage.clash(self.database.clash(&finish));
        self.coverage.odd_site(self.database.site_is_odd(self.moment));
        let answer = self.database.finish_sessions(&finish, self.moment, self.unit);
        self.coverage.finish(&self.database, &answer);
        self.finished.push((holder, entries));
        self.tell("finish_sessions", &arguments, &json!(answer))
    }

    fn entry(&mut self, id: Id, fence: i64) -> Entry {
        if self.dice.one_in(10) {
            return plain(id, fence, Kind::Released);
        }
        let outcome = self.dice.outcome(self.mood);
        let kind = match outcome {
            Code::Refreshed => Kind::Refreshed,
            Code::Expired => Kind::Expired,
            _ => Kind::Failed,
        };
        let mut entry = plain(id, fence, kind);
        entry.outcome = Some(outcome);
        entry.own = Some(matches!(
            outcome,
            Code::Refused | Code::Unrecognised | Code::Unusable | Code::Expired
        ));
        let said_over = outcome == Code::Unrecognised && self.dice.one_in(3);
        entry.said_over = (said_over || self.dice.one_in(2)).then_some(said_over);
        entry.tries = if outcome == Code::Unusable {
            0
        } else {
            self.dice.between(1, 3)
        };
        entry.duration_ms = self.dice.between(1, 9000);
        entry.next_in_seconds = Some(self.dice.unit() * if kind == Kind::Refreshed { 1140.0 } else { 120.0 });
        if matches!(outcome, Code::Throttled | Code::UpstreamFault) && !self.dice.one_in(3) {
            entry.retry_after_seconds = Some(self.dice.between(0, 40) as f64);
        }
        if kind == Kind::Refreshed {
            let (token, cookies) = self.secrets();
            entry.token = Some(token);
            entry.cookies = self.dice.one_in(2).then_some(cookies);
            let print = self.dice.below(40);
            entry.fingerprint = self.dice.one_in(2).then(|| format!("print{print}"));
        }
        entry
    }
}

fn plain(id: Id, fence: i64, kind: Kind) -> Entry {
    Entry {
        id,
        fence,
        kind,
        outcome: None,
        own: None,
        said_over: None,
        token: None,
        cookies: None,
        fingerprint: None,
        next_in_seconds: None,
        retry_after_seconds: None,
        duration_ms: 0,
        tries: 0,
    }
}
