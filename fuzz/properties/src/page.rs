//! The reader of pages.

use session_core::page::{Limits, Page, PageEnd, PageReader, Progress};

use crate::{MEMORY, choices, chunks, contains, repeated};

const CONTENT_TYPES: [Option<&str>; 12] = [
    None,
    Some("text/html"),
    Some("text/html; charset=utf-8"),
    Some("text/html; charset=iso-8859-1"),
    Some("text/html;charset=\"windows-1252\""),
    Some("text/html; charset=shift_jis"),
    Some("text/html; charset=gb18030"),
    Some("text/html; charset=euc-kr"),
    Some("text/html; charset=big5"),
    Some("text/html; charset=utf-16le"),
    Some("text/html; charset=iso-2022-jp"),
    Some("text/html; charset=x-user-defined"),
];

const SMALL: Limits = Limits {
    page_bytes: 64 * 1024,
    script_bytes: 8 * 1024,
    lookahead_bytes: 8 * 1024,
};

const TINY: Limits = Limits {
    page_bytes: 1000,
    script_bytes: 100,
    lookahead_bytes: 10,
};

/// What reading a page may take: what `lol_html` may keep, as often as that has to grow, and a little.
const MEMORY_BYTES: usize = 5 * 1024 * 1024;

/// A value is cut about here: a character may hang over.
const VALUE_BYTES: usize = 4096 + 3;

const KNOWN: &str = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592";

/// What must hold of any page, in any chunks, of any content type, within any limits.
pub fn holds(data: &[u8]) {
    let ([charset, bounds, shape, size, sizes @ ..], page) = choices::<8>(data);
    let (content_type, page) = content_type(charset, page);
    let limits = match bounds % 4 {
        0 | 1 => Limits::default(),
        2 => SMALL,
        _ => TINY,
    };
    any_page(page, content_type.as_deref(), limits, sizes);
    if (size, shape) == (u8::MAX, u8::MAX) {
        // Seldom, since it takes its time.
        takes_little_memory(&repeated(page, 256));
    }
    if let Ok(text) = str::from_utf8(page) {
        a_known_call_is_found_behind(text, shape);
        a_known_call_outlasts(text);
        any_value_is_read(text, shape);
    }
}

/// The content type, by number, or the first line of the page.
fn content_type(choice: u8, page: &[u8]) -> (Option<String>, &[u8]) {
    if choice == u8::MAX {
        let end = page.iter().position(|byte| *byte == b'\n').unwrap_or(page.len());
        let (line, rest) = page.split_at(end);
        return (Some(String::from_utf8_lossy(line).into_owned()), rest);
    }
    let known = CONTENT_TYPES.get(usize::from(choice) % CONTENT_TYPES.len());
    (known.copied().flatten().map(str::to_owned), page)
}

fn any_page(bytes: &[u8], content_type: Option<&str>, limits: Limits, sizes: [u8; 4]) {
    let whole = read([bytes], content_type, limits, true);
    let in_chunks = read(chunks(bytes, sizes), content_type, limits, true);
    assert!(whole == in_chunks, "{whole:?}, but in chunks {in_chunks:?}");
    ends_as_it_must(bytes, &whole, limits);
    let broken = read([bytes], content_type, limits, false);
    let expected = match whole.end {
        PageEnd::Complete => PageEnd::Broken,
        end => end,
    };
    assert!(
        broken
            == Page {
                end: expected,
                ..whole.clone()
            },
        "broken off: {broken:?}"
    );
    comes_from_the_page(bytes, &whole);
}

fn takes_little_memory(bytes: &[u8]) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    read([bytes], None, Limits::default(), true);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < MEMORY_BYTES, "{taken} bytes of memory");
}

fn read<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    content_type: Option<&str>,
    limits: Limits,
    complete: bool,
) -> Page {
    let mut reader = PageReader::new(content_type, limits);
    let mut enough = false;
    for chunk in chunks {
        // It may be fed on: that is no error, and changes nothing.
        let progress = reader.write(chunk);
        assert!(
            !enough || progress == Progress::Enough,
            "wanted more after enough"
        );
        enough = progress == Progress::Enough;
    }
    reader.finish(complete)
}

