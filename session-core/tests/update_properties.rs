//! What holds for every answer of `tokenUpdate`: nothing panics, its cut changes nothing, a token that it handed out
//! counts, and nothing but a clear word of upstream's ends a session.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::{collection::vec, prelude::*, sample::select};
use session_core::{
    body::{Body, BodyReader},
    method::RefreshMethod,
    outcome::{Head, Outcome, OutcomeCode, classify},
    page::Progress,
    time::Timestamp,
    token::RefreshToken,
};
use url::Url;

const TOKEN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

fn read(bytes: &[u8], size: usize, complete: bool) -> Body {
    let mut reader = BodyReader::new(RefreshMethod::TokenUpdate, None);
    let more = bytes
        .chunks(size.max(1))
        .all(|chunk| reader.write(chunk) == Progress::More);
    reader.finish(complete || !more)
}

fn outcome(status: u16, body: &Body) -> Outcome {
    let head = Head {
        status,
        ..Head::default()
    };
    let endpoint = Url::parse("https://aimharder.com/api/tokenUpdate").unwrap();
    let presented = RefreshToken::parse(TOKEN).unwrap();
    let now = Timestamp::from_millis(1_790_000_000_000);
    classify(head, Some(body), &presented, &endpoint, now)
}

/// Pieces that an answer of trouble is made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u00", "\\ud800", "1", "1.0", "1e999", "-", "0", "true", "false", "null",
            "\"newToken\"", "\"logout\"", "\"newToken\":", "\"logout\":1", "\"69232|1766731601|", " ", "\r\n", "\u{feff}",
            "<form>", "<input name=mail>", "<input name=pw>", "<script>", "</script>", "ñ", "😀", "\0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(format!("\"newToken\":\"{TOKEN}\"").into_bytes()),
        1 => vec(any::<u8>(), 0..20),
        1 => (1_usize..70_000).prop_map(|count| vec![b' '; count]),
    ]
}

/// A JSON value of any kind, as text.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "1",
            "1.5",
            "\"\"",
            "\"1\"",
            "\"a\\u0041\""
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            inner.prop_map(|value| format!("{{\"newToken\": {value}}}")),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_told_without_a_panic(bytes in vec(any::<u8>(), 0..2000), status in 100_u16..600, complete: bool) {
        outcome(status, &read(&bytes, 64, complete));
    }

    #[test]
    fn the_cut_changes_nothing(pieces in vec(piece(), 0..20), size in 1_usize..5000, complete: bool) {
        let bytes = pieces.concat();
        let whole = read(&bytes, usize::MAX, complete);
        let cut = read(&bytes, size, complete);
        prop_assert_eq!(outcome(200, &cut), outcome(200, &whole));
    }

    #[test]
    fn a_token_counts_among_whatever_fields(
        before in vec(value(), 0..4), after in vec(value(), 0..4), logout in value(), front in "[ \r\n\t]{0,5}",
    ) {
        let others = |values: Vec<String>| values.into_iter().map(|value| format!("\"other\":{value}"));
        let fields: Vec<_> = others(before)
            .chain([format!("\"newToken\":\"{TOKEN}\"")])
            .chain(others(after))
            .chain([format!("\"logout\":{logout}")])
            .collect();
        let text = format!("{front}{{{}}}\n", fields.join(","));
        prop_assert_eq!(outcome(200, &read(text.as_bytes(), 7, true)).code(), OutcomeCode::Refreshed);
    }

    #[test]
    fn no_other_field_ends_a_session(others in vec(("[a-zA-Z]{1,8}", value()), 0..6)) {
        let fields: Vec<_> = others
            .iter()
            .filter(|(name, _)| name != "logout" && name != "newToken")
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let text = format!("{{{}}}", fields.join(","));
        prop_assert_eq!(outcome(200, &read(text.as_bytes(), 7, true)).code(), OutcomeCode::Unrecognised);
    }
}
