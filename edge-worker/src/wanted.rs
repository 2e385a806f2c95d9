//! What a caller of ensure-fresh asks for: which sessions, and how fresh, now or at a time to come.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use session_core::{due, time::Timestamp};

use crate::{database::Names, routes::parse_id, runtime::now};

/// Sessions that one call names.
const MOST_NAMES: usize = 100;

/// The column's bound, in characters.
const LONGEST_EMAIL: usize = 255;

const LONGEST_AGE_SECONDS: u32 = 86_400;

/// The body of a request. Its fields are read one by one, so that a wrong one can be named.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FreshChoice {
    ids: Option<Value>,
    emails: Option<Value>,
    max_age_seconds: Option<Value>,
    fresh_at: Option<Value>,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) ids: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) when: When,
}

/// How fresh, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// No older than this, now.
    Now { max_age: Duration },
    /// Refreshed shortly before a time to come.
    At(Timestamp),
}

impl FreshChoice {
    /// Checks it. An error is a sentence about the field that is wrong.
    pub(crate) fn into_wanted(self) -> Result<Wanted, String> {
        let ids: Vec<String> = field(self.ids, "ids must be a list of UUIDs")?.unwrap_or_default();
        let emails: Vec<String> =
            field(self.emails, "emails must be a list of addresses")?.unwrap_or_default();
        if !(1..=MOST_NAMES).contains(&ids.len().saturating_add(emails.len())) {
            return Err("the fields ids and emails must name 1 to 100 sessions in all".to_owned());
        }
        if !emails.iter().all(|email| is_storable(email)) {
            return Err("the field emails must hold addresses of 1 to 255 characters".to_owned());
        }
        let ids = ids.iter().map(|id| parse_id("each of the field ids", id));
        Ok(Wanted {
            ids: ids.collect::<Result<_, _>>()?,
            emails,
            when: when(self.max_age_seconds, self.fresh_at)?,
        })
    }
}

impl Wanted {
    /// The sessions.
    pub(crate) fn names(&self) -> Names<'_> {
        Names {
            ids: &self.ids,
            emails: &self.emails,
        }
    }
}

fn when(max_age_seconds: Option<Value>, fresh_at: Option<Value>) -> Result<When, String> {
    let max_age = field::<u32>(max_age_seconds, MAX_AGE)?;
    let fresh_at = field::<String>(fresh_at, FRESH_AT)?;
    match (max_age, fresh_at) {
        (Some(seconds), None) if seconds <= LONGEST_AGE_SECONDS => Ok(When::Now {
            max_age: Duration::from_secs(seconds.into()),
        }),
        (Some(_), None) => Err(format!("the field {MAX_AGE}")),
        (None, Some(text)) => time_to_come(&text)
            .map(When::At)
            .ok_or_else(|| format!("the field {FRESH_AT}")),
        (None, None) => Err("one of the fields maxAgeSeconds and freshAt is needed".to_owned()),
        (Some(_), Some(_)) => Err("only one of the fields maxAgeSeconds and freshAt can be given".to_owned()),
    }
}

const MAX_AGE: &str = "maxAgeSeconds must be a whole number from 0 to 86400";
const FRESH_AT: &str = "freshAt must be a time to come, within a week, like 2026-01-31T09:59:30Z";

fn field<T: DeserializeOwned>(value: Option<Value>, must: &str) -> Result<Option<T>, String> {
    value
        .map(serde_json::from_value)
        .transpose()
        .map_err(|_| format!("the field {must}"))
}

/// What the column can't hold names nobody, and would fail the claim for all others.
fn is_storable(email: &str) -> bool {
    (1..=LONGEST_EMAIL).contains(&email.chars().count()) && !email.contains('\0')
}

/// A time with its zone, from now to a week ahead.
fn time_to_come(text: &str) -> Option<Timestamp> {
    let moment = now();
    Timestamp::parse_rfc3339(text).filter(|at| *at > moment && at.since(moment) <= due::VALIDITY)
}
