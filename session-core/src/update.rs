//! `tokenUpdate`'s JSON: `{"newToken":"…"}`, or `{"logout":1}` for a session that is over.
//!
//! A text that breaks off, or that is no JSON further on, still reports the token that it had said before: upstream
//! handed it out.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::page::PageEnd;

/// What such a text held.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    /// The last `newToken`, unchecked, if it is a text that isn't empty.
    pub new_token: Option<String>,
    /// Whether the last `logout` says yes.
    pub logout: bool,
    /// How it ended; `Unreadable` if it isn't one JSON object.
    pub end: PageEnd,
}

impl fmt::Debug for Update {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Update")
            .field("new_token", &self.new_token.is_some())
            .field("logout", &self.logout)
            .field("end", &self.end)
            .finish()
    }
}

impl Update {
    /// Reads a text that came whole (`Complete`), or whose end is missing for the reason given.
    pub fn read(bytes: &[u8], end: PageEnd) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut json = serde_json::Deserializer::from_str(&text);
        let mut update = Self {
            new_token: None,
            logout: false,
            end,
        };
        let read = Fields(&mut update)
            .deserialize(&mut json)
            .and_then(|()| json.end());
        if let (PageEnd::Complete, Err(error)) = (end, read) {
            update.end = if error.is_eof() {
                PageEnd::Broken
            } else {
                PageEnd::Unreadable
            };
        }
        update
    }
}

/// Notes fields as they come, so that they are there still when a later one can't be read.
struct Fields<'a>(&'a mut Update);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "newToken" => self.0.new_token = text(fields.next_value()?),
                "logout" => self.0.logout = says_yes(&fields.next_value()?),
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// PHP and JavaScript spell a yes in several ways. Whatever isn't clearly one proves nothing.
fn says_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => is_one(number.as_f64()),
        Value::String(text) => {
            let text = text.trim();
            text.eq_ignore_ascii_case("true") || is_one(text.parse().ok())
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_one(number: Option<f64>) -> bool {
    number.is_some_and(|number| (number - 1.0).abs() < f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, new_token: Option<&str>, logout: bool, end: PageEnd) {
        let expected = Update {
            new_token: new_token.map(str::to_owned),
            logout,
            end,
        };
        assert_eq!(
            Update::read(text.as_bytes(), PageEnd::Complete),
            expected,
            "{text}"
        );
    }

    #[test]
    fn reads_the_documented_answers() {
        check(r#"{"newToken":"a|b"}"#, Some("a|b"), false, PageEnd::Complete);
        check(r#"{"logout":1}"#, None, true, PageEnd::Complete);
        check(
            " \r\n{ \"newToken\" : \"a\\u007cb\" , \"x\": [{}] }\n",
            Some("a|b"),
            false,
            PageEnd::Complete,
        );
    }

    #[test]
    fn logout_is_read_in_every_spelling_of_yes_and_no_other() {
        for yes in [
            "1",
            "true",
            "1.0",
            "1e0",
            r#""1""#,
            r#""true""#,
            r#""TRUE""#,
            r#"" 1.0 ""#,
        ] {
            check(&format!(r#"{{"logout":{yes}}}"#), None, true, PageEnd::Complete);
        }
        for no in [
            "0",
            "false",
            "null",
            r#""0""#,
            r#""""#,
            r#""no""#,
            "2",
            "-1",
            "[1]",
            r#"{"1":1}"#,
            r#""NaN""#,
        ] {
            check(&format!(r#"{{"logout":{no}}}"#), None, false, PageEnd::Complete);
        }
    }

    #[test]
    fn of_fields_with_one_name_the_last_counts() {
        check(
            r#"{"newToken":"a","newToken":"b"}"#,
            Some("b"),
            false,
            PageEnd::Complete,
        );
        check(
            r#"{"newToken":"a","newToken":null}"#,
            None,
            false,
            PageEnd::Complete,
        );
        check(r#"{"logout":1,"logout":0}"#, None, false, PageEnd::Complete);
    }

    #[test]
    fn a_token_that_is_no_text_is_none() {
        for value in ["null", "false", "7", r#""""#, "[]", r#"["a"]"#, "{}"] {
            check(
                &format!(r#"{{"newToken":{value}}}"#),
                None,
                false,
                PageEnd::Complete,
            );
        }
    }

    #[test]
    fn a_text_that_breaks_off_says_so_and_keeps_the_token_that_it_had_said() {
        let whole = r#"{"x":1,"newToken":"a|b","y":2}"#;
        let said = whole.find(",\"y").unwrap();
        for cut in 0..whole.len() {
            let token = (cut >= said).then_some("a|b");
            check(whole.get(..cut).unwrap(), token, false, PageEnd::Broken);
        }
    }

    #[test]
    fn what_is_no_object_or_no_json_is_unreadable() {
        for text in [
            "[]",
            r#"[{"newToken":"a"}]"#,
            "{]",
            "{logout:1}",
            r#"{"logout":1}{}"#,
            "{'logout':1}",
        ] {
            assert_eq!(
                Update::read(text.as_bytes(), PageEnd::Complete).end,
                PageEnd::Unreadable,
                "{text}"
            );
        }
        check(r#"{"newToken":"a",}"#, Some("a"), false, PageEnd::Unreadable);
        check(r#"{"newToken":"a"}<br>"#, Some("a"), false, PageEnd::Unreadable);
    }

    #[test]
    fn printing_shows_no_token() {
        let update = Update::read(br#"{"newToken":"a|b"}"#, PageEnd::Complete);
        assert!(!format!("{update:?}").contains("a|b"));
    }
}
