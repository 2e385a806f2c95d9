//! `finish_sessions`: what came of claimed sessions is written under their leases.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    answers::{Fate, FinishAnswer, Status, Told, to_millis},
    table::{Attempt, Code, Database, Id, Moment, SECOND, State, WISH_AHEAD, earlier, seconds},
};

/// Arguments of `finish_sessions`.
pub(crate) struct Finish<'a> {
    pub(crate) holder: Id,
    pub(crate) entries: &'a [Entry],
    pub(crate) done: bool,
}

/// An element of `p_results`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) fence: i64,
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) own: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) said_over: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cookies: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_in_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) duration_ms: i64,
    #[serde(default)]
    pub(crate) tries: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Refreshed,
    Failed,
    Expired,
    Released,
}

impl Database {
    pub(crate) fn finish_sessions(&mut self, finish: &Finish<'_>, moment: Moment, unit: f64) -> FinishAnswer {
        let odd_site = self.site_is_odd(moment);
        let exhaust_after = (!odd_site).then_some(self.policy.exhaust_after);
        let judged = self.doubt_refusals_of_all(finish.entries, moment);
        let mut results = if self.clash(finish) {
            let finish = Finish {
                entries: &judged,
                ..*finish
            };
            self.finish_each_alone(&finish, moment, exhaust_after)
        } else {
            self.finish_together(finish.holder, &judged, moment, exhaust_after)
        };
        let answered: Vec<&Entry> = judged
            .iter()
            .zip(&results)
            .filter(|(entry, told)| told.result == Fate::Written && entry.kind != Kind::Released)
            .map(|(entry, _)| entry)
            .collect();
        if finish.done {
            self.slots.remove(&finish.holder);
        }
        let held = self.note_answers(&answered, odd_site, moment, unit);
        for ((told, entry), judged) in results.iter_mut().zip(finish.entries).zip(&judged) {
            if told.result == Fate::Written && entry.kind != judged.kind {
                told.result = Fate::Doubted;
            }
        }
        FinishAnswer {
            now: to_millis(moment),
            results,
            held,
        }
    }

    /// Whether the site answers strangely, rather than single sessions being strange.
    pub(crate) fn site_is_odd(&self, moment: Moment) -> bool {
        let last = self.last_answers(moment);
        let share = Share::of(last.map(|(id, outcome)| (id, outcome.is_strange())));
        share.strange >= 3 && 5 * share.strange >= share.sessions
    }

    /// What the site told of sessions lately, the latest first.
    fn last_answers(&self, moment: Moment) -> impl Iterator<Item = (Id, Code)> {
        self.attempts_by_time
            .iter()
            .rev()
            .take(100)
            .take_while(move |(at, ..)| *at > moment - LONGEST_LIFE)
            .map(|(_, id, fence)| (*id, self.attempts[&(*id, *fence)].outcome))
    }

    /// So many sessions called over: the site has lost its mind.
    fn doubt_refusals_of_all(&self, entries: &[Entry], moment: Moment) -> Vec<Entry> {
        let mut judged = entries.to_vec();
        if !entries.iter().any(Entry::calls_over) {
            return judged;
        }
        let newly = entries
            .iter()
            .filter(|entry| entry.kind != Kind::Released)
            .map(|entry| (entry.id, entry.calls_over()));
        // Earlier ones that were not believed stand there as unrecognised.
        let before = self
            .last_answers(moment)
            .map(|(id, outcome)| (id, matches!(outcome, Code::Expired | Code::Unrecognised)));
        let share = Share::of(newly.chain(before));
        if share.strange <= 10 || 5 * share.strange < share.sessions {
            return judged;
        }
        for entry in &mut judged {
            let may_live = self
                .session(entry.id)
                .is_some_and(|session| session.alive_at() > moment - LONGEST_LIFE);
            if entry.calls_over() && may_live {
                entry.kind = Kind::Failed;
                entry.outcome = Some(Code::Unrecognised);
                entry.own = Some(false);
                entry.said_over = Some(true);
            }
        }
        judged
    }

