//! When a session wants its next refresh, how long a lease on it lasts, and when a failed call is tried again.
//!
//! Randomness comes in as `unit`, a number from 0 up to 1.

use std::time::Duration;

use crate::{
    backoff::{Backoff, clamp},
    outcome::{Outcome, OutcomeCode},
    time::Timestamp,
};

/// The longest interval that keeps a session alive: it dies after some 30 to 90 minutes without a refresh, and
/// aimharder's own page refreshes every 29.
pub const LONGEST_INTERVAL: Duration = Duration::from_mins(29);

/// The shortest interval: below it the minute that a cron may take leaves no time to be fresh in.
pub const SHORTEST_INTERVAL: Duration = Duration::from_mins(5);

/// The time between two ticks of the cron.
const TICK: Duration = Duration::from_mins(1);

/// How long a session is taken for valid after its creation, sign-in or last success.
pub const VALIDITY: Duration = Duration::from_hours(7 * 24);

/// A `Retry-After` beyond this is cut: no session survives it anyway.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The shortest life of a session after its last sign of life that was seen.
const SHORTEST_LIFE: Duration = Duration::from_mins(30);

/// No try of a session that should still live comes later than this after the one before.
const LONGEST_WAIT_WHILE_ALIVE: Duration = Duration::from_mins(5);

/// When a failed session is tried again.
struct Schedule {
    /// While it should still live: after this share of what is left of its life, so that the tries come closer. With
    /// little jitter, or they would not.
    share: f64,
    /// But not sooner than after this.
    shortest: f64,
    /// Once it may be dead: ever more seldom.
    beyond: Backoff,
}

/// Upstream is down or can't be reached: it passes, maybe soon.
const AFTER_FAULT: Schedule = Schedule {
    share: 1.0 / 6.0,
    shortest: 10_000.0,
    beyond: Backoff {
        shortest: 10_000.0,
        first: 30_000.0,
        longest: 300_000.0,
    },
};

/// Upstream wants fewer calls.
const AFTER_THROTTLING: Schedule = Schedule {
    share: 1.0 / 5.0,
    shortest: 15_000.0,
    beyond: Backoff {
        shortest: 15_000.0,
        first: 60_000.0,
        longest: 600_000.0,
    },
};

/// An answer about the session that helps nobody: seldom does the next one differ.
const AFTER_ODD_ANSWER: Schedule = Schedule {
    share: 1.0 / 4.0,
    shortest: 20_000.0,
    beyond: Backoff {
        shortest: 20_000.0,
        first: 60_000.0,
        longest: 900_000.0,
    },
};

/// All sessions that were told the same `Retry-After` come back spread over this, not in one instant.
const RETRY_AFTER_SPREAD: Duration = Duration::from_secs(30);

/// A row that can't be presented changes only by a sign-in, which makes it due by itself.
const UNUSABLE_BACKOFF: Duration = Duration::from_hours(1);

/// Calls to upstream within one attempt, the first included.
const MOST_TRIES: u32 = 3;

/// Between two calls of one attempt.
const WITHIN_ATTEMPT: Backoff = Backoff {
    shortest: 0.0,
    first: 250.0,
    longest: 10_000.0,
};

/// A further call is not worth starting with less than this left.
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// The database hands out starts this far ahead at the most.
const START_SPREAD: Duration = Duration::from_secs(5);

/// What a lease lasts beyond the upstream calls it covers: the write, retried while the database is away.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// What has to be left of a lease beyond the calls of a refresh that is about to start.
const MARGIN_TO_START: Duration = Duration::from_secs(20);

/// How long after a success the next refresh falls due.
///
/// Between 80 % and 95 % of the interval: jitter spreads the load. At least a minute is left over for the cron, so
/// that no refresh grows older than the interval.
pub fn after_success(interval: Duration, unit: f64) -> Duration {
    interval
        .mul_f64(0.80 + 0.15 * clamp(unit))
        .min(interval.saturating_sub(TICK))
}

