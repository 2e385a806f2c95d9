//! What the overview's plots show: outcomes, ages, latency, backlog.

use std::collections::BTreeMap;

use maud::{Markup, html};
use session_core::time::Timestamp;

use crate::overview::{Overview, Sample};

use super::{
    BASE, Span,
    ages::ages,
    plot::{
        Bar, Look, Plot, Scale, bars, entry, level, line, line_entry, minutes, nothing, patterns, positive,
        whole,
    },
    stretch::{Axis, Stretch, bar_seconds, fold, sum, total},
    verdict::limit_seconds,
    words::{long, many, minute, number, outcome, percent, plain, took},
};

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
    let sums = sum(&overview.periods).outcomes;
    Plot {
        summary: attempts_in_words(&sums, axis.span),
        axes: [&format!("attempts per {}", long(seconds)), "UTC"],
        ticks: axis.ticks(),
        shapes: bars(&bars_shown, scale),
        legend: attempts_legend(&sums),
        numbers: outcome_table(&sums),
        wide: true,
        ..Plot::new("attempts", title, scale)
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

fn latency(overview: &Overview, axis: &Axis) -> Markup {
    let title = "How long attempts took";
    let seconds = bar_seconds(overview);
    let folded = fold(&overview.periods, seconds);
    let points = |share| quantiles(&folded, share, seconds, axis);
    let (half, most) = (points(0.5), points(0.95));
    let sums = sum(&overview.periods).latency;
    let (Some(median), Some(p95)) = (sums.quantile(0.5), sums.quantile(0.95)) else {
        return nothing("latency", title, "No attempts in this time.", false);
    };
    let scale = Scale::up_to(most.iter().fold(0.0, |most, (_, value)| value.max(most)));
    let gap = axis.share(seconds) * 1.5;
    Plot {
        summary: format!(
            "Half took up to {}, 95 of 100 up to {}; estimated from histograms.",
            millis(median),
            millis(p95)
        ),
        axes: ["time taken", "UTC"],
        write: millis,
        ticks: axis.ticks(),
        shapes: html! { (line(&most, gap, scale, "second")) (line(&half, gap, scale, "first")) },
        legend: html! { (line_entry("first", "Median")) (line_entry("second", "95 of 100")) },
        ..Plot::new("latency", title, scale)
    }
    .figure()
}

/// A quantile of each stretch, at its middle.
fn quantiles(folded: &BTreeMap<i64, Stretch>, share: f64, seconds: u64, axis: &Axis) -> Vec<(f64, f64)> {
    let middle = axis.share(seconds) / 2.0;
    let points = folded.iter().filter_map(|(at, stretch)| {
        let value = stretch.latency.quantile(share)?;
        Some(((axis.at(*at) + middle).clamp(0.0, 1.0), value))
    });
    points.collect()
}

fn backlog(overview: &Overview, axis: &Axis) -> Markup {
    let (title, samples) = ("Sessions due", &overview.samples);
    let Some(most) = samples.iter().map(|sample| sample.due).max() else {
        return nothing("backlog", title, "No tick was seen in this time.", false);
    };
    let scale = Scale::up_to(f64::from(most));
    let points: Vec<_> = samples
        .iter()
        .map(|sample| (axis.at(sample.at.as_millis()), f64::from(sample.due)))
        .collect();
    Plot {
        summary: format!(
            "{} due now; {} at the most in this time.",
            number(overview.backlog.due),
            number(most)
        ),
        axes: ["sessions", "UTC"],
        ticks: axis.ticks(),
        shapes: line(&points, sample_gap(samples, axis), scale, "first"),
        legend: html! { (line_entry("first", "Due and not worked on")) },
        ..Plot::new("backlog", title, scale)
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
    let scale = Scale::up_to(most.max(limit) * 1.1);
    Plot {
        summary: format!("{most:.0} minutes at the most in this time; {limit:.0} are allowed."),
        axes: ["age in minutes", "UTC"],
        ticks: axis.ticks(),
        shapes: html! {
            (line(&points, sample_gap(&overview.samples, axis), scale, "first"))
            (level(limit, scale, "allowed"))
        },
        legend: html! { (line_entry("first", "Since its last sign of life")) (line_entry("limit", "Allowed")) },
        ..Plot::new("oldest", title, scale)
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
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0);
    let usual = u64::try_from(usual).unwrap_or(0);
    axis.share(usual.saturating_mul(3) / 1_000).max(0.005)
}

fn millis(value: f64) -> String {
    took(positive(value))
}
