//! aimharder's refresh token and fingerprint.

use std::fmt;

use crate::secret::Secret;

/// A refresh token of the documented shape: `userId|exp|32 hex digits`.
///
/// `exp` is the issue time plus 90 days; it says nothing about whether the session still lives.
#[derive(Clone)]
pub struct RefreshToken {
    text: Secret,
    user_id_length: usize,
}

/// Why a text is no refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the shape userId|exp|32 hex digits")]
pub struct MalformedTokenError;

impl RefreshToken {
    /// Reads a token. White space around it is not accepted: what is stored is what upstream gave.
    pub fn parse(text: &str) -> Result<Self, MalformedTokenError> {
        let mut parts = text.split('|');
        let (Some(user_id), Some(expiry), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MalformedTokenError);
        };
        let number = |part: &str| (1..=20).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let hex = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        if number(user_id) && number(expiry) && hex {
            Ok(Self {
                text: Secret::new(text),
                user_id_length: user_id.len(),
            })
        } else {
            Err(MalformedTokenError)
        }
    }

    /// The whole token, as upstream gave it.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The user that the token belongs to.
    pub fn user_id(&self) -> &str {
        self.expose().get(..self.user_id_length).unwrap_or_default()
    }
}

impl PartialEq for RefreshToken {
    fn eq(&self, other: &Self) -> bool {
        self.text.is_same(&other.text)
    }
}

impl Eq for RefreshToken {}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([secret])")
    }
}

/// A device fingerprint: up to 50 printable ASCII characters, what the database's column can hold.
#[derive(Clone)]
pub struct Fingerprint(Secret);

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 50 printable ASCII characters")]
pub struct MalformedFingerprintError;

impl Fingerprint {
    /// Reads a fingerprint.
    pub fn parse(text: &str) -> Result<Self, MalformedFingerprintError> {
        if (1..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(Secret::new(text)))
        } else {
            Err(MalformedFingerprintError)
        }
    }

    /// The text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

impl Eq for Fingerprint {}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

    #[test]
    fn reads_the_documented_token() {
        let token = RefreshToken::parse(TOKEN).unwrap();
        assert_eq!(token.user_id(), "69232");
        assert_eq!(token.expose(), TOKEN);
    }

    #[test]
    fn refuses_every_other_shape() {
        for text in [
            "",
            "69232",
            "69232|1766731601",
            "|1766731601|03485f300f1a53a7e34143a0af9d2592",
            "69232|1766731601|03485f300f1a53a7e34143a0af9d259",
            "69232|1766731601|03485f300f1a53a7e34143a0af9d2592|",
            "69232|17667x1601|03485f300f1a53a7e34143a0af9d2592",
            "69232|1766731601|z3485f300f1a53a7e34143a0af9d2592",
            " 69232|1766731601|03485f300f1a53a7e34143a0af9d2592",
            "123456789012345678901|1766731601|03485f300f1a53a7e34143a0af9d2592",
            "٦|1766731601|03485f300f1a53a7e34143a0af9d2592",
        ] {
            assert_eq!(RefreshToken::parse(text), Err(MalformedTokenError), "{text}");
        }
    }

    #[test]
    fn neither_prints_what_it_holds() {
        let shown = format!(
            "{:?}{:?}",
            RefreshToken::parse(TOKEN),
            Fingerprint::parse("my0pz7")
        );
        assert!(!shown.contains("69232") && !shown.contains("my0pz7"), "{shown}");
    }

    #[test]
    fn a_fingerprint_fits_its_column() {
        assert!(Fingerprint::parse(&"a".repeat(50)).is_ok());
        for text in [
            String::new(),
            "a".repeat(51),
            "a b".to_owned(),
            "ñ".to_owned(),
            "a\r\nX: y".to_owned(),
        ] {
            assert_eq!(
                Fingerprint::parse(&text),
                Err(MalformedFingerprintError),
                "{text:?}"
            );
        }
    }
}
