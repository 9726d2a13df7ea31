//! Single steps of this room for the benches, which see no more of it than a user of the crate.
#![doc(hidden)]

use super::gate;
use super::rendering::{Persistence, render};
use super::reply::{Body, Reply};
use super::request::{Head, Method};
use super::scan::{self, HeadEnd};

/// Finds the end of the head that `bytes` begin with, and reads what it says of its own framing;
/// whether it is one.
pub fn scan_head(bytes: &[u8]) -> bool {
    let length = HeadEnd::default().find(bytes).ok().flatten();
    let head = length.and_then(|length| bytes.get(..length));
    head.is_some_and(|head| scan::scan(head).is_ok())
}

/// The same, and takes its fields: all that a connection does for a request without a body.
pub fn read_head(bytes: &[u8]) -> Option<Head> {
    let length = HeadEnd::default().find(bytes).ok()??;
    let scanned = scan::scan(bytes.get(..length)?).ok()?;
    gate::decode(&scanned).ok()?.head
}

/// The bytes of an answer that go out at once.
pub fn render_reply(reply: Reply) -> Vec<u8> {
    let mut rendered = render(reply, Method::Get, Persistence::Implied);
    if let Body::Whole(rest) = &mut rendered.rest {
        rendered.front.append(rest);
    }
    rendered.front
}
