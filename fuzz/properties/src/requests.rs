//! The JSON bodies of requests.

use std::fmt::Debug;

use serde_json::{Map, Value};
use session_core::{
    requests::{
        BatchChoice, Body, BodyError, FreshChoice, MOST_NAMES, NoChoice, SessionChoice, When, Whole, parse,
    },
    time::Timestamp,
};

use crate::NOW;

/// What an error may say, in characters: it names fields, shortened, and repeats nothing else.
const LONGEST_ERROR: usize = 300;

/// What must hold of any body, of every route that takes one.
pub fn holds(body: &[u8]) {
    read::<NoChoice>(body);
    if let Some((choice, fields)) = read::<SessionChoice>(body) {
        let id = choice.session_id.map(|id| id.as_str().to_owned());
        assert_eq!(id, text(&fields, "sessionId").map(str::to_ascii_lowercase));
    }
    if let Some((choice, fields)) = read::<BatchChoice>(body) {
        let size = choice.batch_size.map(Whole::number);
        assert!(size.is_none_or(|size| (1..=1000).contains(&size)));
        assert_eq!(
            size.map(f64::from),
            fields.get("batchSize").and_then(Value::as_f64)
        );
        assert_eq!(choice.dry_run, fields.get("dryRun").and_then(Value::as_bool));
    }
    if let Some((choice, fields)) = read::<FreshChoice>(body) {
        names_what_it_must(choice, &fields);
    }
}

/// What a body is read as, with its fields by a reading of their own.
fn read<T: Body + Debug + PartialEq>(body: &[u8]) -> Option<(T, Map<String, Value>)> {
    let json = serde_json::from_slice::<Value>(body);
    match (parse::<T>(body), json) {
        (Ok(choice), Ok(Value::Object(fields))) => {
            for name in fields.keys() {
                assert!(
                    T::FIELDS.iter().any(|(field, _)| field == name),
                    "{name} is unknown"
                );
            }
            let nothing = fields.values().all(Value::is_null);
            assert!(!nothing || choice == T::default(), "{choice:?}");
            Some((choice, fields))
        }
        (Ok(choice), _) => {
            assert!(body.is_empty() && choice == T::default(), "{choice:?}");
            None
        }
        (Err(error), json) => {
            let said = error.to_string();
            assert!(said.chars().count() <= LONGEST_ERROR, "{said}");
            let is_object = json.as_ref().is_ok_and(Value::is_object);
            assert!(
                !is_object || !matches!(error, BodyError::NotAnObject | BodyError::NotJson { .. }),
                "{said}"
            );
            None
        }
    }
}

fn names_what_it_must(choice: FreshChoice, fields: &Map<String, Value>) {
    let Ok(wanted) = choice.into_wanted(NOW) else {
        return;
    };
    assert!((1..=MOST_NAMES).contains(&(wanted.ids.len() + wanted.emails.len())));
    let list = |name| fields.get(name).and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<_> = list("ids")
        .filter_map(Value::as_str)
        .map(str::to_ascii_lowercase)
        .collect();
    assert_eq!(wanted.ids, ids);
    assert!(
        ids.iter()
            .all(|id| id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
    );
    let emails: Vec<_> = list("emails").filter_map(Value::as_str).collect();
    assert_eq!(wanted.emails, emails);
    match wanted.when {
        When::Now { max_age } => {
            let seconds = fields.get("maxAgeSeconds").and_then(Value::as_f64);
            assert_eq!(seconds, Some(max_age.as_secs_f64()));
        }
        When::At(at) => {
            assert!(at > NOW && text(fields, "freshAt").and_then(Timestamp::parse_rfc3339) == Some(at));
        }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}
