//! `Idempotency-Key`: a retry of a request whose answer was lost gets that answer.

use std::fmt::Write;

use access_token::email::Email;
use sha2::{Digest, Sha256};

/// The request header that carries it.
pub(crate) const HEADER: &str = "Idempotency-Key";

/// The header of an answer that an earlier request with the same key got already.
pub(crate) const REPLAYED: &str = "Idempotency-Replayed";

/// Room for a UUID, a hash, or a few words.
const LONGEST: usize = 200;

/// A user's key, as the database knows it: a digest, so that nothing is kept of what a client may have put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyDigest(String);

impl KeyDigest {
    /// The digest of the header's value and the user's verified e-mail; `None` for what is no key.
    pub(crate) fn of(key: &str, email: &Email) -> Option<Self> {
        let fits = (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        // Neither holds a line's end: no other pair of key and e-mail is the same text.
        fits.then(|| Self(hex(&Sha256::digest(format!("{key}\n{}", email.as_str())))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(key: &str, email: &str) -> Option<KeyDigest> {
        KeyDigest::of(key, &Email::parse(email).unwrap())
    }

    const ANA: &str = "ana@example.com";

    #[test]
    fn a_key_is_visible_ascii_of_up_to_200_characters() {
        for key in ["", "two words", "a\tb", "ä", "\u{7f}", &"x".repeat(201)] {
            assert_eq!(digest(key, ANA), None, "{key}");
        }
        for key in [
            "x",
            "!~",
            &"x".repeat(200),
            "6e1b1f6e-6a0e-4a3b-9d0e-0d0c7c3f0f5a",
        ] {
            assert!(digest(key, ANA).is_some(), "{key}");
        }
    }

    #[test]
    fn a_digest_is_of_key_and_user_together() {
        assert_ne!(digest("k", ANA), digest("l", ANA));
        assert_ne!(digest("k", ANA), digest("k", "bruno@example.com"));
        assert_eq!(
            digest("k", ANA).unwrap().as_str(),
            // printf 'k\nana@example.com' | sha256sum
            "c99f1a9751680c56babc46e85d9b848b4409972feff0fd9bd91d24227cbba906"
        );
    }
}
