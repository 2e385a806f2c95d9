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

/// After a failed attempt: several tries fit into a session's remaining life.
const AFTER_FAILURE: Backoff = Backoff {
    shortest: 5_000.0,
    first: 30_000.0,
    longest: 300_000.0,
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

/// How long after a failed attempt the next one falls due: exponential with full jitter above a small floor, and
/// not before upstream's `Retry-After`.
pub fn after_failure(outcome: &Outcome, failures_before: u32, unit: f64) -> Duration {
    if outcome.code() == OutcomeCode::Unusable {
        return UNUSABLE_BACKOFF;
    }
    let backoff = milliseconds(AFTER_FAILURE.wait(failures_before, unit));
    match outcome.retry_after() {
        Some(wait) => wait
            .min(LONGEST_RETRY_AFTER)
            .saturating_add(RETRY_AFTER_SPREAD.mul_f64(clamp(unit)))
            .max(backoff),
        None => backoff,
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
        .min(starts_for.saturating_add(timeout))
        .saturating_add(LEASE_MARGIN)
}

/// How long a lease has to last still for a refresh to be started under it.
pub fn lease_left_to_start(timeout: Duration) -> Duration {
    timeout.saturating_add(MARGIN_TO_START)
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
        fn backoff_is_bounded_and_honours_retry_after(failure in any_failure(), before in 0_u32.., unit in 0.0..1.0) {
            let wait = after_failure(&failure, before, unit);
            prop_assert!(wait >= Duration::from_secs(5));
            prop_assert!(wait <= LONGEST_RETRY_AFTER + RETRY_AFTER_SPREAD);
            if let Some(floor) = failure.retry_after() {
                prop_assert!(wait >= floor.min(LONGEST_RETRY_AFTER));
            } else {
                prop_assert!(wait <= Duration::from_mins(5));
            }
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
        assert_eq!(lease(10, 6, TIMEOUT, minute), Duration::from_secs(50));
        assert_eq!(lease(1, 6, TIMEOUT, minute), Duration::from_secs(40));
        assert_eq!(lease(0, 0, TIMEOUT, minute), Duration::from_secs(40));
    }

    #[test]
    fn a_dead_worker_holds_no_session_for_long_however_many_it_claimed() {
        let starts_for = Duration::from_secs(45);
        assert_eq!(lease(1_000, 6, TIMEOUT, starts_for), Duration::from_secs(85));
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
