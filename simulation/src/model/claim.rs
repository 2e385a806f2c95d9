//! The three claims, and which sessions are due.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    admit::May,
    answers::{
        Claimed, DueClaimAnswer, Held, Named, NamedClaimAnswer, Standing, Status, UserClaimAnswer,
        UserResult, to_millis,
    },
    table::{Attempt, Code, Database, Id, Moment, Policy, SECOND, State, in_seconds, seconds},
};

/// Arguments of `claim_due_sessions`.
pub(crate) struct DueClaim {
    pub(crate) holder: Id,
    pub(crate) limit: i64,
    pub(crate) width: i64,
    pub(crate) lease_seconds: i64,
    pub(crate) policy: Policy,
}

/// Arguments of `claim_session`.
pub(crate) struct UserClaim<'a> {
    pub(crate) email: &'a str,
    pub(crate) session_id: Option<Id>,
    pub(crate) holder: Id,
    pub(crate) lease_seconds: i64,
    pub(crate) reuse_seconds: i64,
    pub(crate) min_seconds: i64,
    pub(crate) policy: Policy,
}

/// Arguments of `claim_sessions`.
pub(crate) struct NamedClaim<'a> {
    pub(crate) holder: Id,
    pub(crate) ids: &'a [Id],
    pub(crate) emails: &'a [String],
    pub(crate) max_age_seconds: i64,
    pub(crate) limit: i64,
    pub(crate) width: i64,
    pub(crate) lease_seconds: i64,
    pub(crate) policy: Policy,
}

impl Database {
    pub(crate) fn claim_due_sessions(&mut self, claim: &DueClaim, moment: Moment) -> DueClaimAnswer {
        self.policy = claim.policy;
        let may = self.admit(claim.holder, claim.width, false, moment);
        let wanted = claim.limit.min(may.most);
        let ids = if wanted > 0 {
            self.oldest_due(wanted as usize, moment)
        } else {
            Vec::new()
        };
        let count = ids.len() as i64;
        let mut sessions = Vec::new();
        if count > 0 {
            sessions = self.lease_sessions(&ids, claim.holder, claim.lease_seconds, moment, &may);
            self.take_starts(claim.holder, &may, count, false, moment, claim.lease_seconds);
        }
        let ran_out = may.held.is_none() && count == may.most && may.most < claim.limit;
        let (held, retry) = match (ran_out, may.probe) {
            (true, true) => (Some(Held::Breaker), Some(1000)),
            (true, false) => (
                Some(Held::Rate),
                Some((1000.0 / may.rate).ceil().max(2500.0) as i64),
            ),
            (false, _) => (may.held, may.retry_in_ms()),
        };
        DueClaimAnswer {
            now: to_millis(moment),
            sessions,
            width: may.width,
            held,
            retry_in_ms: retry,
        }
    }

    pub(crate) fn claim_session(&mut self, claim: &UserClaim<'_>, moment: Moment) -> UserClaimAnswer {
        let own = match claim.session_id {
            Some(id) => Some(id).filter(|id| self.of_user(claim.email).contains(id)),
            None => self.latest_of(claim.email),
        };
        let mut answer = UserClaimAnswer {
            held: None,
            retry_after_seconds: None,
            result: UserResult::NotFound,
            now: to_millis(moment),
            status: None,
            session: None,
        };
        let Some(session) = own.and_then(|id| self.session(id)) else {
            return answer;
        };
        let id = session.id;
        let wait_until = session
            .last_attempt
            .map(|at| at + claim.min_seconds * SECOND)
            .max(
                session
                    .next_refresh
                    .filter(|_| session.last_error == Some(Code::Throttled)),
            );
        let mut claimed = None;
        answer.result = if session.state == State::Expired {
            UserResult::Expired
        } else if session.is_leased(moment) && session.lease_holder != Some(claim.holder) {
            UserResult::Busy
        } else if session.is_leased(moment) {
            claimed = Some(Claimed::of(session, moment, 0));
            UserResult::Claimed
        } else if session
            .last_refresh
            .is_some_and(|at| at > moment - claim.reuse_seconds * SECOND)
            && session.last_error.is_none()
        {
            UserResult::Reused
        } else if let Some(until) = wait_until.filter(|until| *until > moment) {
            answer.retry_after_seconds = Some((in_seconds(until - moment).ceil() as i64).max(1));
            UserResult::TooSoon
        } else {
            self.policy = claim.policy;
            let may = self.admit(claim.holder, 1, true, moment);
            if may.most == 0 {
                answer.held = may.held;
                answer.retry_after_seconds = Some((may.retry.ceil() as i64).max(1));
                UserResult::Spared
            } else {
                self.take_up_again(id, moment);
                claimed = self
                    .lease_sessions(&[id], claim.holder, claim.lease_seconds, moment, &may)
                    .pop();
                self.take_starts(claim.holder, &may, 1, true, moment, claim.lease_seconds);
                UserResult::Claimed
            }
        };
        answer.session = Some(claimed);
        answer.status = self.session(id).map(|session| Status::of(session, moment));
        answer
    }

