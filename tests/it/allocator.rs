//! The server starts itself again with a setting for its allocator.

use rustix::process::Signal;

use crate::harness::{Server, server, wait_until};

/// Whether the server has the setting; `None` where its environment may not be read.
fn is_tuned(server: &Server) -> Option<bool> {
    let environment = std::fs::read(format!("/proc/{}/environ", server.pid())).ok()?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    Some(environment.contains("MIMALLOC_PURGE_DELAY=0"))
}

#[test]
fn the_server_starts_itself_again_unless_an_operator_has_set_something() {
    let tuned = server().start();
    let of_operator = server().env("MIMALLOC_PURGE_DELAY", "50").start();
    if let Some(is_so) = is_tuned(&tuned) {
        assert!(is_so);
        assert_eq!(is_tuned(&of_operator), Some(false));
    }
}

/// A program whose file was removed cannot be started again.
#[test]
fn a_server_that_cannot_start_itself_again_says_so_and_goes_on() {
    let removed = "cp \"$0\" own && exec 3<own && rm own && exec /proc/self/fd/3 \"$@\"";
    let mut server = server().prelude(removed).start();
    server.logs("could not start itself again");
    server.signal(Signal::PIPE);
    server.api().get("/health").expect(200);
    wait_until("it runs on", || server.is_running());
}
