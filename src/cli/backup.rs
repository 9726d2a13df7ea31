//! `mecha backup`: a copy of a running server's data, as it was at one moment.
//!
//! BOUND: memory for one row and one piece of the answer, whatever the backup's size; its time is
//! bounded by [`Download`]'s.

use std::io::{self, BufRead, Read};
use std::path::Path;

use async_signal::{Signal, Signals};
use smol::future::FutureExt;
use smol::stream::StreamExt;

use super::args::BackupArgs;
use super::new_directory::{NewDirectory, shown};
use super::remote::Remote;
use super::{Exit, output};
use crate::backup::{self, Reader};
use crate::http::client::Download;
use crate::store::{self, ImportError, Imported};

/// Why there is no backup.
#[derive(Debug)]
enum Failure {
    /// The server, the way to it, or the name of the directory.
    Failed(String),
    /// What was written is not to be relied on, or could not be written.
    Store(String),
}

impl From<backup::Error> for Failure {
    fn from(error: backup::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let text = error.to_string();
        match error {
            ImportError::OutOfPlace { .. } | ImportError::UnknownSchema { .. } => {
                Self::Failed(text)
            }
            ImportError::Differs | ImportError::Store(_) => Self::Store(text),
        }
    }
}

/// Writes a copy of a running server's data to a new directory.
pub(super) fn run(args: &BackupArgs) -> Exit {
    let remote = match Remote::find(&args.access) {
        Ok(remote) => remote,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    match back_up(&remote, &args.dir) {
        Ok(imported) => {
            output::print(&report(&args.dir, &imported));
            Exit::Done
        }
        Err(Failure::Failed(text)) => {
            output::complain(&text);
            Exit::Failed
        }
        Err(Failure::Store(text)) => {
            output::complain(&format!("{} is not made: {text}", shown(&args.dir)));
            Exit::Store
        }
    }
}

fn back_up(remote: &Remote, dir: &Path) -> Result<Imported, Failure> {
    let directory = NewDirectory::begin(dir).map_err(Failure::Failed)?;
    // From now on a signal must not leave half a directory behind.
    let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
        .map_err(|error| Failure::Failed(format!("signals cannot be had: {error}")))?;
    let download = remote.download("/backup").map_err(Failure::Failed)?;
    let reader = Reader::open(Body {
        download,
        signals,
        piece: Vec::new(),
        taken: 0,
    })?;
    let rows = reader.map(|row| row.map_err(Failure::from));
    let imported = store::import(directory.path(), rows)?;
    directory.complete().map_err(Failure::Failed)?;
    Ok(imported)
}

fn report(dir: &Path, imported: &Imported) -> String {
    let dir = shown(dir);
    format!(
        "wrote {dir}: {} tasks, {} events, {} on the disk\n\n\
         It holds prompts, results and the tokens of registered workers; only you can read it.\n\
         To run a server on it:\n  mecha serve --data {dir}",
        imported.tasks,
        imported.events,
        mebibytes(imported.disk_bytes)
    )
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The bytes of the answer as a reader wants them.
struct Body {
    download: Download,
    signals: Signals,
    piece: Vec<u8>,
    /// Bytes of the piece that were read.
    taken: usize,
}

impl Body {
    fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let (download, signals) = (&mut self.download, &mut self.signals);
        let next = async {
            let piece = download.next().await;
            piece.map_err(|error| io::Error::other(error.to_string()))
        };
        let interrupted = async {
            signals.next().await;
            Err(io::Error::other("interrupted; nothing was left behind"))
        };
        Ok(smol::block_on(next.or(interrupted))?.unwrap_or_default())
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.piece.len() {
            self.piece = self.next_piece()?;
            self.taken = 0;
        }
        Ok(self.piece.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.taken.saturating_add(amount);
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_mebibytes() {
        for (bytes, text) in [
            (0, "0.0 MiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "1759218604441.5 MiB"),
        ] {
            assert_eq!(mebibytes(bytes), text);
        }
    }
}
