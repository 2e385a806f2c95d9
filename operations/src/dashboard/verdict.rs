//! Is everything alive? The one sentence, and what else wants a look.

use crate::overview::{AlertKind, Breaker, MARGIN_SECONDS, OBJECTIVE, Overview};

use super::words::{alert_details, alert_name, long, many, number, percent};

/// After so many seconds without a cron tick nobody looks after sessions.
const SILENCE_SECONDS: u64 = 180;

/// Messages wait for the next tick or two: longer than this is trouble.
const PATIENCE_SECONDS: u64 = 300;

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing to do.
    Good,
    /// Somebody should look, in office hours.
    Attention,
    /// Somebody should look now.
    Bad,
}

/// Whether everything is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How good or bad it is.
    pub level: Level,
    /// What matters most, as a sentence.
    pub sentence: String,
    /// What else is not as it should be, as sentences, worst first.
    pub more: Vec<String>,
}

/// Tells whether everything is alive.
pub fn verdict(overview: &Overview) -> Verdict {
    let bad = [cron(overview), age(overview), objective(overview)]
        .into_iter()
        .flatten();
    let bad: Vec<_> = bad.chain(alerts(overview, Level::Bad)).collect();
    let attention = [
        late(overview),
        breaker(overview),
        failing(overview),
        undelivered(overview),
    ]
    .into_iter()
    .flatten();
    let attention: Vec<_> = attention.chain(alerts(overview, Level::Attention)).collect();
    let level = match (bad.is_empty(), attention.is_empty()) {
        (false, _) => Level::Bad,
        (true, false) => Level::Attention,
        (true, true) => Level::Good,
    };
    let mut sentences = bad.into_iter().chain(attention);
    Verdict {
        level,
        sentence: sentences.next().unwrap_or_else(|| all_well(overview)),
        more: sentences.collect(),
    }
}

/// How old a session may be.
pub(super) const fn limit_seconds(overview: &Overview) -> u32 {
    overview.interval_seconds.saturating_add(MARGIN_SECONDS)
}

fn cron(overview: &Overview) -> Option<String> {
    let Some(last) = overview.last_tick_at else {
        return Some("The cron was never heard of: nobody refreshes sessions.".to_owned());
    };
    let silence = overview.now.since(last).as_secs();
    (silence > SILENCE_SECONDS).then(|| {
        format!(
            "The cron was last heard of {} ago: nobody refreshes sessions.",
            long(silence)
        )
    })
}

fn age(overview: &Overview) -> Option<String> {
    let age = overview.backlog.oldest_age_seconds?;
    (age > limit_seconds(overview)).then(|| {
        format!(
            "A session that is due gave its last sign of life {} ago; {} are allowed.",
            long(age),
            long(limit_seconds(overview))
        )
    })
}

fn objective(overview: &Overview) -> Option<String> {
    let share = overview.stock.share_in_time();
    let (late, share_text) = (are(overview.stock.late, "session"), percent(share));
    (share < OBJECTIVE).then(|| {
        let objective = percent(OBJECTIVE);
        format!("{late} older than allowed: {share_text} are in time, {objective} is the objective.")
    })
}

fn late(overview: &Overview) -> Option<String> {
    let stock = &overview.stock;
    let late = are(stock.late, "session");
    (stock.late > 0 && stock.share_in_time() >= OBJECTIVE)
        .then(|| format!("{late} older than allowed; the objective still holds."))
}

fn breaker(overview: &Overview) -> Option<String> {
    match overview.upstream.breaker {
        Breaker::Closed => None,
        Breaker::Open => Some("aimharder has trouble: it is left alone for a while.".to_owned()),
        Breaker::HalfOpen => {
            Some("aimharder had trouble: one call at a time shows whether it is back.".to_owned())
        }
    }
}

fn failing(overview: &Overview) -> Option<String> {
    let failing = overview.stock.failing;
    (failing > 0).then(|| {
        format!(
            "{} failed at the last attempt and will be tried again.",
            many(failing, "session")
        )
    })
}

fn undelivered(overview: &Overview) -> Option<String> {
    let waiting = &overview.undelivered;
    let count = u64::from(waiting.alerts).saturating_add(waiting.events.into());
    let waited = waiting.oldest_at.map_or(0, |at| overview.now.since(at).as_secs());
    let stuck = count > 0 && (waiting.last_error.is_some() || waited > PATIENCE_SECONDS);
    stuck.then(|| format!("{} could not be delivered yet.", many(count, "message")))
}

/// Alerts that are on, but for those that the checks above tell already.
fn alerts(overview: &Overview, level: Level) -> impl Iterator<Item = String> {
    let told = move |kind| match kind {
        AlertKind::OldestDue => age(overview).is_some(),
        AlertKind::BreakerOpen => breaker(overview).is_some(),
        _ => false,
    };
    overview
        .alerts
        .iter()
        .filter(move |alert| alert.over_at.is_none() && level_of(alert.kind) == level && !told(alert.kind))
        .map(|alert| {
            format!("{}. {}", alert_name(alert.kind), alert_details(alert))
                .trim_end()
                .to_owned()
        })
}

/// How bad an alert is.
pub(super) const fn level_of(kind: AlertKind) -> Level {
    match kind {
        AlertKind::FailureRate
        | AlertKind::OldestDue
        | AlertKind::MarkupChanged
        | AlertKind::Misconfigured
        | AlertKind::DatabaseRefused => Level::Bad,
        AlertKind::BreakerOpen | AlertKind::SessionsLost | AlertKind::IntervalTooLong => Level::Attention,
    }
}

fn all_well(overview: &Overview) -> String {
    let stock = &overview.stock;
    let oldest = stock.oldest_age_seconds.map(long);
    match (
        stock.active,
        oldest,
        stock.expired.saturating_add(stock.exhausted),
    ) {
        (0, _, 0) => "There are no sessions yet.".to_owned(),
        (0, _, over) => format!("No session is looked after; {} over.", are(over, "session")),
        (1, oldest, _) => format!("The only session is alive{}.", last_sign(oldest.as_deref(), "it")),
        (all, oldest, _) => format!(
            "All {} sessions are alive{}.",
            number(all),
            last_sign(oldest.as_deref(), "the oldest")
        ),
    }
}

/// "1 session is", "2 sessions are".
fn are(count: u32, thing: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", many(count, thing))
}

fn last_sign(age: Option<&str>, which: &str) -> String {
    age.map(|age| format!("; {which} gave a sign of life {age} ago"))
        .unwrap_or_default()
}
