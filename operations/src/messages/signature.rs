//! Signatures by which receivers know that a message is ours, and new.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use session_core::time::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What the specification has keys begin with.
const PREFIX: &str = "whsec_";

/// A key that sender and receiver share. It prints as `[secret]`, and is overwritten when dropped.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Reads `whsec_` and 24 to 64 bytes in base64; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let key = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
        (24..=64).contains(&key.len()).then_some(Self(key))
    }

    /// The headers to send with `body`, the message `id`, at `timestamp`: receivers refuse what is minutes old.
    pub fn sign(&self, id: &str, timestamp: Timestamp, body: &str) -> [(&'static str, String); 3] {
        let seconds = timestamp.as_millis().div_euclid(1_000).to_string();
        // Never `Err`: HMAC takes keys of any length.
        let signature = Hmac::<Sha256>::new_from_slice(&self.0).map(|mut mac| {
            for part in [id, ".", &seconds, ".", body] {
                mac.update(part.as_bytes());
            }
            STANDARD.encode(mac.finalize().into_bytes())
        });
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds),
            (
                "webhook-signature",
                format!("v1,{}", signature.unwrap_or_default()),
            ),
        ]
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_24: &str = "whsec_AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2k";
    const KEY_32: &str = "whsec_AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dw=";
    const KEY_64: &str =
        "whsec_AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dzj6vH4/wYNFBsiKTA3PkVMU1phaG92fYSLkpmgp661vA==";

    /// Made by the npm package `standardwebhooks` 1.1.1.
    #[test]
    fn signatures_are_those_of_the_specifications_own_library() {
        for (key, id, seconds, body, signature) in [
            (
                KEY_24,
                "8a7d1c52-9d0e-4d5e-9a3f-0f6f3c1b2a10",
                1_790_000_000,
                r#"{"kind":"alert"}"#,
                "v1,ZLkWCt/mXO6PxwQJFGGilBQmUDP+Ug1BQ018dWHWaLA=",
            ),
            (
                KEY_32,
                "msg_1",
                1_700_000_000,
                "",
                "v1,XHJTqdKVSNFm3qyfpXWbgQmwzkAS3YGRa533EXBLg80=",
            ),
            (
                KEY_64,
                "é",
                1,
                r#"{"text":"ñ 😀 \n"}"#,
                "v1,93b7b6AEMuPAVw9BJh3lkveTKeCBssriTGMrd4x3sP0=",
            ),
        ] {
            let at = Timestamp::from_millis(seconds * 1_000 + 999);
            let headers = SigningKey::parse(key).unwrap().sign(id, at, body);
            assert_eq!(
                headers,
                [
                    ("webhook-id", id.to_owned()),
                    ("webhook-timestamp", seconds.to_string()),
                    ("webhook-signature", signature.to_owned()),
                ]
            );
        }
    }

    #[test]
    fn keys_are_of_a_length_that_protects() {
        let of_bytes = |count: usize| format!("whsec_{}", STANDARD.encode(vec![7; count]));
        for (count, is_key) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(SigningKey::parse(&of_bytes(count)).is_some(), is_key, "{count}");
        }
        let bare = KEY_24.strip_prefix(PREFIX).unwrap();
        for text in ["", "whsec_", bare, "whsec_not base64, but of some length"] {
            assert!(SigningKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", SigningKey::parse(KEY_24).unwrap()), "[secret]");
    }
}
