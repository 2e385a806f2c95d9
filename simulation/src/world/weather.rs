//! When what goes wrong.

use fastrand::Rng;

use super::settings::{DAY, HOUR, MINUTE, Settings};
use crate::model::{Moment, SECOND};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Upstream does not answer usefully: 503s, broken connections, or nothing at all.
    Down { hangs: bool, retry_after: Option<u64> },
    /// Upstream answers this share of calls with 429.
    Storm { share: f64, retry_after: Option<u64> },
    /// A firewall or a page that nobody understands.
    Odd { refuses: bool },
    /// Upstream shows everybody its login page.
    SignsAllOut,
    /// Upstream takes its time.
    Slow,
    /// The database can't be reached.
    DatabaseAway { hangs: bool },
    /// No tick comes, and no message.
    NoCron,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) kind: Kind,
}

pub(super) struct Weather {
    windows: Vec<Window>,
    /// Those before have begun.
    next: usize,
    now: Vec<Window>,
    trouble_until: Moment,
    slow_until: Moment,
}

impl Weather {
    pub(super) fn of(rng: &mut Rng, settings: &Settings, start: Moment) -> Self {
        let mut windows = Vec::new();
        let end = start + settings.lasts;
        let mut add =
            |rng: &mut Rng, every: Moment, shortest: Moment, longest: Moment, kind: fn(&mut Rng) -> Kind| {
                let mut at = start;
                loop {
                    let gap = -(1.0 - rng.f64()).ln() * every as f64 / settings.trouble.max(0.001);
                    at += gap.min(1e15) as Moment + MINUTE;
                    if at >= end {
                        return;
                    }
                    // Short ones are more frequent than long ones.
                    let lasts = shortest + ((longest - shortest) as f64 * rng.f64().powi(3)) as Moment;
                    let (from, to, kind) = (at, at + lasts, kind(rng));
                    windows.push(Window { from, to, kind });
                    at = to;
                }
            };
        add(rng, 12 * HOUR, MINUTE / 2, 5 * HOUR, |rng| Kind::Down {
            hangs: rng.bool(),
            retry_after: rng.bool().then(|| rng.u64(1..120)),
        });
        add(rng, DAY, MINUTE, HOUR, |rng| Kind::Storm {
            share: 0.2 + 0.8 * rng.f64(),
            retry_after: rng.bool().then(|| rng.u64(1..120)),
        });
        add(rng, 3 * DAY, 5 * MINUTE, 3 * HOUR, |rng| Kind::Odd {
            refuses: rng.bool(),
        });
        add(rng, 3 * DAY, 5 * MINUTE, 2 * HOUR, |_| Kind::SignsAllOut);
        add(rng, 4 * DAY, 2 * HOUR, DAY, |_| Kind::Slow);
        add(rng, 12 * HOUR, 2 * SECOND, 10 * MINUTE, |rng| {
            Kind::DatabaseAway { hangs: rng.bool() }
        });
        add(rng, 3 * HOUR, SECOND, 30 * SECOND, |rng| Kind::DatabaseAway {
            hangs: rng.bool(),
        });
        add(rng, DAY, 2 * MINUTE, HOUR / 2, |_| Kind::NoCron);
        windows.sort_by_key(|window| window.from);
        Self {
            windows,
            next: 0,
            now: Vec::new(),
            trouble_until: Moment::MIN / 2,
            slow_until: Moment::MIN / 2,
        }
    }

    /// To be called with moments that never go back.
    pub(super) fn advance(&mut self, moment: Moment) {
        while let Some(window) = self.windows.get(self.next).filter(|window| window.from <= moment) {
            let until = match window.kind {
                Kind::Slow => &mut self.slow_until,
                _ => &mut self.trouble_until,
            };
            *until = (*until).max(window.to);
            self.now.push(*window);
            self.next += 1;
        }
        if !self.now.is_empty() {
            self.now.retain(|window| window.to > moment);
        }
    }

    /// When the last time ends or ended in which everybody was shown the login page.
    pub(super) fn signed_out_until(&self) -> Moment {
        let begun = self.windows.iter().take(self.next);
        begun
            .filter(|window| window.kind == Kind::SignsAllOut)
            .map(|window| window.to)
            .max()
            .unwrap_or(Moment::MIN / 2)
    }

    pub(super) fn now(&self) -> &[Window] {
        &self.now
    }

    pub(super) fn find<T>(&self, wanted: impl Fn(Kind) -> Option<T>) -> Option<T> {
        self.now.iter().find_map(|window| wanted(window.kind))
    }

    /// Whether upstream is slow, or was within the hour.
    pub(super) fn is_slow(&self, moment: Moment) -> bool {
        self.slow_until > moment - HOUR
    }

    /// When the last trouble that has begun ends or ended; slowness is none.
    pub(super) fn trouble_until(&self) -> Moment {
        self.trouble_until
    }

    /// When trouble that began before this moment ended; slowness is none.
    pub(super) fn ends_of_trouble(&self, before: Moment) -> impl Iterator<Item = Moment> {
        self.windows
            .iter()
            .take_while(move |window| window.from < before)
            .filter(|window| window.kind != Kind::Slow)
            .map(|window| window.to)
    }

    /// Since when upstream has been down altogether: one that hangs lets a call through now and then.
    pub(super) fn down_since(&self) -> Option<Moment> {
        let is_down = |window: &&Window| matches!(window.kind, Kind::Down { hangs: false, .. });
        self.now.iter().filter(is_down).map(|window| window.from).min()
    }
}
