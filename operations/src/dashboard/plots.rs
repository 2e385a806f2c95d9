//! What the overview's plots show: outcomes, ages, latency, backlog.

use std::collections::BTreeMap;

use maud::{Markup, html};
use session_core::time::Timestamp;

use crate::overview::{Histogram, LATENCY_BOUNDS_MS, MOST_AGE_MINUTES, Overview, Period, Sample};

use super::{
    BASE, Span,
    plot::{Bar, Look, Plot, Scale, Tick, bars, entry, level, line, line_entry, nothing, patterns, place},
    verdict::limit_seconds,
    words::{long, many, minute, number, outcome, percent, plain, took},
};

/// So many bars at the most are told apart, on a phone too.
const MOST_BARS: u64 = 96;

const HOUR: i64 = 3_600_000;

/// Outcomes by who has to do something about them; what should not be is at the bottom, where it is seen.
const GROUPS: [(Look, &str, &[&str]); 5] = [
    (Look::Over, "Expired", &["expired"]),
    (
        Look::Theirs,
        "aimharder’s trouble",
        &[
            "throttled",
            "refused",
            "upstream_fault",
            "unreachable",
            "timed_out",
        ],
    ),
    (Look::Odd, "Not understood", &["unrecognised"]),
    (
        Look::Ours,
        "Our own trouble",
        &["unusable", "abandoned", "unwritten"],
    ),
    (Look::Good, "Renewed", &["refreshed"]),
];

/// The plots, and the choice of their time.
pub(super) fn plots(overview: &Overview, span: Span) -> Markup {
    let axis = Axis {
        since: overview.since,
        now: overview.now,
        span,
    };
    html! {
        section aria-labelledby="plots" {
            div.heading {
                h2 id="plots" { "Over time" }
                nav aria-label="Time shown" {
                    (choice(Span::Day, span, "24 hours"))
                    (choice(Span::Week, span, "7 days"))
                }
            }
            (patterns())
            div.plots {
                (attempts(overview, &axis))
                (ages(overview))
                (latency(overview, &axis))
                (backlog(overview, &axis))
                (oldest(overview, &axis))
            }
        }
    }
}

fn choice(which: Span, shown: Span, text: &str) -> Markup {
    let current = (which == shown).then_some("page");
    html! { a href={ (BASE) "?hours=" (which.hours()) } aria-current=[current] { (text) } }
}

/// The time that plots show, from left to right.
struct Axis {
    since: Timestamp,
    now: Timestamp,
    span: Span,
}

impl Axis {
    fn at(&self, millis: i64) -> f64 {
        let whole = self.now.as_millis().saturating_sub(self.since.as_millis()).max(1);
        float(millis.saturating_sub(self.since.as_millis())) / float(whole)
    }

    fn share(&self, seconds: u64) -> f64 {
        let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.at(self.since.as_millis().saturating_add(millis))
    }

