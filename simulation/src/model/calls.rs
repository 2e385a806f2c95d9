//! The smaller functions, and the tables as a test compares them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answers::{Held, Named, OutlookAnswer, Standing, Status, to_millis},
    table::{
        Breaker, Code, Database, HOUR, Id, LONG_AGO, Moment, Policy, SECOND, Session, State, WISH_AHEAD,
    },
};

/// Days in microseconds.
const DAY: Moment = 86_400 * SECOND;

impl Database {
    pub(crate) fn session_status(&self, email: &str, session_id: Option<Id>, moment: Moment) -> Value {
        let own = match session_id {
            Some(id) => Some(id).filter(|id| self.of_user(email).contains(id)),
            None => self.latest_of(email),
        };
        let status = own
            .and_then(|id| self.session(id))
            .map(|session| Status::of(session, moment));
        json!({ "now": to_millis(moment), "status": status })
    }

    pub(crate) fn due_sessions_count(&self, most: usize, moment: Moment) -> usize {
        self.due_until(moment)
            .filter(|session| !session.is_leased(moment))
            .take(most)
            .count()
    }

    pub(crate) fn outlook(&mut self, policy: Policy, most: usize, moment: Moment) -> OutlookAnswer {
        self.policy = policy;
        if self.life.0.is_none_or(|at| at <= moment - HOUR) {
            self.life = (Some(moment), self.measured_life(moment));
        }
        let up = self.upstream.as_ref();
        let paused = up.map(|up| up.paused_until).filter(|until| *until > moment);
        let open = up
            .filter(|up| up.breaker != Breaker::Closed && up.breaker_until > moment)
            .map(|up| up.breaker_until);
        OutlookAnswer {
            now: to_millis(moment),
            due: self.due_sessions_count(most, moment),
            held: paused.map(|_| Held::Paused).or(open.map(|_| Held::Breaker)),
            retry_in_ms: paused
                .or(open)
                .map(|until| (until - moment).div_euclid(1000) + i64::from((until - moment) % 1000 > 0)),
            in_flight: self
                .slots
                .values()
                .filter(|slot| slot.expires > moment)
                .map(|slot| slot.width)
                .sum(),
            calls_per_second: up.map_or(policy.calls_per_second, |up| up.current_rate(&policy, moment)),
            refresh_ms: self.refreshes_took(moment - 600 * SECOND),
            life_seconds: self.life.1,
        }
    }

    /// On average, of the last hundred attempts at most; rounded, halves up.
    fn refreshes_took(&self, since: Moment) -> Option<i64> {
        let mut last: Vec<_> = Vec::new();
        for (at, id, fence) in self.attempts_by_time.iter().rev() {
            // All of the moment at which the hundred is full: which of them count is decided by their ids.
            if *at <= since || (last.len() >= 100 && last.last().is_some_and(|(earlier, _, _)| earlier != at))
            {
                break;
            }
            last.push((*at, *id, *fence));
        }
        last.sort_by_key(|(at, id, _)| (-*at, *id));
        let took: Vec<i64> = last
            .iter()
            .take(100)
            .map(|(_, id, fence)| &self.attempts[&(*id, *fence)])
            .filter(|attempt| attempt.tries > 0)
            .map(|attempt| attempt.duration_ms)
            .collect();
        let count = took.len() as i64;
        (count > 0).then(|| (2 * took.iter().sum::<i64>() + count) / (2 * count))
    }

    fn measured_life(&self, moment: Moment) -> Option<i64> {
        let week = (moment - 7 * 24 * HOUR).div_euclid(HOUR) + 1;
        self.life_since(week).or_else(|| self.life_since(Moment::MIN))
    }

    fn life_since(&self, hour: Moment) -> Option<i64> {
        let mut by_minute: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for ((_, minute), (told, ended)) in self.ages.range((hour, 0)..) {
            let sum = by_minute.entry(*minute).or_default();
            *sum = (sum.0 + told, sum.1 + ended);
        }
        let (mut told_beyond, mut ended_beyond, mut life) = (0, 0, None);
        for (minute, (told, ended)) in by_minute.iter().rev() {
            told_beyond += told;
            ended_beyond += ended;
            if ended * 10 >= *told && ended_beyond >= 5 && ended_beyond * 10 >= told_beyond {
                life = Some(minute * 60);
            }
        }
        life
    }

