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
fn heads_hold_their_properties() {
    replay("http_head", properties::http_head);
}

#[test]
fn what_is_scanned_is_decoded_the_same() {
    replay("http_scan_decode", properties::http_scan_decode);
}

#[test]
fn bodies_hold_their_properties() {
    replay("http_body", properties::http_body);
}

#[test]
fn answers_hold_their_properties() {
    replay("http_response", properties::http_response);
}
