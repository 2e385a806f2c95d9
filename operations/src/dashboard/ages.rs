//! How old sessions are, against the interval and their measured life.

use maud::{Markup, html};

use crate::overview::{MOST_AGE_MINUTES, Overview};

use super::{
    plot::{Bar, Look, Plot, Scale, Tick, bars, entry, minutes, nothing, place, whole},
    verdict::limit_seconds,
    words::{long, many, number},
};

const TITLE: &str = "Ages of sessions now";

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

/// Ages in bins.
struct Binned {
    /// Minutes in a bin.
    width: usize,
    counts: Vec<u64>,
    /// Where the plot ends, in minutes.
    reach: f64,
}

impl Binned {
    /// As far as sessions are, and the marks; `None` where there are no sessions.
    fn of(overview: &Overview) -> Option<Self> {
        let ages = &overview.stock.ages;
        let oldest = ages.iter().rposition(|count| *count > 0)?;
        let marked = minutes(overview.life_seconds.unwrap_or(0).max(limit_seconds(overview)));
        let marked = (0..MOST_AGE_MINUTES).find(|age| small(*age) >= marked);
        let furthest = oldest.max(marked.unwrap_or(MOST_AGE_MINUTES)).saturating_add(1);
        let width = bin_width(furthest);
        let counts = bins(ages.get(..furthest).unwrap_or(ages), width);
        let reach = small(counts.len().max(furthest.div_ceil(width)).saturating_mul(width));
        Some(Self { width, counts, reach })
    }

    fn bars(&self, limit: f64) -> Vec<Bar> {
        let counts = self.counts.iter().enumerate();
        counts
            .map(|(index, count)| self.bar(index, *count, limit))
            .collect()
    }

    fn bar(&self, index: usize, count: u64, limit: f64) -> Bar {
        let first = index.saturating_mul(self.width);
        let last = first.saturating_add(self.width);
        let late = small(first) >= limit;
        let range = if first >= MOST_AGE_MINUTES {
            format!("{first} minutes or more")
        } else {
            format!("{first} to {last} minutes")
        };
        Bar {
            from: small(first) / self.reach,
            to: small(last) / self.reach,
            parts: vec![(if late { Look::Over } else { Look::Good }, whole(count))],
            hint: format!("{range}: {}", many(count, "session")),
        }
    }

    fn mark(&self, seconds: u32, row: u32, name: &str) -> Markup {
        let at = minutes(seconds) / self.reach;
        html! { @if at <= 1.0 { (place(at, row, &format!("{name} {}", long(seconds)))) } }
    }
}

/// The distribution of ages now.
pub(super) fn ages(overview: &Overview) -> Markup {
    let Some(binned) = Binned::of(overview) else {
        return nothing("ages", TITLE, "No session is looked after.", false);
    };
    let scale = Scale::up_to(whole(binned.counts.iter().copied().max().unwrap_or(0)));
    let limit = limit_seconds(overview);
    Plot {
        summary: ages_in_words(overview),
        axes: [
            &format!("sessions per {}", many(binned.width as u64, "minute")),
            "age in minutes",
        ],
        ticks: age_ticks(binned.reach),
        shapes: html! {
            (bars(&binned.bars(minutes(limit)), scale))
            (binned.mark(overview.interval_seconds, 0, "interval"))
            @if let Some(life) = overview.life_seconds { (binned.mark(life, 1, "measured life")) }
        },
        legend: html! {
            (entry(Look::Good, "In time"))
            (entry(Look::Over, &format!("Older than {}", long(limit))))
        },
        ..Plot::new("ages", TITLE, scale)
    }
    .figure()
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

#[expect(clippy::cast_precision_loss, reason = "ages go up to 120")]
const fn small(age: usize) -> f64 {
    age as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_folded_into_bins_and_none_is_lost() {
        assert_eq!(bins(&[1, 2, 3, 4, 5], 2), [3, 7, 5]);
        let all = vec![1; MOST_AGE_MINUTES + 1];
        assert_eq!(bins(&all, bin_width(all.len())).iter().sum::<u64>(), 121);
    }
}
