//! What holds for every page: its cut changes nothing, a known call is found whatever its dress, nothing panics,
//! and memory stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test may panic"
)]

use proptest::{collection::vec, prelude::*, sample::select};
use session_core::page::{Limits, Page, PageEnd, PageReader, Progress};

const SMALL: Limits = Limits {
    page_bytes: 64 * 1024,
    script_bytes: 8 * 1024,
    lookahead_bytes: 8 * 1024,
};

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Page {
    let mut reader = PageReader::new(None, limits);
    for chunk in chunks {
        if reader.write(chunk) == Progress::Enough {
            break;
        }
    }
    reader.finish(true)
}

/// Pieces that a page of trouble is made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "<script>", "</script>", "<script type=module>", "<!--", "-->", "<template>", "</template>", "<input name=mail>",
            "<input name=pw>", "<textarea>", "</textarea>", "<svg>", "</svg>", "<title>", "localStorage", ".", "?.", "setItem", "(", ")",
            "[", "]", "{", "}", "\"refreshToken\"", "'fingerprint'", ",", "\"a|b\"", "`x`", "`", "${", "\"", "'", "\\", "/", "//", "/*",
            "*/", "\n", "\r\n", " ", "=", "=>", "++", "--", "-", ";", ":", "return", "if", "for", "window", "new", "\\u006c", "\\x41",
            "\\u{1F600}", "\\uD83D", "0", "1.5", "\u{2028}", "ñ", "😀", "#", "@",
        ])
        .prop_map(str::to_owned),
        2 => select(vec!["localStorage.setItem(\"refreshToken\", \"a\");", "localStorage.setItem('fingerprint', 'b')\n"]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (1_usize..5000).prop_map(|count| " ".repeat(count)),
    ]
}

fn cut(bytes: &[u8], mut sizes: Vec<usize>) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(sizes.pop().unwrap_or(usize::MAX).min(rest.len()));
        chunks.push(chunk);
        rest = later;
    }
    chunks
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_result(
        pieces in vec(piece(), 0..60),
        sizes in vec(0_usize..3000, 0..200),
    ) {
        let page = format!("<script>{}", pieces.concat());
        let whole = read([page.as_bytes()].into_iter(), SMALL);
        let parts = read(cut(page.as_bytes(), sizes).into_iter(), SMALL);
        prop_assert!(whole == parts, "{:?} {:?}", whole, parts);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..5000), content_type in any::<Option<String>>()) {
        let mut reader = PageReader::new(content_type.as_deref(), SMALL);
        reader.write(&bytes);
        let page = reader.finish(false);
        prop_assert!(page.refresh_token.is_none() && page.bytes == bytes.len() as u64);
    }

    #[test]
    fn a_call_is_found_in_any_dress(
        calls in vec(call(), 1..6),
        noise in vec(noise(), 7),
        blanks in 0_usize..5000,
        opening in select(vec!["<script>", "<script type=\"module\">", "<script type='text/javascript' defer>"]),
    ) {
        let mut script = String::new();
        for (index, call) in calls.iter().enumerate() {
            script.push_str(noise[index]);
            script.push_str(&call.text);
            script.push_str(noise[index + 1]);
        }
        let page = format!("<p>{}</p>{opening}{script}</script>", " ".repeat(blanks));
        let found = read([page.as_bytes()].into_iter(), Limits::default());
        let last = |key: &str| calls.iter().rev().find(|call| call.key == key).map(|call| call.value.clone());
        prop_assert_eq!(found.refresh_token, last("refreshToken"), "{}", page);
        prop_assert_eq!(found.fingerprint, last("fingerprint"), "{}", page);
    }
}

/// A call, as one of the many ways to write it.
#[derive(Clone, Debug)]
struct Call {
    key: &'static str,
    value: String,
    text: String,
}

fn call() -> impl Strategy<Value = Call> {
    let key = select(vec!["refreshToken", "fingerprint"]);
    let value = "[ -~ñ😀]{0,60}";
    let object = select(vec![
        "localStorage",
        "window.localStorage",
        "self?.localStorage",
        "globalThis['localStorage']",
    ]);
    let method = select(vec![".setItem", "?.setItem", "[\"setItem\"]", ". setItem ?."]);
    let tail = select(vec!["", ",", ", 1", ", f(a, [b], {c: ')'})"]);
    (
        key,
        value,
        object,
        method,
        tail,
        vec(blank(), 6),
        quoting(),
        quoting(),
    )
        .prop_map(
            |(key, value, object, method, tail, blanks, key_quoting, value_quoting)| Call {
                key,
                text: format!(
                    "{object}{}{method}{}({}{}{},{}{}{}{tail});",
                    blanks[0],
                    blanks[1],
                    blanks[2],
                    key_quoting.literal(key),
                    blanks[3],
                    blanks[4],
                    value_quoting.literal(&value),
                    blanks[5],
                ),
                value,
            },
        )
}

