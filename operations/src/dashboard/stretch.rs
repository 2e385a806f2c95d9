//! What plots over time are made of: the time shown, periods folded into stretches, and what histograms tell.

use std::collections::BTreeMap;

use session_core::time::Timestamp;

use crate::overview::{Histogram, LATENCY_BOUNDS_MS, Overview, Period};

use super::{
    Span,
    plot::{Tick, whole},
    words::minute,
};

/// So many bars at the most are told apart, on a phone too.
const MOST_BARS: u64 = 96;

const HOUR: i64 = 3_600_000;

/// The time that plots show, from left to right.
pub(super) struct Axis {
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    pub(super) span: Span,
}

impl Axis {
    /// Where a moment is, as a share of the width.
    pub(super) fn at(&self, millis: i64) -> f64 {
        let whole = self.now.as_millis().saturating_sub(self.since.as_millis()).max(1);
        float(millis.saturating_sub(self.since.as_millis())) / float(whole)
    }

    /// How wide so much time is, as a share of the width.
    pub(super) fn share(&self, seconds: u64) -> f64 {
        let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.at(self.since.as_millis().saturating_add(millis))
    }

    /// Round hours, or midnights.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let step = match self.span {
            Span::Day => HOUR.saturating_mul(3),
            Span::Week => HOUR.saturating_mul(24),
        };
        let first = self.since.as_millis().div_euclid(step);
        let marks = (1_i64..=12).map(|index| (index, first.saturating_add(index).saturating_mul(step)));
        marks
            .map(|(index, at)| Tick {
                at: self.at(at),
                text: self.write(at),
                minor: index % 2 == 0,
            })
            .filter(|tick| (0.01..0.99).contains(&tick.at))
            .collect()
    }

    fn write(&self, at: i64) -> String {
        let text = minute(Timestamp::from_millis(at));
        let part = match self.span {
            Span::Day => text.get(11..),
            Span::Week => text.get(5..10),
        };
        part.unwrap_or_default().to_owned()
    }
}

/// Attempts of a stretch of time: one period or some.
#[derive(Clone, Debug, Default)]
pub(super) struct Stretch {
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) latency: Histogram,
}

/// How long a bar is: as many periods as it takes to have few enough.
pub(super) fn bar_seconds(overview: &Overview) -> u64 {
    let period = u64::from(overview.period_seconds.max(1));
    let whole = overview.now.since(overview.since).as_secs();
    let periods = whole.div_ceil(period).div_ceil(MOST_BARS).max(1);
    period.saturating_mul(periods)
}

/// Periods, folded into stretches of `seconds`; by when they began.
pub(super) fn fold(periods: &[Period], seconds: u64) -> BTreeMap<i64, Stretch> {
    let step = i64::try_from(seconds.saturating_mul(1_000))
        .unwrap_or(i64::MAX)
        .max(1);
    let mut folded = BTreeMap::<_, Stretch>::new();
    for period in periods {
        let at = period.at.as_millis().div_euclid(step).saturating_mul(step);
        let stretch = folded.entry(at).or_default();
        for (code, count) in &period.outcomes {
            let sum = stretch.outcomes.entry(code.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        stretch.latency.add(&period.latency);
    }
    folded
}

impl Histogram {
    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
        self.buckets
            .resize(self.buckets.len().max(other.buckets.len()), 0);
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// What so large a share of them did not take longer than, in milliseconds: evenly spread within a bucket, and the last
    /// bound for what took longer. `None` where nothing was measured.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self
            .buckets
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count));
        let mut rank = whole(Some(all).filter(|all| *all > 0)?) * share;
        let mut lower = 0.0;
        for (bound, count) in LATENCY_BOUNDS_MS.iter().zip(&self.buckets) {
            let (upper, count) = (f64::from(*bound), whole(*count));
            if count > 0.0 && rank <= count {
                return Some(lower + (upper - lower) * rank / count);
            }
            rank -= count;
            lower = upper;
        }
        Some(lower)
    }
}

/// All periods together.
pub(super) fn sum(periods: &[Period]) -> Stretch {
    fold(periods, u64::MAX).into_values().next().unwrap_or_default()
}

/// All attempts.
pub(super) fn total(outcomes: &BTreeMap<String, u64>) -> u64 {
    outcomes.values().fold(0, |sum, count| sum.saturating_add(*count))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this age are far below 2^52"
)]
const fn float(millis: i64) -> f64 {
    millis as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[u64]) -> Histogram {
        Histogram {
            count: buckets.iter().sum(),
            sum_ms: 0,
            buckets: buckets.to_vec(),
        }
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        // Ten up to 25 ms, ten from 25 to 50 ms.
        let even = histogram(&[10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(even.quantile(0.5), Some(25.0));
        assert_eq!(even.quantile(0.75), Some(37.5));
        assert_eq!(histogram(&[]).quantile(0.5), None);
        assert_eq!(histogram(&[0; 11]).quantile(0.5), None);
    }

    #[test]
    fn what_took_longer_than_the_last_bound_counts_as_that_bound() {
        let slow = histogram(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99]);
        assert_eq!(slow.quantile(0.95), Some(20_000.0));
    }

    #[test]
    fn periods_are_folded_and_no_attempt_is_lost() {
        let period = |minute: i64| Period {
            at: Timestamp::from_millis(minute * 60_000),
            outcomes: BTreeMap::from([("refreshed".to_owned(), 2), ("expired".to_owned(), 1)]),
            latency: histogram(&[3]),
        };
        let folded = fold(&[period(0), period(5), period(10)], 600);
        let sums: Vec<_> = folded
            .values()
            .map(|stretch| (total(&stretch.outcomes), stretch.latency.count))
            .collect();
        assert_eq!(sums, [(6, 6), (3, 3)]);
    }
}
