//! What an answer of upstream's means for the session.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    body::Body,
    page::{Page, PageEnd},
    time::Timestamp,
    token::{Fingerprint, RefreshToken},
    update::Update,
};

/// Everything that a refresh can come to. Storage, metrics and HTTP statuses derive from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Upstream renewed the session.
    Refreshed(Renewal),
    /// Upstream showed that the session is over: only a new sign-in helps.
    Expired,
    /// Upstream asked us to slow down (429).
    Throttled {
        /// How long upstream wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Upstream, or a firewall before it, turned the request away without saying that the session is over.
    Refused,
    /// Upstream failed (5xx).
    UpstreamFault {
        /// How long upstream wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that broke off before it said anything.
    Unreachable,
    /// No answer within the time bound.
    TimedOut,
    /// An answer that can't be told: changed markup, a short page, a redirect elsewhere, a stranger's token.
    Unrecognised,
    /// The stored row can't be presented to upstream: its token or cookies are malformed.
    Unusable,
}

/// What upstream handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The token to present next time; new or the same as before.
    pub token: RefreshToken,
    /// The fingerprint to present next time, if upstream named one.
    pub fingerprint: Option<Fingerprint>,
}

/// An [`Outcome`]'s name: stable, in the database, answers, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(description = "What an attempt came to."))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "documented at Outcome")]
pub enum OutcomeCode {
    Refreshed,
    Expired,
    Throttled,
    Refused,
    UpstreamFault,
    Unreachable,
    TimedOut,
    Unrecognised,
    Unusable,
}

impl OutcomeCode {
    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::Expired => "expired",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::UpstreamFault => "upstream_fault",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Unrecognised => "unrecognised",
            Self::Unusable => "unusable",
        }
    }

    /// Whether this answer, or the want of one, shows upstream in trouble or unwilling to serve us.
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::Throttled | Self::Refused | Self::UpstreamFault | Self::Unreachable | Self::TimedOut => {
                true
            }
            Self::Refreshed | Self::Expired | Self::Unrecognised | Self::Unusable => false,
        }
    }

    /// Whether this failure may be the session's own doing: such ones exhaust it, an outage's never do.
    pub const fn is_own(self) -> bool {
        match self {
            Self::Refused | Self::Unrecognised | Self::Unusable => true,
            Self::Refreshed
            | Self::Expired
            | Self::Throttled
            | Self::UpstreamFault
            | Self::Unreachable
            | Self::TimedOut => false,
        }
    }
}

impl Outcome {
    /// The name of this outcome.
    pub const fn code(&self) -> OutcomeCode {
        match self {
            Self::Refreshed(_) => OutcomeCode::Refreshed,
            Self::Expired => OutcomeCode::Expired,
            Self::Throttled { .. } => OutcomeCode::Throttled,
            Self::Refused => OutcomeCode::Refused,
            Self::UpstreamFault { .. } => OutcomeCode::UpstreamFault,
            Self::Unreachable => OutcomeCode::Unreachable,
            Self::TimedOut => OutcomeCode::TimedOut,
            Self::Unrecognised => OutcomeCode::Unrecognised,
            Self::Unusable => OutcomeCode::Unusable,
        }
    }

    /// How long upstream asked to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } | Self::UpstreamFault { retry_after } => *retry_after,
            Self::Refreshed(_)
            | Self::Expired
            | Self::Refused
            | Self::Unreachable
            | Self::TimedOut
            | Self::Unrecognised
            | Self::Unusable => None,
        }
    }

    /// What this outcome means if an earlier answer to the same credentials was lost on its way.
    ///
    /// Upstream may have rotated the token in that answer, so that its refusal now proves nothing: a later
    /// attempt decides.
    #[must_use]
    pub fn after_lost_answer(self) -> Self {
        if self == Self::Expired {
            Self::Unrecognised
        } else {
            self
        }
    }
}

/// The parts of an answer's head that count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `Location`.
    pub location: Option<&'a str>,
    /// `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// `WWW-Authenticate`.
    pub www_authenticate: Option<&'a str>,
}

impl Head<'_> {
    /// Whether the body can say anything: it is read only then.
    pub const fn wants_body(&self) -> bool {
        matches!(self.status, 200..=299 | 403)
    }
}

