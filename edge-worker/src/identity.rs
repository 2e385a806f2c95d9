//! Who is asking: a user by a signed token, an operator or a job by a key.

use std::time::Duration;

use access_token::{
    email::Email,
    token::{Rules, TokenError, Unverified},
};
use session_core::secret::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use worker::Context;

use crate::{
    config::Config,
    keyring::{self, NoKey},
    runtime::now,
};

/// What Supabase puts into the tokens of signed-in users.
const AUDIENCE: &str = "authenticated";

/// Why somebody was not taken for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    /// No token was sent, or not as a bearer token.
    #[error("sign-in is required")]
    Missing,
    /// One was, and it was refused.
    #[error(transparent)]
    Refused(#[from] TokenError),
    /// Not known which keys count: says nothing of the token.
    #[error("the keys to check access tokens with can't be had")]
    KeysUnavailable { retry_after: Duration },
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
    /// Those that may call from elsewhere.
    pub(crate) allowed_origins: &'a [String],
}

impl Provenance<'_> {
    /// Whether a page of this very site asks: all that the browser tells has to say so. What tells nothing is no browser
    /// of today, and has no business with cookies.
    pub(crate) fn is_same_origin(&self) -> bool {
        let tells = self.fetch_site.is_some() || self.origin.is_some();
        tells
            && self.fetch_site.is_none_or(|site| site == "same-origin")
            && self.origin.is_none_or(|origin| self.is_own(origin))
    }

    /// Behind a proxy of the app's that names itself to us in its own place, the app's origin is a listed one; that page
    /// and proxy are one origin, the browser has to say then.
    fn is_own(&self, origin: &str) -> bool {
        let is_listed = || self.allowed_origins.iter().any(|allowed| allowed == origin);
        origin == self.own_origin || (self.fetch_site.is_some() && is_listed())
    }
}

/// The token in a `Cookie` header. Of two nobody can tell which is the app's: a page of a sibling domain can plant one.
pub(crate) fn token_in_cookie(header: &str) -> Option<&str> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut tokens = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token);
    let token = tokens.next().filter(|token| !token.is_empty())?;
    tokens.next().is_none().then_some(token)
}

/// Checks a user's token; answers whose it is.
pub(crate) async fn user(
    token: Option<&str>,
    config: &'static Config,
    context: &Context,
) -> Result<Email, IdentityError> {
    let token = token.ok_or(IdentityError::Missing)?;
    let (token, wanted) = Unverified::read(token)?;
    let key = keyring::key(wanted, config, context)
        .await
        .map_err(|none| match none {
            NoKey::Unknown => TokenError::Invalid.into(),
            NoKey::Unavailable { retry_after } => IdentityError::KeysUnavailable { retry_after },
        })?;
    let rules = Rules {
        issuer: &config.jwt_issuer,
        audience: AUDIENCE,
    };
    Ok(token.verify(&key, rules, now())?)
}

/// The internal key that `given` is, if it is one. Takes the same time whichever character differs.
pub(crate) fn internal_key<'a>(given: Option<&str>, keys: &'a [Secret]) -> Option<&'a Secret> {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let given = digest(given.unwrap_or_default());
    keys.iter().fold(None, |found, key| {
        let is_same: bool = given.ct_eq(&digest(key.expose())).into();
        if is_same { Some(key) } else { found }
    })
}

/// The token in an `Authorization` header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
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
            assert_eq!(internal_key(given, &keys).is_some(), expected, "{given:?}");
        }
    }

    #[test]
    fn a_cookie_counts_from_pages_of_the_same_site_alone() {
        let own_origin = "https://app.example.com";
        let allowed_origins = ["https://proxy.example.com".to_owned()];
        for (fetch_site, origin, expected) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://app.example.com"), true),
            (Some("same-origin"), Some("https://evil.example.com"), false),
            (Some("same-origin"), Some("null"), false),
            (Some("same-origin"), Some("https://proxy.example.com"), true),
            (Some("cross-site"), Some("https://proxy.example.com"), false),
            (None, Some("https://proxy.example.com"), false),
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
                allowed_origins: &allowed_origins,
            };
            assert_eq!(provenance.is_same_origin(), expected, "{provenance:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_by_its_whole_name() {
        for (header, token) in [
            ("keepalive_token=a.b.c", Some("a.b.c")),
            ("x=1; keepalive_token=a=b ;y=2", Some("a=b")),
            ("xkeepalive_token=a", None),
            ("keepalive_token=", None),
            ("keepalive_token=a; keepalive_token=b", None),
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
