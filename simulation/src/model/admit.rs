//! `admit` and `take_starts`: pacing, calls in flight, the breaker.

use super::{
    answers::Held,
    table::{Breaker, Database, Id, Moment, Policy, SECOND, Slot, Upstream, in_seconds, seconds},
};

/// What a holder may do now.
pub(crate) struct May {
    pub(crate) held: Option<Held>,
    pub(crate) retry: f64,
    pub(crate) width: i64,
    pub(crate) most: i64,
    pub(crate) first_start: Moment,
    pub(crate) rate: f64,
    pub(crate) probe: bool,
}

impl May {
    fn hold(mut self, held: Held, retry: f64) -> Self {
        self.held = Some(held);
        self.retry = retry;
        self.width = if held == Held::Rate { self.width } else { 0 };
        self
    }

    pub(crate) fn retry_in_ms(&self) -> Option<i64> {
        self.held.map(|_| (self.retry * 1000.0).ceil() as i64)
    }
}

impl Upstream {
    pub(crate) fn current_rate(&self, policy: &Policy, moment: Moment) -> f64 {
        let Some(rate) = self.rate else {
            return policy.calls_per_second;
        };
        let since = in_seconds(moment - self.rate_at.unwrap_or(moment)).max(0.0);
        policy
            .calls_per_second
            .min(rate + policy.calls_per_second * 0.01 * since)
    }
}

impl Database {
    /// `lock_upstream`: here it only sees that the row is there.
    pub(crate) fn lock_upstream(&mut self) -> &mut Upstream {
        self.upstream.get_or_insert_with(Upstream::new)
    }

    pub(crate) fn admit(&mut self, holder: Id, wanted: i64, urgent: bool, moment: Moment) -> May {
        let policy = self.policy;
        let up = self.lock_upstream().clone();
        let ahead = if urgent { 3 * SECOND } else { 5 * SECOND };
        let mut may = May {
            held: None,
            retry: 0.0,
            width: 0,
            most: 0,
            first_start: moment,
            rate: up.current_rate(&policy, moment),
            probe: up.breaker != Breaker::Closed,
        };
        if up.paused_until > moment {
            return may.hold(Held::Paused, in_seconds(up.paused_until - moment));
        }
        if may.probe && up.breaker_until > moment {
            return may.hold(Held::Breaker, in_seconds(up.breaker_until - moment));
        }
        self.slots.retain(|_, slot| slot.expires > moment);
        let others: i64 = self
            .slots
            .iter()
            .filter(|(other, _)| **other != holder)
            .map(|(_, slot)| slot.width)
            .sum();
        let kept = if urgent { 0 } else { policy.max_in_flight / 8 };
        may.width = wanted.min(policy.max_in_flight - others - kept);
        if may.width <= 0 {
            return may.hold(Held::InFlight, 1.0);
        }
        may.first_start = moment.max(if urgent { up.next_urgent } else { up.next_start });
        if may.probe {
            may.first_start = moment;
            may.width = 1;
            may.most = 1;
        } else if may.first_start >= moment + ahead {
            let retry = in_seconds(may.first_start - (moment + ahead)).max(1.0);
            return may.hold(Held::Rate, retry);
        } else {
            may.most = (in_seconds(moment + ahead - may.first_start) * may.rate).floor() as i64 + 1;
        }
        may
    }

    pub(crate) fn take_starts(
        &mut self,
        holder: Id,
        may: &May,
        count: i64,
        urgent: bool,
        moment: Moment,
        lease_seconds: i64,
    ) {
        let until = moment + lease_seconds * SECOND;
        let taken = seconds(count as f64 / may.rate);
        let up = self.lock_upstream();
        if urgent {
            up.next_start = up.next_start.max(moment) + taken;
            up.next_urgent = may.first_start + taken;
        } else {
            up.next_start = may.first_start + taken;
        }
        if may.probe {
            up.breaker = Breaker::HalfOpen;
            up.breaker_until = until;
        }
        let slot = self.slots.entry(holder).or_insert(Slot {
            width: 0,
            expires: until,
        });
        slot.width = slot.width.max(may.width);
        slot.expires = slot.expires.max(until);
    }
}
