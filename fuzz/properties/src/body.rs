//! The body of an answer, and what head and body together are taken to mean.

use serde_json::Value;
use session_core::{
    body::{Body, BodyReader},
    method::RefreshMethod,
    outcome::{Head, Outcome, classify},
    page::PageEnd,
    token::RefreshToken,
    update::Update,
};
use url::Url;

use crate::{NOW, PARTING, choices, chunks, contains, repeated};

const PRESENTED: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

/// Statuses that mean something of their own; others come by number.
const STATUSES: [u16; 12] = [200, 200, 200, 403, 401, 302, 204, 429, 500, 503, 408, 404];

/// What must hold of any answer, in any chunks.
pub fn holds(data: &[u8]) {
    let ([method, broken, status, spare, size, sizes @ ..], rest) = choices::<9>(data);
    let method = RefreshMethod::ALL[usize::from(method) % 2];
    let complete = broken % 2 == 0;
    let mut parts = rest.splitn(5, |byte| *byte == PARTING);
    let mut text = || {
        let part = parts.next().unwrap_or_default();
        (!part.is_empty()).then(|| String::from_utf8_lossy(part).into_owned())
    };
    let (location, retry_after, www_authenticate, content_type) = (text(), text(), text(), text());
    let bytes = repeated(
        parts.next().unwrap_or_default(),
        if size == u8::MAX { 128 } else { 0 },
    );
    let head = Head {
        status: STATUSES
            .get(usize::from(status))
            .copied()
            .unwrap_or_else(|| u16::from_le_bytes([status, spare]) % 1000),
        location: location.as_deref(),
        retry_after: retry_after.as_deref(),
        www_authenticate: www_authenticate.as_deref(),
    };

    let body = read([bytes.as_slice()], method, content_type.as_deref(), complete);
    let in_chunks = read(chunks(&bytes, sizes), method, content_type.as_deref(), complete);
    assert!(body == in_chunks, "{body:?}, but in chunks {in_chunks:?}");
    an_update_is_read_as_json_is(&bytes);
    let wanted = head.wants_body().then_some(&body);
    means_what_it_must(head, wanted, complete, &bytes);
}

fn read<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    method: RefreshMethod,
    content_type: Option<&str>,
    complete: bool,
) -> Body {
    let mut reader = BodyReader::new(method, content_type);
    for chunk in chunks {
        reader.write(chunk);
    }
    reader.finish(complete)
}

fn means_what_it_must(head: Head<'_>, body: Option<&Body>, complete: bool, bytes: &[u8]) {
    let endpoint = Url::parse("https://aimharder.com/setrefresh").unwrap();
    let presented = RefreshToken::parse(PRESENTED).unwrap();
    let outcome = classify(head, body, &presented, &endpoint, NOW);
    match &outcome {
        Outcome::Expired => is_shown_to_be_over(head, body, complete),
        Outcome::Refreshed(renewal) => {
            assert!((200..300).contains(&head.status), "renewed by a {}", head.status);
            assert_eq!(renewal.token.user_id(), presented.user_id());
            assert!(
                bytes.contains(&b'\\') || contains(bytes, renewal.token.expose()),
                "made up"
            );
        }
        Outcome::Throttled { .. } => assert_eq!(head.status, 429),
        Outcome::UpstreamFault { .. } => assert!(head.status == 408 || (500..600).contains(&head.status)),
        Outcome::Refused => assert!(matches!(head.status, 401 | 403)),
        Outcome::Unreachable => assert!(body.is_some() && (200..300).contains(&head.status)),
        Outcome::Unrecognised => {}
        Outcome::TimedOut | Outcome::Unusable => unreachable!("no answer says so"),
    }
    assert!(head.retry_after.is_some() || outcome.retry_after().is_none());
    assert_ne!(outcome.after_lost_answer(), Outcome::Expired);
}

/// Only a redirect to upstream's own site, a 401, or a body that came whole ends a session.
fn is_shown_to_be_over(head: Head<'_>, body: Option<&Body>, complete: bool) {
    match (head.status, body) {
        (401, None) => {}
        (300..=399, None) => {
            let base = Url::parse("https://aimharder.com/setrefresh").unwrap();
            let target = base.join(head.location.unwrap()).unwrap();
            let host = target.host_str().unwrap();
            assert!(
                host == "aimharder.com" || host.ends_with(".aimharder.com"),
                "{target}"
            );
        }
        (200..=299 | 403, Some(Body::Page(page))) => {
            assert!(complete && page.end == PageEnd::Complete && page.login_form && !page.may_set_token);
        }
        (200..=299 | 403, Some(Body::Update(update))) => {
            assert!(complete && update.end == PageEnd::Complete && update.logout);
        }
        (status, _) => assert_eq!(status, 401, "over by a {status}"),
    }
}

/// Beside a reader that builds the whole tree: where that finds an object, both find the same in it.
fn an_update_is_read_as_json_is(bytes: &[u8]) {
    let update = Update::read(bytes, PageEnd::Complete);
    match serde_json::from_str::<Value>(&String::from_utf8_lossy(bytes)) {
        Ok(Value::Object(fields)) => {
            let token = fields.get("newToken").and_then(Value::as_str);
            assert_eq!(update.new_token.as_deref(), token.filter(|text| !text.is_empty()));
            assert!(fields.contains_key("logout") || !update.logout);
            assert_eq!(update.end, PageEnd::Complete);
        }
        Ok(_) => assert_eq!(update.end, PageEnd::Unreadable),
        Err(_) => {}
    }
}
