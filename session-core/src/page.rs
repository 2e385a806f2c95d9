//! Upstream's HTML, chunk by chunk, and what its scripts would have put into `localStorage`.
//!
//! Memory stays constant: pages, scripts and values have bounds, and reading ends soon after both values are
//! there. A page that broke off, or that is given up, still reports what it had said before: a token that
//! upstream handed out must not be lost. For the same reason a call in a last script that never ends counts,
//! though a browser would not have run it. Scripts inside of SVG, and scripts loaded by `src`, are not read.

mod calls;
mod context;
mod finds;
mod lexer;
mod outline;
mod text;

use std::{cell::RefCell, fmt, rc::Rc};

use encoding_rs::Encoding;
use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, MemorySettings, Settings};

use finds::{Finds, Recent, handlers};

pub use outline::{OUTLINE_BYTES, OUTLINED_BYTES, outline};

/// The parser is fed in blocks of this many bytes, cut at the same places however the page arrives: so the
/// result can't depend on how the network cut it.
const BLOCK: usize = 4096;

/// What `lol_html` may keep: one tag as long as this, or some ten thousand elements that never close.
const PARSER_BYTES: usize = 2 * 1024 * 1024;

/// Bounds of a page.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Decoded bytes of a page; what lies beyond is not read.
    pub page_bytes: u64,
    /// Bytes of one script, as UTF-8; what lies beyond is not read.
    pub script_bytes: u64,
    /// How far to read on for a later call once both values are there, in bytes.
    pub lookahead_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_bytes: 8 * 1024 * 1024,
            script_bytes: 1024 * 1024,
            lookahead_bytes: 64 * 1024,
        }
    }
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Read on.
    More,
    /// What follows can't matter any more.
    Enough,
}

/// What a page held.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    /// The value of the last complete call for the key `refreshToken`, unchecked.
    pub refresh_token: Option<String>,
    /// The value of the last complete call for the key `fingerprint`, unchecked.
    pub fingerprint: Option<String>,
    /// Whether a script sets the token, or may do so: a call for the key `refreshToken` was begun, whatever became of
    /// it, or a script could not be read to its end.
    pub may_set_token: bool,
    /// Whether it has the fields of upstream's login form.
    pub login_form: bool,
    /// How it ended.
    pub end: PageEnd,
    /// How many decoded bytes were taken.
    pub bytes: u64,
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Page")
            .field("refresh_token", &self.refresh_token.is_some())
            .field("fingerprint", &self.fingerprint.is_some())
            .field("may_set_token", &self.may_set_token)
            .field("login_form", &self.login_form)
            .field("end", &self.end)
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// At its end.
    Complete,
    /// Both values were there, and nothing more within reach.
    Stopped,
    /// The body broke off.
    Broken,
    /// It is larger than the bound.
    TooLarge,
    /// The parser gave up: a tag, or a nesting, larger than it may keep.
    Unreadable,
}

/// Its output is of no interest.
type Rewriter = HtmlRewriter<'static, fn(&[u8])>;

/// Reads a page.
pub struct PageReader {
    limits: Limits,
    /// Gone once the end is known: `lol_html` must not be fed after an error.
    rewriter: Option<Rewriter>,
    finds: Rc<RefCell<Finds>>,
    block: Vec<u8>,
    bytes: u64,
    /// Bytes taken when the last find's script had ended.
    quiet_since: u64,
    end: Option<PageEnd>,
}

impl PageReader {
    /// Starts reading. `content_type`: the header's value, for its charset; else the page's own `<meta>` decides.
    pub fn new(content_type: Option<&str>, limits: Limits) -> Self {
        let finds = Rc::new(RefCell::new(Finds::new(limits.script_bytes)));
        let declared = content_type.and_then(charset);
        let memory = MemorySettings::new()
            .with_preallocated_parsing_buffer_size(BLOCK)
            .with_max_allowed_memory_usage(PARSER_BYTES);
        let mut settings = Settings::new()
            .with_encoding(declared.unwrap_or_else(AsciiCompatibleEncoding::utf_8))
            .with_adjust_charset_on_meta_tag(declared.is_none())
            .with_memory_settings(memory)
            .with_strict(false);
        for handler in handlers(&finds) {
            settings = settings.append_element_content_handler(handler);
        }
        let ignore: fn(&[u8]) = |_| {};
        Self {
            limits,
            rewriter: Some(HtmlRewriter::new(settings, ignore)),
            finds,
            block: Vec::with_capacity(BLOCK),
            bytes: 0,
            quiet_since: 0,
            end: None,
        }
    }

    /// Takes the next bytes, decoded from any `Content-Encoding`.
    pub fn write(&mut self, mut chunk: &[u8]) -> Progress {
        while !chunk.is_empty() && self.end.is_none() {
            let room = BLOCK.saturating_sub(self.block.len()).min(chunk.len());
            let left =
                usize::try_from(self.limits.page_bytes.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
            if left == 0 {
                self.end = Some(PageEnd::TooLarge);
                break;
            }
            let (now, later) = chunk.split_at(room.min(left));
            self.block.extend_from_slice(now);
            self.bytes = self.bytes.saturating_add(now.len() as u64);
            chunk = later;
            if self.block.len() == BLOCK {
                self.feed();
                self.stop_if_quiet();
            }
        }
        if self.end.is_some() {
            Progress::Enough
        } else {
            Progress::More
        }
    }

    /// Says what was found. `complete`: the body came to its end, it didn't break off.
    pub fn finish(mut self, complete: bool) -> Page {
        self.feed();
        if let Some(rewriter) = self.rewriter.take()
            && rewriter.end().is_err()
        {
            self.end.get_or_insert(PageEnd::Unreadable);
        }
        let natural = if complete {
            PageEnd::Complete
        } else {
            PageEnd::Broken
        };
        let mut finds = self.finds.borrow_mut();
        Page {
            refresh_token: finds.refresh_token.take(),
            fingerprint: finds.fingerprint.take(),
            may_set_token: finds.may_set_token,
            login_form: finds.fields.are_both_there(),
            end: self.end.unwrap_or(natural),
            bytes: self.bytes,
        }
    }

    fn feed(&mut self) {
        if let Some(rewriter) = &mut self.rewriter
            && rewriter.write(&self.block).is_err()
        {
            self.rewriter = None;
            self.end.get_or_insert(PageEnd::Unreadable);
        }
        self.block.clear();
    }

    fn stop_if_quiet(&mut self) {
        let mut finds = self.finds.borrow_mut();
        if finds.recent != Recent::Nothing {
            self.quiet_since = self.bytes;
        }
        if finds.recent == Recent::FindAndEnd {
            finds.recent = Recent::Nothing;
        }
        let both = finds.refresh_token.is_some() && finds.fingerprint.is_some();
        if both && self.bytes.saturating_sub(self.quiet_since) >= self.limits.lookahead_bytes {
            self.end.get_or_insert(PageEnd::Stopped);
        }
    }
}

impl fmt::Debug for PageReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PageReader")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

fn charset(content_type: &str) -> Option<AsciiCompatibleEncoding> {
    let label = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let matches = name.trim().eq_ignore_ascii_case("charset");
        matches.then(|| value.trim().trim_matches('"'))
    })?;
    AsciiCompatibleEncoding::new(Encoding::for_label_no_replacement(label.as_bytes())?)
}
