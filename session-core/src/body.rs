//! The body of an answer, chunk by chunk: a page, or `tokenUpdate`'s JSON.
//!
//! What `tokenUpdate` answers is told by its first character, not by its `Content-Type`, which says nothing reliable:
//! faults, firewalls and sign-in pages are HTML there, too.

use crate::{
    method::RefreshMethod,
    page::{Limits, OUTLINED_BYTES, Page, PageEnd, PageReader, Progress, outline},
    update::Update,
};

/// What is kept of a JSON text, and how far in it may begin.
const JSON_BYTES: usize = 64 * 1024;

/// What a body held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A page, or whatever else isn't JSON.
    Page(Page),
    /// What began as JSON's objects and arrays do.
    Update(Update),
}

/// How a body began, for an outline if nobody recognises it. It holds secrets, so it has no `Debug`.
#[derive(Default)]
pub struct Beginning {
    content_type: Option<String>,
    bytes: Vec<u8>,
}

impl Beginning {
    /// What the body is made of, without anything of its own: see [`outline`].
    pub fn outline(&self) -> String {
        outline(&self.bytes, self.content_type.as_deref())
    }

    fn write(&mut self, chunk: &[u8]) {
        let room = OUTLINED_BYTES.saturating_sub(self.bytes.len());
        let (kept, _) = chunk.split_at(room.min(chunk.len()));
        self.bytes.extend_from_slice(kept);
    }
}

/// Reads a body.
pub struct BodyReader {
    beginning: Beginning,
    kind: Kind,
}

enum Kind {
    /// So many blanks, and nothing else yet.
    Untold(usize),
    Page(Box<PageReader>),
    Json {
        text: Vec<u8>,
        too_large: bool,
    },
}

impl BodyReader {
    /// Starts reading what a refresh by `method` was answered. `content_type`: the header's value.
    pub fn new(method: RefreshMethod, content_type: Option<&str>) -> Self {
        let kind = match method {
            RefreshMethod::SetRefresh => page(content_type),
            RefreshMethod::TokenUpdate => Kind::Untold(0),
        };
        let beginning = Beginning {
            content_type: content_type.map(str::to_owned),
            bytes: Vec::new(),
        };
        Self { beginning, kind }
    }

    /// Takes the next bytes, decoded from any `Content-Encoding`.
    pub fn write(&mut self, chunk: &[u8]) -> Progress {
        self.beginning.write(chunk);
        let chunk = self.tell(chunk);
        match &mut self.kind {
            Kind::Untold(_) => Progress::More,
            Kind::Page(reader) => reader.write(chunk),
            Kind::Json { text, too_large } => {
                let room = JSON_BYTES.saturating_sub(text.len());
                let (kept, beyond) = chunk.split_at(room.min(chunk.len()));
                text.extend_from_slice(kept);
                *too_large |= !beyond.is_empty();
                if *too_large {
                    Progress::Enough
                } else {
                    Progress::More
                }
            }
        }
    }

    /// How the body began; what is read later begins another.
    pub fn take_beginning(&mut self) -> Beginning {
        std::mem::take(&mut self.beginning)
    }

    /// Says what was found. `complete`: the body came to its end, it didn't break off.
    pub fn finish(self, complete: bool) -> Body {
        match self.kind {
            Kind::Untold(_) => {
                let reader = PageReader::new(self.beginning.content_type.as_deref(), Limits::default());
                Body::Page(reader.finish(complete))
            }
            Kind::Page(reader) => Body::Page(reader.finish(complete)),
            Kind::Json { text, too_large } => {
                let end = match (too_large, complete) {
                    (true, _) => PageEnd::TooLarge,
                    (false, true) => PageEnd::Complete,
                    (false, false) => PageEnd::Broken,
                };
                Body::Update(Update::read(&text, end))
            }
        }
    }

    /// Finds out what the body is, as far as that isn't known; answers what is to be read of the chunk.
    fn tell<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let Kind::Untold(blanks) = &mut self.kind else {
            return chunk;
        };
        // Those beyond the bound belong to a page, however the chunks are cut.
        let room = JSON_BYTES.saturating_add(1).saturating_sub(*blanks);
        let skipped = chunk
            .iter()
            .take(room)
            .take_while(|byte| is_blank(**byte))
            .count();
        let rest = chunk.get(skipped..).unwrap_or_default();
        *blanks = blanks.saturating_add(skipped);
        match rest.first() {
            _ if *blanks > JSON_BYTES => self.kind = page(self.beginning.content_type.as_deref()),
            Some(b'{' | b'[') => {
                self.kind = Kind::Json {
                    text: Vec::new(),
                    too_large: false,
                };
            }
            None => {}
            Some(_) => self.kind = page(self.beginning.content_type.as_deref()),
        }
        rest
    }
}

