//! One connection to the server: bytes out, checked answers in.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::request::Request;
use super::response::Response;
use super::time::PATIENCE;
use super::wire::Wire;

/// How long one answer may take; above the longest `?wait=` of these tests.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// One connection to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    addr: SocketAddr,
}

impl Connection {
    #[track_caller]
    pub(crate) fn open(addr: SocketAddr) -> Self {
        match Self::try_open(addr) {
            Ok(connection) => connection,
            Err(error) => panic!("no connection to {addr}: {error}"),
        }
    }

    pub(crate) fn try_open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self {
            wire: Wire::new(stream),
            addr,
        })
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.wire.write(bytes.as_ref()) {
            panic!("the server takes no more bytes: {error}");
        }
    }

    /// Sends bytes as they are; `false` when the server has closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.write(bytes.as_ref()).is_ok()
    }

    /// Sends as much of `bytes` as the server takes; stops where it takes nothing for `span`.
    pub(crate) fn try_send_some(&mut self, bytes: &[u8], span: Duration) {
        let _ = self.wire.stream.set_write_timeout(Some(span));
        self.try_send(bytes);
        let _ = self.wire.stream.set_write_timeout(Some(ANSWER_TIMEOUT));
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Response {
        match self.next(false) {
            Some(response) => response,
            None => panic!("the server closed without an answer"),
        }
    }

    /// The next answer, to a HEAD request.
    #[track_caller]
    pub(crate) fn receive_to_head(&mut self) -> Response {
        match self.next(true) {
            Some(response) => response,
            None => panic!("the server closed without an answer"),
        }
    }

    /// The next answer, or `None` when the server closed in front of it.
    #[track_caller]
    pub(crate) fn next(&mut self, is_head: bool) -> Option<Response> {
        match self.try_next(is_head) {
            Ok(response) => {
                if let Some(response) = &response {
                    response.check(is_head);
                }
                response
            }
            Err(error) => panic!("no whole answer: {error}"),
        }
    }

    /// The next answer unchecked; errors where the server is gone or the answer is malformed.
    pub(crate) fn try_next(&mut self, is_head: bool) -> io::Result<Option<Response>> {
        let Some(head) = self.wire.head()? else {
            return Ok(None);
        };
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, head.start_line.clone());
        let (version, rest) = head.start_line.split_once(' ').ok_or_else(malformed)?;
        let digits = rest.get(..3).ok_or_else(malformed)?;
        let status: u16 = digits.parse().map_err(|_| malformed())?;
        if version != "HTTP/1.1" && version != "HTTP/1.0" {
            return Err(malformed());
        }
        let body = if is_head || status < 200 || matches!(status, 204 | 304) {
            Vec::new()
        } else {
            self.wire.body(&head, true)?
        };
        Ok(Some(Response { status, head, body }))
    }

    /// Sends a request and gives the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        let bytes = request.bytes(&self.addr.to_string());
        self.send(bytes);
        match self.next(request.method == "HEAD") {
            Some(response) => response,
            None => panic!("the server closed without an answer to {request:?}"),
        }
    }

    /// Whether the server ends the connection without another byte.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> bool {
        match self.wire.rest() {
            Ok(rest) => rest.is_empty(),
            Err(error) => panic!("the server keeps the connection open: {error}"),
        }
    }

    /// Whether nothing came within `span`: no answer and no end.
    pub(crate) fn is_silent_for(&mut self, span: Duration) -> bool {
        let mut byte = [0];
        let _ = self.wire.stream.set_read_timeout(Some(span));
        let looked = self.wire.stream.peek(&mut byte);
        let _ = self.wire.stream.set_read_timeout(Some(ANSWER_TIMEOUT));
        looked.is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        })
    }
}
