//! The stored cookies of a session, and `Set-Cookie` headers merged into them as a browser would.

use std::fmt;

use cookie::{Cookie, Expiration};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// Names that upstream may add to a stored set that lacks them.
const ADDABLE: [&str; 6] = [
    "AWSALB",
    "AWSALBCORS",
    "AWSALBTG",
    "AWSALBTGCORS",
    "PHPSESSID",
    "amhrdrauth",
];

/// The load balancer's own cookies: they say which of upstream's machines answers, not who is signed in.
const AFFINITY: [&str; 4] = ["AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBTGCORS"];

/// Those that say who is signed in.
const IDENTITY: [&str; 2] = ["PHPSESSID", "amhrdrauth"];

/// A session's cookies, as stored: `[{"name":"AWSALB","value":"…"}, …]`.
///
/// Fields other than `name` and `value`, that a login may have stored, are kept. So are elements that can't be sent,
/// such as a consent cookie with an accent: they stay as they are, behind the others.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCookies {
    sent: Vec<StoredCookie>,
    unsendable: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredCookie {
    name: String,
    value: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// Why stored cookies can't be presented to upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCookiesError {
    /// Not an array.
    #[error("not an array of names and values")]
    Shape,
    /// No element has a text `name` and `value` that a `Cookie` header can hold.
    #[error("no cookie that can be sent")]
    NoneSendable,
    /// A cookie that says who is signed in can't be sent: without it upstream would take the session for over.
    #[error("a cookie that identifies the session can't be sent")]
    IdentityUnsendable,
}

/// Which of an answer's cookies are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believe {
    /// All: the answer proved that the session lives.
    All,
    /// The load balancer's only: an error page or a login page may hand out an anonymous `PHPSESSID` or delete
    /// `amhrdrauth`, and taking that over would end a session on thin evidence.
    Affinity,
}

impl StoredCookies {
    /// Reads the database's JSON. Of two cookies with one name the last counts.
    pub fn from_json(json: &Value) -> Result<Self, UnusableCookiesError> {
        let elements = json.as_array().ok_or(UnusableCookiesError::Shape)?;
        let mut cookies = Self {
            sent: Vec::with_capacity(elements.len()),
            unsendable: Vec::new(),
        };
        for element in elements {
            match StoredCookie::deserialize(element) {
                Ok(cookie) if sendable(&cookie.name, &cookie.value) => cookies.put(cookie),
                _ => cookies.unsendable.push(element.clone()),
            }
        }
        if cookies.sent.is_empty() {
            return Err(UnusableCookiesError::NoneSendable);
        }
        let lost =
            |name: &str| !cookies.holds(name) && cookies.unsendable.iter().any(|odd| is_named(odd, name));
        if IDENTITY.into_iter().any(lost) {
            return Err(UnusableCookiesError::IdentityUnsendable);
        }
        Ok(cookies)
    }

    /// The value of the `Cookie` request header.
    pub fn header(&self) -> String {
        let pairs: Vec<_> = self
            .sent
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        pairs.join("; ")
    }

    /// The set after an answer's `Set-Cookie` headers, or `None` where they change nothing.
    #[must_use]
    pub fn merged<'a>(
        &self,
        set_cookies: impl IntoIterator<Item = &'a str>,
        believe: Believe,
        now: Timestamp,
    ) -> Option<Self> {
        let mut after = self.clone();
        for cookie in set_cookies
            .into_iter()
            .filter_map(|header| Cookie::parse(header).ok())
        {
            if believe == Believe::All || AFFINITY.contains(&cookie.name()) {
                after.apply(&cookie, now);
            }
        }
        // An answer that leaves nothing to send can't be told from a site gone wrong: keep what there was.
        (after != *self && !after.sent.is_empty()).then_some(after)
    }

    fn apply(&mut self, cookie: &Cookie<'_>, now: Timestamp) {
        let (name, value) = (cookie.name(), cookie.value());
        if is_deletion(cookie, now) {
            self.unsendable.retain(|odd| !is_named(odd, name));
            self.sent.retain(|stored| stored.name != name);
        } else if sendable(name, value) && (ADDABLE.contains(&name) || self.holds(name)) {
            self.set(name, value);
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.sent.iter().any(|stored| stored.name == name)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.unsendable.retain(|odd| !is_named(odd, name));
        if let Some(stored) = self.sent.iter_mut().find(|stored| stored.name == name) {
            value.clone_into(&mut stored.value);
        } else {
            self.put(StoredCookie {
                name: name.to_owned(),
                value: value.to_owned(),
                other: Map::new(),
            });
        }
    }

    fn put(&mut self, cookie: StoredCookie) {
        self.sent.retain(|stored| stored.name != cookie.name);
        self.sent.push(cookie);
    }
}

