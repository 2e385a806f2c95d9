//! How an operator is known: by the internal key, or for an hour by a cookie that was given out for it.
//!
//! The cookie holds no key: an end, a random number, and a signature of both by the key. Who changes the key ends all passes.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use session_core::{secret::Secret, time::Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::idempotency::hex;

/// How long a pass is good.
const LIFETIME: Duration = Duration::from_hours(1);

/// The digits of a key's digest that name it: enough to tell keys apart, too few to find one.
const KEY_ID_DIGITS: usize = 8;

/// Somebody with an internal key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    /// Which key: the first digits of a digest.
    pub(crate) key_id: String,
}

impl Operator {
    /// Who has this key.
    pub(crate) fn with(key: &Secret) -> Self {
        let digest = keyed_digest(key, "key id");
        Self {
            key_id: digest.chars().take(KEY_ID_DIGITS).collect(),
        }
    }
}

/// What a cookie says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) operator: Operator,
    /// What each form of the dashboard has to carry.
    pub(crate) csrf: String,
}

impl Pass {
    /// Whether a form came from one of the pages that this pass opened.
    pub(crate) fn is_form(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

/// A pass for who has this key, as a cookie's value. `nonce`: random.
pub(crate) fn issue(key: &Secret, nonce: &str, now: Timestamp) -> String {
    let claims = format!("{}.{nonce}", now.after(LIFETIME).as_millis());
    format!("{claims}.{}", signature(key, &claims))
}

/// Reads a pass that was issued for one of these keys, and is good still.
pub(crate) fn read(value: &str, keys: &[Secret], now: Timestamp) -> Option<Pass> {
    let (claims, given) = value.rsplit_once('.')?;
    let (end, _nonce) = claims.split_once('.')?;
    let end: i64 = end.parse().ok()?;
    let key = keys
        .iter()
        .find(|key| bool::from(signature(key, claims).as_bytes().ct_eq(given.as_bytes())))?;
    (now < Timestamp::from_millis(end)).then(|| Pass {
        operator: Operator::with(key),
        csrf: keyed_digest(key, &format!("dashboard form {claims}")),
    })
}

/// For how many seconds a browser keeps a pass.
pub(crate) const fn lifetime_seconds() -> u64 {
    LIFETIME.as_secs()
}

fn signature(key: &Secret, claims: &str) -> String {
    keyed_digest(key, &format!("dashboard pass {claims}"))
}

fn keyed_digest(key: &Secret, text: &str) -> String {
    // A key of any length is one to HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(b"aimharder-keepalive ");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_766_750_400_000);

    fn keys() -> [Secret; 2] {
        [Secret::new("0123456789abcdef"), Secret::new("fedcba9876543210")]
    }

    #[test]
    fn a_pass_is_good_for_an_hour_and_for_the_key_that_it_was_issued_for() {
        let [first, second] = keys();
        let value = issue(&second, "n", NOON);
        let minutes = |minutes: u64| NOON.after(Duration::from_secs(minutes * 60));
        let pass = read(&value, &keys(), minutes(59)).unwrap();
        assert_eq!(pass.operator, Operator::with(&second));
        assert_ne!(pass.operator, Operator::with(&first));
        assert_eq!(read(&value, &keys(), minutes(60)), None);
        assert_eq!(read(&value, &[first], NOON), None, "its key is gone");
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let [first, _] = keys();
        let value = issue(&first, "n", NOON);
        let later = value.replacen("17", "18", 1);
        let other = value.replace(".n.", ".m.");
        let mut cut = value.clone();
        cut.pop();
        for forged in [
            later.as_str(),
            &other,
            &cut,
            "",
            ".",
            "..",
            "1.2.3",
            "9999999999999.n.",
        ] {
            assert_eq!(read(forged, &keys(), NOON), None, "{forged}");
        }
        assert!(!value.contains(first.expose()));
    }

    #[test]
    fn forms_of_two_passes_differ() {
        let [first, _] = keys();
        let csrf = |nonce| read(&issue(&first, nonce, NOON), &keys(), NOON).unwrap().csrf;
        assert_ne!(csrf("a"), csrf("b"));
    }
}
