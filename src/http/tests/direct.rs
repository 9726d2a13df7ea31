//! One connection served on the test's own thread, its bytes given to it in exact pieces.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;

use super::*;

/// A request that reached the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) host: String,
    pub(super) body: Vec<u8>,
}

/// Takes every request with its body, and answers 200.
#[derive(Default)]
struct Recorder {
    reached: Mutex<Vec<Reached>>,
}

impl Service for Recorder {
    fn admit(&self, _: &Head) -> Result<Admission, Reply> {
        Ok(Admission::Body(LIMIT))
    }

    async fn answer(&self, request: Request) -> Reply {
        let head = &request.head;
        let question_mark = if head.query.is_empty() { "" } else { "?" };
        self.reached.lock().unwrap().push(Reached {
            method: head.method.as_str().to_owned(),
            target: [&head.path, question_mark, &head.query].concat(),
            host: head.header("host").unwrap_or_default().to_owned(),
            body: request.body,
        });
        Reply::json(200, b"{}".to_vec())
    }
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conversation {
    /// The requests that reached the service.
    pub(super) reached: Vec<Reached>,
    /// Everything that was answered, without interim answers and dates.
    pub(super) answers: String,
}

impl Conversation {
    pub(super) fn statuses(&self) -> Vec<&str> {
        statuses(&self.answers)
    }

    /// Whether an answer said that the connection ends behind it. No body holds a line end.
    pub(super) fn was_closed(&self) -> bool {
        self.answers.contains("\r\nconnection: close\r\n")
    }

    /// The status of the refusal that ended it.
    pub(super) fn refusal(&self) -> Option<u16> {
        let status = self.statuses().last()?.parse().unwrap();
        (status >= 400).then_some(status)
    }
}

/// A listener, and what its connections share.
pub(super) struct Direct {
    listener: TcpListener,
    recorder: Arc<Recorder>,
    shared: Arc<server::Shared<Recorder>>,
    sweeper: Arc<sweeper::Sweeper>,
}

impl Direct {
    pub(super) fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            recorder: Arc::clone(&recorder),
            shared: Arc::new(server::Shared {
                service: recorder,
                options: Options {
                    timing: Timing::default(),
                    ..options()
                },
                stats: Arc::default(),
                refusal_log: server::BoundedLog::default(),
            }),
            sweeper: sweeper::Sweeper::new(),
        }
    }

    /// Serves a connection that sends `pieces` and then no more. Each piece is sent when the
    /// server has read the one before and waits for bytes.
    pub(super) fn converse(&self, pieces: &[&[u8]]) -> Conversation {
        let mut client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let timeout = Some(Duration::from_secs(20));
        client.set_read_timeout(timeout).unwrap();
        let (stream, peer) = self.listener.accept().unwrap();
        // The same socket, to see what waits in it.
        let arrived = stream.try_clone().unwrap();
        let unread = || rustix::io::ioctl_fionread(&arrived).unwrap();
        let stream = async_io::Async::new(stream).unwrap();
        let wire = wire::Wire::new(stream, peer, self.sweeper.register());
        let mut serving = pin!(connection::serve(wire, Arc::clone(&self.shared)));
        let mut has_ended = false;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            if has_ended {
                break;
            }
            client.write_all(piece).unwrap();
            while unread() < piece.len() as u64 {
                thread::yield_now();
            }
            has_ended = smol::block_on(poll_fn(|context| {
                if serving.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                if unread() == 0 {
                    return Poll::Ready(false);
                }
                context.waker().wake_by_ref();
                Poll::Pending
            }));
        }
        client.shutdown(Shutdown::Write).unwrap();
        if !has_ended {
            smol::block_on(serving);
        }
        drop(arrived);
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).unwrap();
        lifecycle::reset(&client);
        Conversation {
            reached: std::mem::take(&mut self.recorder.reached.lock().unwrap()),
            answers: comparable(&String::from_utf8(answers).unwrap()),
        }
    }
}

/// `answers` without what depends on the time and on how the bytes came.
fn comparable(answers: &str) -> String {
    let answers = answers.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let lines = answers.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}