    pub(crate) fn wish_fresh(
        &mut self,
        ids: &[Id],
        emails: &[String],
        fresh_at: Moment,
        moment: Moment,
    ) -> Value {
        let begin_at = (fresh_at - WISH_AHEAD).max(moment);
        let named = self.named_sessions(ids, emails);
        for id in named.iter().flatten() {
            self.forget_wishes(*id, moment);
        }
        for id in named.iter().flatten() {
            self.wishes.insert((*id, fresh_at));
            self.change(*id, |session| {
                if session.last_error != Some(Code::Throttled)
                    && session.state == State::Active
                    && session.next_refresh.is_some_and(|at| at > begin_at)
                {
                    session.next_refresh = Some(begin_at);
                }
            });
        }
        let entry = |id: &Option<Id>| -> Named {
            let state = id.and_then(|id| self.session(id)).map(|session| session.state);
            let standing = match state {
                Some(State::Active) => Standing::Active,
                Some(State::Expired) => Standing::Expired,
                Some(State::Exhausted) => Standing::Exhausted,
                None => Standing::NotFound,
            };
            self.named(*id, standing, moment)
        };
        let entries: Vec<_> = named.iter().map(entry).collect();
        json!({ "now": to_millis(moment), "entries": entries })
    }

    pub(crate) fn set_session_enabled(&mut self, id: Id, enabled: bool, moment: Moment) -> Value {
        let known = self.session(id).is_some();
        if known {
            self.change(id, |session| {
                session.enabled = enabled;
                if enabled && session.state == State::Exhausted {
                    session.next_refresh = Some(moment);
                    session.session_failures = 0;
                    session.state = State::Active;
                }
            });
        }
        let status = self.session(id).map(|session| Status::of(session, moment));
        json!({ "now": to_millis(moment), "status": status })
    }

    pub(crate) fn finish_run(
        &mut self,
        holder: Id,
        claimed: usize,
        retention_days: i64,
        moment: Moment,
    ) -> Value {
        let remaining = self.due_sessions_count(10_001, moment);
        self.slots.remove(&holder);
        let past = moment - retention_days * DAY;
        for _ in 0..(2 * claimed).max(1000) {
            let Some((at, id, fence)) = self.attempts_by_time.first().copied() else {
                break;
            };
            if at >= past {
                break;
            }
            self.attempts_by_time.pop_first();
            self.attempts.remove(&(id, fence));
        }
        json!({ "remaining": remaining })
    }

    /// All that a test compares.
    pub(crate) fn tables(&self) -> Value {
        let sessions: Vec<_> = self.sessions().iter().map(session_row).collect();
        let upstream = self.upstream.as_ref().map(|up| {
            json!({
                "next_start_at": known(up.next_start), "next_urgent_at": known(up.next_urgent),
                "rate": up.rate, "rate_at": up.rate_at, "paused_until": known(up.paused_until),
                "breaker": up.breaker, "breaker_until": known(up.breaker_until), "openings": up.openings,
                "window_at": known(up.window_at), "answers": up.now.answers, "faults": up.now.faults,
                "throttles": up.now.throttles, "answers_before": up.before.answers,
                "faults_before": up.before.faults, "throttles_before": up.before.throttles,
                "throttled": up.throttled, "throttled_before": up.throttled_before,
            })
        });
        let slots: Vec<_> = self
            .slots
            .iter()
            .map(|(holder, slot)| json!([holder, slot.width, slot.expires]))
            .collect();
        let attempts: Vec<_> = self
            .attempts
            .iter()
            .map(|((id, fence), attempt)| {
                json!([
                    id,
                    fence,
                    attempt.finished_at,
                    attempt.outcome,
                    attempt.tries,
                    attempt.age_seconds
                ])
            })
            .collect();
        json!({
            "sessions": sessions, "upstream": upstream, "slots": slots, "wishes": self.wishes, "attempts": attempts,
        })
    }
}

fn session_row(session: &Session) -> Value {
    json!({
        "id": session.id, "token": session.token, "cookies": session.cookies, "fingerprint": session.fingerprint,
        "signed_in_at": session.signed_in_at, "last_refresh_date": session.last_refresh,
        "refresh_count": session.refresh_count, "last_refresh_error": session.last_error,
        "auto_refresh_enabled": session.enabled, "next_refresh_at": session.next_refresh,
        "refresh_state": session.state, "consecutive_failures": session.consecutive_failures,
        "session_failures": session.session_failures,
        "refusals_in_doubt": session.refusals_in_doubt, "in_doubt_since": session.in_doubt_since,
        "last_attempt_at": session.last_attempt, "lease_holder": session.lease_holder,
        "lease_expires_at": session.lease_expires, "lease_fence": session.fence,
    })
}

fn known(moment: Moment) -> Option<Moment> {
    (moment != LONG_AGO).then_some(moment)
}
