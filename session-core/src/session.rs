//! A stored session as the database hands it out, and the request that refreshes it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    cookies::{StoredCookies, UnusableCookiesError},
    secret::Secret,
    token::{Fingerprint, MalformedTokenError, RefreshToken},
};

/// What stays bare in a query: RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A row that a claim handed out, with a lease on it, before its secrets were looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedRow {
    /// The row's primary key.
    pub id: String,
    /// Grows with every claim and login: a finish under an older one is refused.
    pub fence: i64,
    /// Attempts since the last success or login that failed.
    pub consecutive_failures: u32,
    token: Secret,
    cookies: SecretJson,
    fingerprint: Option<Secret>,
}

#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct SecretJson(Value);

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What upstream wants to see for a refresh.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The token on record.
    pub token: RefreshToken,
    /// The cookies on record.
    pub cookies: StoredCookies,
    /// The row's fingerprint, or the configured one.
    pub fingerprint: Fingerprint,
}

/// Why a stored session can't be presented to upstream at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSessionError {
    /// The stored token is not one.
    #[error("stored token: {0}")]
    Token(#[from] MalformedTokenError),
    /// The stored cookies can't be sent.
    #[error("stored cookies: {0}")]
    Cookies(#[from] UnusableCookiesError),
}

impl ClaimedRow {
    /// Checks the stored secrets. A missing or malformed fingerprint is replaced by `fallback`.
    pub fn credentials(&self, fallback: &Fingerprint) -> Result<Credentials, UnusableSessionError> {
        let stored = self
            .fingerprint
            .as_ref()
            .and_then(|text| Fingerprint::parse(text.expose()).ok());
        Ok(Credentials {
            token: RefreshToken::parse(self.token.expose())?,
            cookies: StoredCookies::from_json(&self.cookies.0)?,
            fingerprint: stored.unwrap_or_else(|| fallback.clone()),
        })
    }
}

impl Credentials {
    /// The address of the refresh call. Nothing stored can add a parameter or reach another host.
    pub fn refresh_url(&self, endpoint: &Url) -> Url {
        let encode = |text| utf8_percent_encode(text, QUERY);
        let query = format!(
            "token={}&fingerprint={}",
            encode(self.token.expose()),
            encode(self.fingerprint.expose())
        );
        let mut url = endpoint.clone();
        url.set_query(Some(&query));
        url
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

    fn row(change: impl FnOnce(&mut Value)) -> ClaimedRow {
        let mut json = json!({
            "id": "5f0f3f5e-0000-4000-8000-000000000001", "fence": 3, "consecutiveFailures": 0,
            "token": TOKEN, "cookies": [{"name": "PHPSESSID", "value": "abc"}], "fingerprint": "f&p=1",
        });
        change(&mut json);
        serde_json::from_value(json).unwrap()
    }

    fn fallback() -> Fingerprint {
        Fingerprint::parse("fallback").unwrap()
    }

    fn url(row: &ClaimedRow) -> String {
        let endpoint = Url::parse("https://aimharder.com/setrefresh").unwrap();
        row.credentials(&fallback())
            .unwrap()
            .refresh_url(&endpoint)
            .into()
    }

    #[test]
    fn the_request_is_the_documented_one() {
        assert_eq!(
            url(&row(|_| ())),
            "https://aimharder.com/setrefresh?token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592&fingerprint=f%26p%3D1"
        );
    }

    #[test]
    fn a_row_without_a_fingerprint_uses_the_configured_one() {
        for fingerprint in [
            json!(null),
            json!("not one at all, being far longer than fifty characters"),
        ] {
            assert!(url(&row(|json| json["fingerprint"] = fingerprint)).ends_with("&fingerprint=fallback"));
        }
    }

    #[test]
    fn says_what_makes_a_row_unusable_without_quoting_it() {
        let token = row(|json| json["token"] = json!("hunter2"))
            .credentials(&fallback())
            .unwrap_err();
        assert_eq!(
            token.to_string(),
            "stored token: not of the shape userId|exp|32 hex digits"
        );
        let cookies = row(|json| json["cookies"] = json!("hunter2"))
            .credentials(&fallback())
            .unwrap_err();
        assert_eq!(
            cookies.to_string(),
            "stored cookies: not an array of names and values"
        );
    }

    #[test]
    fn printing_a_row_shows_no_secret() {
        let row = row(|_| ());
        let shown = format!("{row:?} {:?}", row.credentials(&fallback()));
        assert!(
            !shown.contains("abc") && !shown.contains("69232") && !shown.contains("f&p"),
            "{shown}"
        );
    }
}
