//! Reads the document, row by row, and tells whether it is whole.

use std::fmt;
use std::io::{self, BufRead, Read};

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3;

use super::{LINE_MAX, ROWS_END, Row, VERSION};

/// Why a document cannot be read to its end.
#[derive(Debug)]
pub enum Error {
    /// Its bytes cannot be had.
    Read(io::Error),
    /// It is something else.
    NotABackup,
    /// It is of a version that is not known here.
    Newer {
        /// The document's version.
        version: u32,
    },
    /// It ends before its end.
    Cut {
        /// Rows that came.
        rows: u64,
    },
    /// A line of it is not as it was written.
    Damaged {
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        detail: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::NotABackup => f.write_str("what came is no backup; is it a mecha?"),
            Self::Newer { version } => write!(
                f,
                "the backup has version {version} and this mecha knows up to {VERSION}; use the \
                 mecha that the server runs"
            ),
            Self::Cut { rows } => write!(f, "the backup broke off after {rows} rows"),
            Self::Damaged { line, detail } => {
                write!(f, "line {line} of the backup is damaged: {detail}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// The rows of a document. After the last one it has checked that none is missing and none was
/// changed; after an error it ends.
pub struct Reader<R> {
    input: R,
    schema: u32,
    line: Vec<u8>,
    /// Number of the line in `line`, from 1.
    number: u64,
    hash: Xxh3,
    rows: u64,
    has_ended: bool,
}

#[derive(Deserialize)]
struct Head {
    mecha_backup: u32,
    schema: u32,
}

#[derive(Deserialize)]
struct End<'a> {
    count: u64,
    checksum: &'a str,
}

impl<R: BufRead> Reader<R> {
    /// Reads the document's first line from `input`.
    pub fn open(input: R) -> Result<Self, Error> {
        let mut reader = Self {
            input,
            schema: 0,
            line: Vec::new(),
            number: 0,
            hash: Xxh3::new(),
            rows: 0,
            has_ended: false,
        };
        reader.next_line()?;
        // The line is an object that is not closed yet.
        let closed = [reader.line.trim_ascii_end(), b"]}"].concat();
        let head: Head = serde_json::from_slice(&closed).map_err(|_| Error::NotABackup)?;
        if head.mecha_backup != VERSION {
            return Err(Error::Newer {
                version: head.mecha_backup,
            });
        }
        reader.hash.update(&reader.line);
        reader.schema = head.schema;
        Ok(reader)
    }

    /// The schema version of the rows.
    pub fn schema(&self) -> u32 {
        self.schema
    }

    fn next_line(&mut self) -> Result<(), Error> {
        self.line.clear();
        // A line as long as a large row is not kept for those behind it.
        self.line.shrink_to(64 << 10);
        let mut bounded = (&mut self.input).take(LINE_MAX);
        let read = bounded.read_until(b'\n', &mut self.line);
        read.map_err(Error::Read)?;
        self.number = self.number.saturating_add(1);
        if self.line.ends_with(b"\n") {
            return Ok(());
        }
        if self.line.len() as u64 == LINE_MAX {
            return Err(self.damaged("it is longer than any row can be"));
        }
        Err(
            if self.number == 1 && !self.line.starts_with(b"{\"mecha_backup\"") {
                Error::NotABackup
            } else {
                Error::Cut { rows: self.rows }
            },
        )
    }

    fn step(&mut self) -> Result<Option<Row>, Error> {
        self.next_line()?;
        if let Some(rest) = self.line.strip_prefix(ROWS_END) {
            let object = [b"{\"rows\":[]", rest].concat();
            self.check_end(&object)?;
            return Ok(None);
        }
        self.hash.update(&self.line);
        let line = self.line.trim_ascii_end();
        let line = line.strip_suffix(b",").unwrap_or(line);
        let row: Result<(&str, &str, &str), _> = serde_json::from_slice(line);
        let (space, key, value) =
            row.map_err(|_| self.damaged("it is not [\"keyspace\",\"key\",\"value\"]"))?;
        let decoded = |text: &str| {
            let bytes = BASE64.decode(text.as_bytes());
            bytes.map_err(|_| self.damaged("it is not base64"))
        };
        let row = Row {
            space: space.to_owned(),
            key: decoded(key)?,
            value: decoded(value)?,
        };
        self.rows = self.rows.saturating_add(1);
        Ok(Some(row))
    }

    fn check_end(&self, object: &[u8]) -> Result<(), Error> {
        let end: End = serde_json::from_slice(object)
            .map_err(|_| self.damaged("it is not the backup's count and checksum"))?;
        if end.count != self.rows {
            return Err(self.damaged("its count is not that of the rows"));
        }
        if end.checksum != HEXLOWER.encode(&self.hash.digest128().to_be_bytes()) {
            return Err(self.damaged("its checksum is not that of the rows"));
        }
        Ok(())
    }

    fn damaged(&self, detail: &'static str) -> Error {
        Error::Damaged {
            line: self.number,
            detail,
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let row = self.step().transpose();
        self.has_ended = !matches!(row, Some(Ok(_)));
        row
    }
}
