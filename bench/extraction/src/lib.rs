//! The Worker's reader of pages by itself, driven as `edge-worker/src/upstream.rs` drives it.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "a measurement, not an interface")]

use session_core::{
    body::{Body, BodyReader},
    method::RefreshMethod,
    page::{Limits, Page, PageReader, Progress},
};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
pub struct Reader(Kind);

enum Kind {
    Body(BodyReader),
    /// Without the Worker's bounds, to show that they aren't what keeps its memory small.
    Unlimited(Box<PageReader>),
}

#[wasm_bindgen]
impl Reader {
    #[wasm_bindgen(constructor)]
    pub fn new(content_type: Option<String>) -> Self {
        Self(Kind::Body(BodyReader::new(
            RefreshMethod::SetRefresh,
            content_type.as_deref(),
        )))
    }

    pub fn unlimited(content_type: Option<String>) -> Self {
        let limits = Limits {
            page_bytes: u64::MAX,
            script_bytes: u64::MAX,
            lookahead_bytes: u64::MAX,
        };
        Self(Kind::Unlimited(Box::new(PageReader::new(
            content_type.as_deref(),
            limits,
        ))))
    }

    /// Whether to read on.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        let progress = match &mut self.0 {
            Kind::Body(reader) => reader.write(chunk),
            Kind::Unlimited(reader) => reader.write(chunk),
        };
        progress == Progress::More
    }

    pub fn finish(self) -> Found {
        let page = match self.0 {
            Kind::Body(mut reader) => {
                drop(reader.take_beginning());
                match reader.finish(true) {
                    Body::Page(page) => Some(page),
                    Body::Update(_) => None,
                }
            }
            Kind::Unlimited(reader) => Some(reader.finish(true)),
        };
        page.map_or_else(Found::default, Found::from)
    }
}

#[wasm_bindgen(getter_with_clone)]
#[derive(Default)]
pub struct Found {
    pub token: Option<String>,
    pub fingerprint: Option<String>,
    pub bytes: f64,
}

impl From<Page> for Found {
    #[allow(clippy::cast_precision_loss, reason = "no page is that large")]
    fn from(page: Page) -> Self {
        Self {
            token: page.refresh_token,
            fingerprint: page.fingerprint,
            bytes: page.bytes as f64,
        }
    }
}
