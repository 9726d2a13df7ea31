//! Writes the document, row by row.

use data_encoding::{BASE64, HEXLOWER};
use xxhash_rust::xxh3::Xxh3;

use super::{ROWS_END, VERSION};

/// Appends a document to buffers that the caller empties in between.
///
/// A row is written by [`Writer::begin_row`], [`Writer::value`] for each part of its value, and
/// [`Writer::end_row`].
pub struct Writer {
    hash: Xxh3,
    rows: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer(row {})", self.rows)
    }
}

impl Writer {
    /// Begins a document of rows of that schema version.
    pub fn begin(schema: u32, out: &mut Vec<u8>) -> Self {
        let mut writer = Self {
            hash: Xxh3::new(),
            rows: 0,
        };
        let head = format!("{{\"mecha_backup\":{VERSION},\"schema\":{schema},\"rows\":[");
        writer.append(out, |out| out.extend_from_slice(head.as_bytes()));
        writer
    }

    /// Rows that were begun.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Begins a row. `space` is a plain word.
    pub fn begin_row(&mut self, space: &str, key: &[u8], out: &mut Vec<u8>) {
        let start = if self.rows == 0 { "\n[\"" } else { ",\n[\"" };
        self.rows = self.rows.saturating_add(1);
        self.append(out, |out| {
            for part in [start, space, "\",\""] {
                out.extend_from_slice(part.as_bytes());
            }
            encode(key, out);
            out.extend_from_slice(b"\",\"");
        });
    }

    /// Appends a part of the row's value. Every part but the last one has a multiple of 3 bytes,
    /// so that their base64 can be joined.
    pub fn value(&mut self, part: &[u8], out: &mut Vec<u8>) {
        self.append(out, |out| encode(part, out));
    }

    /// Ends the row.
    pub fn end_row(&mut self, out: &mut Vec<u8>) {
        self.append(out, |out| out.extend_from_slice(b"\"]"));
    }

    /// Ends the document.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.append(out, |out| out.push(b'\n'));
        let checksum = HEXLOWER.encode(&self.hash.digest128().to_be_bytes());
        out.extend_from_slice(ROWS_END);
        let end = format!(",\"count\":{},\"checksum\":\"{checksum}\"}}\n", self.rows);
        out.extend_from_slice(end.as_bytes());
    }

    /// Lets `write` append to `out`, and takes what it appended into the checksum.
    fn append(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let from = out.len();
        write(out);
        self.hash.update(out.get(from..).unwrap_or_default());
    }
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + BASE64.encode_len(bytes.len()), 0);
    if let Some(place) = out.get_mut(from..) {
        BASE64.encode_mut(bytes, place);
    }
}
