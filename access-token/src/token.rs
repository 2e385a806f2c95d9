//! A user's token: what it claims, once it is known who signed it.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use session_core::time::Timestamp;

use crate::{email::Email, key::Key, verifiers};

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 30;

/// Far above any real token, which has one to two kilobytes.
const LONGEST: usize = 8 * 1024;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, wrongly signed, by somebody else or for somebody else.
    #[error("the access token is not valid")]
    Invalid,
    /// Past its time, or before it.
    #[error("the access token has expired, or is not valid yet")]
    Expired,
    /// The user has no e-mail address, by which sessions are found.
    #[error("the access token names no e-mail address")]
    NoEmail,
}

/// Whose tokens are accepted, and for whom they are meant.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The `iss` claim, letter for letter.
    pub issuer: &'a str,
    /// What the `aud` claim is or contains.
    pub audience: &'a str,
}

/// A token that nobody has checked yet.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    text: &'a str,
}

/// Which key a token asks to be checked with. The key decides on the algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedKey {
    /// The project's secret.
    Secret,
    /// The one of the key set with this id.
    Listed(String),
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    /// Read here as well, since a list would be good enough for `jsonwebtoken`.
    #[serde(rename = "iss")]
    _issuer: String,
    email: Option<String>,
}

impl<'a> Unverified<'a> {
    /// Reads a token's header: its size, its kind, and that it asks for nothing unknown.
    pub fn read(text: &'a str) -> Result<(Self, WantedKey), TokenError> {
        if text.len() > LONGEST {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(text).map_err(|_| TokenError::Invalid)?;
        let is_jwt = header.typ.is_none_or(|kind| kind.eq_ignore_ascii_case("JWT"));
        // No extension is known here, so every critical one is unknown (RFC 7515, section 4.1.11).
        if !is_jwt || header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let wanted = match (header.alg, header.kid) {
            (Algorithm::HS256, _) => WantedKey::Secret,
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, Some(id)) => WantedKey::Listed(id),
            _ => return Err(TokenError::Invalid),
        };
        Ok((Self { text }, wanted))
    }

    /// Checks signature, issuer, audience and times; answers the user's e-mail address.
    pub fn verify(self, key: &Key, rules: Rules<'_>, now: Timestamp) -> Result<Email, TokenError> {
        verifiers::install();
        let mut validation = Validation::new(key.algorithm);
        // Time is checked below, against the clock that was handed in.
        validation.validate_exp = false;
        validation.set_issuer(&[rules.issuer]);
        validation.set_audience(&[rules.audience]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let claims = decode::<Claims>(self.text, &key.material, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let seconds = u64::try_from(now.as_millis()).unwrap_or(0) / 1_000;
        let early = |from: Option<u64>| from.is_some_and(|from| from > seconds.saturating_add(LEEWAY));
        if early(claims.nbf) || early(claims.iat) || claims.exp.saturating_add(LEEWAY) <= seconds {
            return Err(TokenError::Expired);
        }
        let email = claims.email.as_deref().and_then(Email::parse);
        email.ok_or(TokenError::NoEmail)
    }
}
