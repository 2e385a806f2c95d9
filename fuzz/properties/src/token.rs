//! Tokens and fingerprints, and the request that is made of what a row holds.

use serde_json::{Value, json};
use session_core::{
    method::RefreshMethod,
    session::{ClaimedRow, RefreshRequest},
    token::{Fingerprint, RefreshToken},
};
use url::{Url, form_urlencoded};

use crate::{PARTING, choices, cookies};

const ENDPOINTS: [&str; 4] = [
    "https://aimharder.com/setrefresh",
    "https://aimharder.com/setrefresh?old=1#top",
    "https://www.aimharder.com:8443/es/setrefresh",
    "http://127.0.0.1:8799/setrefresh",
];

const FALLBACK: &str = "fall&back";

/// What must hold of any token, any fingerprint, and any cookies of a row.
pub fn holds(data: &[u8]) {
    let ([endpoint, whole], rest) = choices::<2>(data);
    let mut texts = rest
        .splitn(3, |byte| *byte == PARTING)
        .map(String::from_utf8_lossy);
    let mut next = || texts.next().unwrap_or_default();
    let (token, fingerprint, cookies) = (next(), next(), next());
    a_token_is_of_its_shape(&token);
    a_fingerprint_is_of_its_shape(&fingerprint);
    let cookies = serde_json::from_str(&cookies).unwrap_or(Value::Null);
    let row = if whole == u8::MAX {
        // Any JSON in the place of a row.
        cookies
    } else {
        json!({
            "id": "1", "fence": 1, "consecutiveFailures": 0, "refusalsInDoubt": 0, "inDoubt": false,
            "ageSeconds": 1.5, "token": token, "fingerprint": fingerprint, "cookies": cookies,
        })
    };
    if let Ok(row) = serde_json::from_value::<ClaimedRow>(row) {
        let endpoint = ENDPOINTS.get(usize::from(endpoint) % ENDPOINTS.len()).unwrap();
        a_request_says_what_it_must(&row, &Url::parse(endpoint).unwrap());
    }
}

fn a_token_is_of_its_shape(text: &str) {
    let Ok(token) = RefreshToken::parse(text) else {
        return;
    };
    assert_eq!(token.expose(), text);
    assert_eq!(text.matches('|').count(), 2);
    assert_eq!(Some(token.user_id()), text.split('|').next());
    assert!(
        text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'|'),
        "{text:?}"
    );
    assert!(text.len() <= 20 + 1 + 20 + 1 + 32, "{text:?}");
    assert!(token.user_id().bytes().all(|byte| byte.is_ascii_digit()) && !token.user_id().is_empty());
    assert!(!format!("{token:?}").contains(text), "it prints");
}

fn a_fingerprint_is_of_its_shape(text: &str) {
    let Ok(fingerprint) = Fingerprint::parse(text) else {
        return;
    };
    assert_eq!(fingerprint.expose(), text);
    assert!((1..=50).contains(&text.chars().count()), "{text:?}");
    assert!(text.chars().all(|char| ('!'..='~').contains(&char)), "{text:?}");
}

/// Neither another host nor path, no parameter more or less, and no other value than what is stored.
fn a_request_says_what_it_must(row: &ClaimedRow, endpoint: &Url) {
    let fallback = Fingerprint::parse(FALLBACK).unwrap();
    let Ok(credentials) = row.credentials(&fallback) else {
        return;
    };
    cookies::can_be_sent(&credentials.cookies);
    let token = ("token", credentials.token.expose());
    let fingerprint = ("fingerprint", credentials.fingerprint.expose());
    for method in RefreshMethod::ALL {
        match credentials.request(method, endpoint) {
            RefreshRequest::Get(url) => {
                assert_eq!(url.path(), endpoint.path());
                leads_to(&url, endpoint);
                says(url.query().unwrap_or_default(), &[token, fingerprint]);
            }
            RefreshRequest::PostForm(url, form) => {
                assert_eq!(url.path(), "/api/tokenUpdate");
                leads_to(&url, endpoint);
                assert_eq!(url.query(), None);
                says(form.expose(), &[token, ("ciclo", "1"), fingerprint]);
            }
        }
    }
}

fn leads_to(url: &Url, endpoint: &Url) {
    // As whoever receives its text reads it.
    let url = Url::parse(url.as_str()).unwrap();
    assert_eq!(url.origin(), endpoint.origin());
    assert_eq!((url.username(), url.password()), ("", None));
    assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
}

fn says(query: &str, pairs: &[(&str, &str)]) {
    assert!(query.bytes().all(|byte| byte.is_ascii_graphic()), "{query}");
    let said: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let said: Vec<_> = said.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(said, pairs);
}
