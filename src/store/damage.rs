//! A data directory that is cut and overwritten at many places, against what it held: it is read as it
//! was, or refused, and never read as something else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fjall::Readable;

use super::check;
use super::keys::Text;
use super::record::{LaneRecord, TaskRecord};
use super::{Error, SPACES, Space, Store, journal};
use crate::clock::Timestamp;
use crate::id::{Id, IdSource};
use crate::task::TaskId;

/// Tasks that are written out to tables, and tasks that are in the journal alone.
const IN_TABLES: u64 = 20;
const IN_JOURNAL: u64 = 12;

/// Every row: keyspace and key, value.
type Rows = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

fn rows(store: &Store) -> Result<Rows, Error> {
    let snapshot = store.db.snapshot();
    let mut rows = Rows::new();
    for (number, space) in SPACES.into_iter().enumerate() {
        for row in snapshot.iter(store.space(space)) {
            let (key, value) = row.into_inner()?;
            // What a start writes differs from start to start.
            if space != Space::Meta || !matches!(&key[..], b"n" | b"v" | b"t") {
                rows.insert((number, key.to_vec()), value.to_vec());
            }
        }
    }
    Ok(rows)
}

/// A data directory as a crash leaves it, and its rows after each commit.
struct Whole {
    dir: tempfile::TempDir,
    after: Vec<Rows>,
}

fn memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn whole() -> Whole {
    let dir = memory();
    let store = Store::open(dir.path()).unwrap();
    let mut ids = IdSource::above(Id::FIRST, fastrand::Rng::with_seed(1));
    let mut random = fastrand::Rng::with_seed(2);
    let mut after = vec![rows(&store).unwrap()];
    for number in 0..IN_TABLES + IN_JOURNAL {
        let id = TaskId(ids.next(Timestamp::from_millis(1_774_872_000_000 + number)));
        // One table is too large to be read whole at a start.
        let length = if number == 3 {
            1_200_000
        } else {
            random.usize(1..400)
        };
        let prompt: String = std::iter::repeat_with(|| random.alphanumeric())
            .take(length)
            .collect();
        let mut batch = store.batch();
        let record = TaskRecord::new(0, 1, number, prompt.len() as u64);
        batch.put_task(id, None, &record);
        batch.put_text(id, Text::Prompt, &prompt);
        let lane = LaneRecord {
            worker: "w".to_owned(),
            waiting: number + 1,
            completed: 0,
            failed: 0,
            low: *Id::FIRST.as_bytes(),
        };
        batch.put_lane(0, &lane);
        batch.commit().unwrap();
        after.push(rows(&store).unwrap());
        if number + 1 == IN_TABLES {
            for space in store.spaces() {
                space.rotate_memtable_and_wait().unwrap();
            }
        }
    }
    drop(store);
    // The journal is laid out long before it is full; copies of it are made by the hundred.
    for (path, whole) in journal::examine(&dir.path().join("store")).unwrap().files {
        set_length(&path, whole + 500);
    }
    Whole { dir, after }
}

fn set_length(path: &Path, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every file and what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(dir)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
    for entry in fs::read_dir(from.join("store/keyspaces")).unwrap() {
        let name = entry.unwrap().file_name();
        let tables = to.join("store/keyspaces").join(name).join("tables");
        fs::create_dir_all(tables).unwrap();
    }
}

/// What became of a damaged directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Refused at the start; nothing was changed.
    Refused,
    /// Opened with the rows after so many commits.
    Opened(usize),
    /// Opened, and a row that is damaged is an error of whoever reads it.
    Unreadable,
}