    /// Round hours, or midnights.
    fn ticks(&self) -> Vec<Tick> {
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
struct Stretch {
    outcomes: BTreeMap<String, u64>,
    latency: Histogram,
}

/// How long a bar is: as many periods as it takes to have few enough.
fn bar_seconds(overview: &Overview) -> u64 {
    let period = u64::from(overview.period_seconds.max(1));
    let whole = overview.now.since(overview.since).as_secs();
    let periods = whole.div_ceil(period).div_ceil(MOST_BARS).max(1);
    period.saturating_mul(periods)
}

/// Periods, folded into stretches of `seconds`; by when they began.
fn fold(periods: &[Period], seconds: u64) -> BTreeMap<i64, Stretch> {
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
    fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self
            .buckets
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count));
        let mut rank = float(i64::try_from(all).ok().filter(|all| *all > 0)?) * share;
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

fn of_group(outcomes: &BTreeMap<String, u64>, codes: &[&str]) -> u64 {
    let counts = codes.iter().filter_map(|code| outcomes.get(*code));
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

fn attempts(overview: &Overview, axis: &Axis) -> Markup {
    let title = "Attempts by outcome";
    let seconds = bar_seconds(overview);
    let folded = fold(&overview.periods, seconds);
    let all = folded.values().map(|stretch| total(&stretch.outcomes));
    let Some(most) = all.max().filter(|most| *most > 0) else {
        return nothing("attempts", title, "No attempts in this time.", true);
    };
    let scale = Scale::up_to(whole(most));
    let bars_shown: Vec<_> = folded
        .iter()
        .map(|(at, stretch)| bar(*at, stretch, seconds, axis))
        .collect();
    let sums = fold(&overview.periods, u64::MAX)
        .into_values()
        .next()
        .unwrap_or_default()
        .outcomes;
    Plot {
        id: "attempts",
        title,
        summary: attempts_in_words(&sums, axis.span),
        axes: [&format!("attempts per {}", long(seconds)), "UTC"],
        scale,
        write: round,
        ticks: axis.ticks(),
        shapes: bars(&bars_shown, scale),
        legend: attempts_legend(&sums),
        numbers: outcome_table(&sums),
        wide: true,
    }
    .figure()
}

fn bar(at: i64, stretch: &Stretch, seconds: u64, axis: &Axis) -> Bar {
    let parts = GROUPS.map(|(look, name, codes)| (look, name, of_group(&stretch.outcomes, codes)));
    let told = parts.iter().rev().filter(|(.., count)| *count > 0);
    let told: Vec<_> = told
        .map(|(_, name, count)| format!("{name}: {}", number(*count)))
        .collect();
    let from = axis.at(at).max(0.0);
    Bar {
        from,
        to: (axis.at(at) + axis.share(seconds)).min(1.0),
        parts: parts.map(|(look, _, count)| (look, whole(count))).to_vec(),
        hint: format!("{} UTC. {}", minute(Timestamp::from_millis(at)), told.join(", ")),
    }
}

fn total(outcomes: &BTreeMap<String, u64>) -> u64 {
    outcomes.values().fold(0, |sum, count| sum.saturating_add(*count))
}

fn attempts_in_words(sums: &BTreeMap<String, u64>, span: Span) -> String {
    let (all, renewed) = (total(sums), of_group(sums, &["refreshed"]));
    format!(
        "{} in the last {}; {} of them renewed the session.",
        many(all, "attempt"),
        long(span.hours().saturating_mul(3_600)),
        percent(whole(renewed) / whole(all).max(1.0))
    )
}

fn attempts_legend(sums: &BTreeMap<String, u64>) -> Markup {
    html! {
        @for (look, name, codes) in GROUPS.iter().rev() {
            (entry(*look, &format!("{name}: {}", number(of_group(sums, codes)))))
        }
    }
}

fn outcome_table(sums: &BTreeMap<String, u64>) -> Markup {
    html! {
        details id="attempts-numbers" {
            summary { "Every outcome" }
            table {
                caption.unseen { "Attempts by every outcome" }
                thead { tr { th scope="col" { "Outcome" } th scope="col" { "What it means" } th.number scope="col" { "Attempts" } } }
                tbody {
                    @for (code, count) in sums.iter().filter(|(_, count)| **count > 0) {
                        tr { th scope="row" { (plain(code)) } td { (outcome(code)) } td.number { (number(*count)) } }
                    }
                }
            }
        }
    }
}

/// Counts by minute, folded into bins of `width` minutes.
fn bins(ages: &[u32], width: usize) -> Vec<u64> {
    let sum = |chunk: &[u32]| {
        chunk
            .iter()
            .fold(0_u64, |sum, count| sum.saturating_add((*count).into()))
    };
    ages.chunks(width.max(1)).map(sum).collect()
}

/// How many minutes a bin has, so that there are some twenty to thirty of them.
const fn bin_width(furthest: usize) -> usize {
    match furthest {
        0..=30 => 1,
        31..=60 => 2,
        _ => 5,
    }
}

fn ages(overview: &Overview) -> Markup {
    let (title, stock) = ("Ages of sessions now", &overview.stock);
    let limit = minutes(overview.interval_seconds);
    let last_age = stock.ages.iter().rposition(|count| *count > 0);
    let Some(last_age) = last_age else {
        return nothing("ages", title, "No session is looked after.", false);
    };
    let marked = f64::from(overview.life_seconds.unwrap_or(0).max(limit_seconds(overview))) / 60.0;
    let marked = (0..MOST_AGE_MINUTES)
        .find(|age| small(*age) >= marked)
        .unwrap_or(MOST_AGE_MINUTES);
    let furthest = last_age.max(marked).saturating_add(1);
    let width = bin_width(furthest);
    let counts = bins(stock.ages.get(..furthest).unwrap_or(&stock.ages), width);
    let reach = small(counts.len().max(furthest.div_ceil(width)).saturating_mul(width));
    let scale = Scale::up_to(whole(counts.iter().copied().max().unwrap_or(0)));
    Plot {
        id: "ages",
        title,
        summary: ages_in_words(overview),
        axes: [
            &format!("sessions per {}", many(width as u64, "minute")),
            "age in minutes",
        ],
        scale,
        write: round,
        ticks: age_ticks(reach),
        shapes: html! {
            (bars(&age_bars(&counts, width, reach, overview), scale))
            (place(limit / reach, 0, &format!("interval {}", long(overview.interval_seconds))))
            @if let Some(life) = overview.life_seconds.filter(|life| minutes(*life) <= reach) {
                (place(minutes(life) / reach, 1, &format!("measured life {}", long(life))))
            }
        },
        legend: html! {
            (entry(Look::Good, "In time"))
            (entry(Look::Over, &format!("Older than {}", long(limit_seconds(overview)))))
        },
        numbers: html! {},
        wide: false,
    }
    .figure()
}

fn age_bars(counts: &[u64], width: usize, reach: f64, overview: &Overview) -> Vec<Bar> {
    let limit = minutes(limit_seconds(overview));
    let bar = |(index, count): (usize, &u64)| {
        let first = index.saturating_mul(width);
        let last = first.saturating_add(width);
        let look = if small(first) >= limit {
            Look::Over
        } else {
            Look::Good
        };
        let open = if first >= MOST_AGE_MINUTES {
            " or more".to_owned()
        } else {
            format!(" to {last}")
        };
        Bar {
            from: small(first) / reach,
            to: small(last) / reach,
            parts: vec![(look, whole(*count))],
            hint: format!("{first}{open} minutes: {}", many(*count, "session")),
        }
    };
    counts.iter().enumerate().map(bar).collect()
}

fn age_ticks(reach: f64) -> Vec<Tick> {
    let step = if reach > 60.0 { 20 } else { 10 };
    let marks = (0_u32..=12).map(|index| index.saturating_mul(step));
    marks
        .map(|age| (f64::from(age) / reach, age))
        .filter(|(at, _)| *at < 0.99)
        .map(|(at, age)| Tick {
            at,
            text: age.to_string(),
            minor: false,
        })
        .collect()
}

fn ages_in_words(overview: &Overview) -> String {
    let stock = &overview.stock;
    let oldest = stock
        .oldest_age_seconds
        .map_or_else(String::new, |age| format!("; the oldest is {} old", long(age)));
    let (active, late) = (many(stock.active, "session"), number(stock.late));
    format!("{active} looked after{oldest}; {late} older than the interval and 5 minutes.")
}

fn latency(overview: &Overview, axis: &Axis) -> Markup {
    let title = "How long attempts took";
    let seconds = bar_seconds(overview);
    let folded = fold(&overview.periods, seconds);
    let middle = axis.share(seconds) / 2.0;
    let points = |share| {
        let measured = folded
            .iter()
            .filter_map(|(at, stretch)| Some((*at, stretch.latency.quantile(share)?)));
        measured
            .map(|(at, value)| ((axis.at(at) + middle).clamp(0.0, 1.0), value))
            .collect::<Vec<_>>()
    };
    let (half, most) = (points(0.5), points(0.95));
    let sums = fold(&overview.periods, u64::MAX)
        .into_values()
        .next()
        .unwrap_or_default()
        .latency;
    let (Some(median), Some(p95)) = (sums.quantile(0.5), sums.quantile(0.95)) else {
        return nothing("latency", title, "No attempts in this time.", false);
    };
    let scale = Scale::up_to(most.iter().fold(0.0, |most, (_, value)| value.max(most)));
    let gap = axis.share(seconds) * 1.5;
    Plot {
        id: "latency",
        title,
        summary: format!(
            "Half took up to {}, 95 of 100 up to {}; estimated from histograms.",
            millis(median),
            millis(p95)
        ),
        axes: ["time taken", "UTC"],
        scale,
        write: millis,
        ticks: axis.ticks(),
        shapes: html! { (line(&most, gap, scale, "second")) (line(&half, gap, scale, "first")) },
        legend: html! { (line_entry("first", "Median")) (line_entry("second", "95 of 100")) },
        numbers: html! {},
        wide: false,
    }
    .figure()
}

fn backlog(overview: &Overview, axis: &Axis) -> Markup {
    let samples = &overview.samples;
    let Some(most) = samples.iter().map(|sample| sample.due).max() else {
        return nothing("backlog", "Sessions due", "No tick was seen in this time.", false);
    };
    let scale = Scale::up_to(f64::from(most));
    let points: Vec<_> = samples
        .iter()
        .map(|sample| (axis.at(sample.at.as_millis()), f64::from(sample.due)))
        .collect();
    Plot {
        id: "backlog",
        title: "Sessions due",
        summary: format!(
            "{} due now; {} at the most in this time.",
            number(overview.backlog.due),
            number(most)
        ),
        axes: ["sessions", "UTC"],
        scale,
        write: round,
        ticks: axis.ticks(),
        shapes: line(&points, sample_gap(samples, axis), scale, "first"),
        legend: html! { (line_entry("first", "Due and not worked on")) },
        numbers: html! {},
        wide: false,
    }
    .figure()
}

fn oldest(overview: &Overview, axis: &Axis) -> Markup {
    let title = "Age of the session that waits longest";
    let aged = overview
        .samples
        .iter()
        .filter_map(|sample| Some((sample.at.as_millis(), sample.oldest_age_seconds?)));
    let points: Vec<_> = aged.map(|(at, age)| (axis.at(at), minutes(age))).collect();
    let limit = minutes(limit_seconds(overview));
    let most = points.iter().fold(0.0, |most: f64, (_, age)| most.max(*age));
    if points.is_empty() {
        return nothing("oldest", title, "No session waited in this time.", false);
    }
    let scale = Scale::up_to(most.max(limit));
    Plot {
        id: "oldest",
        title,
        summary: format!("{most:.0} minutes at the most in this time; {limit:.0} are allowed."),
        axes: ["age in minutes", "UTC"],
        scale,
        write: round,
        ticks: axis.ticks(),
        shapes: html! {
            (line(&points, sample_gap(&overview.samples, axis), scale, "first"))
            (level(limit, scale, "allowed"))
        },
        legend: html! { (line_entry("first", "Since its last sign of life")) (line_entry("limit", "Allowed")) },
        numbers: html! {},
        wide: false,
    }
    .figure()
}

/// Three times what is usually between two samples: beyond that, ticks were missing.
fn sample_gap(samples: &[Sample], axis: &Axis) -> f64 {
    let times = samples.iter().map(|sample| sample.at.as_millis());
    let mut steps: Vec<_> = times
        .clone()
        .zip(times.skip(1))
        .map(|(one, next)| next.saturating_sub(one))
        .collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(HOUR);
    let usual = u64::try_from(usual).unwrap_or(0);
    axis.share(usual.saturating_mul(3) / 1_000).max(0.005)
}

fn minutes(seconds: u32) -> f64 {
    f64::from(seconds) / 60.0
}

fn round(value: f64) -> String {
    number(positive(value))
}

fn millis(value: f64) -> String {
    took(positive(value))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is rounded on purpose"
)]
const fn positive(value: f64) -> u64 {
    value.round() as u64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below 2^52, and only drawn"
)]
const fn whole(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this age are far below 2^52"
)]
const fn float(millis: i64) -> f64 {
    millis as f64
}

#[expect(clippy::cast_precision_loss, reason = "ages go up to 120")]
const fn small(age: usize) -> f64 {
    age as f64
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
    fn ages_are_folded_into_bins_and_none_is_lost() {
        assert_eq!(bins(&[1, 2, 3, 4, 5], 2), [3, 7, 5]);
        let all = vec![1; MOST_AGE_MINUTES + 1];
        assert_eq!(bins(&all, bin_width(all.len())).iter().sum::<u64>(), 121);
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
