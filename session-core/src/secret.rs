//! Text that logs people in, and must not reach a log.

use std::fmt;

use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

/// A value that prints as `[secret]`, and whose memory is overwritten when it is dropped.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`: whoever needs the text says so with
/// [`expose`](Self::expose).
#[derive(Clone, Deserialize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether both hold the same text. Takes the same time wherever they differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }

    #[test]
    fn the_same_is_the_same_to_the_last_letter() {
        let secret = Secret::new("hunter2");
        assert!(secret.is_same(&Secret::new("hunter2")));
        for other in ["hunter3", "hunter", "hunter22", ""] {
            assert!(!secret.is_same(&Secret::new(other)), "{other}");
        }
    }
}
