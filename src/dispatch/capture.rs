//! What a child process writes: all of standard output, the end of standard error.
//!
//! BOUND: standard output up to [`OUTPUT_MAX`], taken from the budget above [`FREE_BYTES`];
//! standard error up to [`TAIL_MAX`], whatever else is written to it.

use std::collections::VecDeque;
use std::time::Duration;

use smol::future::{poll_once, yield_now};
use smol::io::{AsyncRead, AsyncReadExt};

use crate::budget::{Budget, Permit};

/// Bytes of a result at most: 10 MiB.
pub(super) const OUTPUT_MAX: usize = 10 << 20;

/// Bytes of standard error that are kept: the last 4 KiB.
pub(super) const TAIL_MAX: usize = 4 << 10;

/// Output up to this size is not taken from the budget.
const FREE_BYTES: usize = 64 << 10;

/// How long output waits for the budget.
pub(super) const BUDGET_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes read at once.
const CHUNK: usize = 16 << 10;

/// Why output is not read further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overrun {
    /// There is more of it than [`OUTPUT_MAX`].
    TooLarge,
    /// The budget has no bytes left for it.
    NoMemory,
}

/// Standard output. The methods may be dropped at any point without a loss.
pub(super) struct Output<R> {
    pipe: R,
    bytes: Vec<u8>,
    permit: Permit,
    chunk: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Output<R> {
    /// Nothing read yet.
    pub(super) fn new(pipe: R, budget: &Budget) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
            permit: budget.empty(),
            chunk: vec![0; CHUNK],
        }
    }

    /// Reads to the end.
    pub(super) async fn read(&mut self) -> Result<(), Overrun> {
        loop {
            let read = self.pipe.read(&mut self.chunk).await;
            if !self.keep(read.unwrap_or(0)).await? {
                return Ok(());
            }
            // A pipe that never runs dry must not keep time-outs from being seen.
            yield_now().await;
        }
    }

    /// Reads what is there already, without waiting for more.
    pub(super) async fn read_ready(&mut self) -> Result<(), Overrun> {
        while let Some(read) = poll_once(self.pipe.read(&mut self.chunk)).await {
            if !self.keep(read.unwrap_or(0)).await? {
                break;
            }
        }
        Ok(())
    }

    /// Reads to the end and keeps nothing of it.
    pub(super) async fn discard(&mut self) {
        self.bytes = Vec::new();
        self.permit.shrink_to(0);
        while matches!(self.pipe.read(&mut self.chunk).await, Ok(1..)) {
            yield_now().await;
        }
    }

    /// What was read, and the budget's permit for it.
    pub(super) fn into_parts(self) -> (Vec<u8>, Permit) {
        (self.bytes, self.permit)
    }

    /// Keeps the first `read` bytes of the chunk; `false` at the end of the stream.
    async fn keep(&mut self, read: usize) -> Result<bool, Overrun> {
        self.bytes
            .extend_from_slice(self.chunk.get(..read).unwrap_or_default());
        if self.bytes.len() > OUTPUT_MAX {
            return Err(Overrun::TooLarge);
        }
        let owed = bytes_owed(self.bytes.len()).saturating_sub(self.permit.bytes());
        if owed > 0 && !self.permit.grow_first_within(owed, BUDGET_PATIENCE).await {
            return Err(Overrun::NoMemory);
        }
        Ok(read > 0)
    }
}

/// What output of `len` bytes takes from the budget.
pub(super) fn bytes_owed(len: usize) -> u64 {
    u64::try_from(len.saturating_sub(FREE_BYTES)).unwrap_or(u64::MAX)
}

