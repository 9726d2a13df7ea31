//! A reader of server-sent events over a raw socket (WHATWG HTML, 9.2.5 and 9.2.6).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Api, PATIENCE};

/// A message with data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) data: Value,
}

impl Message {
    /// A text of the data.
    pub(super) fn text(&self, name: &str) -> &str {
        self.data[name].as_str().unwrap_or_default()
    }
}

/// What comes next in a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    Message(Message),
    Comment,
    /// An id or the time to the next try, without data.
    Setting,
    /// The body's end, as its framing says.
    End,
    /// The connection's end, before the body's.
    Cut,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Reader {
    stream: TcpStream,
    pub(super) head: String,
    is_chunked: bool,
    raw: Vec<u8>,
    text: Vec<u8>,
    has_ended: bool,
    last_id: String,
}

impl Reader {
    /// Opens a stream from now on.
    #[track_caller]
    pub(super) fn open(api: &Api) -> Self {
        let reader = Self::ask(api, "/stream", "");
        assert!(
            reader.head.starts_with("HTTP/1.1 200 "),
            "{:?}",
            reader.head
        );
        reader
    }

    /// Opens a stream behind the message of that id.
    #[track_caller]
    pub(super) fn open_behind(api: &Api, id: &str) -> Self {
        Self::ask(api, "/stream", &format!("Last-Event-ID: {id}\r\n"))
    }

    #[track_caller]
    pub(super) fn ask(api: &Api, target: &str, fields: &str) -> Self {
        let key = api.key.as_ref().map(|key| format!("X-API-Key: {key}\r\n"));
        let key = key.unwrap_or_default();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.localhost\r\n{key}{fields}\r\n");
        Self::send(api, &request)
    }

    /// Sends a request as it is and reads the head of the answer, and the opening of the stream if it is
    /// one.
    #[track_caller]
    pub(super) fn send(api: &Api, request: &str) -> Self {
        let mut stream = TcpStream::connect(api.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = Self {
            stream,
            head: String::new(),
            is_chunked: false,
            raw: Vec::new(),
            text: Vec::new(),
            has_ended: false,
            last_id: String::new(),
        };
        let end = loop {
            if let Some(at) = find(&reader.raw, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(reader.fill(), "the server closed in the head");
        };
        let head = reader.raw.drain(..end).collect();
        reader.head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        reader.head = reader.head.replacen("http/1.1", "HTTP/1.1", 1);
        reader.is_chunked = reader.head.contains("\r\ntransfer-encoding: chunked\r\n");
        if reader.head.contains("text/event-stream") && !request.starts_with("HEAD") {
            assert_eq!(reader.next(), Next::Setting);
        }
        reader
    }

    /// The id that the next connection would send.
    pub(super) fn last_id(&self) -> &str {
        assert!(!self.last_id.is_empty());
        &self.last_id
    }

    /// Bytes of the answer behind those that were used, to its end.
    pub(super) fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8(std::mem::take(&mut self.raw)).unwrap()
    }

    pub(super) fn next(&mut self) -> Next {
        loop {
            if let Some(end) = find(&self.text, b"\n\n") {
                let block = self.text.drain(..end + 2).collect();
                return self.read(&String::from_utf8(block).unwrap());
            }
            if self.has_ended {
                assert!(self.text.is_empty(), "it ends within a message");
                return Next::End;
            }
            if !self.decode() && !self.fill() {
                return if self.is_chunked {
                    Next::Cut
                } else {
                    assert!(self.text.is_empty(), "it ends within a message");
                    Next::End
                };
            }
        }
    }

    /// How it ends.
    pub(super) fn end(&mut self) -> Next {
        loop {
            match self.next() {
                Next::Message(_) | Next::Comment | Next::Setting => {}
                end => return end,
            }
        }
    }

    /// The next message.
    #[track_caller]
    pub(super) fn message(&mut self) -> Message {
        loop {
            match self.next() {
                Next::Message(message) => return message,
                Next::Comment | Next::Setting => {}
                end => panic!("{end:?}"),
            }
        }
    }

    /// The next message of that kind.
    #[track_caller]
    pub(super) fn message_of(&mut self, event: &str) -> Message {
        loop {
            let message = self.message();
            if message.event == event {
                return message;
            }
        }
    }

    /// Every message up to the first one that is `wanted`, which is the last of them.
    #[track_caller]
    pub(super) fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.message());
            if messages.last().is_some_and(&wanted) {
                return messages;
            }
        }
    }

    /// Whether nothing comes for `span`.
    pub(super) fn is_silent_for(&mut self, span: Duration) -> bool {
        assert!(self.text.is_empty() && self.raw.is_empty());
        self.stream.set_read_timeout(Some(span)).unwrap();
        let looked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        looked
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads one block of lines, which is not without one.
    fn read(&mut self, block: &str) -> Next {
        let mut event = String::new();
        let mut data = Vec::new();
        let mut is_comment = false;
        for line in block.trim_end_matches('\n').split('\n') {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => is_comment = true,
                "id" => value.clone_into(&mut self.last_id),
                "event" => value.clone_into(&mut event),
                "data" => data.push(value.to_owned()),
                "retry" => assert!(value.parse::<u32>().is_ok(), "{value}"),
                other => panic!("{other}"),
            }
        }
        if data.is_empty() {
            assert!(event.is_empty());
            return if is_comment {
                Next::Comment
            } else {
                Next::Setting
            };
        }
        Next::Message(Message {
            id: self.last_id.clone(),
            event,
            data: serde_json::from_str(&data.join("\n")).unwrap(),
        })
    }

    /// Takes what there is of the body out of its framing; `false` where there is nothing whole.
    fn decode(&mut self) -> bool {
        if !self.is_chunked {
            let is_some = !self.raw.is_empty();
            self.text.append(&mut self.raw);
            return is_some;
        }
        let Some(line) = find(&self.raw, b"\r\n") else {
            return false;
        };
        let size = std::str::from_utf8(&self.raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let start = line + 2;
        if self.raw.len() < start + size + 2 {
            return false;
        }
        assert_eq!(&self.raw[start + size..start + size + 2], b"\r\n");
        self.text.extend_from_slice(&self.raw[start..start + size]);
        self.raw.drain(..start + size + 2);
        self.has_ended = size == 0;
        true
    }

    /// Reads once; `false` at the connection's end.
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 8 << 10];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.raw.extend_from_slice(&bytes[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
