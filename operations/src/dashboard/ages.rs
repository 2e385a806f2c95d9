//! How old sessions are, against the interval and their measured life.

use maud::{Markup, html};

use crate::overview::{MOST_AGE_MINUTES, Overview};

use super::{
    plot::{Bar, Look, Plot, Scale, Tick, bars, entry, minutes, nothing, place, round, whole},
    verdict::limit_seconds,
    words::{long, many, number},
};

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

/// The distribution of ages now.
pub(super) fn ages(overview: &Overview) -> Markup {
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