/// How long after a failed attempt the next one falls due, by what it came to, and not before upstream's `Retry-After`.
///
/// `age` is that of the session's last sign of life: while the session should still live, tries come closer the nearer
/// its end, after that they come farther apart.
pub fn after_failure(outcome: &Outcome, failures_before: u32, age: Duration, unit: f64) -> Duration {
    let schedule = match outcome.code() {
        OutcomeCode::Unusable => return UNUSABLE_BACKOFF,
        OutcomeCode::Throttled => AFTER_THROTTLING,
        OutcomeCode::UpstreamFault | OutcomeCode::Unreachable | OutcomeCode::TimedOut => AFTER_FAULT,
        OutcomeCode::Refused | OutcomeCode::Unrecognised | OutcomeCode::Expired | OutcomeCode::Refreshed => {
            AFTER_ODD_ANSWER
        }
    };
    let wait = schedule.wait(SHORTEST_LIFE.saturating_sub(age), failures_before, unit);
    match outcome.retry_after() {
        Some(floor) => floor
            .min(LONGEST_RETRY_AFTER)
            .saturating_add(RETRY_AFTER_SPREAD.mul_f64(clamp(unit)))
            .max(wait),
        None => wait,
    }
}

impl Schedule {
    fn wait(&self, life_left: Duration, failures_before: u32, unit: f64) -> Duration {
        if life_left.is_zero() {
            return milliseconds(self.beyond.wait(failures_before, unit));
        }
        let share = life_left.mul_f64(self.share * (0.85 + 0.15 * clamp(unit)));
        share.clamp(milliseconds(self.shortest), LONGEST_WAIT_WHILE_ALIVE)
    }
}

/// Whether a failed call of an attempt is worth another within the same attempt, and after what wait.
///
/// `tries` counts the calls made. Only faults that passed: a broken connection or a 5xx, not a time-out, and not a
/// gateway's 504, after which upstream may still be at work on the first call.
pub fn retry_within(
    outcome: &Outcome,
    status: Option<u16>,
    tries: u32,
    left: Duration,
    unit: f64,
) -> Option<Duration> {
    let passing = match outcome.code() {
        OutcomeCode::Unreachable => true,
        OutcomeCode::UpstreamFault => status != Some(504),
        OutcomeCode::Refreshed
        | OutcomeCode::Expired
        | OutcomeCode::Throttled
        | OutcomeCode::Refused
        | OutcomeCode::TimedOut
        | OutcomeCode::Unrecognised
        | OutcomeCode::Unusable => false,
    };
    let jittered = milliseconds(WITHIN_ATTEMPT.wait(tries.saturating_sub(1), unit));
    let wait = outcome
        .retry_after()
        .map_or(jittered, |floor| floor.saturating_add(jittered));
    (passing && tries < MOST_TRIES && wait.saturating_add(SHORTEST_TRY) <= left).then_some(wait)
}

/// How long a lease on `sessions` lasts when `width` are refreshed at a time: all of them may use up their bound,
/// but none is started later than `starts_for` from now. Not longer: of a Worker that died the sessions wait so long.
pub fn lease(sessions: u32, width: u32, timeout: Duration, starts_for: Duration) -> Duration {
    let waves = sessions.max(1).div_ceil(width.max(1));
    timeout
        .saturating_mul(waves)
        .saturating_add(START_SPREAD)
        .min(starts_for.saturating_add(timeout))
        .saturating_add(LEASE_MARGIN)
}

/// How long a lease has to last still for a refresh to be started under it.
pub fn lease_left_to_start(timeout: Duration) -> Duration {
    timeout.saturating_add(MARGIN_TO_START)
}

