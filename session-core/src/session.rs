//! A stored session as the database hands it out, and the request that refreshes it.

use std::{fmt, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use crate::{
    cookies::{StoredCookies, UnusableCookiesError},
    method::RefreshMethod,
    outcome::Outcome,
    secret::Secret,
    token::{Fingerprint, MalformedTokenError, RefreshToken},
};

/// What stays bare in a query, and in a form: RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Refusals of a session in doubt that are not believed yet.
const REFUSALS_IN_DOUBT: u32 = 2;

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
    /// How often since the last success or login the site called the session over without being believed.
    pub refusals_in_doubt: u32,
    /// Upstream may have handed out a token that was never written: a Worker died over the session, or an answer was
    /// lost. A refusal proves little then.
    pub in_doubt: bool,
    age_seconds: f64,
    #[serde(default)]
    starts_in_ms: u32,
    /// How to refresh it, if the row says so. A name that this version doesn't know is as good as none: it must not
    /// cost the other rows of a claim.
    #[serde(default, deserialize_with = "known_method")]
    pub method: Option<RefreshMethod>,
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

/// The call that refreshes a session. It can't be printed: it holds the token.
pub enum RefreshRequest {
    /// All is in the address.
    Get(Url),
    /// All is in a form, `application/x-www-form-urlencoded`.
    PostForm(Url, Secret),
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
    /// How old the session's last sign of life was when it was claimed.
    pub fn age(&self) -> Duration {
        Duration::try_from_secs_f64(self.age_seconds).unwrap_or_default()
    }

    /// How long after the claim the session may be presented: all Workers' calls follow each other at a pace.
    pub fn starts_in(&self) -> Duration {
        Duration::from_millis(self.starts_in_ms.into())
    }

    /// What an outcome of presenting this session means in the light of what went before.
    ///
    /// A session in doubt is expired only when it has been refused three times: the token on record may be an older
    /// one, and then either way only a sign-in helps.
    #[must_use]
    pub fn judge(&self, outcome: Outcome) -> Outcome {
        if self.in_doubt && self.refusals_in_doubt < REFUSALS_IN_DOUBT {
            outcome.after_lost_answer()
        } else {
            outcome
        }
    }

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
    /// The refresh call, given the address of `setrefresh`. Nothing stored can add a parameter or reach another host.
    pub fn request(&self, method: RefreshMethod, setrefresh: &Url) -> RefreshRequest {
        let encode = |text| utf8_percent_encode(text, QUERY);
        let token = encode(self.token.expose());
        let fingerprint = encode(self.fingerprint.expose());
        let mut url = method.endpoint(setrefresh);
        match method {
            RefreshMethod::SetRefresh => {
                url.set_query(Some(&format!("token={token}&fingerprint={fingerprint}")));
                RefreshRequest::Get(url)
            }
            RefreshMethod::TokenUpdate => {
                let form = format!("token={token}&ciclo=1&fingerprint={fingerprint}");
                RefreshRequest::PostForm(url, Secret::new(form))
            }
        }
    }
}

fn known_method<'de, D: Deserializer<'de>>(json: D) -> Result<Option<RefreshMethod>, D::Error> {
    let value = Value::deserialize(json)?;
    Ok(value.as_str().and_then(|name| name.parse().ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

    fn row(change: impl FnOnce(&mut Value)) -> ClaimedRow {
        let mut json = json!({
            "id": "5f0f3f5e-0000-4000-8000-000000000001", "fence": 3, "consecutiveFailures": 0,
            "refusalsInDoubt": 0, "inDoubt": false, "ageSeconds": 1000.5, "startsInMs": 50, "token": TOKEN, "cookies": [{"name": "PHPSESSID", "value": "abc"}], "fingerprint": "f&p=1",
        });
        change(&mut json);
        serde_json::from_value(json).unwrap()
    }

    fn fallback() -> Fingerprint {
        Fingerprint::parse("fallback").unwrap()
    }

    fn request(method: RefreshMethod, row: &ClaimedRow) -> (String, Option<String>) {
        let endpoint = Url::parse("https://aimharder.com/setrefresh").unwrap();
        let credentials = row.credentials(&fallback()).unwrap();
        match credentials.request(method, &endpoint) {
            RefreshRequest::Get(url) => (url.into(), None),
            RefreshRequest::PostForm(url, form) => (url.into(), Some(form.expose().to_owned())),
        }
    }

    fn url(row: &ClaimedRow) -> String {
        request(RefreshMethod::SetRefresh, row).0
    }

    #[test]
    fn the_request_is_the_documented_one() {
        assert_eq!(
            request(RefreshMethod::SetRefresh, &row(|_| ())),
            (
                "https://aimharder.com/setrefresh?token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592&fingerprint=f%26p%3D1".to_owned(),
                None
            )
        );
        assert_eq!(
            request(RefreshMethod::TokenUpdate, &row(|_| ())),
            (
                "https://aimharder.com/api/tokenUpdate".to_owned(),
                Some("token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592&ciclo=1&fingerprint=f%26p%3D1".to_owned())
            )
        );
    }

    #[test]
    fn nothing_stored_adds_a_parameter_to_a_form() {
        for hostile in [
            "x&ciclo=2",
            "x%26ciclo=2",
            "a=b;c+d",
            "&&==??##//\\",
            "@evil.example:80/",
        ] {
            let row = row(|json| json["fingerprint"] = json!(hostile));
            let (url, form) = request(RefreshMethod::TokenUpdate, &row);
            assert_eq!(url, "https://aimharder.com/api/tokenUpdate");
            let fields: Vec<_> = url::form_urlencoded::parse(form.unwrap().as_bytes())
                .into_owned()
                .collect();
            let expected = [("token", TOKEN), ("ciclo", "1"), ("fingerprint", hostile)];
            assert_eq!(
                fields,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
            );
        }
    }

    #[test]
    fn a_row_may_name_its_method_and_an_unknown_one_does_no_harm() {
        assert_eq!(row(|_| ()).method, None);
        for (method, expected) in [
            (json!(null), None),
            (json!("setrefresh"), Some(RefreshMethod::SetRefresh)),
            (json!("tokenUpdate"), Some(RefreshMethod::TokenUpdate)),
            (json!("webauthn"), None),
            (json!(""), None),
            (json!(7), None),
            (json!({"name": ["tokenUpdate"]}), None),
        ] {
            assert_eq!(
                row(|json| json["method"] = method.clone()).method,
                expected,
                "{method}"
            );
        }
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
    fn a_session_in_doubt_is_not_over_at_the_first_refusal() {
        let judged = |doubt: bool, failures: u32| {
            row(|json| {
                json["inDoubt"] = json!(doubt);
                json["refusalsInDoubt"] = json!(failures);
            })
            .judge(Outcome::Expired)
        };
        assert_eq!(judged(true, 0), Outcome::Unrecognised);
        assert_eq!(judged(true, 1), Outcome::Unrecognised);
        assert_eq!(judged(true, 2), Outcome::Expired);
        assert_eq!(judged(false, 0), Outcome::Expired);
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
