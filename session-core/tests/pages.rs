//! Pages as upstream might send them, one file each in `tests/pages`, with what a reader must find in them.
//!
//! A file starts with its expectations (`-` for nothing; `\n`, `\t`, `\0` and `\\` as in Rust), then `---`, then
//! the page. Adding a case is adding a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use std::{fs, path::Path};

use session_core::page::{Limits, Page, PageEnd, PageReader, Progress};

struct Case {
    name: String,
    expected: Page,
    content_type: Option<String>,
    broken_off: bool,
    page: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let file = fs::read(path).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let end_of_head = file.windows(5).position(|window| window == b"\n---\n");
    let (head, page) = file.split_at(
        end_of_head
            .unwrap_or_else(|| panic!("{name}: no line ---"))
            .saturating_add(5),
    );
    let head = String::from_utf8(head.to_vec()).unwrap();
    let field = |field: &str| {
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(": "));
        line.map(unescape)
    };
    let value = |name: &str| field(name).unwrap_or_else(|| panic!("{name}: missing"));
    Case {
        expected: Page {
            refresh_token: Some(value("token")).filter(|token| token != "-"),
            fingerprint: Some(value("fingerprint")).filter(|fingerprint| fingerprint != "-"),
            may_set_token: field("may set token").map_or(value("token") != "-", |told| told == "yes"),
            login_form: value("login form") == "yes",
            end: match value("end").as_str() {
                "complete" => PageEnd::Complete,
                "stopped" => PageEnd::Stopped,
                "broken" => PageEnd::Broken,
                other => panic!("{name}: unknown end {other}"),
            },
            bytes: 0,
        },
        content_type: field("content-type"),
        broken_off: head.lines().any(|line| line == "broken off"),
        page: page.to_vec(),
        name,
    }
}

fn unescape(text: &str) -> String {
    let plain = text
        .replace(r"\n", "\n")
        .replace(r"\t", "\t")
        .replace(r"\0", "\0");
    plain.replace(r"\\", r"\")
}

fn read<'a>(case: &Case, chunks: impl Iterator<Item = &'a [u8]>) -> Page {
    let mut reader = PageReader::new(case.content_type.as_deref(), Limits::default());
    for chunk in chunks {
        if reader.write(chunk) == Progress::Enough {
            break;
        }
    }
    let page = reader.finish(!case.broken_off);
    Page { bytes: 0, ..page }
}

/// `Page` prints no values, so a comparison of its own.
fn check(case: &Case, how: &str, found: &Page) {
    let told = |page: &Page| format!("{:?} {:?} {page:?}", page.refresh_token, page.fingerprint);
    assert_eq!(told(found), told(&case.expected), "{}, {how}", case.name);
}

/// Hazard 14: quotes of every kind, white space anywhere, and no call that stands in a comment.
#[test]
fn hazard_14_every_page_is_read_as_expected() {
    let cases = cases();
    assert!(cases.len() >= 100, "only {} pages", cases.len());
    for case in &cases {
        check(case, "whole", &read(case, [case.page.as_slice()].into_iter()));
    }
}

#[test]
fn the_way_a_page_is_cut_changes_nothing() {
    for case in &cases() {
        for size in [1, 7, 127, 4093, 4096, 65_537] {
            check(
                case,
                &format!("in chunks of {size}"),
                &read(case, case.page.chunks(size)),
            );
        }
    }
}

/// The reader hands its own blocks of 4 KiB to the parser: with blanks in front, each page is cut elsewhere.
#[test]
fn the_place_of_a_block_s_end_changes_nothing() {
    for case in &cases() {
        if case.expected.end == PageEnd::Stopped {
            continue;
        }
        for shift in (4096_usize.saturating_sub(400)..4096).step_by(3) {
            let blanks = vec![b' '; shift];
            let chunks = [blanks.as_slice(), case.page.as_slice()];
            check(
                case,
                &format!("behind {shift} blanks"),
                &read(case, chunks.into_iter()),
            );
        }
    }
}
