//! The e-mail address by which a user's sessions are found.

use std::fmt;

/// The column's bound, in characters.
const LONGEST: usize = 255;

/// An address as a verified token names it. It is compared letter for letter: whether two spellings are one person is
/// for Supabase Auth to say, which gives each user one.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Takes what a row could hold: 1 to 255 characters, no control characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LONGEST).contains(&text.chars().count());
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[e-mail]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_row_can_hold_is_no_address() {
        for text in ["ana@example.com", "ñ@example.com", &"é".repeat(255)] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "ana@example.com\0", "a\nb@example.com", &"a".repeat(256)] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }
}
