//! Journals that are whole, torn and damaged, byte by byte.

use xxhash_rust::xxh3::Xxh3;

use super::scan::{END, ITEM, START, TRAILER};
use super::*;

/// Writes batches as the engine does.
fn batch(seqno: u64, items: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = vec![START];
    bytes.extend(u32::try_from(items.len()).unwrap().to_le_bytes());
    bytes.extend(seqno.to_le_bytes());
    let mut hash = Xxh3::new();
    for (key, value) in items {
        let mut item = vec![ITEM, 0, 0];
        item.extend(1_u64.to_le_bytes());
        item.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        item.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        item.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        item.extend(*key);
        item.extend(*value);
        hash.update(&item);
        bytes.extend(item);
    }
    bytes.push(END);
    bytes.extend(hash.digest().to_le_bytes());
    bytes.extend(TRAILER);
    bytes
}

fn journal(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    path
}

#[test]
fn a_torn_last_batch_is_cut_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let whole = batch(1, &[(b"a", b"1"), (b"b", &[1; 300])]);
    let torn = batch(2, &[(b"c", &[START; 40]), (b"d", b"3")]);
    for cut in 1..torn.len() {
        let mut bytes = whole.clone();
        bytes.extend(&torn[..cut]);
        let path = journal(dir.path(), "0.jnl", &bytes);
        check(dir.path()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            whole.len() as u64,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_whole_journal_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = [batch(1, &[(b"a", b"1")]), batch(2, &[])].concat();
    let path = journal(dir.path(), "7.jnl", &bytes);
    check(dir.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
}

#[test]
fn damage_before_a_whole_batch_is_refused_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let first = batch(1, &[(b"a", b"1")]);
    let bytes = [
        first.clone(),
        batch(2, &[(b"b", b"2")]),
        batch(3, &[(b"c", b"3")]),
    ]
    .concat();
    for place in 0..first.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0xff;
        let path = journal(dir.path(), "0.jnl", &damaged);
        assert!(
            matches!(check(dir.path()), Err(Error::Damaged { .. })),
            "byte {place}"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            1 << 20,
            "nothing is changed"
        );
    }
}

#[test]
fn a_torn_batch_in_an_older_journal_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let torn = batch(1, &[(b"a", b"1")]);
    journal(dir.path(), "0.jnl", &torn[..torn.len() - 1]);
    journal(dir.path(), "1.jnl", &batch(2, &[]));
    assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
}

#[test]
fn a_torn_batch_may_have_an_empty_journal_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let whole = batch(1, &[(b"a", b"1")]);
    let torn = batch(2, &[(b"b", b"2")]);
    let bytes = [&whole[..], &torn[..torn.len() - 1]].concat();
    let path = journal(dir.path(), "0.jnl", &bytes);
    journal(dir.path(), "1.jnl", &[]);
    check(dir.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), whole.len() as u64);
    check(dir.path()).unwrap();
}

#[test]
fn a_missing_journal_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path(), "3.jnl", &batch(1, &[(b"a", b"1")]));
    journal(dir.path(), "5.jnl", &batch(9, &[(b"c", b"3")]));
    assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
    journal(dir.path(), "4.jnl", &batch(5, &[(b"b", b"2")]));
    check(dir.path()).unwrap();
}

#[test]
fn batches_that_are_not_in_order_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    for (first, second) in [(5, 5), (5, 4), (u64::MAX, 6)] {
        let bytes = [
            batch(first, &[(b"a", b"1")]),
            batch(second, &[(b"b", b"2")]),
        ]
        .concat();
        journal(dir.path(), "0.jnl", &bytes);
        assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
    }
}

/// A torn batch may hold millions of bytes that could start a batch.
#[test]
fn a_torn_batch_is_found_torn_in_a_short_time() {
    let dir = tempfile::tempdir().unwrap();
    let torn = batch(1, &[(b"a", &vec![START; 8 << 20])]);
    journal(dir.path(), "0.jnl", &torn[..torn.len() - 1]);
    let begun = crate::clock::monotonic();
    check(dir.path()).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn one_process_at_a_time_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let held = lock(dir.path()).unwrap();
    assert!(matches!(lock(dir.path()), Err(Error::Locked { .. })));
    drop(held);
    lock(dir.path()).unwrap();
}
