//! Who is asking: a user by a signed token, an operator or a job by a key.

use std::sync::Once;

use hmac::{Hmac, Mac};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    decode,
    errors::{ErrorKind, Result as JwtResult},
};
use serde::Deserialize;
use session_core::{secret::Secret, time::Timestamp};
use sha2::{Digest, Sha256};
use signature::Verifier;
use subtle::{Choice, ConstantTimeEq};

/// What Supabase puts into the tokens of signed-in users.
const AUDIENCE: &str = "authenticated";

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 30;

/// Far above any real token, which has one to two kilobytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// A verified user.
#[derive(Debug)]
pub(crate) struct User {
    /// From the token's `email` claim: the rows' `user_email`.
    pub(crate) email: String,
}

/// Why a user's token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    /// None was sent, or not as a bearer token.
    #[error("sign-in is required")]
    Missing,
    /// Malformed, wrongly signed, for another audience.
    #[error("the access token is not valid")]
    Invalid,
    /// Past its time, or before it.
    #[error("the access token has expired")]
    Expired,
    /// The user has no e-mail address, by which sessions are found.
    #[error("the access token names no e-mail address")]
    NoEmail,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    nbf: Option<u64>,
    email: Option<String>,
}

/// The cookie that a page of the same site may sign in by, `HttpOnly`, where it sends no `Authorization`.
const COOKIE: &str = "keepalive_token";

/// Where a request came from, as its browser tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance<'a> {
    /// `Sec-Fetch-Site`.
    pub(crate) fetch_site: Option<&'a str>,
    /// `Origin`.
    pub(crate) origin: Option<&'a str>,
    /// The origin of the address that was asked for.
    pub(crate) own_origin: &'a str,
}

impl Provenance<'_> {
    /// Whether a page of this very site asks. What tells nothing is no browser of today, and has no business with
    /// cookies.
    pub(crate) fn is_same_site(&self) -> bool {
        match (self.fetch_site, self.origin) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => origin == self.own_origin,
            (None, None) => false,
        }
    }
}

/// The token in a `Cookie` header.
pub(crate) fn token_in_cookie(header: &str) -> Option<&str> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty())
}

/// Checks a user's token.
pub(crate) fn user(token: Option<&str>, secret: &Secret, now: Timestamp) -> Result<User, IdentityError> {
    let token = token.ok_or(IdentityError::Missing)?;
    if token.len() > LONGEST_TOKEN {
        return Err(IdentityError::Invalid);
    }
    install_hs256();
    let mut validation = Validation::new(Algorithm::HS256);
    // Time is checked below, against the clock that was handed in.
    validation.validate_exp = false;
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud"]);
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let claims = decode::<Claims>(token, &key, &validation)
        .map_err(|_| IdentityError::Invalid)?
        .claims;
    let seconds = u64::try_from(now.as_millis()).unwrap_or(0) / 1_000;
    let early = claims
        .nbf
        .is_some_and(|from| from > seconds.saturating_add(LEEWAY));
    if early || claims.exp.saturating_add(LEEWAY) <= seconds {
        return Err(IdentityError::Expired);
    }
    match claims.email {
        Some(email) if !email.is_empty() => Ok(User { email }),
        _ => Err(IdentityError::NoEmail),
    }
}

/// Whether `given` is one of the internal keys. Takes the same time whichever character differs.
pub(crate) fn is_internal(given: Option<&str>, keys: &[Secret]) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let given = digest(given.unwrap_or_default());
    let one_of = keys.iter().fold(Choice::from(0), |any, key| {
        any | given.ct_eq(&digest(key.expose()))
    });
    one_of.into()
}

/// The token in an `Authorization` header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// HS256 alone: jsonwebtoken's own provider would link RSA and three curves into the Worker.
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |_, _: &EncodingKey| -> JwtResult<Box<dyn JwtSigner>> {
        Err(ErrorKind::InvalidAlgorithm.into())
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256Verifier::new(key)?)),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn install_hs256() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| _ = HS256.install_default());
}

struct Hs256Verifier(Hmac<Sha256>);

impl Hs256Verifier {
    fn new(key: &DecodingKey) -> JwtResult<Self> {
        if key.family() != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        let mac = Hmac::new_from_slice(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self(mac))
    }
}

impl Verifier<Vec<u8>> for Hs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let mac = self.0.clone().chain_update(message);
        mac.verify_slice(signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_whole() {
        let keys = [Secret::new("0123456789abcdef"), Secret::new("fedcba9876543210")];
        for (given, expected) in [
            (Some("0123456789abcdef"), true),
            (Some("fedcba9876543210"), true),
            (Some("0123456789abcdeg"), false),
            (Some("0123456789abcde"), false),
            (Some("0123456789abcdef0"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_internal(given, &keys), expected, "{given:?}");
        }
    }

    #[test]
    fn a_cookie_counts_from_pages_of_the_same_site_alone() {
        let own_origin = "https://app.example.com";
        for (fetch_site, origin, expected) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://app.example.com"), true),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some("https://app.example.com"), false),
            (Some("none"), None, false),
            (None, Some("https://app.example.com"), true),
            (None, Some("https://app.example.com.evil.com"), false),
            (None, Some("null"), false),
            (None, None, false),
        ] {
            let provenance = Provenance {
                fetch_site,
                origin,
                own_origin,
            };
            assert_eq!(provenance.is_same_site(), expected, "{provenance:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_by_its_whole_name() {
        for (header, token) in [
            ("keepalive_token=a.b.c", Some("a.b.c")),
            ("x=1; keepalive_token=a=b ;y=2", Some("a=b")),
            ("xkeepalive_token=a", None),
            ("keepalive_token=", None),
            ("", None),
        ] {
            assert_eq!(token_in_cookie(header), token, "{header}");
        }
    }

    #[test]
    fn only_a_bearer_token_is_one() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(header), token, "{header:?}");
        }
    }
}
