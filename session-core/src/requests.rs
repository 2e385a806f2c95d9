//! The bodies of requests: what callers may ask for, read so that what is wrong with one can be named.

use std::time::Duration;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};
use uuid::Uuid;

use crate::{due, time::Timestamp};

/// Sessions that one call may name.
pub const MOST_NAMES: usize = 100;

/// The column's bound, in characters.
const LONGEST_EMAIL: usize = 255;

/// A field's name that is longer is not repeated to who sent it.
const LONGEST_NAME: usize = 40;

/// Why a body is not taken: a sentence for whoever sent it, without what it holds but for the names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// No JSON at all.
    #[error("the body is not JSON: see line {line}, column {column}")]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where in the line, from 1; 0 for its start.
        column: usize,
    },
    /// JSON of another kind.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// Nobody would know which of the two is meant.
    #[error("the field {0} is given twice")]
    Duplicate(String),
    /// Maybe a misspelt one.
    #[error("there is no field {name}: {known}")]
    Unknown {
        /// The field, shortened.
        name: String,
        /// Which are known, in words.
        known: String,
    },
    /// Of another type, or out of bounds.
    #[error("the field {field} must be {must}")]
    Wrong {
        /// The field, or an item of a list.
        field: String,
        /// What it must be.
        must: &'static str,
    },
    /// Neither or too many of them.
    #[error("the fields ids and emails must name 1 to {MOST_NAMES} sessions in all")]
    Names,
    /// Neither of them.
    #[error("one of the fields maxAgeSeconds and freshAt is needed")]
    NoAge,
    /// Both of them.
    #[error("only one of the fields maxAgeSeconds and freshAt can be given")]
    TwoAges,
}

/// A body that a route takes. A field that is `null` is as good as none.
pub trait Body: Default + DeserializeOwned {
    /// Each field, and what it must be.
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// The body of `POST /api/auth/refresh`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionChoice {
    /// Which of the user's sessions is meant; the one signed in last if none is named.
    pub session_id: Option<SessionId>,
}

impl Body for SessionChoice {
    const FIELDS: &'static [(&'static str, &'static str)] = &[("sessionId", "a UUID")];
}

/// The body of `POST /api/internal/refresh-sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchChoice {
    /// Sessions claimed at once; `REFRESH_BATCH_SIZE` if not given.
    pub batch_size: Option<Whole<1, 1_000>>,
    /// Only tell what is due; `false` if not given.
    pub dry_run: Option<bool>,
}

impl Body for BatchChoice {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("batchSize", "a whole number from 1 to 1000"),
        ("dryRun", "true or false"),
    ];
}

/// The body of a route with nothing to choose: one with fields is somebody's mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoChoice {}

impl Body for NoChoice {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

/// The body of `POST /api/internal/ensure-fresh`: 1 to 100 sessions in all, and how fresh, now or at a time to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema), schemars(transform = schemas::of_fresh_choice))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreshChoice {
    /// Sessions by their ids.
    #[cfg_attr(feature = "schemas", schemars(length(max = MOST_NAMES)))]
    pub ids: Option<Vec<SessionId>>,
    /// Users, for the session that each signed in last.
    #[cfg_attr(feature = "schemas", schemars(length(max = MOST_NAMES)))]
    pub emails: Option<Vec<Email>>,
    /// Refresh now what is older.
    pub max_age_seconds: Option<Whole<0, 86_400>>,
    /// Call nothing now: bring the next refresh forward into the minute and a half before this time, which has a zone
    /// and lies up to a week ahead.
    pub fresh_at: Option<Moment>,
}

impl Body for FreshChoice {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("ids", "a list of UUIDs"),
        ("emails", "a list of addresses of 1 to 255 characters"),
        ("maxAgeSeconds", "a whole number from 0 to 86400"),
        ("freshAt", FRESH_AT),
    ];
}

const FRESH_AT: &str = "a time to come, within a week, like 2026-01-31T09:59:30Z";

/// What a caller of ensure-fresh asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Sessions by their ids.
    pub ids: Vec<String>,
    /// Users, for the session that each signed in last.
    pub emails: Vec<String>,
    /// How fresh.
    pub when: When,
}

/// How fresh, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// No older than this, now.
    Now {
        /// Since the last sign of life.
        max_age: Duration,
    },
    /// Refreshed shortly before a time to come.
    At(Timestamp),
}

