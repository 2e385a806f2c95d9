//! `simulate [--seeds N] [--medium N] [--large N] [--from N]`: plays so many worlds of each size, from that seed on.
//! `--seed N` plays one small world, `--medium-seed N` and `--large-seed N` one of those.

use std::sync::atomic::{AtomicUsize, Ordering};

use simulation::{Counts, Scale, number_of, play};

/// Sizes, with the options that name how many of them, and which one.
const SCALES: [(Scale, &str, &str); 3] = [
    (Scale::Large, "--large", "--large-seed"),
    (Scale::Medium, "--medium", "--medium-seed"),
    (Scale::Small, "--seeds", "--seed"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name| number_of(&arguments, name);
    let from = number("--from").unwrap_or(1);
    let mut worlds = Vec::new();
    for (scale, many, one) in SCALES {
        worlds.extend(number(one).map(|seed| (scale, seed)));
        let count = number(many).unwrap_or(0);
        worlds.extend((from..from.saturating_add(count)).map(|seed| (scale, seed)));
    }
    std::process::exit(i32::from(play_all(&worlds) > 0));
}

/// On two threads. Answers how many went wrong.
fn play_all(worlds: &[(Scale, u64)]) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some((scale, seed)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let came = play(*seed, *scale);
            failed.fetch_add(usize::from(came.is_err()), Ordering::Relaxed);
            tell(*scale, *seed, came, worlds.len() == 1);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let failed = failed.into_inner();
    println!("{} worlds, {failed} of them wrong", worlds.len());
    failed
}

fn tell(scale: Scale, seed: u64, came: Result<Counts, String>, alone: bool) {
    match came {
        Ok(counts) if alone || scale != Scale::Small => println!("{scale:?} world {seed}: {counts:?}"),
        Ok(_) => {}
        Err(what) => {
            let options = SCALES.iter().filter(|(other, ..)| *other == scale);
            let option: String = options.map(|(.., one)| *one).collect();
            println!("{scale:?} world {seed}: {what}\n  again: npm run simulate -- {option} {seed}");
        }
    }
}
