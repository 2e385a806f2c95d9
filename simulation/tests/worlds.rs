//! Many small worlds, and a few of a thousand sessions, on each run of the tests; `npm run simulate` plays more.

use simulation::{Scale, play};

/// Plays these seeds and tells all that went wrong, with what plays it again.
fn check(scale: Scale, option: &str, seeds: std::ops::RangeInclusive<u64>) {
    let wrong: Vec<String> = seeds
        .filter_map(|seed| {
            let found = play(seed, scale).err()?;
            Some(format!("{found}\n  again: npm run simulate -- {option} {seed}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn small_worlds_hold() {
    check(Scale::Small, "--seed", 1..=75);
}

#[test]
fn more_small_worlds_hold() {
    check(Scale::Small, "--seed", 76..=150);
}

#[test]
fn worlds_of_a_thousand_sessions_hold() {
    check(Scale::Medium, "--medium-seed", 1..=2);
}

#[test]
fn more_worlds_of_a_thousand_sessions_hold() {
    check(Scale::Medium, "--medium-seed", 3..=4);
}

#[test]
fn a_seed_plays_the_same_world_again() {
    let twice = [1, 2].map(|_| format!("{:?}", play(7, Scale::Small)));
    assert_eq!(twice[0], twice[1]);
}