/// Opens a damaged copy. What it may never be is a store with other rows than there ever were.
fn fate(dir: &Path, whole: &Whole, what: &str) -> Fate {
    let before = contents(dir);
    match Store::open(dir) {
        Err(Error::Damaged { .. }) => {
            let after = contents(dir);
            let changed: Vec<_> = after
                .iter()
                .filter(|(path, bytes)| before.get(*path) != Some(bytes))
                .map(|(path, _)| path)
                .collect();
            assert!(
                after == before,
                "{what}: a refused start changed {changed:?}"
            );
            Fate::Refused
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(store) => match rows(&store) {
            Ok(found) => {
                let known = whole.after.iter().rposition(|rows| *rows == found);
                Fate::Opened(known.unwrap_or_else(|| panic!("{what}: other rows than ever")))
            }
            Err(failure) => {
                assert!(
                    matches!(failure, Error::Damaged { .. }),
                    "{what}: no advice: {failure}"
                );
                Fate::Unreadable
            }
        },
    }
}

/// How much more is tried than in `cargo test`.
fn factor() -> usize {
    let text = std::env::var("MECHA_DAMAGE").ok();
    text.map_or(1, |text| text.parse().unwrap())
}

/// Ends of the batches in the journal, oldest first.
fn batch_ends(journal: &Path) -> Vec<u64> {
    let bytes = fs::read(journal).unwrap();
    let mut ends: Vec<u64> = bytes
        .windows(4)
        .zip(4..)
        .filter(|(window, _)| *window == b"FJL\x03")
        .map(|(_, end)| end)
        .collect();
    ends.dedup();
    ends
}

#[test]
fn a_journal_that_is_cut_anywhere_holds_the_batches_in_front_of_the_cut() {
    let whole = whole();
    let name = Path::new("store/0.jnl");
    let ends = batch_ends(&whole.dir.path().join(name));
    let last = ends[ends.len() - 1];
    let second_last = ends[ends.len() - 2];
    let mut random = fastrand::Rng::with_seed(3);
    // Every place of the last batch, which may not have been acknowledged, and places in front.
    let step = if factor() > 1 { 1 } else { 7 };
    let mut cuts: Vec<u64> = (second_last..=last).step_by(step).collect();
    let front = ends[ends.len() - 8];
    cuts.extend((0..40 * factor()).map(|_| random.u64(front..second_last)));
    println!("{} cuts", cuts.len());
    for cut in cuts {
        let dir = memory();
        copy(whole.dir.path(), dir.path());
        let path = dir.path().join(name);
        let length = fs::metadata(&path).unwrap().len();
        set_length(&path, cut);
        set_length(&path, length);
        let behind = ends.iter().filter(|end| **end > cut).count();
        let expected = Fate::Opened(whole.after.len() - 1 - behind);
        // The check says what a start will do, and leaves it to that.
        let before = contents(dir.path());
        let report = check::check(dir.path()).unwrap();
        assert!(
            contents(dir.path()) == before,
            "{cut}: the check changed something"
        );
        if behind == 0 || ends.contains(&cut) {
            assert!(report.torn.is_none(), "{cut}");
        }
        assert_eq!(fate(dir.path(), &whole, &format!("cut at {cut}")), expected);
    }
}

/// Damages a copy of a file, `number` deciding how.
fn overwrite(path: &Path, at: usize, number: usize, random: &mut fastrand::Rng) -> String {
    let mut bytes = fs::read(path).unwrap();
    let end = (at + 1 + random.usize(0..16)).min(bytes.len());
    let what = match number % 4 {
        0 => {
            bytes[at..end].fill(0);
            "zeros"
        }
        1 => {
            bytes[at] ^= 1 << random.u8(0..8);
            "a bit"
        }
        2 => {
            random.fill(&mut bytes[at..end]);
            "noise"
        }
        _ => {
            bytes[at..end].fill(0xff);
            "ones"
        }
    };
    fs::write(path, &bytes).unwrap();
    format!("{what} at {at} of {}", path.display())
}

#[test]
fn a_journal_that_is_overwritten_is_refused_unless_it_is_the_last_batch() {
    let whole = whole();
    let name = Path::new("store/0.jnl");
    let path = whole.dir.path().join(name);
    let original = fs::read(&path).unwrap();
    let ends = batch_ends(&path);
    let (last, second_last) = (ends[ends.len() - 1], ends[ends.len() - 2]);
    let mut random = fastrand::Rng::with_seed(4);
    let mut fates: BTreeMap<Fate, u32> = BTreeMap::new();
    for number in 0..120 * factor() {
        let at = match number % 3 {
            0 => random.u64(second_last..last),
            _ => random.u64(0..second_last),
        };
        let at = usize::try_from(at).unwrap();
        let dir = memory();
        copy(whole.dir.path(), dir.path());
        let what = overwrite(&dir.path().join(name), at, number, &mut random);
        let is_same = fs::read(dir.path().join(name)).unwrap() == original;
        let fate = fate(dir.path(), &whole, &what);
        *fates.entry(fate).or_default() += 1;
        let all = Fate::Opened(whole.after.len() - 1);
        let all_but_the_last = Fate::Opened(whole.after.len() - 2);
        let is_in_last = at as u64 >= second_last;
        if is_same {
            assert_eq!(fate, all, "{what}");
        } else if is_in_last || at as u64 + 16 > second_last {
            // It cannot be told from a batch that was never finished.
            assert!(
                [all, all_but_the_last, Fate::Refused].contains(&fate),
                "{what}: {fate:?}"
            );
        } else {
            assert!([all, Fate::Refused].contains(&fate), "{what}: {fate:?}");
        }
    }
    println!("{fates:?}");
    assert!(fates.len() >= 2);
}

#[test]
fn a_table_or_a_list_that_is_overwritten_or_cut_gives_no_other_rows() {
    let whole = whole();
    let mut random = fastrand::Rng::with_seed(5);
    let mut fates: BTreeMap<(bool, Fate), u32> = BTreeMap::new();
    let dir = memory();
    copy(whole.dir.path(), dir.path());
    // What the engine still reads: what its lists name, and not what it replaced.
    let mut names = vec![PathBuf::from("store/version")];
    for keyspace in super::tables::lists(&dir.path().join("store")).unwrap() {
        let keyspace = keyspace.unwrap();
        let tables = keyspace.tables.iter().map(|table| keyspace.table(table));
        let lists = [keyspace.list.clone(), keyspace.dir.join("current")];
        let relative = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().to_owned();
        names.extend(tables.chain(lists).map(relative));
    }
    for number in 0..160 * factor() {
        let name = &names[number % names.len()];
        let dir = memory();
        copy(whole.dir.path(), dir.path());
        let path = dir.path().join(name);
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        let before = fs::read(&path).unwrap();
        let at = random.usize(0..length);
        let what = if number % 9 == 8 {
            set_length(&path, at as u64);
            format!("{} cut at {at}", path.display())
        } else {
            overwrite(&path, at, number, &mut random)
        };
        if fs::read(&path).unwrap() == before {
            continue;
        }
        let report = check::check(dir.path()).unwrap();
        assert!(
            !report.problems.is_empty(),
            "{what}: the check sees nothing"
        );
        let fate = fate(dir.path(), &whole, &what);
        let all = Fate::Opened(whole.after.len() - 1);
        assert!(
            [all, Fate::Refused, Fate::Unreadable].contains(&fate),
            "{what}: {fate:?}"
        );
        let is_table = name.to_string_lossy().contains("tables");
        *fates.entry((is_table, fate)).or_default() += 1;
    }
    println!("(of a table, fate): {fates:?}");
    assert!(fates.contains_key(&(true, Fate::Unreadable)), "{fates:?}");
    assert!(fates.contains_key(&(true, Fate::Refused)), "{fates:?}");
}
