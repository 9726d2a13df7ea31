//! An answer whose body is read piece by piece, however long it is.
//!
//! BOUND: the answer's head comes before the request's deadline. From then on nobody may be kept
//! waiting for long: no single wait takes more than [`SILENCE`], and all of them together no more
//! than that and what the bytes that came would take at [`BYTES_PER_SECOND`]. What the caller does
//! between two pieces is not counted.

use std::net::TcpStream;
use std::time::Duration;

use async_io::{Async, Timer};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::{Error, Outgoing, connect, render_head};
use crate::clock::monotonic;
use crate::http::answer::AnswerReader;

/// The longest wait for the next bytes.
const SILENCE: Duration = Duration::from_secs(60);

/// How fast a body has to come, taken over all of it.
const BYTES_PER_SECOND: u64 = 1_024;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// An answer that is being read.
#[derive(Debug)]
pub struct Download {
    stream: Async<TcpStream>,
    /// Absent when the body was read to its end, and after a failure.
    reader: Option<AnswerReader>,
    status: u16,
    buffer: Vec<u8>,
    /// All waits so far.
    waited: Duration,
    silence: Duration,
}

impl Download {
    /// Sends `request`, which has no body, and reads the head of the answer.
    pub async fn start(request: Outgoing<'_>) -> Result<Self, Error> {
        Self::start_with(request, SILENCE).await
    }

    pub(super) async fn start_with(
        request: Outgoing<'_>,
        silence: Duration,
    ) -> Result<Self, Error> {
        let deadline = request.deadline;
        Box::pin(Self::begin(request, silence))
            .or(async {
                Timer::at(deadline).await;
                Err(Error::Timeout)
            })
            .await
    }

    async fn begin(request: Outgoing<'_>, silence: Duration) -> Result<Self, Error> {
        let front = render_head(&request, None)?;
        let stream = connect(&request).await?;
        let written = (&stream).write_all(&front).await;
        written.map_err(|error| Error::broken(&error))?;
        let mut download = Self {
            stream,
            reader: Some(AnswerReader::new(request.answer_max)),
            status: 0,
            buffer: vec![0; BUFFER_BYTES],
            waited: Duration::ZERO,
            silence,
        };
        while download.status == 0 {
            download.read().await?;
        }
        Ok(download)
    }

    /// The answer's status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The next bytes of the body, never none; `None` when it is whole.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            let body = reader.take_body();
            if !body.is_empty() {
                return Ok(Some(body));
            }
            if reader.is_whole() {
                self.reader = None;
                return Ok(None);
            }
            self.read().await?;
        }
    }

    /// Reads once.
    async fn read(&mut self) -> Result<(), Error> {
        // Whatever fails is the end.
        let Some(mut reader) = self.reader.take() else {
            return Ok(());
        };
        let earned = Duration::from_secs(reader.body_bytes() / BYTES_PER_SECOND);
        let patience = self
            .silence
            .saturating_add(earned)
            .saturating_sub(self.waited)
            .min(self.silence);
        let begun = monotonic();
        let mut stream = &self.stream;
        let reading = async { Ok(stream.read(&mut self.buffer).await) };
        let late = async {
            Timer::after(patience).await;
            Err(Error::Timeout)
        };
        let read = reading.or(late).await?;
        self.waited = self
            .waited
            .saturating_add(monotonic().duration_since(begun));
        let read = read.map_err(|error| Error::broken(&error))?;
        if read == 0 {
            reader.end()?;
        } else {
            reader.feed(self.buffer.get(..read).unwrap_or_default())?;
        }
        self.status = reader.status();
        self.reader = Some(reader);
        Ok(())
    }
}
