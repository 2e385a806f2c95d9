//! Stored cookies, and `Set-Cookie` headers merged into them.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;
use session_core::cookies::{Believe, StoredCookies};

use crate::{NOW, PARTING, choices};

/// Names that upstream may add.
const ADDABLE: [&str; 6] = [
    "AWSALB",
    "AWSALBCORS",
    "AWSALBTG",
    "AWSALBTGCORS",
    "PHPSESSID",
    "amhrdrauth",
];

const IDENTITY: [&str; 2] = ["PHPSESSID", "amhrdrauth"];

/// What must hold of any stored JSON, and of any headers.
pub fn holds(data: &[u8]) {
    let ([choice], rest) = choices::<1>(data);
    let mut texts = rest.split(|byte| *byte == PARTING).map(String::from_utf8_lossy);
    let json = texts.next().unwrap_or_default();
    let Ok(json) = serde_json::from_str::<Value>(&json) else {
        return;
    };
    let Ok(stored) = StoredCookies::from_json(&json) else {
        return;
    };
    can_be_sent(&stored);
    let headers: Vec<String> = texts.map(Cow::into_owned).collect();
    let believe = if choice % 2 == 0 {
        Believe::All
    } else {
        Believe::Affinity
    };
    merges(&stored, &headers, believe);
}

fn merge(stored: &StoredCookies, headers: &[String], believe: Believe) -> Option<StoredCookies> {
    stored.merged(headers.iter().map(String::as_str), believe, NOW)
}

fn merges(stored: &StoredCookies, headers: &[String], believe: Believe) {
    let merged = merge(stored, headers, believe);
    assert!(merged.as_ref() != Some(stored), "a change that changes nothing");
    let after = merged.unwrap_or_else(|| stored.clone());
    can_be_sent(&after);
    // But for their order: what is deleted and set again comes last.
    let twice = merge(&after, headers, believe).unwrap_or_else(|| after.clone());
    let sorted = |cookies| BTreeSet::from_iter(pairs(cookies));
    assert_eq!(sorted(&twice), sorted(&after), "merged twice is not merged once");

    let (names_before, names_after) = (names(stored), names(&after));
    for name in names_after.difference(&names_before) {
        assert!(ADDABLE.contains(&name.as_str()), "{name} was added");
    }
    if !headers.iter().any(|header| may_delete(header)) {
        assert!(names_before.is_subset(&names_after), "a cookie is lost");
    }
    if believe == Believe::Affinity {
        for name in IDENTITY {
            assert_eq!(
                value(stored, name),
                value(&after, name),
                "{name} on thin evidence"
            );
        }
    }
    the_last_counts(stored, headers, believe);
}

fn the_last_counts(stored: &StoredCookies, headers: &[String], believe: Believe) {
    let last = "AWSALB=known; Path=/".to_owned();
    let headers: Vec<String> = headers.iter().cloned().chain([last]).collect();
    let after = merge(stored, &headers, believe).unwrap_or_else(|| stored.clone());
    assert_eq!(value(&after, "AWSALB").as_deref(), Some("known"));
}

/// One line of printable ASCII, that has the cookies and nothing else; and what is stored is read as the same again.
pub(crate) fn can_be_sent(cookies: &StoredCookies) {
    let header = cookies.header();
    assert!(
        header.bytes().all(|byte| (0x20..0x7F).contains(&byte)),
        "{header:?}"
    );
    let pairs = pairs(cookies);
    let names = names(cookies);
    assert!(!pairs.is_empty() && pairs.len() == names.len(), "{header:?}");
    let stored = serde_json::to_value(cookies).unwrap();
    let held = stored.as_array().unwrap();
    for (name, value) in pairs {
        let is_held =
            |element: &Value| element["name"] == name.as_str() && element["value"] == value.as_str();
        assert!(held.iter().any(is_held), "{name} is not what is stored");
    }
    assert!(
        StoredCookies::from_json(&stored).as_ref() == Ok(cookies),
        "stored, it reads otherwise"
    );
}

/// The header, as a server takes it apart.
fn pairs(cookies: &StoredCookies) -> Vec<(String, String)> {
    let header = cookies.header();
    let pairs = header.split(';').enumerate().map(|(index, pair)| {
        let pair = if index == 0 {
            pair
        } else {
            pair.strip_prefix(' ').unwrap()
        };
        let (name, value) = pair.split_once('=').expect("a pair without a value");
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

fn names(cookies: &StoredCookies) -> BTreeSet<String> {
    pairs(cookies).into_iter().map(|(name, _)| name).collect()
}

fn value(cookies: &StoredCookies, name: &str) -> Option<String> {
    pairs(cookies)
        .into_iter()
        .find(|pair| pair.0 == name)
        .map(|pair| pair.1)
}

fn may_delete(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header.contains("max-age") || header.contains("expires")
}
