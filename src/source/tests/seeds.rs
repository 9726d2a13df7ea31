//! The fuzz targets' seeds, replayed with every test run.

use std::path::Path;

use super::properties;

fn replay(target: &str, property: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let seed = std::fs::read(&path).unwrap();
        // A failure names the seed.
        println!("{}", path.display());
        for end in 0..=seed.len() {
            property(&seed[..end]);
        }
        count += 1;
    }
    assert!(count > 3, "{} has {count} seeds", directory.display());
}

#[test]
fn deliveries_hold_their_properties() {
    replay("source_delivery", properties::source_delivery);
}

#[test]
fn forms_hold_their_properties() {
    replay("form", properties::form);
}

#[test]
fn random_changes_of_the_seeds_hold_the_properties() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut random = fastrand::Rng::with_seed(7);
    for (target, property) in [
        ("source_delivery", properties::source_delivery as fn(&[u8])),
        ("form", properties::form),
    ] {
        for entry in std::fs::read_dir(directory.join(target)).unwrap() {
            let seed = std::fs::read(entry.unwrap().path()).unwrap();
            for _ in 0..200 {
                let mut changed = seed.clone();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..changed.len());
                    changed[at] = random.u8(..);
                }
                changed[0] = random.u8(..);
                property(&changed);
            }
        }
    }
}
