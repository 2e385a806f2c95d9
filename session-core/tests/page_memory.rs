//! Reading takes the same memory, however large a page is.

use peak_alloc::PeakAlloc;
use session_core::page::{Limits, PageReader};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Peak bytes that reading takes, of a page that holds `unit` so often that it has `bytes`.
fn peak(unit: &str, bytes: usize) -> usize {
    let unlimited = Limits {
        page_bytes: u64::MAX,
        script_bytes: u64::MAX,
        lookahead_bytes: u64::MAX,
    };
    let chunk = unit.repeat(65_536_usize.div_ceil(unit.len()));
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let mut reader = PageReader::new(None, unlimited);
    reader.write(b"<script>");
    for _ in 0..bytes.div_ceil(chunk.len()) {
        reader.write(chunk.as_bytes());
    }
    drop(reader.finish(true));
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// One test, since all share the allocator.
#[test]
fn eight_megabytes_take_what_half_a_megabyte_takes() {
    for unit in [
        "localStorage.setItem('refreshToken', 'a');\n",
        "a",
        "'",
        "x = `${ ",
        "localStorage.setItem('refreshToken', 'a', ",
        "</script><p class=x>text</p><script>",
        "</script><!-- comment --><br>\n<script>",
    ] {
        let (small, large) = (peak(unit, 500_000), peak(unit, 8_000_000));
        assert!(large < 256 * 1024, "{unit}: {large} bytes");
        assert!(
            large <= small.saturating_add(8 * 1024),
            "{unit}: {small} bytes, then {large}"
        );
    }
}
