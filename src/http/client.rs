//! Requests to workers, bounded in time and bytes, on a connection of their own or one that the worker kept open.
//!
//! A worker can break, stall, lie about lengths or talk without end: each costs the request and
//! nothing else. BOUND: everything, the look-up of the name included, ends at the deadline; an
//! answer's body has at most [`Outgoing::answer_max`] bytes, and what it has over 64 KiB is taken
//! from the budget before it is read.

mod download;
mod kept;

use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_h1::client::Encoder;
use async_io::{Async, Timer};
use http_types::headers::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http_types::{Body, Url};
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

pub use download::Download;
pub use kept::{Kept, Reuse};

use super::Method;
use super::answer::{AnswerReader, Flaw, Parts};
use crate::budget::{Budget, Permit};
use crate::secret::Secret;
use crate::worker::Endpoint;

/// Bytes of an answer's body that are not counted.
const FREE_BYTES: u64 = 64 * 1024;
/// By how much the permit for an answer grows.
const PERMIT_STEP: u64 = 256 * 1024;
/// How long the permit may wait for its next bytes.
const BUDGET_PATIENCE: Duration = Duration::from_secs(5);
/// How long one of several addresses of a worker may take to accept.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of a worker that are tried.
const ADDRESSES_MAX: usize = 8;
/// A request body up to this size goes out behind its head as one segment.
const COPIED_BODY_MAX: usize = 16 * 1024;

/// A request to a worker.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// What is to be done.
    pub method: Method,
    /// The worker's root.
    pub endpoint: &'a Endpoint,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<&'a Secret>,
    /// More header fields, names in lower case. Of those that every request has, only
    /// `content-type` is replaced.
    pub headers: &'a [(String, String)],
    /// The body. It is JSON where `headers` say nothing else.
    pub body: Option<Vec<u8>>,
    /// Whether its connection may serve other requests, too.
    pub reuse: Reuse<'a>,
    /// Path behind the root: `/task`, `/health`.
    pub path: &'a str,
    /// How long the last or only address may take to accept; up to the deadline where it is absent.
    pub connect_patience: Option<Duration>,
    /// When it is given up.
    pub deadline: Instant,
    /// Bytes of the answer's body at most.
    pub answer_max: u64,
}

/// A worker's answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Value of `Retry-After`.
    pub retry_after: Option<String>,
    /// Value of `Link`.
    pub link: Option<String>,
    /// The body, framing removed.
    pub body: Vec<u8>,
    /// The budget's permit for what the body has over 64 KiB, and then for all of it.
    pub permit: Permit,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// The connection could not be made.
    Connect(io::Error),
    /// The deadline passed.
    Timeout,
    /// The connection broke, or ended before the answer did.
    Broken(String),
    /// What came is no HTTP answer.
    NotHttp(String),
    /// The answer's body is larger than allowed.
    TooLarge,
    /// The budget had no bytes left for the answer.
    NoMemory,
}

