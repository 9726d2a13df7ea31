//! The server starts itself again with settings for glibc's allocator.

use rustix::process::Signal;

use crate::harness::{Server, server, wait_until};

/// Whether the server runs with the settings; `None` where its environment may not be read.
fn is_tuned(server: &Server) -> Option<bool> {
    has(server, "glibc.malloc.mmap_threshold=131072")
}

fn has(server: &Server, setting: &str) -> Option<bool> {
    let environment = std::fs::read(format!("/proc/{}/environ", server.pid())).ok()?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    Some(environment.contains(setting))
}

#[test]
fn the_server_starts_itself_again_unless_an_operator_has_set_something() {
    let tuned = server().start();
    let small = server().config("[limits]\nmemory = \"16MiB\"\n").start();
    let of_operator = server().env("MALLOC_ARENA_MAX", "4").start();
    let by_tunable = server()
        .env("GLIBC_TUNABLES", "glibc.malloc.arena_max=4")
        .start();
    if let Some(is_so) = is_tuned(&tuned) {
        assert!(is_so);
        assert_eq!(has(&small, "glibc.malloc.mmap_threshold=32768"), Some(true));
        assert_eq!(is_tuned(&of_operator), Some(false));
        assert_eq!(is_tuned(&by_tunable), Some(false));
    }
}

/// With so long a variable no program can be started.
#[test]
fn a_server_that_cannot_start_itself_again_says_so_and_goes_on() {
    let mut server = server().env("GLIBC_TUNABLES", &"x".repeat(131_000)).start();
    server.logs("could not start itself again");
    server.signal(Signal::PIPE);
    server.api().get("/health").expect(200);
    wait_until("it runs on", || server.is_running());
}