impl FreshChoice {
    /// Checks what no field's type can tell.
    pub fn into_wanted(self, now: Timestamp) -> Result<Wanted, BodyError> {
        let ids: Vec<_> = self.ids.into_iter().flatten().map(|id| id.0).collect();
        let emails: Vec<_> = self.emails.into_iter().flatten().map(|email| email.0).collect();
        if !(1..=MOST_NAMES).contains(&ids.len().saturating_add(emails.len())) {
            return Err(BodyError::Names);
        }
        let when = match (self.max_age_seconds, self.fresh_at) {
            (Some(Whole(seconds)), None) => When::Now {
                max_age: Duration::from_secs(seconds.into()),
            },
            (None, Some(Moment(at))) if at > now && at.since(now) <= due::VALIDITY => When::At(at),
            (None, Some(_)) => {
                return Err(BodyError::Wrong {
                    field: "freshAt".to_owned(),
                    must: FRESH_AT,
                });
            }
            (None, None) => return Err(BodyError::NoAge),
            (Some(_), Some(_)) => return Err(BodyError::TwoAges),
        };
        Ok(Wanted { ids, emails, when })
    }
}

/// A row's primary key: a UUID with its hyphens, in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(inline, extend("format" = "uuid")))]
#[serde(try_from = "String")]
pub struct SessionId(String);

impl SessionId {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?.to_string();
        // Not one without hyphens, nor in braces.
        id.eq_ignore_ascii_case(text).then_some(Self(id))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value that its field can't have. It is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the value is not what the field must be")]
pub struct UnfitError;

impl TryFrom<String> for SessionId {
    type Error = UnfitError;

    fn try_from(text: String) -> Result<Self, UnfitError> {
        Self::parse(&text).ok_or(UnfitError)
    }
}

/// An e-mail address that the column can hold. Another names nobody, and would fail the claim for all others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schemas",
    schemars(inline, extend("minLength" = 1, "maxLength" = LONGEST_EMAIL, "pattern" = r"^[^\x00]+$"))
)]
#[serde(try_from = "String")]
pub struct Email(String);

impl TryFrom<String> for Email {
    type Error = UnfitError;

    fn try_from(text: String) -> Result<Self, UnfitError> {
        let fits = (1..=LONGEST_EMAIL).contains(&text.chars().count()) && !text.contains('\0');
        fits.then_some(Self(text)).ok_or(UnfitError)
    }
}

/// A whole number between bounds, which it may reach. `5.0` is one, as JSON Schema has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Number::deserialize(deserializer)?;
        let whole = value
            .as_i64()
            .or_else(|| value.as_f64()?.to_string().parse().ok());
        whole
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (MIN..=MAX).contains(number))
            .map(Self)
            .ok_or_else(|| de::Error::custom(UnfitError))
    }
}

/// A time with its zone, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(inline, extend("format" = "date-time")))]
#[serde(try_from = "String")]
pub struct Moment(Timestamp);

impl TryFrom<String> for Moment {
    type Error = UnfitError;

    fn try_from(text: String) -> Result<Self, UnfitError> {
        Timestamp::parse_rfc3339(&text).map(Self).ok_or(UnfitError)
    }
}

/// Reads a body. None at all means the defaults.
pub fn parse<T: Body>(body: &[u8]) -> Result<T, BodyError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let Fields { fields, duplicate } =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => BodyError::NotAnObject,
            Category::Io | Category::Syntax | Category::Eof => BodyError::NotJson {
                line: error.line(),
                column: error.column(),
            },
        })?;
    if let Some(name) = duplicate {
        return Err(BodyError::Duplicate(shortened(&name)));
    }
    if let Some(name) = fields.keys().find(|name| must::<T>(name).is_none()) {
        return Err(BodyError::Unknown {
            name: shortened(name),
            known: known::<T>(),
        });
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let field = error.path().to_string();
        let name = field.split('[').next().unwrap_or_default();
        BodyError::Wrong {
            must: must::<T>(name).unwrap_or("another"),
            field: name.to_owned(),
        }
    })
}

fn must<T: Body>(name: &str) -> Option<&'static str> {
    let field = T::FIELDS.iter().find(|(field, _)| *field == name);
    field.map(|(_, must)| *must)
}

fn known<T: Body>() -> String {
    let names: Vec<_> = T::FIELDS.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        "nothing can be chosen here".to_owned()
    } else {
        format!("known are {}", names.join(", "))
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// An object's fields, before anybody asks what they are.
struct Fields {
    fields: Map<String, Value>,
    /// The first that is given twice.
    duplicate: Option<String>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Takes an object alone, where derived code would take a list of its fields' values, too.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let (mut fields, mut duplicate) = (Map::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                map.next_value::<IgnoredAny>()?;
                duplicate.get_or_insert(name);
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        Ok(Fields { fields, duplicate })
    }
}