fn ends_as_it_must(bytes: &[u8], page: &Page, limits: Limits) {
    let length = bytes.len() as u64;
    assert!(
        page.bytes <= length.min(limits.page_bytes),
        "{page:?} of {length}"
    );
    match page.end {
        PageEnd::Complete => assert_eq!(page.bytes, length),
        PageEnd::TooLarge => assert!(length > limits.page_bytes),
        PageEnd::Stopped => assert!(page.refresh_token.is_some() && page.fingerprint.is_some()),
        PageEnd::Unreadable => {}
        PageEnd::Broken => unreachable!("it came whole"),
    }
    assert!(page.may_set_token || page.refresh_token.is_none());
}

/// Nothing is made up: names and values stand in the page, unless escapes spell them.
fn comes_from_the_page(bytes: &[u8], page: &Page) {
    for (key, value) in [
        ("refreshToken", &page.refresh_token),
        ("fingerprint", &page.fingerprint),
    ] {
        let Some(value) = value else { continue };
        assert!(value.len() <= VALUE_BYTES, "a value of {} bytes", value.len());
        if bytes.contains(&b'\\') {
            continue;
        }
        for name in ["localStorage", "setItem", key] {
            assert!(contains(bytes, name), "{key} without {name}");
        }
        // A template's line ends become line feeds.
        let text = String::from_utf8_lossy(bytes)
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        assert!(
            !value.is_ascii() || text.contains(value.as_str()),
            "{key} is {value:?}"
        );
    }
}

/// A call in a script of its own is found, whatever stands before it, as long as that is closed off.
fn a_known_call_is_found_behind(text: &str, shape: u8) {
    let without = |chars: &[char]| text.replace(chars, "");
    let front = match shape % 8 {
        0 => without(&['<']),
        1 => format!("<!--{}-->", without(&['-', '>'])),
        2 => format!("<style>{}</style>", without(&['<'])),
        3 => format!("<script>x = {};</script>", literal(text)),
        4 => format!("<script>/*{}*/</script>", without(&['*', '<'])),
        5 => format!("<script type=application/json>{}</script>", without(&['<'])),
        6 => format!("<p title=\"{}\">", without(&['"'])),
        _ => format!("<textarea>{}</textarea>", without(&['<'])),
    };
    let page = format!("{front}<script>localStorage.setItem('refreshToken', '{KNOWN}')</script>");
    let found = read([page.as_bytes()], None, Limits::default(), true);
    assert_eq!(found.refresh_token.as_deref(), Some(KNOWN), "behind {front:?}");
}

/// What follows a call can't take it back, unless it names the key again.
fn a_known_call_outlasts(text: &str) {
    if text.contains("refreshToken") || text.contains('\\') {
        return;
    }
    let page = format!("<script>localStorage.setItem('refreshToken', '{KNOWN}')</script>{text}");
    let found = read([page.as_bytes()], None, Limits::default(), true);
    assert_eq!(found.refresh_token.as_deref(), Some(KNOWN), "before {text:?}");
}

/// Any text is read as it was written, as a string or as a template.
fn any_value_is_read(text: &str, shape: u8) {
    if text.len() > VALUE_BYTES - 3 {
        return;
    }
    let written = if shape < 128 {
        literal(text)
    } else {
        template(text)
    };
    let page = format!("<script>localStorage.setItem(\"refreshToken\", {written});</script>");
    let found = read([page.as_bytes()], None, Limits::default(), true);
    assert_eq!(found.refresh_token.as_deref(), Some(text), "{page}");
}

/// A string of JSON is one of JavaScript's.
fn literal(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('<', "\\u003c")
}

fn template(text: &str) -> String {
    let mut written = String::from('`');
    for char in text.chars() {
        match char {
            '`' | '\\' | '$' => written.extend(['\\', char]),
            '<' | '\r' | '\0' => written.extend(char.escape_unicode()),
            _ => written.push(char),
        }
    }
    written.push('`');
    written
}