    /// Two entries with one new fingerprint for one user: the table's uniqueness refuses them together.
    pub(crate) fn clash(&self, finish: &Finish<'_>) -> bool {
        let mut taken = BTreeSet::new();
        finish.entries.iter().any(|entry| {
            let Some(print) = &entry.fingerprint else {
                return false;
            };
            let Some(session) = self
                .session(entry.id)
                .filter(|_| self.holds(finish.holder, entry))
            else {
                return false;
            };
            !self.others_have(entry.id, print) && !taken.insert((session.user.clone(), print.clone()))
        })
    }

    fn holds(&self, holder: Id, entry: &Entry) -> bool {
        self.session(entry.id)
            .is_some_and(|session| session.lease_holder == Some(holder) && session.fence == entry.fence)
    }

    fn others_have(&self, id: Id, print: &str) -> bool {
        let user = &self.session(id).expect("it is held").user;
        self.of_user(user)
            .iter()
            .filter(|other| **other != id)
            .any(|other| {
                self.session(*other)
                    .and_then(|other| other.fingerprint.as_deref())
                    == Some(print)
            })
    }

    fn finish_each_alone(
        &mut self,
        finish: &Finish<'_>,
        moment: Moment,
        exhaust_after: Option<i64>,
    ) -> Vec<Told> {
        let mut order: Vec<usize> = (0..finish.entries.len()).collect();
        order.sort_by_key(|position| finish.entries[*position].id);
        let mut told: Vec<Option<Told>> = vec![None; order.len()];
        for position in order {
            let entry = std::slice::from_ref(&finish.entries[position]);
            told[position] = self
                .finish_together(finish.holder, entry, moment, exhaust_after)
                .pop();
        }
        told.into_iter().flatten().collect()
    }

    fn finish_together(
        &mut self,
        holder: Id,
        entries: &[Entry],
        moment: Moment,
        exhaust_after: Option<i64>,
    ) -> Vec<Told> {
        // One statement: all of it sees the tables as they were before.
        let prints: Vec<Option<&String>> = entries
            .iter()
            .map(|entry| {
                let free = |print: &&String| self.holds(holder, entry) && !self.others_have(entry.id, print);
                entry.fingerprint.as_ref().filter(free)
            })
            .collect();
        let mut told = Vec::with_capacity(entries.len());
        for (entry, print) in entries.iter().zip(prints) {
            let result = if self.holds(holder, entry) {
                self.write(entry, print, moment, exhaust_after);
                Fate::Written
            } else if self.wrote_before(entry) {
                Fate::Already
            } else {
                Fate::Lost
            };
            told.push(Told {
                id: entry.id,
                result,
                status: self.session(entry.id).map(|session| Status::of(session, moment)),
            });
        }
        told
    }

    fn wrote_before(&self, entry: &Entry) -> bool {
        self.attempts
            .get(&(entry.id, entry.fence))
            .is_some_and(|attempt| attempt.outcome != Code::Abandoned)
    }

    fn write(&mut self, entry: &Entry, print: Option<&String>, moment: Moment, exhaust_after: Option<i64>) {
        let wish = self.next_wish(entry.id, moment);
        let try_for_wish = self.next_try_for_wish(entry.id, moment);
        let alive_at = self.session(entry.id).expect("it is held").alive_at();
        self.change(entry.id, |session| {
            if let Some(token) = &entry.token {
                session.token.clone_from(token);
            }
            if let Some(cookies) = &entry.cookies {
                session.cookies.clone_from(cookies);
            }
            if let Some(print) = print {
                session.fingerprint = Some(print.clone());
            }
            session.lease_holder = None;
            session.lease_expires = None;
            session.track(entry, wish, try_for_wish, moment, exhaust_after);
        });
        if entry.kind == Kind::Released {
            return;
        }
        let attempt = Attempt {
            finished_at: moment,
            outcome: entry.outcome.expect("finish_sessions wants one"),
            tries: entry.tries,
            duration_ms: entry.duration_ms,
            age_seconds: Some(rounded_seconds(moment - alive_at)),
        };
        self.note_attempt(entry.id, entry.fence, attempt);
        if entry.kind == Kind::Refreshed {
            self.grant_wishes(entry.id, moment);
        }
    }
}

