//! How long to wait after failures: exponential, with full jitter, above a floor. For Worker and browser alike, in
//! plain numbers, since the browser's copy must stay small.
//!
//! Source: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>

/// Bounds of a backoff, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The shortest wait, whatever the dice say.
    pub shortest: f64,
    /// The ceiling of the first wait; it doubles with each further failure.
    pub first: f64,
    /// The ceiling that no wait exceeds.
    pub longest: f64,
}

impl Backoff {
    /// The wait after a failure that had `failures_before` others before it, in milliseconds. `unit` is random, from
    /// 0 up to 1; what is no number counts as a half.
    pub fn wait(self, failures_before: u32, unit: f64) -> f64 {
        let mut ceiling = self.first;
        for _ in 0..failures_before.min(32) {
            ceiling = (ceiling * 2.0).min(self.longest);
        }
        let ceiling = ceiling.min(self.longest).max(self.shortest);
        self.shortest + (ceiling - self.shortest) * clamp(unit)
    }
}

/// A random number made safe to multiply with.
pub fn clamp(unit: f64) -> f64 {
    if unit.is_finite() {
        unit.clamp(0.0, 1.0)
    } else {
        0.5
    }
}

/// The whole number below; 0 for what is negative or no number, the largest for what is larger.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
pub const fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "numbers that are exact in binary")]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        shortest: 5.0,
        first: 30.0,
        longest: 300.0,
    };

    #[test]
    fn the_ceiling_doubles_up_to_its_bound() {
        let ceilings = [0, 1, 2, 3, 4, u32::MAX].map(|failures| BACKOFF.wait(failures, 1.0));
        assert_eq!(ceilings, [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]);
    }

    #[test]
    fn jitter_is_full_above_the_floor() {
        assert_eq!(
            [0.0, 0.5, f64::NAN].map(|unit| BACKOFF.wait(0, unit)),
            [5.0, 17.5, 17.5]
        );
    }
}
