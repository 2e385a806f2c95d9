//! How many Workers a tick wakes.

use std::time::Duration;

use crate::backoff::whole;

/// A refresh takes at least about so long: what a run can do within its time is reckoned from it.
const USUAL_REFRESH: Duration = Duration::from_millis(500);

/// Of a run's fetches, the share that presents sessions: the others claim, write, and are kept back for trouble.
const CALLS_THAT_PRESENT: f64 = 0.6;

/// What one run can do, and all of them together.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Fetches of one run.
    pub calls: u32,
    /// Sessions of one run, by the platform's bound on processor time.
    pub sessions: u32,
    /// Sessions presented at once by one run.
    pub width: u32,
    /// How long a run starts refreshes.
    pub time: Duration,
    /// How long refreshes took lately; zero where that is not known. On a slow day a run does a tenth of the usual.
    pub refresh: Duration,
    /// Sessions presented at once by all runs.
    pub in_flight: u32,
    /// Calls a second by all runs.
    pub calls_per_second: f64,
    /// Runs besides the tick's own.
    pub most: u32,
}

impl Capacity {
    /// How many runs besides the tick's own `due` sessions need: no more than can get calls.
    pub fn helpers(&self, due: u32) -> u32 {
        let each = self.each();
        let paced = self.calls_per_second * self.time.as_secs_f64();
        let within_pace = f64::from(due).min(paced);
        let by_work = (within_pace / each).ceil().clamp(0.0, f64::from(u32::MAX));
        let runs = whole(by_work).min(self.in_flight.div_ceil(self.width.max(1)));
        runs.saturating_sub(1).min(self.most)
    }

    /// How many due sessions make a difference to [`helpers`](Self::helpers): counting further is of no use.
    pub fn worth_counting(&self) -> u32 {
        whole(self.each() * (f64::from(self.most) + 1.0)).saturating_add(1)
    }

    /// Sessions that one run can refresh.
    fn each(&self) -> f64 {
        let by_calls = f64::from(self.calls) * CALLS_THAT_PRESENT;
        let refresh = self.refresh.max(USUAL_REFRESH);
        let by_time = f64::from(self.width) * self.time.as_secs_f64() / refresh.as_secs_f64();
        by_calls.min(by_time).min(self.sessions.into()).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAID: Capacity = Capacity {
        calls: 10_000,
        sessions: 10_000,
        width: 6,
        time: Duration::from_secs(45),
        refresh: Duration::ZERO,
        in_flight: 1_000,
        calls_per_second: 1_000.0,
        most: 100,
    };

    #[test]
    fn what_one_run_can_do_wakes_nobody() {
        for due in [0, 1, 540] {
            assert_eq!(PAID.helpers(due), 0, "{due}");
        }
    }

    #[test]
    fn more_work_wakes_more_within_the_limit() {
        for (due, helpers) in [(541, 1), (5_400, 9), (50_000, 83), (1_000_000, 83)] {
            assert_eq!(PAID.helpers(due), helpers, "{due}");
        }
        assert_eq!(Capacity { most: 5, ..PAID }.helpers(50_000), 5);
    }

    #[test]
    fn nobody_is_woken_to_wait_for_upstream() {
        assert_eq!(
            Capacity {
                in_flight: 24,
                ..PAID
            }
            .helpers(50_000),
            3
        );
        assert_eq!(
            Capacity {
                calls_per_second: 20.0,
                ..PAID
            }
            .helpers(50_000),
            1
        );
    }

    #[test]
    fn a_slow_upstream_needs_more_hands() {
        let slow = Capacity {
            refresh: Duration::from_secs(5),
            ..PAID
        };
        assert_eq!((slow.helpers(54), slow.helpers(55), slow.helpers(540)), (0, 1, 9));
    }

    #[test]
    fn the_free_plans_runs_are_short() {
        assert_eq!(Capacity { sessions: 12, ..PAID }.helpers(100), 8);
        let free = Capacity { calls: 50, ..PAID };
        assert_eq!((free.helpers(30), free.helpers(31), free.helpers(300)), (0, 1, 9));
    }

    #[test]
    fn counting_goes_as_far_as_it_matters() {
        let enough = PAID.worth_counting();
        assert_eq!(PAID.helpers(enough), PAID.helpers(u32::MAX));
        assert_eq!(Capacity { most: 3, ..PAID }.worth_counting(), 2_161);
    }
}