impl Database {
    fn grant_wishes(&mut self, id: Id, moment: Moment) {
        self.forget_wishes(id, moment + WISH_AHEAD);
    }

    pub(super) fn forget_wishes(&mut self, id: Id, until: Moment) {
        let until = (id, until);
        let granted: Vec<_> = self.wishes.range((id, Moment::MIN)..=until).copied().collect();
        for wish in granted {
            self.wishes.remove(&wish);
        }
    }
}

impl super::table::Session {
    fn track(
        &mut self,
        entry: &Entry,
        wish: Option<Moment>,
        try_for_wish: Option<Moment>,
        moment: Moment,
        exhaust_after: Option<i64>,
    ) {
        if entry.kind == Kind::Released {
            return;
        }
        self.last_attempt = Some(moment);
        let own = entry.own == Some(true) && exhaust_after.is_some();
        let exhausts = own && exhaust_after.is_some_and(|after| self.session_failures + 1 >= after);
        let next = || moment + seconds(entry.next_in_seconds.expect("finish_sessions wants one"));
        if entry.kind == Kind::Refreshed {
            self.last_refresh = Some(moment);
            self.refresh_count += 1;
            self.last_error = None;
            self.consecutive_failures = 0;
            self.session_failures = 0;
            self.refusals_in_doubt = 0;
            self.in_doubt_since = None;
            self.state = State::Active;
            self.next_refresh = Some(earlier(next(), wish));
            return;
        }
        self.last_error = entry.outcome;
        self.consecutive_failures += 1;
        self.session_failures += i64::from(own);
        let said_over = entry.kind == Kind::Failed && entry.said_over == Some(true);
        self.refusals_in_doubt += i64::from(said_over);
        if entry.outcome.is_some_and(Code::leaves_doubt) {
            self.in_doubt_since.get_or_insert(moment);
        }
        if entry.kind == Kind::Expired {
            self.state = State::Expired;
            self.next_refresh = None;
        } else if exhausts {
            self.state = State::Exhausted;
            self.next_refresh = None;
        } else if entry.outcome == Some(Code::Throttled) || entry.retry_after_seconds.is_some() {
            self.next_refresh = Some(next());
        } else {
            self.next_refresh = Some(earlier(next(), try_for_wish));
        }
    }
}

/// How many sessions, and of how many of them the latest answer was strange.
struct Share {
    strange: usize,
    sessions: usize,
}

impl Share {
    /// Of answers, the latest first.
    fn of(answers: impl Iterator<Item = (Id, bool)>) -> Self {
        let mut latest = BTreeMap::new();
        for (id, is_strange) in answers {
            latest.entry(id).or_insert(is_strange);
        }
        Self {
            strange: latest.values().filter(|is_strange| **is_strange).count(),
            sessions: latest.len(),
        }
    }
}

/// Longer than any session lived without a refresh.
const LONGEST_LIFE: Moment = 90 * 60 * SECOND;

impl Entry {
    /// Whether the site called the session over, believed or not.
    pub(super) fn calls_over(&self) -> bool {
        self.kind == Kind::Expired || self.said_over == Some(true)
    }
}

impl Code {
    /// It shows that the session, or the site, is strange.
    fn is_strange(self) -> bool {
        matches!(self, Self::Refused | Self::Unrecognised | Self::Expired)
    }

    /// Upstream may have handed out a token that nobody saw.
    fn leaves_doubt(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::TimedOut | Self::UpstreamFault | Self::Unrecognised
        )
    }
}

/// As a `numeric` becomes an `integer`: halves away from zero.
fn rounded_seconds(interval: Moment) -> i64 {
    (interval.abs() + SECOND / 2) / SECOND * interval.signum()
}
