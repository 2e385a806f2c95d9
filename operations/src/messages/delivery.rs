//! When a message that was not taken is sent again, and why it was not.

use std::time::Duration;

use session_core::backoff::{Backoff, clamp};

/// A minute, twice as long with each try, an hour at the most.
const WAITS: Backoff = Backoff {
    shortest: 60_000.0,
    first: 60_000.0,
    longest: 3_600_000.0,
};

/// The share of a wait that is left to chance, so that what failed together doesn't come back together.
const JITTER: f64 = 0.25;

/// How long to wait after so many `tries`. `unit` is random, from 0 up to 1.
pub fn retry_in(tries: u32, unit: f64) -> Duration {
    let longest = WAITS.wait(tries.saturating_sub(1), 1.0);
    Duration::from_secs_f64(longest * (1.0 - JITTER * clamp(unit)) / 1_000.0)
}

/// Why a receiver was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum DeliveryError {
    /// It can't be reached.
    Unreachable,
    /// It doesn't answer in time.
    TimedOut,
    /// It sends us elsewhere (3xx): not followed, since what is sent is for this receiver alone.
    Redirected,
    /// It doesn't want the message (4xx).
    Refused,
    /// It failed (5xx), or its answer is none that HTTP knows.
    Failed,
    /// It wants fewer messages (429).
    Throttled,
}

impl DeliveryError {
    /// The code for database and dashboard.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
        }
    }

    /// What an answer's HTTP status says; `None`: the message was taken.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            300..=399 => Some(Self::Redirected),
            429 => Some(Self::Throttled),
            400..=499 => Some(Self::Refused),
            _ => Some(Self::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_minute_to_an_hour() {
        let minutes = [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|tries| retry_in(tries, 0.0).as_secs() / 60);
        assert_eq!(minutes, [1, 1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn chance_shortens_a_wait_by_a_quarter_at_the_most() {
        let seconds = [0.0, 0.5, 1.0, 7.0].map(|unit| retry_in(2, unit).as_secs());
        assert_eq!(seconds, [120, 105, 90, 90]);
    }

    #[test]
    fn a_status_tells_why() {
        for (status, code) in [
            (200, None),
            (204, None),
            (302, Some("redirected")),
            (404, Some("refused")),
            (410, Some("refused")),
            (429, Some("throttled")),
            (500, Some("failed")),
            (599, Some("failed")),
            (0, Some("failed")),
        ] {
            assert_eq!(
                DeliveryError::of_status(status).map(DeliveryError::as_str),
                code,
                "{status}"
            );
        }
        assert_eq!(DeliveryError::TimedOut.to_string(), "timed_out");
    }
}
