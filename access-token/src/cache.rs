//! When a key set is fetched, and how long it is believed: decisions only, the Worker does the fetching.

use std::time::Duration;

use session_core::time::Timestamp;

use crate::key::{Key, KeySet};

/// For so long a set is used without asking again. Supabase's own caches keep it as long.
pub const FRESH: Duration = Duration::from_mins(10);

/// For so long a set is used though its source is away. A key that was revoked meanwhile counts until then.
pub const OUTLIVES: Duration = Duration::from_hours(6);

/// A key that the set doesn't hold makes it fetched again, at most this often: anybody can name one.
pub const UNKNOWN_PAUSE: Duration = Duration::from_mins(3);

/// After a fetch that failed.
pub const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// How long a fetch may take; past it, whoever began it is taken for lost.
pub const FETCH_BOUND: Duration = Duration::from_secs(5);

/// What is known of the key set, and since when.
#[derive(Debug, Default)]
pub struct KeyCache {
    known: Option<Known>,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Known {
    set: KeySet,
    since: Timestamp,
}

/// The last fetch.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Timestamp,
    state: Fetch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    UnderWay,
    Succeeded,
    Failed,
}

/// What to do about a token that asks for a certain key.
#[derive(Debug)]
pub enum Lookup {
    /// Check it with this one.
    Use(Key),
    /// Fetch the set, say so with [`KeyCache::asking`], and look again.
    Fetch,
    /// Somebody fetches it: look again in a moment.
    Wait,
    /// There is no such key.
    Unknown,
    /// Which keys there are isn't known; it may be after this time.
    Unavailable {
        /// When the next fetch is allowed.
        retry_after: Duration,
    },
}

impl KeyCache {
    /// Decides. `id`: the key that a token names.
    pub fn look_up(&self, id: &str, now: Timestamp) -> Lookup {
        let usable = self
            .known
            .as_ref()
            .filter(|known| now.since(known.since) < OUTLIVES);
        let is_fresh = usable.is_some_and(|known| now.since(known.since) < FRESH);
        match usable.map(|known| known.set.find(id)) {
            Some(Some(key)) if is_fresh => Lookup::Use(key.clone()),
            // A set past its freshness is better than none.
            Some(Some(key)) => match self.pause(Duration::ZERO, FAILURE_PAUSE, now) {
                Pause::Over => Lookup::Fetch,
                Pause::UnderWay | Pause::For(_) => Lookup::Use(key.clone()),
            },
            Some(None) => match self.pause(UNKNOWN_PAUSE, UNKNOWN_PAUSE, now) {
                Pause::Over => Lookup::Fetch,
                Pause::UnderWay => Lookup::Wait,
                Pause::For(_) => Lookup::Unknown,
            },
            None => match self.pause(Duration::ZERO, FAILURE_PAUSE, now) {
                Pause::Over => Lookup::Fetch,
                Pause::UnderWay => Lookup::Wait,
                Pause::For(retry_after) => Lookup::Unavailable { retry_after },
            },
        }
    }

    /// Notes that a fetch begins.
    pub fn asking(&mut self, now: Timestamp) {
        self.asked = Some(Asked {
            at: now,
            state: Fetch::UnderWay,
        });
    }

    /// Notes what came of it: a set, or nothing usable.
    pub fn answered(&mut self, set: Option<KeySet>, now: Timestamp) {
        let state = if set.is_some() {
            Fetch::Succeeded
        } else {
            Fetch::Failed
        };
        self.asked = Some(Asked { at: now, state });
        if let Some(set) = set {
            self.known = Some(Known { set, since: now });
        }
    }

    /// Whether the next fetch has to wait, given the pauses after one that succeeded and one that failed. One that never
    /// ended has failed.
    fn pause(&self, after_success: Duration, after_failure: Duration, now: Timestamp) -> Pause {
        let Some(Asked { at, state }) = self.asked else {
            return Pause::Over;
        };
        let gone = now.since(at);
        let pause = match state {
            Fetch::UnderWay if gone < FETCH_BOUND => return Pause::UnderWay,
            Fetch::UnderWay | Fetch::Failed => after_failure,
            Fetch::Succeeded => after_success,
        };
        match pause.saturating_sub(gone) {
            Duration::ZERO => Pause::Over,
            left => Pause::For(left),
        }
    }
}

/// Whether a fetch is in place.
enum Pause {
    Over,
    UnderWay,
    For(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_766_731_601_000);