/// What may stand between two tokens.
fn blank() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        " ",
        "\n",
        "\t\r\n",
        "\u{a0}",
        "\u{2028}",
        "/**/",
        "/* ) \" */",
        "// ' )\n",
        " /*\n*/ ",
    ])
}

/// Code without effect, closed in itself.
fn noise() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        ";var a = 1 / 2 / 3;",
        "\nif (a) /[/\"'`]/.test(b);\n",
        ";x = {a: {b: \"}\"}} / 2;",
        ";y = `a${`b${\"`\"}`}c`;",
        ";// localStorage.setItem(\"refreshToken\", \"no\")\n",
        ";/* localStorage.setItem(\"refreshToken\", \"no\") */",
        ";z = 'localStorage.setItem(\"refreshToken\", \"no\")';",
        ";r = /localStorage.setItem(\"refreshToken\", \"no\")/g;",
        ";foo.localStorage.setItem(\"refreshToken\", \"no\");",
        ";localStorage.setItem(\"refreshToken\", \"no\" + x);",
        ";localStorage.setItem(\"other\", \"no\");",
        ";function f() { return /'/ }\n",
        ";q = a?.b?.[c] ? .5 : d++ / e--;",
        ";(() => {})();",
    ])
}

#[derive(Clone, Debug)]
struct Quoting {
    quote: char,
    /// How each character is written, in turn.
    ways: Vec<u8>,
}

fn quoting() -> impl Strategy<Value = Quoting> {
    (select(vec!['"', '\'', '`']), vec(0_u8..12, 1..20)).prop_map(|(quote, ways)| Quoting { quote, ways })
}

impl Quoting {
    fn literal(&self, text: &str) -> String {
        let mut literal = String::from(self.quote);
        for (char, way) in text.chars().zip(self.ways.iter().cycle()) {
            let code = u32::from(char);
            match way {
                0 => literal.push_str(&format!("\\u{{{code:x}}}")),
                1 if code < 0x100 => literal.push_str(&format!("\\x{code:02x}")),
                2 => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        literal.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                3 => literal.push_str("\\\n"),
                _ => {}
            }
            let written = *way == 0 || (*way == 1 && code < 0x100) || *way == 2;
            if !written {
                if char == self.quote || matches!(char, '\\' | '$' | '<') {
                    literal.push('\\');
                }
                literal.push(char);
            }
        }
        literal.push(self.quote);
        literal
    }
}

#[test]
fn a_page_beyond_its_bound_is_given_up_with_what_it_said_before() {
    let call = b"<script>localStorage.setItem('refreshToken', 'a')</script>";
    let filler = vec![b'x'; 70_000];
    let page = read([call.as_slice(), &filler].into_iter(), SMALL);
    assert_eq!(
        (page.refresh_token.as_deref(), page.end),
        (Some("a"), PageEnd::TooLarge)
    );
    assert_eq!(page.bytes, SMALL.page_bytes);
}

#[test]
fn a_page_of_exactly_its_bound_is_complete() {
    let page = read([vec![b'x'; 65_536].as_slice()].into_iter(), SMALL);
    assert_eq!((page.end, page.bytes), (PageEnd::Complete, 65_536));
}

#[test]
fn a_script_beyond_its_bound_is_ignored_from_there() {
    let script = format!(
        "<script>localStorage.setItem('refreshToken', 'a');{}localStorage.setItem('refreshToken', 'b')</script>\
         <script>localStorage.setItem('fingerprint', 'c')</script>",
        " ".repeat(8 * 1024)
    );
    let page = read([script.as_bytes()].into_iter(), SMALL);
    assert_eq!(page.refresh_token.as_deref(), Some("a"));
    assert_eq!(page.fingerprint.as_deref(), Some("c"));
}

#[test]
fn a_tag_that_never_ends_makes_a_page_unreadable() {
    let mut reader = PageReader::new(None, Limits::default());
    reader.write(b"<script>localStorage.setItem('refreshToken', 'a')</script><input value=\"");
    let filler = vec![b'x'; 1024 * 1024];
    let stopped = (0..4).any(|_| reader.write(&filler) == Progress::Enough);
    let page = reader.finish(true);
    assert!(stopped);
    assert_eq!(
        (page.refresh_token.as_deref(), page.end),
        (Some("a"), PageEnd::Unreadable)
    );
}

#[test]
fn elements_that_never_close_make_a_page_unreadable_not_the_memory_full() {
    let page = "<div>".repeat(1_000_000);
    assert_eq!(
        read([page.as_bytes()].into_iter(), Limits::default()).end,
        PageEnd::Unreadable
    );
}

#[test]
fn debug_output_prints_no_value() {
    let page = read(
        [b"<script>localStorage.setItem('refreshToken', 's3cret')</script>".as_slice()].into_iter(),
        SMALL,
    );
    assert!(!format!("{page:?}").contains("s3cret"));
}
