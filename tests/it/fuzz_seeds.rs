//! The properties that the fuzz targets try, with their seeds and with what resembles them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mecha::{api, config, http, rules, source, store};

/// Panics where it does not hold for these bytes.
type Property = fn(&[u8]);

/// Each target with its property. `queue_ops` is tried by the model.
const TARGETS: [(&str, Property); 12] = [
    ("api_body", api::properties::api_body),
    ("config", config::properties::config),
    ("form", source::properties::form),
    ("http_body", http::properties::http_body),
    ("http_head", http::properties::http_head),
    ("http_response", http::properties::http_response),
    ("http_scan_decode", http::properties::http_scan_decode),
    ("record_decode", store::properties::record_decode),
    ("rule_text", rules::properties::rule_text),
    ("rules", rules::properties::rules),
    ("signature", source::properties::signature),
    ("source_delivery", source::properties::source_delivery),
];

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Each seed of a target with its path.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = fuzz_dir().join("seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() > 3, "{} has too few", dir.display());
    seeds
}

#[test]
fn every_target_is_tried_here_too() {
    let names = |dir: &str| -> BTreeSet<String> {
        fs::read_dir(fuzz_dir().join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let mut known: BTreeSet<_> = TARGETS.map(|(target, _)| target.to_owned()).into();
    known.insert("queue_ops".to_owned());
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("seeds"), known);
}

#[test]
fn seeds_and_their_beginnings_hold_their_properties() {
    for (target, property) in TARGETS {
        for (path, seed) in seeds(target) {
            // A failure names the seed.
            println!("{}", path.display());
            for end in 0..=seed.len() {
                property(&seed[..end]);
            }
        }
    }
}

#[test]
fn what_resembles_a_seed_holds_its_properties() {
    const CHANGED: u32 = 100;
    let start = fastrand::u64(..);
    println!("random seed {start}");
    let mut random = fastrand::Rng::with_seed(start);
    for (target, property) in TARGETS {
        for (path, seed) in seeds(target) {
            println!("{}", path.display());
            for _ in 0..CHANGED {
                let input = changed(seed.clone(), &mut random);
                println!("{}", input.escape_ascii());
                property(&input);
            }
        }
    }
}

/// `input` with a few bytes changed, put in or repeated.
fn changed(mut input: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    const LIKELY: &[u8] = b"{}[]\",:0-e\\\n t=%&'|.\r\x00\xff";
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=input.len());
        let byte = if random.bool() {
            random.u8(..)
        } else {
            *random.choice(LIKELY).unwrap()
        };
        match random.usize(..3) {
            0 if at < input.len() => input[at] = byte,
            1 => {
                let piece = input[at..(at + 5).min(input.len())].to_vec();
                input.splice(at..at, piece);
            }
            _ => input.insert(at, byte),
        }
    }
    input
}