impl Serialize for StoredCookies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Element<'a> {
            Sent(&'a StoredCookie),
            Unsendable(&'a Value),
        }
        let sent = self.sent.iter().map(Element::Sent);
        serializer.collect_seq(sent.chain(self.unsendable.iter().map(Element::Unsendable)))
    }
}

impl fmt::Debug for StoredCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.sent.iter().map(|cookie| &cookie.name))
            .finish()
    }
}

fn is_named(element: &Value, name: &str) -> bool {
    element.get("name").and_then(Value::as_str) == Some(name)
}

/// `Max-Age` goes before `Expires` (RFC 6265, section 5.3).
fn is_deletion(cookie: &Cookie<'_>, now: Timestamp) -> bool {
    match (cookie.max_age(), cookie.expires()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(Expiration::DateTime(expires))) => now.to_date().is_some_and(|now| expires <= now),
        (None, _) => false,
    }
}

/// Whether a pair can stand in a `Cookie` header without adding to it. Wider than RFC 6265's cookie-octet, as
/// servers and browsers are, but no control character, no `;`, nothing beyond ASCII.
fn sendable(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b);
    let octet = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b';';
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(octet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn stored() -> StoredCookies {
        let json = json!([
            {"name": "AWSALB", "value": "old=="},
            {"name": "PHPSESSID", "value": "abc", "path": "/"},
            {"name": "amhrdrauth", "value": "x=1|y=2"},
        ]);
        StoredCookies::from_json(&json).unwrap()
    }

    fn check(set_cookies: &[&str], believe: Believe, expected: Option<&str>) {
        let after = stored().merged(set_cookies.iter().copied(), believe, NOW);
        assert_eq!(
            after.map(|cookies| cookies.header()).as_deref(),
            expected,
            "{set_cookies:?}"
        );
    }

    #[test]
    fn hazard_3_cookies_that_an_answer_does_not_name_are_kept() {
        check(
            &["AWSALB=new=; Expires=Mon, 01 Feb 2027 10:00:00 GMT; Path=/"],
            Believe::All,
            Some("AWSALB=new=; PHPSESSID=abc; amhrdrauth=x=1|y=2"),
        );
    }

    #[test]
    fn merges_as_a_browser_would() {
        let rest = "PHPSESSID=abc; amhrdrauth=x=1|y=2";
        for (set_cookie, first) in [
            ("AWSALB=; Max-Age=0", ""),
            ("AWSALB=x; Max-Age=-5", ""),
            ("AWSALB=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT", ""),
            ("AWSALB=x; Max-Age=0; Expires=Mon, 01 Feb 2027 10:00:00 GMT", ""),
            (
                "AWSALB=x; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "AWSALB=x; ",
            ),
            ("AWSALB=a=b=c", "AWSALB=a=b=c; "),
            ("AWSALB=x; Expires=rubbish", "AWSALB=x; "),
            ("AWSALB=", "AWSALB=; "),
        ] {
            check(&[set_cookie], Believe::All, Some(&format!("{first}{rest}")));
        }
    }

    #[test]
    fn an_unknown_name_is_kept_only_if_it_is_on_the_list() {
        check(&["tracker=1", "foo=; Max-Age=0"], Believe::All, None);
        check(
            &["AWSALBCORS=c"],
            Believe::All,
            Some("AWSALB=old==; PHPSESSID=abc; amhrdrauth=x=1|y=2; AWSALBCORS=c"),
        );
    }

    #[test]
    fn the_same_again_is_no_change() {
        check(&["AWSALB=old==", "PHPSESSID=abc; HttpOnly"], Believe::All, None);
    }

    #[test]
    fn an_answer_without_proof_touches_only_the_load_balancers_cookies() {
        check(
            &["PHPSESSID=anonymous", "amhrdrauth=deleted; Max-Age=0", "AWSALB=n"],
            Believe::Affinity,
            Some("AWSALB=n; PHPSESSID=abc; amhrdrauth=x=1|y=2"),
        );
    }

    #[test]
    fn never_leaves_a_session_without_any_cookie() {
        check(
            &[
                "AWSALB=; Max-Age=0",
                "PHPSESSID=; Max-Age=0",
                "amhrdrauth=; Max-Age=0",
            ],
            Believe::All,
            None,
        );
    }

    #[test]
    fn what_a_login_stored_beside_the_value_stays() {
        let after = stored().merged(["PHPSESSID=new"], Believe::All, NOW).unwrap();
        assert_eq!(
            serde_json::to_value(&after).unwrap()[1],
            json!({"name": "PHPSESSID", "value": "new", "path": "/"})
        );
    }

    #[test]
    fn says_why_stored_cookies_are_unusable() {
        for (json, error) in [
            (json!({"AWSALB": "x"}), UnusableCookiesError::Shape),
            (json!(null), UnusableCookiesError::Shape),
            (json!([]), UnusableCookiesError::NoneSendable),
            (json!([{"name": "AWSALB"}]), UnusableCookiesError::NoneSendable),
            (
                json!([{"name": "AWSALB", "value": "x"}, {"name": "PHPSESSID", "value": null}]),
                UnusableCookiesError::IdentityUnsendable,
            ),
        ] {
            assert_eq!(StoredCookies::from_json(&json), Err(error), "{json}");
        }
    }

    #[test]
    fn what_can_t_be_sent_is_kept_and_left_out() {
        for odd in [
            json!({"name": "consent", "value": "sí"}),
            json!({"name": "AWSALB", "value": null}),
            json!({"name": "a", "value": "b\r\nHost: evil"}),
            json!({"name": "a", "value": "b; c=d"}),
            json!({"name": "a b", "value": "c"}),
            json!({"name": "", "value": "c"}),
            json!("AWSALB=x"),
        ] {
            let good = json!({"name": "PHPSESSID", "value": "abc"});
            let cookies = StoredCookies::from_json(&json!([odd, good])).unwrap();
            assert_eq!(cookies.header(), "PHPSESSID=abc");
            assert_eq!(serde_json::to_value(&cookies).unwrap(), json!([good, odd]));
        }
    }

    #[test]
    fn what_upstream_sets_takes_the_place_of_what_could_not_be_sent() {
        let stored = json!([{"name": "AWSALB", "value": "é"}, {"name": "PHPSESSID", "value": "abc"}]);
        let cookies = StoredCookies::from_json(&stored).unwrap();
        let set = cookies.merged(["AWSALB=new"], Believe::All, NOW).unwrap();
        assert_eq!(
            serde_json::to_value(&set).unwrap(),
            json!([{"name": "PHPSESSID", "value": "abc"}, {"name": "AWSALB", "value": "new"}])
        );
        let deleted = cookies.merged(["AWSALB=; Max-Age=0"], Believe::All, NOW).unwrap();
        assert_eq!(serde_json::to_value(&deleted).unwrap(), json!([stored[1]]));
    }

    #[test]
    fn debug_shows_names_only() {
        let shown = format!("{:?}", stored());
        assert!(shown.contains("PHPSESSID") && !shown.contains("abc"), "{shown}");
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(headers in proptest::collection::vec("(AWSALB|PHPSESSID|other)=[ -~]{0,12}(; Max-Age=[0-9])?", 0..6)) {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let once = stored().merged(headers.iter().copied(), Believe::All, NOW).unwrap_or_else(stored);
            prop_assert_eq!(once.merged(headers.iter().copied(), Believe::All, NOW), None);
        }

        #[test]
        fn whatever_upstream_sends_the_header_stays_one_line(headers in proptest::collection::vec("\\PC{0,40}", 0..6)) {
            let after = stored().merged(headers.iter().map(String::as_str), Believe::All, NOW).unwrap_or_else(stored);
            prop_assert!(after.header().bytes().all(|b| (0x20..0x7f).contains(&b)));
            prop_assert!(after.header().contains("amhrdrauth="));
        }
    }
}