impl Error {
    fn broken(error: &io::Error) -> Self {
        Self::Broken(format!("the connection broke: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "the connection could not be made: {error}"),
            Self::Timeout => f.write_str("no whole answer came in time"),
            Self::Broken(why) | Self::NotHttp(why) => f.write_str(why),
            Self::TooLarge => f.write_str("the answer's body is larger than allowed"),
            Self::NoMemory => f.write_str("no memory became free for the answer"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::NotHttp(why) => Self::NotHttp(why),
            Flaw::EndedEarly(why) => Self::Broken(why),
            Flaw::TooLarge => Self::TooLarge,
        }
    }
}

/// Sends `request` and reads the answer.
pub async fn send(request: Outgoing<'_>, budget: &Budget) -> Result<Answer, Error> {
    let deadline = request.deadline;
    // Boxed: attempts are many and long, and the buffers inside are not small.
    Box::pin(exchange(request, budget, BUDGET_PATIENCE))
        .or(async {
            Timer::at(deadline).await;
            Err(Error::Timeout)
        })
        .await
}

async fn exchange(
    mut request: Outgoing<'_>,
    budget: &Budget,
    patience: Duration,
) -> Result<Answer, Error> {
    let mut body = request.body.take();
    let mut front = render_head(&request, body.as_ref().map(Vec::len))?;
    if let Some(small) = body.take_if(|body| body.len() <= COPIED_BODY_MAX) {
        front.extend_from_slice(&small);
    }
    let kept = request.reuse.kept();
    let stream = match kept.and_then(|kept| kept.take(request.endpoint)) {
        Some(stream) => stream,
        None => connect(&request).await?,
    };
    let mut sent = None;
    let writing = async {
        let mut stream = &stream;
        let written = async {
            stream.write_all(&front).await?;
            match &body {
                Some(body) => stream.write_all(body).await,
                None => Ok(()),
            }
        };
        // A worker may answer before it has read all and close: the answer counts, if there is
        // one.
        sent = Some(written.await);
        pending().await
    };
    let answer = read_answer(&stream, &request, budget, patience)
        .or(writing)
        .await;
    match (answer, sent) {
        (Err(Error::Broken(_)), Some(Err(error))) => Err(Error::Broken(format!(
            "the connection broke while the request was sent: {error}"
        ))),
        (Ok((answer, stays_open)), sent) => {
            if let Reuse::Asked(kept) = request.reuse {
                kept.offer(stays_open);
            } else if let Some(kept) = kept
                && stays_open
                && matches!(sent, Some(Ok(())))
            {
                kept.put(stream, request.endpoint);
            }
            Ok(answer)
        }
        (Err(error), _) => Err(error),
    }
}

/// The head of a request, rendered by async-h1.
fn render_head(request: &Outgoing<'_>, body_length: Option<usize>) -> Result<Vec<u8>, Error> {
    let invalid = |what: &str| {
        Error::Connect(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the worker's {what} cannot be sent in a request"),
        ))
    };
    // The URL parser would rewrite a host that it finds odd, so it is given one that it does not,
    // and `Host` is set from the endpoint.
    let url = format!("http://worker{}{}", request.endpoint.path, request.path);
    let url = Url::parse(&url).map_err(|_| invalid("path"))?;
    let authority = request.endpoint.authority();
    if !is_header_text(&authority) {
        return Err(invalid("host"));
    }
    let method = request.method.as_str().parse();
    let method = method.map_err(|_| invalid("method"))?;
    let mut message = http_types::Request::new(method, url);
    message.insert_header(HOST, authority);
    message.insert_header(CONNECTION, request.reuse.header());
    message.insert_header(ACCEPT, "application/json");
    message.insert_header(USER_AGENT, concat!("mecha/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = request.token {
        if !is_header_text(token.reveal()) {
            return Err(invalid("token"));
        }
        message.insert_header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    if let Some(length) = body_length {
        // The encoder needs the length alone; the body is written from where it is.
        message.insert_header(CONTENT_TYPE, "application/json");
        message.set_body(Body::from_reader(smol::io::empty(), Some(length)));
    }
    for (name, value) in request.headers {
        if !super::field::is_token(name) || !is_header_text(value) {
            return Err(invalid("header"));
        }
        message.insert_header(name.as_str(), value.as_str());
    }
    Ok(encode(message))
}

/// What a header value may have: http-types lets line breaks pass, and panics beyond ASCII.
fn is_header_text(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

fn encode(message: http_types::Request) -> Vec<u8> {
    let mut encoder = Encoder::new(message);
    let mut context = Context::from_waker(Waker::noop());
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    // The head is rendered in memory: it neither fails nor waits.
    while let Poll::Ready(Ok(read)) = Pin::new(&mut encoder).poll_read(&mut context, &mut piece) {
        if read == 0 {
            break;
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    head
}

async fn connect(request: &Outgoing<'_>) -> Result<Async<TcpStream>, Error> {
    let addresses = resolve(request.endpoint).await.map_err(Error::Connect)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let count = addresses.len();
    for (index, address) in addresses.into_iter().enumerate() {
        let connecting = Async::<TcpStream>::connect(address);
        let is_last = index + 1 == count;
        let patience = if is_last {
            request.connect_patience
        } else {
            Some(CONNECT_PATIENCE)
        };
        let connected = connecting.or(async {
            match patience {
                Some(patience) => Timer::after(patience).await,
                None => pending().await,
            };
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it was not accepted in time",
            ))
        });
        match connected.await {
            Ok(stream) => {
                // The request is written in one or two pieces; the second must not wait.
                stream.get_ref().set_nodelay(true).map_err(Error::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(Error::Connect(last))
}

/// The addresses of a host. Only a name that is not `localhost` needs a thread to be looked up.
async fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    let port = endpoint.port;
    if let Ok(ip) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if endpoint.host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
        ]);
    }
    let host = endpoint.host.clone();
    smol::unblock(move || {
        let addresses = (host.as_str(), port).to_socket_addrs()?;
        Ok(addresses.take(ADDRESSES_MAX).collect())
    })
    .await
}

/// Reads the answer to `request`, and whether the connection stays open behind it.
async fn read_answer(
    mut stream: &Async<TcpStream>,
    request: &Outgoing<'_>,
    budget: &Budget,
    patience: Duration,
) -> Result<(Answer, bool), Error> {
    let answer_max = request.answer_max;
    let mut reader = AnswerReader::new(answer_max);
    let mut permit = budget.empty();
    let mut buffer = vec![0; 4 * 1024];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(Error::broken(&error)),
        };
        let held = reader.body_bytes().saturating_add(read as u64);
        let more = missing(&permit, held, answer_max.min(budget.size()));
        if more > 0 && !permit.grow_first_within(more, patience).await {
            return Err(Error::NoMemory);
        }
        if reader.feed(buffer.get(..read).unwrap_or_default())? {
            break;
        }
        // Who was asked to keep the connection open, and did not say where the body ends, may not end it.
        if matches!(request.reuse, Reuse::Asked(_)) && reader.has_no_end() {
            break;
        }
        if read == buffer.len() && read < 64 * 1024 {
            buffer.resize(read * 4, 0);
        }
    }
    let stays_open = reader.stays_open();
    let Parts {
        status,
        retry_after,
        link,
        body,
    } = reader.finish()?;
    permit.shrink_to(body.len() as u64);
    let answer = Answer {
        status,
        retry_after,
        link,
        body,
        permit,
    };
    Ok((answer, stays_open))
}

/// By how much `permit` must grow to cover a body of `held` bytes, of `most` that there can be.
fn missing(permit: &Permit, held: u64, most: u64) -> u64 {
    if held <= FREE_BYTES || held <= permit.bytes() {
        return 0;
    }
    PERMIT_STEP
        .min(most.saturating_sub(permit.bytes()))
        .max(held - permit.bytes())
}

#[cfg(test)]
mod tests;
