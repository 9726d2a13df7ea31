//! The engine's archives: a list of tables, and the contents at the end of each table.
//!
//! The format is that of sfa 1.0.0, which Cargo.lock pins; all numbers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | sections | one after the other |
//! | contents | `TOC!`, count (4), for each section: offset (8), length (8), length of its name (2), name |
//! | end | `SFA!`, 1, 0, XXH3-128 of the contents (16), offset of the contents (8), their length (8) |
//!
//! Of a list the section `tables` is read: count of levels (1), for each: count of runs (1), for
//! each: count of tables (4), for each: number (8), 0, XXH3-128 of its file (16), a sequence
//! number (8).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::store::Error;

/// Bytes of an archive's end.
const END_LENGTH: u64 = 38;

/// BOUND: bytes of contents that are read; a table has some ten sections.
const CONTENTS_MAX: u64 = 64 << 10;

/// A table on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Listed {
    /// Its number, which is the name of its file.
    pub(in crate::store) number: u64,
    /// XXH3-128 of its file.
    pub(in crate::store) checksum: u128,
}

/// The tables of a list, whose checksum is right. `None` where it has another form.
pub(super) fn tables(bytes: &[u8]) -> Option<Vec<Listed>> {
    let end = bytes.len().checked_sub(usize::try_from(END_LENGTH).ok()?)?;
    let (contents_at, contents_length, _) = end_of(bytes.get(end..)?)?;
    let from = usize::try_from(contents_at).ok()?;
    let to = from.checked_add(usize::try_from(contents_length).ok()?)?;
    let section = section(bytes.get(from..to)?, b"tables")?;
    let mut reader = Fields(bytes.get(section.0..section.0.checked_add(section.1)?)?);
    let mut tables = Vec::new();
    for _ in 0..reader.take::<1>()?[0] {
        for _ in 0..reader.take::<1>()?[0] {
            for _ in 0..u32::from_le_bytes(reader.take()?) {
                let number = u64::from_le_bytes(reader.take()?);
                let [0] = reader.take::<1>()? else {
                    return None;
                };
                let checksum = u128::from_le_bytes(reader.take()?);
                reader.take::<8>()?;
                tables.push(Listed { number, checksum });
            }
        }
    }
    reader.0.is_empty().then_some(tables)
}

/// Checks that a table is there, and the contents at its end. Gives its bytes.
pub(super) fn check_contents(path: &Path) -> Result<u64, Error> {
    let place = || format!("table {}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::damaged(place(), "it is missing"));
        }
        Err(source) => {
            return Err(Error::Io {
                action: format!("read {}", path.display()),
                source,
            });
        }
    };
    let action = || Error::io(format!("read {}", path.display()));
    let length = file.metadata().map_err(action())?.len();
    let cut = || Error::damaged(place(), "its end is cut off or damaged");
    let end_at = length.checked_sub(END_LENGTH).ok_or_else(cut)?;
    let end = read_at(&mut file, end_at, END_LENGTH).map_err(action())?;
    let (contents_at, contents_length, checksum) = end_of(&end).ok_or_else(cut)?;
    if contents_length > CONTENTS_MAX || contents_at.checked_add(contents_length) != Some(end_at) {
        return Err(cut());
    }
    let contents = read_at(&mut file, contents_at, contents_length).map_err(action())?;
    if xxh3_128(&contents) != checksum {
        return Err(Error::damaged(
            place(),
            "the checksum of its contents is wrong",
        ));
    }
    Ok(length)
}

fn read_at(file: &mut File, at: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Offset, length and checksum of the contents.
fn end_of(bytes: &[u8]) -> Option<(u64, u64, u128)> {
    let mut reader = Fields(bytes);
    if reader.take::<6>()? != *b"SFA!\x01\x00" {
        return None;
    }
    let checksum = u128::from_le_bytes(reader.take()?);
    let at = u64::from_le_bytes(reader.take()?);
    Some((at, u64::from_le_bytes(reader.take()?), checksum))
}

/// Offset and length of a section.
fn section(contents: &[u8], wanted: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Fields(contents);
    if reader.take::<4>()? != *b"TOC!" {
        return None;
    }
    for _ in 0..u32::from_le_bytes(reader.take()?) {
        let at = usize::try_from(u64::from_le_bytes(reader.take()?)).ok()?;
        let length = usize::try_from(u64::from_le_bytes(reader.take()?)).ok()?;
        let name_length = usize::from(u16::from_le_bytes(reader.take()?));
        let (name, rest) = reader.0.split_at_checked(name_length)?;
        reader.0 = rest;
        if name == wanted {
            return Some((at, length));
        }
    }
    None
}

/// Fields of fixed width, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}
