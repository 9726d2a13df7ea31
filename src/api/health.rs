//! Whether the server takes requests.

use crate::drain::Cause;
use crate::http::Reply;

/// `GET /health`
pub(super) fn reply(cause: Option<Cause>) -> Reply {
    let (status, word) = health(cause);
    let reply = Reply::json(status, format!("{{\"status\":\"{word}\"}}").into_bytes());
    if status == 503 {
        reply.with_header("retry-after", "1")
    } else {
        reply
    }
}

/// Status and word of how the server stands.
pub(super) fn health(cause: Option<Cause>) -> (u16, &'static str) {
    match cause {
        None => (200, "ok"),
        Some(Cause::Asked) => (503, "draining"),
        Some(Cause::StoreFailed) => (503, "failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_is_not_healthy() {
        assert_eq!(health(None), (200, "ok"));
        assert_eq!(health(Some(Cause::Asked)), (503, "draining"));
        assert_eq!(health(Some(Cause::StoreFailed)), (503, "failed"));
    }
}
