//! Placeholder with the page reader's interface, until the reader lands.

/// Bounds of a page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Decoded bytes of a page.
    pub page_bytes: u64,
}

/// Reads a page.
#[derive(Debug)]
pub struct PageReader;

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Read on.
    More,
    /// Stop.
    Enough,
}

/// What a page held.
#[derive(Clone)]
pub struct Page {
    /// The token.
    pub refresh_token: Option<String>,
    /// The fingerprint.
    pub fingerprint: Option<String>,
    /// Whether it asks to sign in.
    pub login_form: bool,
    /// How it ended.
    pub end: PageEnd,
    /// Bytes read.
    pub bytes: u64,
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// At its end.
    Complete,
    /// Nothing more was needed.
    Stopped,
    /// It broke off.
    Broken,
    /// It is too large.
    TooLarge,
    /// It can't be read.
    Unreadable,
}

impl PageReader {
    /// Starts.
    pub fn new(_content_type: Option<&str>, _limits: Limits) -> Self {
        Self
    }

    /// Feeds a chunk.
    pub fn write(&mut self, _chunk: &[u8]) -> Progress {
        Progress::More
    }

    /// Ends.
    pub fn finish(self, _complete: bool) -> Page {
        Page { refresh_token: None, fingerprint: None, login_form: false, end: PageEnd::Complete, bytes: 0 }
    }
}
