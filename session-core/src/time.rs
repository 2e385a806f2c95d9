//! Points in time, as the database and the JSON of our routes know them.

use std::{num::NonZeroU8, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use time::{
    OffsetDateTime,
    format_description::well_known::{
        Iso8601, Rfc3339,
        iso8601::{Config, EncodedConfig, TimePrecision},
    },
};

/// RFC 3339 with milliseconds, always: the text that JavaScript's `toISOString` makes, too.
const MILLISECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: NonZeroU8::new(3),
    })
    .encode();

/// Whole seconds, rounded up from milliseconds: what is told to wait so long never comes too early.
pub fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch, UTC.
///
/// Reads from JSON as that number; writes to JSON as RFC 3339 text with a zone (`2026-01-02T03:04:05.678Z`),
/// since a time without its zone is read differently by every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(inline, with = "String", extend("format" = "date-time")))]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `milliseconds` after the epoch.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved into the future; stops at the end of the range.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The date for comparisons with HTTP dates; `None` outside the years that have one.
    pub fn to_date(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0).checked_mul(1_000_000)?).ok()
    }

    /// Reads RFC 3339, with its zone.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let milliseconds = date.unix_timestamp_nanos().checked_div(1_000_000)?;
        i64::try_from(milliseconds).ok().map(Self)
    }

    fn to_rfc3339(self) -> Option<String> {
        self.to_date()?.format(&Iso8601::<MILLISECONDS>).ok()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_rfc3339().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_the_zone() {
        let text = serde_json::to_string(&Timestamp::from_millis(1_766_731_601_250)).unwrap();
        assert_eq!(text, r#""2025-12-26T06:46:41.250Z""#);
    }

    #[test]
    fn a_time_out_of_range_is_null_rather_than_a_panic() {
        assert_eq!(
            serde_json::to_string(&Timestamp::from_millis(i64::MAX)).unwrap(),
            "null"
        );
    }

    #[test]
    fn a_text_needs_its_zone() {
        let read = |text| Timestamp::parse_rfc3339(text).map(Timestamp::as_millis);
        assert_eq!(read("2025-12-26T06:46:41.250Z"), Some(1_766_731_601_250));
        assert_eq!(read("2025-12-26T07:46:41.25+01:00"), Some(1_766_731_601_250));
        for text in ["2025-12-26T06:46:41", "2025-12-26", "", "now"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_future_is_no_time_ago() {
        assert_eq!(
            Timestamp::from_millis(1).since(Timestamp::from_millis(5)),
            Duration::ZERO
        );
    }
}
