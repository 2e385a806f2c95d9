//! What a seed makes of a world: its size, its settings, how much goes wrong.

use fastrand::Rng;

use crate::model::{Moment, Policy, SECOND};

pub(super) const MINUTE: Moment = 60 * SECOND;
pub(super) const HOUR: Moment = 60 * MINUTE;
pub(super) const DAY: Moment = 24 * HOUR;

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Dozens of sessions for a day or two: for many seeds.
    Small,
    /// Hundreds of sessions for a few days.
    Medium,
    /// Thousands of sessions for thirty days.
    Large,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) sessions: usize,
    pub(super) lasts: Moment,
    pub(super) policy: Policy,
    pub(super) batch_size: u32,
    pub(super) calls: u32,
    pub(super) sessions_per_run: u32,
    pub(super) helpers: u32,
    /// One Worker in so many dies.
    pub(super) deaths: u32,
    /// How much goes wrong, as a multiple of the usual.
    pub(super) trouble: f64,
    /// How far a Worker's clock may be off.
    pub(super) skew: Moment,
    /// How upstream treats a token that it has replaced.
    pub(super) rotation: Rotation,
}

/// What becomes of a token when the next one is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotation {
    /// It is refused from then on.
    Strict,
    /// It is taken for a while still.
    Grace,
    /// There is no next one.
    Never,
}

impl Settings {
    pub(super) fn of(rng: &mut Rng, scale: Scale) -> Self {
        let small = scale == Scale::Small;
        let free_plan = small && rng.bool();
        let (sessions, lasts, trouble) = match scale {
            Scale::Small => (rng.usize(8..120), rng.i64(12..48) * HOUR, rng.f64() * 6.0),
            Scale::Medium => (rng.usize(500..1500), 4 * DAY, 3.0),
            Scale::Large => (rng.usize(1000..3000), 30 * DAY, 1.0),
        };
        // Tight limits, but such that all can be kept alive and a backlog drains.
        let tight = rng.bool();
        let policy = Policy {
            interval_seconds: if small { rng.i64(600..=1500) } else { 1200 },
            max_in_flight: if tight && small { rng.i64(8..24) } else { 24 },
            calls_per_second: if tight {
                2.0 + sessions as f64 / 120.0
            } else {
                20.0
            },
            exhaust_after: 10,
        };
        Self {
            sessions,
            lasts,
            policy,
            batch_size: if rng.bool() { 10 } else { 50 },
            calls: if free_plan { 50 } else { 1000 },
            sessions_per_run: if free_plan { 12 } else { 10_000 },
            helpers: 10,
            deaths: rng.u32(8..200),
            trouble,
            skew: if rng.bool() { 0 } else { 10 * MINUTE },
            rotation: match rng.u32(..3) {
                0 => Rotation::Strict,
                1 => Rotation::Grace,
                _ => Rotation::Never,
            },
        }
    }

    /// How long after trouble things may take to be as usual: the breaker, a late tick, the waits of sessions that
    /// should still live, and the backlog at a rate that begins with a tenth and grows by a hundredth a second. A slow
    /// upstream's is bound by calls under way, of four and a half seconds, in three quarters of each minute.
    pub(super) fn settling(&self, slow: bool) -> Moment {
        let mut pace = self.policy.calls_per_second;
        if slow {
            pace = pace.min(self.policy.max_in_flight as f64 * 7.0 / 8.0 / 4.5 * 0.75);
        }
        let backlog = 2.0 * self.sessions as f64 / pace;
        let ramp = ((0.01 + 0.02 * backlog).sqrt() - 0.1) / 0.01;
        10 * MINUTE + 2 * (ramp * 1e6) as Moment
    }
}