/// What the derived schemas can't tell.
#[cfg(feature = "schemas")]
mod schemas {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    use super::Whole;

    impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("WholeFrom{MIN}To{MAX}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
        }
    }

    /// At least one name, and one of the two ways to say how fresh.
    pub(super) fn of_fresh_choice(schema: &mut Schema) {
        let named = |field: &str| json!({ "required": [field], "properties": { field: { "type": "array", "minItems": 1 } } });
        let either = |given: &str, kind: &str, other: &str| {
            json!({
                "required": [given],
                "properties": { given: { "type": kind }, other: { "type": "null" } },
            })
        };
        schema.insert("anyOf".to_owned(), json!([named("ids"), named("emails")]));
        schema.insert(
            "oneOf".to_owned(),
            json!([
                either("maxAgeSeconds", "integer", "freshAt"),
                either("freshAt", "string", "maxAgeSeconds"),
            ]),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
    const ID: &str = "0b0e7ad5-50f1-4b5b-8d43-1c9a4e6c7b11";

    fn refusal<T: Body + std::fmt::Debug>(body: &str) -> String {
        parse::<T>(body.as_bytes()).unwrap_err().to_string()
    }

    fn with(mut asked: Value, fields: &Value) -> Value {
        asked
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        asked
    }

    fn wanted(body: &Value) -> Result<Wanted, BodyError> {
        parse::<FreshChoice>(body.to_string().as_bytes())?.into_wanted(NOW)
    }

    #[test]
    fn no_body_and_an_empty_object_mean_the_defaults() {
        for body in ["", "{}", " {\n} "] {
            assert_eq!(parse(body.as_bytes()), Ok(BatchChoice::default()), "{body:?}");
        }
        let nothing = r#"{"batchSize": null, "dryRun": null}"#;
        assert_eq!(parse(nothing.as_bytes()), Ok(BatchChoice::default()));
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let choice: BatchChoice = parse(br#"{"dryRun": true, "batchSize": 20}"#).unwrap();
        assert_eq!(
            (choice.batch_size.map(Whole::number), choice.dry_run),
            (Some(20), Some(true))
        );
        let body = json!({ "sessionId": ID.to_uppercase() }).to_string();
        let choice: SessionChoice = parse(body.as_bytes()).unwrap();
        assert_eq!(choice.session_id.unwrap().as_str(), ID);
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_fraction() {
        for (text, number) in [
            ("1", Some(1)),
            ("5.0", Some(5)),
            ("1e3", Some(1_000)),
            ("1000", Some(1_000)),
        ] {
            let choice = parse::<BatchChoice>(format!(r#"{{"batchSize": {text}}}"#).as_bytes());
            assert_eq!(choice.unwrap().batch_size.map(Whole::number), number, "{text}");
        }
        for text in [
            "0",
            "-0.0",
            "-1",
            "1001",
            "1.5",
            "1e30",
            "18446744073709551616",
            "true",
            r#""5""#,
            "[5]",
        ] {
            assert_eq!(
                refusal::<BatchChoice>(&format!(r#"{{"batchSize": {text}}}"#)),
                "the field batchSize must be a whole number from 1 to 1000",
                "{text}"
            );
        }
    }

    #[test]
    fn only_an_object_is_a_body() {
        for body in ["[]", "[null]", "null", "5", r#""x""#, "true"] {
            assert_eq!(
                refusal::<SessionChoice>(body),
                "the body must be a JSON object",
                "{body}"
            );
        }
        for body in [
            "{",
            "x",
            "{} {}",
            "\u{feff}{}",
            r#"{"sessionId": 1e999}"#,
            " ",
            "sessionId=1",
        ] {
            assert!(
                refusal::<SessionChoice>(body).starts_with("the body is not JSON: see line 1"),
                "{body}"
            );
        }
        assert!(parse::<SessionChoice>(b"{\"sessionId\": \"\xff\"}").is_err());
        assert!(parse::<SessionChoice>("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn a_field_that_is_wrong_is_named_and_its_value_is_not_repeated() {
        for (body, said) in [
            (json!({ "sessionId": 5 }), "the field sessionId must be a UUID"),
            (
                json!({ "sessionId": "s3cret" }),
                "the field sessionId must be a UUID",
            ),
            (
                json!({ "sessionId": { "s3cret": 1 } }),
                "the field sessionId must be a UUID",
            ),
            (
                json!({ "sessionId": ID.replace('-', "") }),
                "the field sessionId must be a UUID",
            ),
            (
                json!({ "session": "s3cret" }),
                "there is no field session: known are sessionId",
            ),
        ] {
            assert_eq!(refusal::<SessionChoice>(&body.to_string()), said, "{body}");
        }
        assert_eq!(
            refusal::<BatchChoice>(r#"{"dryRun": "yes"}"#),
            "the field dryRun must be true or false"
        );
        assert_eq!(
            refusal::<NoChoice>(r#"{"a": 1}"#),
            "there is no field a: nothing can be chosen here"
        );
    }

    #[test]
    fn a_field_that_is_given_twice_is_named() {
        for body in [
            r#"{"dryRun": true, "dryRun": true}"#,
            r#"{"dryRun": 1, "x": 2, "dryRun": null}"#,
        ] {
            assert_eq!(
                refusal::<BatchChoice>(body),
                "the field dryRun is given twice",
                "{body}"
            );
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let body = json!({ "é".repeat(1_000): 1 }).to_string();
        assert!(refusal::<NoChoice>(&body).chars().count() < 100);
    }

    #[test]
    fn sessions_are_named_by_id_and_by_address() {
        let asked =
            json!({ "ids": [ID], "emails": ["ana@example.com", "é".repeat(255)], "maxAgeSeconds": 60 });
        let wanted = wanted(&asked).unwrap();
        assert_eq!((wanted.ids.len(), wanted.emails.len()), (1, 2));
        assert_eq!(
            wanted.when,
            When::Now {
                max_age: Duration::from_mins(1)
            }
        );
    }

    #[test]
    fn names_are_bounded_and_each_is_one() {
        let names = "the fields ids and emails must name 1 to 100 sessions in all";
        let emails = "the field emails must be a list of addresses of 1 to 255 characters";
        let ids = "the field ids must be a list of UUIDs";
        let some = |count: usize| vec![ID; count];
        for (fields, said) in [
            (json!({}), names),
            (json!({ "ids": [], "emails": [] }), names),
            (json!({ "ids": some(101) }), names),
            (json!({ "ids": some(100), "emails": ["ana@example.com"] }), names),
            (json!({ "ids": ID }), ids),
            (json!({ "ids": [ID, null] }), ids),
            (json!({ "ids": [ID, "x"] }), ids),
            (json!({ "emails": [""] }), emails),
            (json!({ "emails": ["x".repeat(256)] }), emails),
            (json!({ "emails": ["a\0b"] }), emails),
            (json!({ "emails": [{}] }), emails),
        ] {
            let asked = with(json!({ "maxAgeSeconds": 0 }), &fields);
            assert_eq!(wanted(&asked).unwrap_err().to_string(), said, "{fields}");
        }
    }

    #[test]
    fn one_way_to_say_how_fresh() {
        for (fields, said) in [
            (json!({}), "one of the fields maxAgeSeconds and freshAt is needed"),
            (
                json!({ "maxAgeSeconds": 0, "freshAt": "2026-09-21T14:13:21Z" }),
                "only one of the fields maxAgeSeconds and freshAt can be given",
            ),
            (
                json!({ "maxAgeSeconds": 86_401 }),
                "the field maxAgeSeconds must be a whole number from 0 to 86400",
            ),
        ] {
            let asked = with(json!({ "ids": [ID] }), &fields);
            assert_eq!(wanted(&asked).unwrap_err().to_string(), said, "{fields}");
        }
    }

    #[test]
    fn a_time_to_come_has_a_zone_and_lies_within_a_week() {
        let fresh_at =
            |text: &str| wanted(&json!({ "ids": [ID], "freshAt": text })).map(|wanted| wanted.when);
        // NOW is 2026-09-21T14:13:20Z.
        for text in ["2026-09-21T14:13:21Z", "2026-09-28T16:13:20+02:00"] {
            assert!(matches!(fresh_at(text), Ok(When::At(_))), "{text}");
        }
        for text in [
            "2026-09-21T14:13:20Z",
            "2026-09-28T14:13:21Z",
            "2026-09-22",
            "2026-09-22T00:00:00",
            "",
            "now",
        ] {
            assert_eq!(
                fresh_at(text).unwrap_err().to_string(),
                format!("the field freshAt must be {FRESH_AT}"),
                "{text}"
            );
        }
    }
}