    pub(crate) fn claim_sessions(&mut self, claim: &NamedClaim<'_>, moment: Moment) -> NamedClaimAnswer {
        self.policy = claim.policy;
        let named = self.named_sessions(claim.ids, claim.emails);
        let may = self.admit(claim.holder, claim.width, true, moment);
        let oldest = moment - claim.max_age_seconds * SECOND;
        let standings: BTreeMap<Id, Standing> = named
            .iter()
            .flatten()
            .map(|id| (*id, self.standing(*id, claim.holder, oldest, moment)))
            .collect();
        let mut seen = BTreeSet::new();
        let ids: Vec<Id> = named
            .iter()
            .flatten()
            .copied()
            .filter(|id| seen.insert(*id) && standings[id] == Standing::Spared)
            .take(may.most.min(claim.limit) as usize)
            .collect();
        // What an earlier call of this holder leased keeps its fence, and its right to a call.
        let earlier = standings
            .iter()
            .filter(|(_, standing)| **standing == Standing::Claimed);
        let mut sessions: Vec<Claimed> = earlier
            .filter_map(|(id, _)| self.session(*id))
            .map(|session| Claimed::of(session, moment, 0))
            .collect();
        if !ids.is_empty() {
            for id in &ids {
                self.take_up_again(*id, moment);
            }
            let newly = self.lease_sessions(&ids, claim.holder, claim.lease_seconds, moment, &may);
            sessions.extend(newly);
            let count = ids.len() as i64;
            self.take_starts(claim.holder, &may, count, true, moment, claim.lease_seconds);
        }
        let entry = |id: &Option<Id>| -> Named {
            let claimed = id.is_some_and(|id| ids.contains(&id));
            let standing = id.map_or(Standing::NotFound, |id| standings[&id]);
            self.named(*id, if claimed { Standing::Claimed } else { standing }, moment)
        };
        NamedClaimAnswer {
            now: to_millis(moment),
            width: may.width.max(i64::from(!sessions.is_empty())),
            held: may.held,
            retry_in_ms: may.retry_in_ms().unwrap_or(250),
            sessions,
            entries: named.iter().map(entry).collect(),
        }
    }

    /// `None` where there is none.
    pub(crate) fn named_sessions(&self, ids: &[Id], emails: &[String]) -> Vec<Option<Id>> {
        let by_id = ids.iter().map(|id| self.session(*id).map(|session| session.id));
        let by_email = emails.iter().map(|email| self.latest_of(email));
        by_id.chain(by_email).collect()
    }

    fn standing(&self, id: Id, holder: Id, oldest: Moment, moment: Moment) -> Standing {
        let session = self.session(id).expect("it was named");
        if session.state == State::Expired {
            Standing::Expired
        } else if session.is_leased(moment) && session.lease_holder == Some(holder) {
            Standing::Claimed
        } else if session.is_leased(moment) {
            Standing::Busy
        } else if session.last_error.is_none_or(|error| error == Code::Throttled)
            && session.alive_at() >= oldest
        {
            Standing::Fresh
        } else if session.last_error == Some(Code::Throttled)
            && session.next_refresh.is_some_and(|at| at > moment)
        {
            Standing::Throttled
        } else {
            Standing::Spared
        }
    }

    fn take_up_again(&mut self, id: Id, moment: Moment) {
        self.change(id, |session| {
            if session.state == State::Exhausted {
                session.state = State::Active;
                session.session_failures = 0;
                session.next_refresh.get_or_insert(moment);
            }
        });
    }

    fn lease_sessions(
        &mut self,
        ids: &[Id],
        holder: Id,
        lease_seconds: i64,
        moment: Moment,
        may: &May,
    ) -> Vec<Claimed> {
        let first = (may.first_start - moment) as f64 / 1000.0;
        let mut claimed = Vec::with_capacity(ids.len());
        for (place, id) in ids.iter().enumerate() {
            self.note_abandoned(*id, moment);
            let starts = (first + place as f64 * 1000.0 / may.rate).round_ties_even() as i64;
            claimed.push(self.change(*id, |session| {
                if session.lease_holder.is_some() {
                    session.in_doubt_since.get_or_insert(moment);
                }
                session.lease_holder = Some(holder);
                session.lease_expires = Some(moment + seconds(lease_seconds as f64));
                session.fence += 1;
                Claimed::of(session, moment, starts.max(0))
            }));
        }
        claimed
    }

    fn note_abandoned(&mut self, id: Id, moment: Moment) {
        let session = self.session(id).expect("it is claimed");
        if session.lease_holder.is_none() {
            return;
        }
        let fence = session.fence;
        let attempt = Attempt {
            finished_at: moment,
            outcome: Code::Abandoned,
            tries: 0,
            duration_ms: 0,
            age_seconds: None,
        };
        self.note_attempt(id, fence, attempt);
    }

    /// `oldest_due`: none of a user's beyond a quarter of them while another user waits.
    fn oldest_due(&self, limit: usize, moment: Moment) -> Vec<Id> {
        let share = (limit / 4).max(1);
        let look = limit * 4;
        let mut crowding: BTreeSet<&str> = BTreeSet::new();
        let mut candidates = Vec::new();
        for _ in 0..16 {
            let seen: Vec<_> = self
                .due_until(moment)
                .filter(|session| !session.is_leased(moment) && !crowding.contains(&*session.user))
                .take(look)
                .collect();
            let mut of_user: BTreeMap<&str, usize> = BTreeMap::new();
            for session in &seen {
                *of_user.entry(&session.user).or_default() += 1;
            }
            let short = seen.len() < look;
            candidates.extend(seen);
            let newly: Vec<_> = of_user.into_iter().filter(|(_, count)| *count > share).collect();
            if short || newly.is_empty() {
                break;
            }
            crowding.extend(newly.into_iter().map(|(user, _)| user));
        }
        candidates.sort_by_key(|session| (session.next_refresh, session.id));
        candidates.dedup_by_key(|session| session.id);
        let mut nth: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for session in candidates {
            let count = nth.entry(&session.user).or_default();
            *count += 1;
            if *count <= share {
                first.push(session.id);
            } else {
                rest.push(session.id);
            }
        }
        first.extend(rest);
        first.truncate(limit);
        first
    }
}