/// Tells what an answer means. `body` is what it held, where [`Head::wants_body`]; `presented` is the token that was
/// sent to `endpoint`.
///
/// "Expired" only on evidence: a redirect to upstream's own login or logout page, its login form, its `logout`, or a
/// 401. A wrong "expired" costs a user bookings until the next sign-in; a wrong "unrecognised" costs another try.
pub fn classify(
    head: Head<'_>,
    body: Option<&Body>,
    presented: &RefreshToken,
    endpoint: &Url,
    now: Timestamp,
) -> Outcome {
    let retry_after = head.retry_after.and_then(|text| parse_retry_after(text, now));
    match head.status {
        200..=299 => body.map_or(Outcome::Unrecognised, |body| from_body(body, presented)),
        300..=399 if leads_to_sign_in(head.location, endpoint) => Outcome::Expired,
        // HTTP's own sign-in, as on a site under maintenance: not about this session.
        401 if head
            .www_authenticate
            .is_some_and(|scheme| starts_with_ignoring_case(scheme, "basic")) =>
        {
            Outcome::Refused
        }
        401 => Outcome::Expired,
        403 if body.is_some_and(says_signed_out) => Outcome::Expired,
        403 => Outcome::Refused,
        408 | 500..=599 => Outcome::UpstreamFault { retry_after },
        429 => Outcome::Throttled { retry_after },
        _ => Outcome::Unrecognised,
    }
}

fn from_body(body: &Body, presented: &RefreshToken) -> Outcome {
    let (token, fingerprint, end) = match body {
        Body::Page(page) => (&page.refresh_token, page.fingerprint.as_deref(), page.end),
        Body::Update(update) => (&update.new_token, None, update.end),
    };
    match token.as_deref().map(RefreshToken::parse) {
        Some(Ok(token)) if token.user_id() == presented.user_id() => {
            let fingerprint = fingerprint.and_then(|text| Fingerprint::parse(text).ok());
            Outcome::Refreshed(Renewal { token, fingerprint })
        }
        Some(_) | None if says_signed_out(body) => Outcome::Expired,
        None if end == PageEnd::Broken => Outcome::Unreachable,
        Some(_) | None => Outcome::Unrecognised,
    }
}

fn says_signed_out(body: &Body) -> bool {
    match body {
        Body::Page(page) => shows_sign_in(page),
        Body::Update(update) => tells_logout(update),
    }
}

/// Whether `tokenUpdate` says that the session is over. A text that broke off might have gone on otherwise, and one with
/// a stranger's token is about the stranger's session.
fn tells_logout(update: &Update) -> bool {
    let token = update.new_token.as_deref().map(RefreshToken::parse);
    update.logout && update.end == PageEnd::Complete && !matches!(token, Some(Ok(_)))
}

/// Whether a page is upstream's login page. A part of one proves nothing, nor does one that may set a token in a way
/// that we can't read: a live session's page may hold such a form, too.
fn shows_sign_in(page: &Page) -> bool {
    page.login_form && page.end == PageEnd::Complete && !page.may_set_token
}

