//! HTTP on both sides: requests in, answers out, and requests to workers.
//!
//! The only room that names async-h1 and http-types. They parse heads and render messages; where
//! a message begins and ends is decided here, because on an open port async-h1's own framing is
//! not safe. A connection goes through the files in this order:
//!
//! - `server` accepts it, `sweeper` keeps its deadline, `wire` is its socket;
//! - `connection` is its life, request after request;
//! - `gate` reads a request's head by the rules of `scan`, `request_line` and `field`, `intake` its
//!   body by those of `body`; `refusal` is what is said when they are broken;
//! - a [`Service`] answers the [`Request`] with a [`Reply`]; `stream` sends one whose body is made
//!   meanwhile.
//!
//! `client` is the other side, and `answer` how it reads what a worker says.

mod answer;
mod body;
pub mod client;
mod connection;
mod field;
mod fields;
mod gate;
mod intake;
mod lone;
pub mod operations;
pub mod properties;
mod refusal;
mod rendering;
mod reply;
mod request;
mod request_line;
mod scan;
mod server;
mod stream;
mod sweeper;
mod wire;

use std::fmt::Write as _;

pub use reply::{Body, Reply};
pub use request::{Head, Method, Request};
pub use server::{Options, Server, Stats, Timing};
pub use stream::{Pieces, Unfinished};

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3), as for the value of a parameter.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The body that an admitted request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// One of so many bytes at most. A method that carries one must say how long it is (411).
    Body(u64),
    /// None is wanted: up to 16 KiB are read and dropped, and nothing need say that there is
    /// none.
    NoBody,
}

/// What the server asks for its answers.
pub trait Service: Send + Sync + 'static {
    /// Decides on the head alone, before any of the body is read: what the body may be, or the
    /// answer that ends the matter (401, 403, 404, 405, ...).
    fn admit(&self, head: &Head) -> Result<Admission, Reply>;

    /// Answers a whole request. A `HEAD` is answered as a `GET`; its body is not sent.
    fn answer(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

#[cfg(test)]
mod tests;
