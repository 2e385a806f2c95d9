//! What happens next in a random history.

use fastrand::Rng;

use crate::model::{Code, Moment, Policy, SECOND};

/// How upstream fares.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    Calm,
    Outage,
    Storm,
    Odd,
    Dying,
    /// Its login page for everybody.
    SignsAllOut,
}

pub(super) struct Dice(Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub(super) fn unit(&mut self) -> f64 {
        self.0.f64()
    }

    pub(super) fn one_in(&mut self, count: u32) -> bool {
        self.0.u32(..count) == 0
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.i64(from..=to)
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }

    /// Mostly moments, at times long enough for all to fall due, and rarely a day.
    pub(super) fn pause(&mut self) -> Moment {
        let most = match self.0.u32(..1000) {
            0..600 => 500_000,
            600..900 => 4 * SECOND,
            900..970 => 60 * SECOND,
            970..997 => 1200 * SECOND,
            _ => 100_000 * SECOND,
        };
        self.between(1, most)
    }

    pub(super) fn user(&mut self) -> String {
        // Nobody is user 20.
        let number = if self.one_in(4) { 0 } else { self.below(21) };
        format!("user{number}@example.com")
    }

    pub(super) fn mood(&mut self) -> Mood {
        match self.0.u32(..11) {
            10 => Mood::SignsAllOut,
            0..4 => Mood::Calm,
            4..6 => Mood::Outage,
            6..8 => Mood::Storm,
            8 => Mood::Odd,
            _ => Mood::Dying,
        }
    }

    pub(super) fn policy(&mut self) -> Policy {
        Policy {
            interval_seconds: self.between(300, 1740),
            max_in_flight: self.between(2, 40),
            calls_per_second: self.0.f64() * 20.0 + 0.2,
            exhaust_after: self.between(1, 2),
        }
    }

    pub(super) fn outcome(&mut self, mood: Mood) -> Code {
        use Code::{
            Expired, Refreshed, Refused, Throttled, TimedOut, Unreachable, Unrecognised, Unusable,
            UpstreamFault,
        };
        let usual: &[Code] = match mood {
            Mood::Calm => &[Refreshed],
            Mood::Outage => &[UpstreamFault, Unreachable, TimedOut],
            Mood::Storm => &[Throttled, Throttled, Refreshed],
            Mood::Odd => &[Refused, Unrecognised],
            Mood::SignsAllOut => &[Expired],
            Mood::Dying => &[Expired, Unrecognised, Refreshed],
        };
        let any = &[
            Refreshed,
            Expired,
            Throttled,
            Refused,
            UpstreamFault,
            Unreachable,
            TimedOut,
            Unrecognised,
            Unusable,
        ];
        let steady = matches!(mood, Mood::SignsAllOut);
        let from = if self.one_in(if steady { 40 } else { 8 }) {
            any
        } else {
            usual
        };
        from[self.below(from.len())]
    }
}