/// The longest interval that is safe where sessions live for `life` without a refresh: a third of it is left for tries.
pub fn recommended_interval(life: Duration) -> Duration {
    let minutes = life.as_secs().saturating_mul(2) / 3 / 60;
    Duration::from_secs(minutes.saturating_mul(60)).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

/// Until when a session is taken for valid.
pub fn valid_until(created: Timestamp, signed_in: Timestamp, refreshed: Option<Timestamp>) -> Timestamp {
    created
        .max(signed_in)
        .max(refreshed.unwrap_or(created))
        .after(VALIDITY)
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn any_failure() -> impl Strategy<Value = Outcome> {
        let retry_after = proptest::option::of((0_u64..100_000).prop_map(Duration::from_secs));
        prop_oneof![
            Just(Outcome::Refused),
            Just(Outcome::Unreachable),
            Just(Outcome::TimedOut),
            Just(Outcome::Unrecognised),
            retry_after
                .clone()
                .prop_map(|retry_after| Outcome::Throttled { retry_after }),
            retry_after.prop_map(|retry_after| Outcome::UpstreamFault { retry_after }),
        ]
    }

    proptest! {
        #[test]
        fn hazard_8_a_minutely_cron_never_lets_a_refresh_grow_older_than_the_interval(minutes in 5_u64..=29, unit in 0.0..1.0) {
            let interval = Duration::from_mins(minutes);
            let wait = after_success(interval, unit);
            prop_assert!(wait >= interval.mul_f64(0.79));
            prop_assert!(wait + Duration::from_mins(1) <= interval);
        }

        #[test]
        fn waits_are_bounded_and_honour_retry_after(
            failure in any_failure(), before in 0_u32.., age in 0_u64..10_000, unit in 0.0..1.0,
        ) {
            let wait = after_failure(&failure, before, Duration::from_secs(age), unit);
            prop_assert!(wait >= Duration::from_secs(10));
            prop_assert!(wait <= LONGEST_RETRY_AFTER + RETRY_AFTER_SPREAD);
            if let Some(floor) = failure.retry_after() {
                prop_assert!(wait >= floor.min(LONGEST_RETRY_AFTER));
            } else {
                prop_assert!(wait <= Duration::from_mins(15));
            }
        }

        #[test]
        fn tries_come_closer_within_the_remaining_life(
            failure in any_failure(), age in 960_u64..1_200, units in proptest::collection::vec(0.0..1.0, 40),
        ) {
            prop_assume!(failure.retry_after().is_none());
            let mut age = Duration::from_secs(age);
            let mut waits = Vec::new();
            for unit in units {
                if age < SHORTEST_LIFE {
                    let wait = after_failure(&failure, u32::try_from(waits.len()).unwrap(), age, unit);
                    waits.push(wait);
                    age += wait;
                }
            }
            prop_assert!(waits.len() >= 8, "{waits:?}");
            // But for the jitter.
            prop_assert!(waits.windows(2).all(|pair| pair[1] <= pair[0].mul_f64(1.05)), "{waits:?}");
            prop_assert!(waits[waits.len() - 1] <= Duration::from_secs(20));
        }

        #[test]
        fn retries_end_and_stay_within_the_bound(
            failure in any_failure(), tries in 1_u32.., left in 0_u64..20_000, unit in 0.0..1.0,
        ) {
            let left = Duration::from_millis(left);
            if let Some(wait) = retry_within(&failure, None, tries, left, unit) {
                prop_assert!(tries < MOST_TRIES && wait < left);
                prop_assert!(wait >= failure.retry_after().unwrap_or_default());
            }
        }
    }

    #[test]
    fn only_what_passes_is_tried_again_at_once() {
        let again = |outcome: &Outcome, status| retry_within(outcome, status, 1, TIMEOUT, 0.5).is_some();
        assert!(again(&Outcome::Unreachable, None));
        assert!(again(&Outcome::UpstreamFault { retry_after: None }, Some(503)));
        assert!(!again(&Outcome::UpstreamFault { retry_after: None }, Some(504)));
        assert!(!again(
            &Outcome::UpstreamFault {
                retry_after: Some(TIMEOUT)
            },
            Some(503)
        ));
        for outcome in [
            Outcome::TimedOut,
            Outcome::Expired,
            Outcome::Refused,
            Outcome::Throttled { retry_after: None },
        ] {
            assert!(!again(&outcome, None), "{outcome:?}");
        }
    }

    #[test]
    fn a_lease_covers_every_wave_and_the_write() {
        let minute = Duration::from_mins(1);
        assert_eq!(lease(10, 6, TIMEOUT, minute), Duration::from_secs(55));
        assert_eq!(lease(1, 6, TIMEOUT, minute), Duration::from_secs(45));
        assert_eq!(lease(0, 0, TIMEOUT, minute), Duration::from_secs(45));
    }

    #[test]
    fn a_dead_worker_holds_no_session_for_long_however_many_it_claimed() {
        let starts_for = Duration::from_secs(45);
        assert_eq!(lease(1_000, 6, TIMEOUT, starts_for), Duration::from_secs(85));
    }

    #[test]
    fn a_third_of_a_sessions_life_is_left_for_tries() {
        for (life, interval) in [(90, 29), (40, 26), (30, 20), (10, 6), (3, 5)] {
            assert_eq!(
                recommended_interval(Duration::from_mins(life)),
                Duration::from_mins(interval)
            );
        }
    }

    #[test]
    fn validity_starts_anew_with_each_success_and_sign_in() {
        let at = Timestamp::from_millis;
        let week = i64::try_from(VALIDITY.as_millis()).unwrap();
        assert_eq!(valid_until(at(1), at(2), None).as_millis(), 2 + week);
        assert_eq!(valid_until(at(1), at(2), Some(at(9))).as_millis(), 9 + week);
    }

    #[test]
    fn hazard_1_the_longest_interval_is_shorter_than_the_sessions_shortest_life() {
        assert!(LONGEST_INTERVAL < Duration::from_mins(30));
    }
}