/// The end of standard error. The methods may be dropped at any point without a loss.
pub(super) struct Tail<R> {
    pipe: R,
    bytes: VecDeque<u8>,
    is_cut: bool,
    chunk: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Tail<R> {
    /// Nothing read yet.
    pub(super) fn new(pipe: R) -> Self {
        Self {
            pipe,
            bytes: VecDeque::new(),
            is_cut: false,
            chunk: vec![0; TAIL_MAX],
        }
    }

    /// Reads to the end.
    pub(super) async fn read(&mut self) {
        while let Ok(read @ 1..) = self.pipe.read(&mut self.chunk).await {
            self.keep(read);
            yield_now().await;
        }
    }

    /// Reads what is there already, without waiting for more. A pipe holds 64 KiB, and twice
    /// that is looked at: a process that left the group may go on writing for ever.
    pub(super) async fn read_ready(&mut self) {
        for _ in 0..32 {
            match poll_once(self.pipe.read(&mut self.chunk)).await {
                Some(Ok(read @ 1..)) => self.keep(read),
                _ => return,
            }
        }
    }

    /// The last 4 KiB as text, without control characters and surrounding white space.
    pub(super) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        let bytes = [front, back].concat();
        // The cut may have gone through a character: its rest is left out.
        let is_rest = |byte: &&u8| self.is_cut && (0x80..0xc0).contains(*byte);
        let rest = bytes.iter().take(3).take_while(is_rest).count();
        let text = String::from_utf8_lossy(bytes.get(rest..).unwrap_or_default());
        let text: String = text
            .chars()
            .filter(|char| !char.is_control() || matches!(char, '\n' | '\t'))
            .collect();
        text.trim().to_owned()
    }

    fn keep(&mut self, read: usize) {
        self.bytes
            .extend(self.chunk.get(..read).unwrap_or_default());
        let surplus = self.bytes.len().saturating_sub(TAIL_MAX);
        self.is_cut |= surplus > 0;
        self.bytes.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use smol::io::Cursor;

    use super::*;

    fn tail_of(bytes: &[u8]) -> String {
        let mut tail = Tail::new(Cursor::new(bytes));
        smol::block_on(tail.read());
        tail.text()
    }

    #[test]
    fn output_is_kept_whole_and_taken_from_the_budget() {
        let budget = Budget::new(1 << 20);
        let written = vec![b'x'; 300_000];
        let mut output = Output::new(Cursor::new(&written), &budget);
        assert_eq!(smol::block_on(output.read()), Ok(()));
        assert_eq!(budget.free(), (1 << 20) - (300_000 - 65_536));
        let (bytes, permit) = output.into_parts();
        assert_eq!(bytes, written);
        drop(permit);
        assert_eq!(budget.free(), 1 << 20);
    }

    #[test]
    fn output_that_is_too_large_is_not_read_on() {
        let budget = Budget::new(64 << 20);
        for (len, result) in [
            (OUTPUT_MAX, Ok(())),
            (OUTPUT_MAX + 1, Err(Overrun::TooLarge)),
        ] {
            let endless = smol::io::repeat(b'x').take(len as u64);
            let mut output = Output::new(endless, &budget);
            assert_eq!(smol::block_on(output.read()), result);
        }
    }

    #[test]
    fn output_without_budget_is_not_read_on() {
        let budget = Budget::new(100);
        let mut output = Output::new(smol::io::repeat(b'x'), &budget);
        assert_eq!(smol::block_on(output.read()), Err(Overrun::NoMemory));
    }

    #[test]
    fn the_last_4_kib_of_standard_error_are_kept() {
        let long = [vec![b'x'; 100_000], vec![b'y'; TAIL_MAX]].concat();
        for (bytes, text) in [
            (&b""[..], String::new()),
            (b"\n one\r\n\x1b[31mtwo \n", "one\n[31mtwo".to_owned()),
            (b"\x80bad", "\u{fffd}bad".to_owned()),
            (&long, "y".repeat(TAIL_MAX)),
            // 2,050 characters of two bytes each: the cut goes through none, then through one.
            ("ä".repeat(2_050).as_bytes(), "ä".repeat(2_048)),
            (
                format!("{}x", "ä".repeat(2_050)).as_bytes(),
                format!("{}x", "ä".repeat(2_047)),
            ),
        ] {
            assert_eq!(tail_of(bytes), text);
        }
    }
}
