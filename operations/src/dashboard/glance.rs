//! The overview's head: the verdict, the objective, and the numbers that matter.

use maud::{Markup, html};

use crate::overview::{Breaker, OBJECTIVE, Overview, Upstream, share};

use super::{
    Span,
    verdict::{Level, Verdict, limit_seconds, verdict},
    words::{ago, long, maybe_ago, number, percent},
};

/// Is everything alive?
pub(super) fn glance(overview: &Overview, span: Span) -> Markup {
    html! {
        section aria-labelledby="glance" {
            h2.unseen id="glance" { "At a glance" }
            (told(&verdict(overview)))
            dl.facts {
                (objective(overview, span))
                (stock(overview))
                (work(overview))
            }
        }
    }
}

fn told(verdict: &Verdict) -> Markup {
    let (class, sign, word) = match verdict.level {
        Level::Good => ("good", "✓", "Good"),
        Level::Attention => ("attention", "!", "Attention"),
        Level::Bad => ("bad", "✕", "Bad"),
    };
    html! {
        div.verdict.(class) {
            span.sign aria-hidden="true" { (sign) }
            div {
                p.sentence { strong { (word) ":" } " " (verdict.sentence) }
                @if !verdict.more.is_empty() {
                    ul { @for sentence in &verdict.more { li { (sentence) } } }
                }
            }
        }
    }
}

fn fact(name: &str, value: &Markup, note: &Markup) -> Markup {
    html! { div { dt { (name) } dd { span.value { (value) } span.note { (note) } } } }
}

fn objective(overview: &Overview, span: Span) -> Markup {
    let sums = overview
        .samples
        .iter()
        .fold((0_u64, 0_u64), |(all, late), sample| {
            (
                all.saturating_add(sample.active.into()),
                late.saturating_add(sample.late.into()),
            )
        });
    let lately = share(sums.0, sums.1);
    let limit = long(limit_seconds(overview));
    let mark = |share: f64| if share < OBJECTIVE { " (missed)" } else { "" };
    let now = overview.stock.share_in_time();
    html! {
        (fact(
            &format!("Younger than {limit}"),
            &html! { (percent(now)) (mark(now)) },
            &html! { "now; objective " (percent(OBJECTIVE)) },
        ))
        (fact(
            &format!("In the last {}", long(span.hours().saturating_mul(3_600))),
            &html! { @if overview.samples.is_empty() { "–" } @else { (percent(lately)) (mark(lately)) } },
            &html! { "the same, over time" },
        ))
    }
}

fn stock(overview: &Overview) -> Markup {
    let stock = &overview.stock;
    let note = |text: &str| html! { (text) };
    html! {
        (fact("Looked after", &html! { (number(stock.active)) }, &html! { "counted " (maybe_ago(stock.counted_at, overview.now)) }))
        (fact("Failing", &html! { (number(stock.failing)) }, &note("at the last attempt")))
        (fact("Expired", &html! { (number(stock.expired)) }, &note("wait for a sign-in")))
        (fact("Given up", &html! { (number(stock.exhausted)) }, &note("after too many failures")))
        (fact("Disabled", &html! { (number(stock.disabled)) }, &note("left alone")))
    }
}

fn work(overview: &Overview) -> Markup {
    let waiting = &overview.backlog;
    let due = if waiting.due > 10_000 {
        "over 10,000".to_owned()
    } else {
        number(waiting.due)
    };
    let age = waiting.oldest_age_seconds.map_or_else(|| "–".to_owned(), long);
    let due_since = html! {
        @if let Some(at) = waiting.oldest_due_at { "due since " (ago(at, overview.now)) } @else { "none waits" }
    };
    html! {
        (fact("Due now", &html! { (due) }, &html! { "not worked on yet" }))
        (fact("Oldest due", &html! { (age) }, &due_since))
        (fact("Last cron tick", &maybe_ago(overview.last_tick_at, overview.now), &html! { "one a minute" }))
        (breaker(&overview.upstream, overview))
    }
}

fn breaker(upstream: &Upstream, overview: &Overview) -> Markup {
    let word = match upstream.breaker {
        Breaker::Closed => "called",
        Breaker::Open => "left alone",
        Breaker::HalfOpen => "being tried",
    };
    let note = html! {
        @if let Some(until) = upstream.held_until.filter(|until| *until > overview.now) {
            "again " (ago(until, overview.now))
        } @else {
            (number(upstream.in_flight)) " at once, " (format!("{:.1}", upstream.calls_per_second)) " a second"
        }
    };
    fact("aimharder is", &html! { (word) }, &note)
}