fn page(content_type: Option<&str>) -> Kind {
    Kind::Page(Box::new(PageReader::new(content_type, Limits::default())))
}

/// White space, and the bytes of a byte order mark.
const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"newToken":"a|b"}"#;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, complete: bool) -> Body {
        let mut reader = BodyReader::new(RefreshMethod::TokenUpdate, Some("text/html"));
        let more = chunks
            .into_iter()
            .all(|chunk| reader.write(chunk) == Progress::More);
        reader.finish(complete || !more)
    }

    fn token_in(body: &Body) -> Option<&str> {
        match body {
            Body::Page(page) => page.refresh_token.as_deref(),
            Body::Update(update) => update.new_token.as_deref(),
        }
    }

    fn end_of(body: &Body) -> PageEnd {
        match body {
            Body::Page(page) => page.end,
            Body::Update(update) => update.end,
        }
    }

    #[test]
    fn json_is_told_by_its_first_character_behind_blanks_and_a_byte_order_mark() {
        for front in ["", "\u{feff}", " \r\n\t", "\u{feff} \n"] {
            let text = format!("{front}{TOLD}\n ");
            assert_eq!(token_in(&read([text.as_bytes()], true)), Some("a|b"), "{front:?}");
            assert_eq!(
                token_in(&read(text.as_bytes().chunks(1), true)),
                Some("a|b"),
                "{front:?}"
            );
        }
    }

    #[test]
    fn anything_else_is_a_page() {
        let page = "\u{feff}\n<script>localStorage.setItem(\"refreshToken\", \"c|d\")</script>";
        let body = read(page.as_bytes().chunks(1), true);
        assert!(matches!(body, Body::Page(_)));
        assert_eq!(token_in(&body), Some("c|d"));
        for text in ["", "  \n", "null", "\"{}\"", "1", "ok"] {
            let body = read([text.as_bytes()], true);
            assert!(matches!(body, Body::Page(_)), "{text}");
            assert_eq!(
                (token_in(&body), end_of(&body)),
                (None, PageEnd::Complete),
                "{text}"
            );
            assert_eq!(end_of(&read([text.as_bytes()], false)), PageEnd::Broken, "{text}");
        }
    }

    #[test]
    fn setrefresh_is_answered_with_a_page_whatever_it_begins_with() {
        let mut reader = BodyReader::new(RefreshMethod::SetRefresh, None);
        reader.write(TOLD.as_bytes());
        assert!(matches!(reader.finish(true), Body::Page(_)));
    }

    #[test]
    fn json_is_bounded_and_a_token_within_the_bound_counts() {
        let filler = "x".repeat(JSON_BYTES);
        for (text, token) in [
            (format!(r#"{{"x":"{filler}","newToken":"a"}}"#), None),
            (format!(r#"{{"newToken":"a","x":"{filler}"}}"#), Some("a")),
        ] {
            for size in [1000, text.len()] {
                let body = read(text.as_bytes().chunks(size), true);
                assert_eq!((token_in(&body), end_of(&body)), (token, PageEnd::TooLarge));
            }
        }
    }

    #[test]
    fn blanks_are_bounded_and_no_bound_on_pages() {
        let far = " ".repeat(JSON_BYTES + 1);
        for size in [1000, usize::MAX] {
            let text = format!("{far}{TOLD}");
            assert_eq!(token_in(&read(text.as_bytes().chunks(size), true)), None);
            let text = format!("{far}<script>localStorage.setItem('refreshToken', 'c|d')</script>{far}");
            assert_eq!(token_in(&read(text.as_bytes().chunks(size), true)), Some("c|d"));
        }
    }

    #[test]
    fn of_blanks_beyond_the_bound_the_same_are_read_however_they_are_cut() {
        let blanks = " ".repeat(2 * JSON_BYTES);
        let whole = read([blanks.as_bytes()], true);
        for size in [1, 1000, JSON_BYTES, JSON_BYTES + 1] {
            assert_eq!(read(blanks.as_bytes().chunks(size), true), whole, "{size}");
        }
    }

    #[test]
    fn the_beginning_can_be_outlined_however_it_was_cut() {
        let page = "<p>Ana</p>".repeat(10_000);
        for (method, text, outline) in [
            (
                RefreshMethod::TokenUpdate,
                TOLD,
                "text/html, 18 bytes\nobject > newToken: string 3",
            ),
            (
                RefreshMethod::SetRefresh,
                &page,
                "text/html, the first 65536 bytes\np ×6554 > text 3",
            ),
        ] {
            for size in [7, usize::MAX] {
                let mut reader = BodyReader::new(method, Some("text/html"));
                for chunk in text.as_bytes().chunks(size) {
                    reader.write(chunk);
                }
                assert_eq!(reader.take_beginning().outline(), outline, "{size}");
            }
        }
    }
}
