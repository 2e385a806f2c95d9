//! Text that logs people in, and must not reach a log.

use std::fmt;

use serde::Deserialize;
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
}
