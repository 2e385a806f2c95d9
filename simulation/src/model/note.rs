//! `note_answers`: what upstream's answers mean for everybody.

use std::collections::BTreeSet;

use super::{
    answers::Held,
    finish::Entry,
    table::{Breaker, Code, Counts, Database, Id, Moment, Policy, SECOND, Upstream, seconds},
};

/// What a finish tells of upstream.
struct Account {
    counts: Counts,
    repetitions: i64,
    retry_after: f64,
    fault_retry_after: f64,
    throttled: Vec<Id>,
}

impl Account {
    fn of(entries: &[&Entry], odd_site: bool) -> Self {
        let throttled = ids_of(entries, |entry| entry.outcome == Some(Code::Throttled));
        Self {
            counts: Counts {
                answers: entries.iter().filter(|entry| entry.tries > 0).count() as i64,
                faults: ids_of(entries, |entry| {
                    entry
                        .outcome
                        .is_some_and(|code| code.is_fault() || (code == Code::Refused && odd_site))
                })
                .len() as i64,
                throttles: throttled.len() as i64,
            },
            repetitions: entries.iter().map(|entry| (entry.tries - 1).max(0)).sum(),
            retry_after: longest_wait(entries, Code::Throttled),
            fault_retry_after: longest_wait(entries, Code::UpstreamFault),
            throttled,
        }
    }
}

impl Database {
    pub(crate) fn note_answers(
        &mut self,
        entries: &[&Entry],
        odd_site: bool,
        moment: Moment,
        unit: f64,
    ) -> Option<Held> {
        let account = Account::of(entries, odd_site);
        let policy = self.policy;
        if account.counts.answers == 0 {
            return None;
        }
        let up = self.lock_upstream();
        let rate_now = up.current_rate(&policy, moment);
        up.roll_window(moment);
        up.now.add(account.counts);
        add_distinct(&mut up.throttled, &account.throttled, 2);
        up.next_start = up.next_start.max(moment) + seconds(account.repetitions as f64 / rate_now);
        up.slow_down(&account, &policy, rate_now, moment);
        up.judge(&account, &policy, moment, unit);
        if up.paused_until > moment {
            Some(Held::Paused)
        } else {
            (up.breaker == Breaker::Open).then_some(Held::Breaker)
        }
    }
}

impl Upstream {
    fn roll_window(&mut self, moment: Moment) {
        if moment < self.window_at.saturating_add(15 * SECOND) {
            return;
        }
        if moment >= self.window_at.saturating_add(30 * SECOND) {
            self.now = Counts::default();
            self.throttled.clear();
        }
        self.throttled_before = std::mem::take(&mut self.throttled);
        self.before = self.now;
        self.now = Counts::default();
        self.window_at = moment;
    }

    fn slow_down(&mut self, account: &Account, policy: &Policy, rate_now: f64, moment: Moment) {
        let throttled: BTreeSet<_> = self.throttled_before.iter().chain(&self.throttled).collect();
        let is_wide = throttled.len() >= 2
            && 10 * (self.now.throttles + self.before.throttles) >= self.now.answers + self.before.answers;
        if account.counts.throttles == 0 || !is_wide {
            return;
        }
        let pause = seconds(account.retry_after.min(3600.0));
        self.paused_until = self.paused_until.max(moment + pause);
        if self.rate_at.is_none_or(|at| moment >= at + 5 * SECOND) {
            self.rate = Some((rate_now / 2.0).max(policy.calls_per_second / 50.0));
            self.rate_at = Some(moment);
        }
    }

    fn judge(&mut self, account: &Account, policy: &Policy, moment: Moment, unit: f64) {
        let answers = self.now.answers + self.before.answers;
        let faults = self.now.faults + self.before.faults;
        let half_open = self.breaker == Breaker::HalfOpen;
        let failing = self.breaker == Breaker::Closed
            && answers >= 5
            && 2 * faults >= answers
            && account.counts.faults > 0;
        if half_open && account.counts.answers > account.counts.faults + account.counts.throttles {
            self.breaker = Breaker::Closed;
            self.openings = 0;
            for window in [&mut self.now, &mut self.before] {
                window.answers = 0;
                window.faults = 0;
            }
            self.rate = Some(policy.calls_per_second / 10.0);
            self.rate_at = Some(moment);
        } else if half_open || failing {
            self.breaker = Breaker::Open;
            let wait = (15.0 * 2_f64.powi(self.openings.min(4) as i32)).min(120.0);
            let asked = account.fault_retry_after.max(account.retry_after).min(3600.0);
            self.breaker_until = moment + seconds((wait * (0.75 + 0.5 * unit)).max(asked));
            self.openings += 1;
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.answers += more.answers;
        self.faults += more.faults;
        self.throttles += more.throttles;
    }
}

fn ids_of(entries: &[&Entry], wanted: impl Fn(&Entry) -> bool) -> Vec<Id> {
    let mut ids: Vec<Id> = entries
        .iter()
        .filter(|entry| wanted(entry))
        .map(|entry| entry.id)
        .collect();
    ids.sort_unstable();
    ids
}

/// The longest `Retry-After` of those that came to this.
fn longest_wait(entries: &[&Entry], outcome: Code) -> f64 {
    entries
        .iter()
        .filter(|entry| entry.outcome == Some(outcome))
        .filter_map(|entry| entry.retry_after_seconds)
        .fold(0.0, f64::max)
}

/// `first_distinct` of both together.
fn add_distinct(ids: &mut Vec<Id>, more: &[Id], most: usize) {
    for id in more {
        if ids.len() < most && !ids.contains(id) {
            ids.push(*id);
        }
    }
}

impl Code {
    fn is_fault(self) -> bool {
        matches!(self, Self::UpstreamFault | Self::Unreachable | Self::TimedOut)
    }
}
