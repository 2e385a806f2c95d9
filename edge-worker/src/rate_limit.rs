//! How often somebody may ask: by Cloudflare's rate-limit bindings, which count at each of its locations, and without
//! them by this isolate alone. Approximate either way: it spares what comes behind it, and guarantees nothing.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use session_core::time::Timestamp;
use worker::{Env, Request};

use crate::{answer::ApiError, runtime::now};

/// The bindings' period in wrangler.toml, in milliseconds.
const PERIOD_MS: i64 = 60_000;

/// Askers of a kind that the fallback tells apart; the rest count as one.
const MOST_COUNTED: usize = 10_000;
const OTHERS: &str = "others";

/// Who is counted. The numbers are those of wrangler.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// An address whose requests are refused, for their token or their key.
    Address,
    /// A verified user.
    User,
}

impl Counted {
    const fn binding(self) -> &'static str {
        match self {
            Self::Address => "RATE_LIMIT_ADDRESS",
            Self::User => "RATE_LIMIT_USER",
        }
    }

    const fn limit(self) -> u32 {
        match self {
            Self::Address => 1_000,
            Self::User => 60,
        }
    }
}

static COUNTS: LazyLock<Mutex<Counts>> = LazyLock::new(Mutex::default);

/// Counts a request of whoever `who` names.
pub(crate) async fn count(counted: Counted, who: &str, env: &Env) -> Result<(), ApiError> {
    let by_binding = match env.rate_limiter(counted.binding()) {
        Ok(binding) => binding.limit(who.to_owned()).await.ok(),
        Err(_) => None,
    };
    let allowed = match by_binding {
        Some(outcome) => outcome.success,
        None => COUNTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(counted, who, now()),
    };
    allowed.then_some(()).ok_or(ApiError::RateLimited {
        retry_after: left_of_period(now()),
    })
}

/// Whom a request came from, as Cloudflare tells: no client can set the header there.
pub(crate) fn address(request: &Request) -> String {
    let header = request.headers().get("CF-Connecting-IP").ok().flatten();
    header.map_or_else(String::new, |text| network(&text))
}

/// Of an IPv6 address the 64 bits that one customer has: the rest is theirs to vary.
fn network(text: &str) -> String {
    match text.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => text.to_owned(),
    }
}

fn period_of(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(PERIOD_MS)
}

/// Windows are those of the clock.
fn left_of_period(now: Timestamp) -> Duration {
    let gone = now.as_millis().rem_euclid(PERIOD_MS);
    Duration::from_millis(PERIOD_MS.saturating_sub(gone).unsigned_abs())
}

/// The fallback: what was counted in this period.
#[derive(Debug, Default)]
struct Counts {
    period: i64,
    counts: HashMap<Counted, HashMap<String, u32>>,
}

impl Counts {
    fn count(&mut self, counted: Counted, who: &str, now: Timestamp) -> bool {
        let period = period_of(now);
        if period != self.period {
            self.period = period;
            self.counts.clear();
        }
        let counts = self.counts.entry(counted).or_default();
        let has_room = counts.len() < MOST_COUNTED || counts.contains_key(who);
        let key = if has_room { who } else { OTHERS };
        let count = counts.entry(key.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= counted.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(PERIOD_MS.unsigned_abs());
    const NOON: Timestamp = Timestamp::from_millis(1_766_750_400_000);

    fn allowed(counts: &mut Counts, who: &str, times: usize, now: Timestamp) -> usize {
        (0..times)
            .filter(|_| counts.count(Counted::User, who, now))
            .count()
    }

    #[test]
    fn each_has_a_share_of_its_own_and_a_new_one_each_minute() {
        let mut counts = Counts::default();
        assert_eq!(allowed(&mut counts, "ana", 100, NOON), 60);
        assert_eq!(allowed(&mut counts, "bruno", 10, NOON), 10);
        assert_eq!(
            allowed(&mut counts, "ana", 1, NOON.after(Duration::from_secs(59))),
            0
        );
        assert_eq!(allowed(&mut counts, "ana", 100, NOON.after(PERIOD)), 60);
    }

    #[test]
    fn a_flood_of_names_takes_no_memory_beyond_a_bound_and_frees_nobody() {
        let mut counts = Counts::default();
        assert_eq!(allowed(&mut counts, "ana", 60, NOON), 60);
        for index in 0..MOST_COUNTED * 2 {
            counts.count(Counted::User, &index.to_string(), NOON);
        }
        assert!(counts.counts[&Counted::User].len() <= MOST_COUNTED + 1);
        assert!(
            counts.count(Counted::Address, "203.0.113.1", NOON),
            "nor does it cost others"
        );
        assert_eq!(allowed(&mut counts, "ana", 1, NOON), 0);
        assert_eq!(allowed(&mut counts, "newcomer", 1, NOON), 0);
    }

    #[test]
    fn one_customer_is_one_address() {
        for (text, network_of_it) in [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
            ("", ""),
        ] {
            assert_eq!(network(text), network_of_it);
        }
    }

    #[test]
    fn a_wait_ends_with_the_minute() {
        assert_eq!(left_of_period(NOON), PERIOD);
        assert_eq!(
            left_of_period(NOON.after(Duration::from_secs(59))),
            Duration::from_secs(1)
        );
    }
}
