//! The fuzz target's seeds, replayed with every test run.

use std::path::{Path, PathBuf};

use super::properties;

/// Each seed with its path.
fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/rules");
    let seeds: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    assert!(seeds.len() > 3, "{} has too few", directory.display());
    seeds
}

#[test]
fn judgements_hold_their_properties() {
    for (path, seed) in seeds() {
        // A failure names the seed.
        println!("{}", path.display());
        for end in 0..=seed.len() {
            properties::rules(&seed[..end]);
        }
    }
}

#[test]
fn judgements_hold_their_properties_for_what_resembles_a_seed() {
    let start = fastrand::u64(..);
    println!("seed {start}");
    let mut rng = fastrand::Rng::with_seed(start);
    let seeds = seeds();
    for _ in 0..1_000 {
        let mut input = rng.choice(&seeds).unwrap().1.clone();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..input.len());
            match rng.usize(..3) {
                0 => input[at] = *rng.choice(b"{}[]\",:0-e\\\n t").unwrap(),
                1 => input.insert(at, *rng.choice(b"{}[]\",:0-e\\\n t").unwrap()),
                _ => {
                    let piece = input[at..(at + 5).min(input.len())].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        println!("{:?}", String::from_utf8_lossy(&input));
        properties::rules(&input);
    }
}
