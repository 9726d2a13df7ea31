//! What a backup is: every row of one moment in one JSON document.
//!
//! ```text
//! {"mecha_backup":1,"schema":2,"rows":[
//! ["meta","dg==","AAAAAg=="],
//! ["tasks","MGszdi4uLg==","AgAB..."]
//! ],"count":2,"checksum":"d5d1a1f2..."}
//! ```
//!
//! A row stands on a line of its own: its keyspace, and its key and value in base64. The rows of a
//! keyspace stand together and rise by their keys. `checksum` is XXH3-128 in hex over every byte
//! up to the `]` that closes the rows. What was cut has no such end, so a document that reads to
//! its end is whole. Rows are copied as they are, marks and indexes included: a copy differs from
//! its original in nothing, and no other code has to know what a row means.
//!
//! BOUND: a [`Reader`] holds one line of at most 1 GiB, a [`Writer`] none.

mod reader;
mod writer;

pub use reader::{Error, Reader};
pub use writer::Writer;

/// The version of the document that is written, and the highest that is read.
const VERSION: u32 = 1;

/// Bytes of a line at most. The engine's rows could be longer; those of a server are not, because
/// bodies are held in memory whole.
const LINE_MAX: u64 = 1 << 30;

/// What the rows end with; the line's rest is the document's.
const ROWS_END: &[u8] = b"]";

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of its keyspace.
    pub space: String,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

#[cfg(test)]
mod tests;