/// Whether a redirect stays on upstream's own host (or one under it) and leads to where one signs in or out.
fn leads_to_sign_in(location: Option<&str>, endpoint: &Url) -> bool {
    let Some(target) = location.and_then(|location| endpoint.join(location).ok()) else {
        return false;
    };
    let (Some(host), Some(own)) = (target.host_str(), endpoint.host_str()) else {
        return false;
    };
    let own = own.strip_prefix("www.").unwrap_or(own);
    let own_site = host == own || host.strip_suffix(own).is_some_and(|front| front.ends_with('.'));
    let page = |segment: &str| {
        let name = segment.split('.').next().unwrap_or_default().to_ascii_lowercase();
        matches!(
            name.as_str(),
            "login" | "logout" | "signin" | "sign-in" | "acceso"
        )
    };
    own_site
        && target
            .path_segments()
            .is_some_and(|mut segments| segments.any(page))
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Reads `Retry-After` in both its forms, seconds and date (RFC 9110, section 10.2.3).
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let then = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).ok()?);
    Some(then.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{body::BodyReader, method::RefreshMethod};

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

    fn page(token: Option<&str>, login_form: bool, end: PageEnd) -> Page {
        Page {
            refresh_token: token.map(str::to_owned),
            fingerprint: Some("print".to_owned()),
            may_set_token: token.is_some(),
            login_form,
            end,
            bytes: 100,
        }
    }

    fn check(head: Head<'_>, page: Option<&Page>, expected: OutcomeCode) {
        let body = page.cloned().map(Body::Page);
        check_body(head, body.as_ref(), expected);
    }

    fn check_body(head: Head<'_>, body: Option<&Body>, expected: OutcomeCode) {
        let endpoint = Url::parse("https://aimharder.com/setrefresh").unwrap();
        let presented = RefreshToken::parse(TOKEN).unwrap();
        let outcome = classify(head, body, &presented, &endpoint, NOW);
        assert_eq!(outcome.code(), expected, "{head:?} {body:?}");
    }

    /// What `tokenUpdate` answers, whole or broken off.
    fn check_update(code: u16, text: &str, complete: bool, expected: OutcomeCode) {
        let mut reader = BodyReader::new(RefreshMethod::TokenUpdate, None);
        reader.write(text.as_bytes());
        check_body(status(code), Some(&reader.finish(complete)), expected);
    }

    fn status(status: u16) -> Head<'static> {
        Head {
            status,
            ..Head::default()
        }
    }

    #[test]
    fn a_page_is_believed_only_with_this_users_well_formed_token() {
        let other_user = "1|1766731601|03485f300f1a53a7e34143a0af9d2592";
        for (token, expected) in [
            (TOKEN, OutcomeCode::Refreshed),
            (other_user, OutcomeCode::Unrecognised),
            ("69232|1766731601|short", OutcomeCode::Unrecognised),
        ] {
            check(
                status(200),
                Some(&page(Some(token), false, PageEnd::Complete)),
                expected,
            );
        }
    }

    #[test]
    fn a_token_counts_even_if_the_page_broke_off_after_it() {
        for end in [
            PageEnd::Broken,
            PageEnd::TooLarge,
            PageEnd::Unreadable,
            PageEnd::Stopped,
        ] {
            check(
                status(200),
                Some(&page(Some(TOKEN), false, end)),
                OutcomeCode::Refreshed,
            );
        }
    }

    #[test]
    fn expired_needs_evidence() {
        check(
            status(200),
            Some(&page(None, true, PageEnd::Complete)),
            OutcomeCode::Expired,
        );
        check(
            status(200),
            Some(&page(None, false, PageEnd::Complete)),
            OutcomeCode::Unrecognised,
        );
        check(
            status(200),
            Some(&page(None, false, PageEnd::Broken)),
            OutcomeCode::Unreachable,
        );
        for end in [PageEnd::TooLarge, PageEnd::Unreadable] {
            for login_form in [false, true] {
                check(
                    status(200),
                    Some(&page(None, login_form, end)),
                    OutcomeCode::Unrecognised,
                );
            }
        }
        check(
            status(200),
            Some(&page(None, true, PageEnd::Broken)),
            OutcomeCode::Unreachable,
        );
        let computed = Page {
            may_set_token: true,
            ..page(None, true, PageEnd::Complete)
        };
        check(status(200), Some(&computed), OutcomeCode::Unrecognised);
        check(
            status(403),
            Some(&page(None, true, PageEnd::Broken)),
            OutcomeCode::Refused,
        );
        check(status(401), None, OutcomeCode::Expired);
        check(
            Head {
                www_authenticate: Some("Basic realm=x"),
                ..status(401)
            },
            None,
            OutcomeCode::Refused,
        );
        check(
            status(403),
            Some(&page(None, true, PageEnd::Complete)),
            OutcomeCode::Expired,
        );
        check(
            status(403),
            Some(&page(None, false, PageEnd::Complete)),
            OutcomeCode::Refused,
        );
        check(
            status(403),
            Some(&page(Some(TOKEN), false, PageEnd::Complete)),
            OutcomeCode::Refused,
        );
    }

    #[test]
    fn an_update_is_refreshed_only_with_this_users_well_formed_token() {
        let stranger = TOKEN.replace("69232", "69233");
        for (text, expected) in [
            (format!(r#"{{"newToken":"{TOKEN}"}}"#), OutcomeCode::Refreshed),
            (
                format!(r#"{{"newToken":"{stranger}"}}"#),
                OutcomeCode::Unrecognised,
            ),
            (
                r#"{"newToken":"69232|17|short"}"#.to_owned(),
                OutcomeCode::Unrecognised,
            ),
            (
                format!(r#"{{"newToken":"x","newToken":"{TOKEN}"}}"#),
                OutcomeCode::Refreshed,
            ),
            (
                format!(r#"{{"newToken":"{TOKEN}","newToken":"x"}}"#),
                OutcomeCode::Unrecognised,
            ),
            (
                format!(r#"[{{"newToken":"{TOKEN}"}}]"#),
                OutcomeCode::Unrecognised,
            ),
            (
                format!(r#"{{"data":{{"newToken":"{TOKEN}"}}}}"#),
                OutcomeCode::Unrecognised,
            ),
        ] {
            check_update(200, &text, true, expected);
        }
    }

    #[test]
    fn an_update_is_expired_only_when_upstream_says_so_and_hands_out_no_token() {
        let stranger = TOKEN.replace("69232", "69233");
        for (text, expected) in [
            (r#"{"logout":1}"#.to_owned(), OutcomeCode::Expired),
            (
                r#"{"logout":"true","newToken":null}"#.to_owned(),
                OutcomeCode::Expired,
            ),
            (
                r#"{"logout":true,"newToken":"x"}"#.to_owned(),
                OutcomeCode::Expired,
            ),
            (
                format!(r#"{{"logout":1,"newToken":"{TOKEN}"}}"#),
                OutcomeCode::Refreshed,
            ),
            (
                format!(r#"{{"logout":1,"newToken":"{stranger}"}}"#),
                OutcomeCode::Unrecognised,
            ),
            (r#"{"logout":0}"#.to_owned(), OutcomeCode::Unrecognised),
            (r#"{"logout":false}"#.to_owned(), OutcomeCode::Unrecognised),
            (r#"{"logout":null}"#.to_owned(), OutcomeCode::Unrecognised),
            ("{}".to_owned(), OutcomeCode::Unrecognised),
            ("[]".to_owned(), OutcomeCode::Unrecognised),
            (r#"[{"logout":1}]"#.to_owned(), OutcomeCode::Unrecognised),
            (r#"{"logout":1}<br>"#.to_owned(), OutcomeCode::Unrecognised),
            (r#""logout""#.to_owned(), OutcomeCode::Unrecognised),
            (String::new(), OutcomeCode::Unrecognised),
        ] {
            check_update(200, &text, true, expected);
        }
        check_update(403, r#"{"logout":1}"#, true, OutcomeCode::Expired);
        check_update(403, "{}", true, OutcomeCode::Refused);
    }

    #[test]
    fn an_update_that_broke_off_is_unreachable_unless_it_had_said_the_token() {
        let said = format!(r#"{{"newToken":"{TOKEN}""#);
        for complete in [true, false] {
            check_update(200, &said, complete, OutcomeCode::Refreshed);
            for text in ["{", r#"{"newToken":"69232|17"#, r#"{"logout":1"#] {
                check_update(200, text, complete, OutcomeCode::Unreachable);
            }
        }
        check_update(200, r#"{"logout":1}"#, false, OutcomeCode::Unreachable);
        check_update(200, "", false, OutcomeCode::Unreachable);
    }

    #[test]
    fn a_page_in_place_of_an_update_is_judged_as_pages_are() {
        let form = "<form><input name=mail><input name=pw></form>";
        check_update(200, form, true, OutcomeCode::Expired);
        check_update(200, form, false, OutcomeCode::Unreachable);
        check_update(403, form, true, OutcomeCode::Expired);
        check_update(200, "<p>Blocked</p>", true, OutcomeCode::Unrecognised);
        let script = format!("<script>localStorage.setItem('refreshToken', '{TOKEN}')</script>");
        check_update(200, &script, true, OutcomeCode::Refreshed);
    }

    #[test]
    fn a_redirect_is_expired_only_towards_upstreams_own_sign_in() {
        for (location, expected) in [
            ("/login", OutcomeCode::Expired),
            ("/es/Login.php?back=1", OutcomeCode::Expired),
            ("https://www.aimharder.com/logout?reason=1", OutcomeCode::Expired),
            ("https://login.example.com/login", OutcomeCode::Unrecognised),
            ("https://evilaimharder.com/login", OutcomeCode::Unrecognised),
            ("//other.example/login", OutcomeCode::Unrecognised),
            ("/setrefresh", OutcomeCode::Unrecognised),
            ("/loginstats", OutcomeCode::Unrecognised),
            ("http://[", OutcomeCode::Unrecognised),
        ] {
            check(
                Head {
                    location: Some(location),
                    ..status(302)
                },
                None,
                expected,
            );
        }
        check(status(302), None, OutcomeCode::Unrecognised);
    }

    #[test]
    fn other_statuses_name_who_must_act() {
        for (code, expected) in [
            (429, OutcomeCode::Throttled),
            (500, OutcomeCode::UpstreamFault),
            (503, OutcomeCode::UpstreamFault),
            (599, OutcomeCode::UpstreamFault),
            (404, OutcomeCode::Unrecognised),
            (418, OutcomeCode::Unrecognised),
        ] {
            check(status(code), None, expected);
        }
    }

    #[test]
    fn after_a_lost_answer_a_refusal_proves_nothing() {
        assert_eq!(Outcome::Expired.after_lost_answer(), Outcome::Unrecognised);
        assert_eq!(Outcome::Refused.after_lost_answer(), Outcome::Refused);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = Timestamp::from_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(
                parse_retry_after(text, now).map(|wait| wait.as_secs()),
                seconds,
                "{text}"
            );
        }
    }
}
