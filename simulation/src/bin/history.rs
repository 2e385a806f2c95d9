//! `history --seed N --steps M`: a random history of calls of the SQL functions, with what the model answers.

use std::io::{BufWriter, stdout};

use simulation::{History, number_of};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let seed = number_of(&arguments, "--seed").unwrap_or(1);
    let steps = number_of(&arguments, "--steps").unwrap_or(300);
    History::write(
        seed,
        usize::try_from(steps).unwrap_or(usize::MAX),
        BufWriter::new(stdout().lock()),
    )
}
