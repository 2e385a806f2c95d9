//! What must hold of the parsers, whatever they are given.
//!
//! Each module's `holds` takes any bytes and panics if something doesn't hold. The fuzz targets call it with what
//! libFuzzer makes up; `tests/corpus.rs` calls it with what is kept of that in `fuzz/corpus`, in the ordinary suite.
//! An input is a few bytes of choices, then the text itself; texts are parted by a byte that UTF-8 never has.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    reason = "a property that doesn't hold must panic"
)]

pub mod body;
pub mod cookies;
pub mod jwt;
pub mod page;
pub mod requests;
pub mod token;

use arbitrary::Unstructured;
use peak_alloc::PeakAlloc;
use session_core::time::Timestamp;

/// Counts, so that `page` can tell how much memory a page takes.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Takes any bytes, and panics if something doesn't hold.
pub type Holds = fn(&[u8]);

/// The targets, by name.
pub const TARGETS: [(&str, Holds); 6] = [
    ("body", body::holds),
    ("cookies", cookies::holds),
    ("jwt", jwt::holds),
    ("page", page::holds),
    ("requests", requests::holds),
    ("token", token::holds),
];

/// Parts texts: it is in no UTF-8.
const PARTING: u8 = 0xFF;

/// The time it is: a Monday in September 2026.
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// The choices in front of an input (zeros where it is too short), and what follows them.
fn choices<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut input = Unstructured::new(data);
    let chosen = input.arbitrary().unwrap_or([0; N]);
    (chosen, input.take_rest())
}

/// `bytes` in chunks, whose sizes take turns: from one byte to four thousand.
fn chunks(bytes: &[u8], sizes: [u8; 4]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut sizes = sizes
        .map(|size| 1 + usize::from(size) * usize::from(size) / 16)
        .into_iter()
        .cycle();
    std::iter::from_fn(move || {
        let (chunk, later) = rest.split_at(sizes.next()?.min(rest.len()));
        rest = later;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// `bytes` so often that there are about `kibibytes`, or once.
fn repeated(bytes: &[u8], kibibytes: usize) -> Vec<u8> {
    bytes.repeat((kibibytes * 1024 / bytes.len().max(1)).max(1))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
