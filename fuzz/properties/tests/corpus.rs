//! What fuzzing found worth keeping, through each target's properties: what was mended stays mended.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{fs, path::Path};

use properties::TARGETS;

/// One test, since they share the allocator that counts.
#[test]
fn every_property_holds_of_the_whole_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (name, holds) in TARGETS {
        let files = fs::read_dir(corpus.join(name)).unwrap();
        let mut inputs = 0;
        for file in files {
            let path = file.unwrap().path();
            // Shown if it fails.
            println!("{}", path.display());
            holds(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "no corpus for {name}");
    }
}