    /// The key of RFC 8037, appendix A.2, under another id.
    fn set(id: &str) -> KeySet {
        let json = format!(
            r#"{{"keys":[{{"kid":"{id}","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}}"#
        );
        KeySet::parse(json.as_bytes()).unwrap()
    }

    fn after(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn filled() -> KeyCache {
        let mut cache = KeyCache::default();
        cache.asking(START);
        cache.answered(Some(set("known")), START);
        cache
    }

    fn shown(lookup: &Lookup) -> &'static str {
        match lookup {
            Lookup::Use(_) => "use",
            Lookup::Fetch => "fetch",
            Lookup::Wait => "wait",
            Lookup::Unknown => "unknown",
            Lookup::Unavailable { .. } => "unavailable",
        }
    }

    #[track_caller]
    fn check(cache: &KeyCache, id: &str, seconds: u64, expected: &str) {
        assert_eq!(
            shown(&cache.look_up(id, after(seconds))),
            expected,
            "{id} after {seconds} s"
        );
    }

    #[test]
    fn the_first_request_fetches_and_the_others_wait() {
        let mut cache = KeyCache::default();
        check(&cache, "known", 0, "fetch");
        cache.asking(START);
        check(&cache, "known", 0, "wait");
        check(&cache, "known", 4, "wait");
        cache.answered(Some(set("known")), after(4));
        check(&cache, "known", 4, "use");
    }

    #[test]
    fn a_fetch_that_never_ends_has_failed() {
        let mut cache = KeyCache::default();
        cache.asking(START);
        check(&cache, "known", 5, "unavailable");
        check(&cache, "known", 10, "fetch");
        let mut cache = filled();
        cache.asking(after(180));
        check(&cache, "forged", 184, "wait");
        check(&cache, "forged", 185, "unknown");
        check(&cache, "forged", 359, "unknown");
        check(&cache, "forged", 360, "fetch");
    }

    #[test]
    fn an_outage_lets_no_flood_through() {
        let mut cache = filled();
        let mut fetches = 0;
        for seconds in 600..10_000 {
            if matches!(cache.look_up("forged", after(seconds)), Lookup::Fetch) {
                fetches += 1;
                cache.asking(after(seconds));
                cache.answered(None, after(seconds));
            }
        }
        assert_eq!(fetches, 9_400_u32.div_ceil(180));
    }

    #[test]
    fn a_set_that_was_emptied_revokes_its_keys() {
        let mut cache = filled();
        cache.asking(after(600));
        cache.answered(Some(KeySet::parse(br#"{"keys":[]}"#).unwrap()), after(600));
        check(&cache, "known", 601, "unknown");
    }

    #[test]
    fn a_flood_of_unknown_ids_costs_one_fetch_in_three_minutes() {
        let mut cache = filled();
        for seconds in 0..180 {
            check(&cache, "forged", seconds, "unknown");
        }
        check(&cache, "forged", 180, "fetch");
        cache.asking(after(180));
        check(&cache, "known", 180, "use");
        cache.answered(None, after(181));
        check(&cache, "forged", 182, "unknown");
        check(&cache, "forged", 360, "unknown");
        check(&cache, "forged", 361, "fetch");
    }

    #[test]
    fn a_new_key_is_found_once_it_is_listed() {
        let mut cache = filled();
        cache.asking(after(200));
        cache.answered(Some(set("new")), after(200));
        check(&cache, "new", 200, "use");
        check(&cache, "known", 201, "unknown");
    }

    #[test]
    fn a_set_outlives_its_source_for_a_while_and_not_for_ever() {
        let mut cache = filled();
        check(&cache, "known", 599, "use");
        check(&cache, "known", 600, "fetch");
        cache.asking(after(600));
        check(&cache, "known", 600, "use");
        cache.answered(None, after(601));
        check(&cache, "known", 602, "use");
        check(&cache, "known", 611, "fetch");
        cache.asking(after(21_600));
        cache.answered(None, after(21_600));
        check(&cache, "known", 21_600, "unavailable");
        check(&cache, "known", 21_610, "fetch");
    }

    #[test]
    fn without_any_set_nobody_is_told_that_his_token_is_wrong() {
        let mut cache = KeyCache::default();
        cache.asking(START);
        cache.answered(None, START);
        let Lookup::Unavailable { retry_after } = cache.look_up("known", after(3)) else {
            panic!("a key out of nowhere");
        };
        assert_eq!(retry_after, Duration::from_secs(7));
        check(&cache, "known", 10, "fetch");
    }
}
