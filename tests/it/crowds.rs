//! Contract section 3: peers that are slow, and peers that are many. Others are served meanwhile, each
//! soon, and a connection costs at most [`CONNECTION_KIB`].
//!
//! What a single slow peer gets is told in `slow_peers`; here they come in crowds.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::harness::{
    Connection, PATIENCE, Request, Server, now, offline_worker, stays, wait_until,
};

/// How long the answer to somebody else's request may take meanwhile that needs no disk, in a debug
/// build on a machine that runs other tests. `cargo bench --bench load -- crowd` has the figures of a release.
const LATENCY: Duration = Duration::from_secs(2);

/// Memory that a connection may cost the server without a body or an answer, its socket aside, KiB.
const CONNECTION_KIB: u64 = 16;

/// A head, and a body, may take 10 s; an answer that came before this is to one that was in time.
const IN_TIME: Duration = Duration::from_secs(7);

/// The idle connections that are wanted, and those that there must be room for.
const CROWD: usize = 10_000;
const CROWD_MIN: usize = 2_000;

/// Files that the test process and the server may need beside the connections.
const FILES_BESIDE: usize = 1_000;

/// A server with one worker, which is offline, and room for `connections`.
fn roomy(connections: usize) -> Server {
    let worker = offline_worker("w");
    Server::with(format!("[limits]\nconnections = {connections}\n{worker}"))
}

/// Another client's requests are answered: its health within [`LATENCY`], and a task that is stored
/// within [`PATIENCE`], since others sync the same disk.
#[track_caller]
pub(crate) fn serves_others(server: &Server) {
    let task = json!({"prompt": "p", "worker": "w"});
    for (what, request, status, most) in [
        ("GET /health", Request::get("/health"), 200, LATENCY),
        (
            "POST /task",
            Request::post("/task").json(&task),
            202,
            PATIENCE,
        ),
    ] {
        let begun = now();
        server.ask(request).expect(status);
        let taken = begun.elapsed();
        assert!(taken <= most, "{what} took {taken:?}");
    }
}

/// The same again and again for `span`.
#[track_caller]
fn serves_others_for(server: &Server, span: Duration) {
    stays("others are served", span, || {
        serves_others(server);
        true
    });
}

/// Fails where `connections` cost the server more than [`CONNECTION_KIB`] each since it had
/// `before` KiB.
#[track_caller]
fn costs_little(server: &Server, before: u64, connections: usize) {
    let grown = server.resident_kib().saturating_sub(before);
    let allowed = CONNECTION_KIB * connections as u64;
    assert!(
        grown <= allowed,
        "{connections} connections cost {grown} KiB, more than {allowed}"
    );
}

/// Serves some connections, so that what the first ones cost for good is not counted for the rest.
fn warm_up(server: &Server) {
    let connections: Vec<_> = (0..50).map(|_| asked(server)).collect();
    drop(connections);
    for _ in 0..5 {
        serves_others(server);
    }
}

/// A connection that had an answer and is idle.
fn asked(server: &Server) -> Connection {
    let mut connection = server.connect();
    connection.ask(&Request::get("/health")).expect(200);
    connection
}

/// Waits until the server has no more than `files` open, where that can be seen.
#[track_caller]
pub(crate) fn leaks_nothing(server: &Server, files: Option<usize>) {
    if let Some(files) = files {
        wait_until("the connections' files are closed", || {
            server.open_files() <= files
        });
    }
}

/// How many files the server has open, where that can be seen.
pub(crate) fn open_files(server: &Server) -> Option<usize> {
    server.shows_open_files().then(|| server.open_files())
}

/// Raises the limit of open files of this process, which the server inherits, and gives how many
/// connections there is room for.
fn room_for_a_crowd() -> usize {
    let needed = (CROWD + FILES_BESIDE) as u64;
    let limit = getrlimit(Resource::Nofile);
    let is_below = |limit: Option<u64>| limit.is_some_and(|files| files < needed);
    if is_below(limit.current) {
        let raised = |maximum| Rlimit {
            current: maximum,
            maximum,
        };
        // Root may raise the hard limit, too.
        if !is_below(limit.maximum) || setrlimit(Resource::Nofile, raised(Some(needed))).is_err() {
            setrlimit(Resource::Nofile, raised(limit.maximum)).unwrap();
        }
    }
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap());
    let room = CROWD.min(files.saturating_sub(FILES_BESIDE));
    if room < CROWD {
        let line = format!("ONLY {room} OF {CROWD} CONNECTIONS: {files} files may be open\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    assert!(
        room >= CROWD_MIN,
        "{files} files may be open (ulimit -Hn): no room for {CROWD_MIN} connections"
    );
    room
}

#[test]
fn ten_thousand_idle_connections_are_cheap_and_nobody_notices() {
    let room = room_for_a_crowd();
    let server = roomy(room + 100);
    warm_up(&server);
    let files = open_files(&server);
    let before = server.resident_kib();
    let request = Request::get("/health").bytes(&server.addr.to_string());
    let mut crowd: Vec<Connection> = Vec::with_capacity(room);
    while crowd.len() < room {
        // As many at once as the kernel keeps for the server without being asked twice.
        let from = crowd.len();
        crowd.extend((0..100).map(|_| server.connect()));
        for connection in &mut crowd[from..] {
            connection.send(&request);
        }
        for connection in &mut crowd[from..] {
            connection.receive().expect(200);
        }
        serves_others(&server);
    }
    serves_others_for(&server, Duration::from_secs(1));
    costs_little(&server, before, crowd.len());
    for connection in crowd.iter_mut().step_by(97) {
        connection.ask(&Request::get("/health")).expect(200);
    }
    drop(crowd);
    leaks_nothing(&server, files);
    serves_others(&server);
}

/// Sends the first `bytes` of `message` on each connection, one at a time, and asks for somebody else
/// meanwhile.
fn trickle(
    server: &Server,
    crowd: &mut [Connection],
    message: &[u8],
    bytes: std::ops::Range<usize>,
) {
    for (round, byte) in message[bytes].iter().enumerate() {
        for connection in crowd.iter_mut() {
            // The server may have closed one that was late; [`finish_all`] judges that.
            connection.try_send([*byte]);
        }
        if round % 4 == 0 {
            serves_others(server);
        }
    }
}

/// Sends the rest of a message on each connection, and expects `status`, or 408 where the machine took
/// so long that it was late.
fn finish_all(crowd: &mut [Connection], rest: &[u8], status: u16, begun: std::time::Instant) {
    for connection in crowd.iter_mut() {
        connection.try_send(rest);
    }
    for connection in crowd {
        let answer = connection.receive();
        let is_late = begun.elapsed() > IN_TIME;
        assert!(
            answer.status == status || is_late && answer.status == 408,
            "{}",
            answer.status
        );
    }
}

#[test]
fn a_thousand_heads_that_come_byte_by_byte_hold_up_nobody() {
    room_for_a_crowd();
    let server = roomy(2_000);
    warm_up(&server);
    let files = open_files(&server);
    let before = server.resident_kib();
    let head = Request::get("/health").bytes(&server.addr.to_string());
    let mut crowd: Vec<_> = (0..1_000).map(|_| server.connect()).collect();
    let begun = now();
    trickle(&server, &mut crowd, &head, 0..24);
    costs_little(&server, before, crowd.len());
    finish_all(&mut crowd, &head[24..], 200, begun);
    drop(crowd);
    leaks_nothing(&server, files);
}

#[test]
fn bodies_that_come_byte_by_byte_hold_up_nobody() {
    let server = roomy(1_000);
    let task = json!({"prompt": "x".repeat(4_000), "worker": "w"});
    let request = Request::post("/task").json(&task);
    let bytes = request.bytes(&server.addr.to_string());
    let body_at = bytes.len() - task.to_string().len();
    let mut crowd: Vec<_> = (0..300).map(|_| server.connect()).collect();
    let begun = now();
    for connection in &mut crowd {
        connection.send(&bytes[..body_at]);
    }
    trickle(&server, &mut crowd, &bytes, body_at..body_at + 32);
    finish_all(&mut crowd, &bytes[body_at + 32..], 202, begun);
}

/// Waits until the server has used no processor time for a while.
#[track_caller]
fn waits_for_its_peers(server: &Server) {
    let (mut last, mut looks) = (0, 0);
    wait_until("the server waits for its peers", || {
        let used = server.processor_ticks();
        looks = if used == last { looks + 1 } else { 0 };
        last = used;
        looks == 50
    });
}

#[test]
fn readers_that_take_large_answers_slowly_hold_up_nobody() {
    const READERS: usize = 24;
    // More in all than the kernel keeps for a socket, so that the server has to wait for each.
    const ANSWERS: usize = 32;
    let server = roomy(1_000);
    let id = server.submit("w", &"x".repeat(256 << 10));
    warm_up(&server);
    let before = server.resident_kib();
    let request = Request::get(&format!("/task/{id}")).bytes(&server.addr.to_string());
    let begun = now();
    let mut readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = TcpStream::connect(server.addr).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&request.repeat(ANSWERS)).unwrap();
            stream
        })
        .collect();
    let mut taken = vec![Vec::new(); READERS];
    // To make that many answers keeps a debug build busy for seconds.
    waits_for_its_peers(&server);
    stays("others are served", Duration::from_secs(2), || {
        for (reader, taken) in readers.iter_mut().zip(&mut taken) {
            let mut some = [0; 1_024];
            let read = reader.read(&mut some).unwrap();
            taken.extend_from_slice(&some[..read]);
        }
        serves_others(&server);
        true
    });
    let grown = server.resident_kib().saturating_sub(before) / 1_024;
    assert!(grown < 64, "{READERS} slow readers cost {grown} MiB");
    for (reader, mut taken) in readers.into_iter().zip(taken) {
        reader.shutdown(Shutdown::Write).unwrap();
        (&reader).read_to_end(&mut taken).unwrap();
        let whole = taken
            .windows(15)
            .filter(|bytes| bytes == b"HTTP/1.1 200 OK")
            .count();
        // An answer that was not taken within 30 s is broken off.
        assert!(
            whole == ANSWERS && taken.len() > ANSWERS * (256 << 10)
                || begun.elapsed() > 3 * IN_TIME,
            "{whole} answers of {} bytes in all",
            taken.len()
        );
    }
}

/// What a stranger may send to a port that he has found.
const GARBAGE: [&[u8]; 6] = [
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /tasks HTTP/1.1\r\nHost: ",
    b"\0\xff\0\xff\0\xff\r\n\r\n\r\n\r\n",
    b"POST /task HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{\"pro",
];

/// Connects eight times, sends garbage and closes, over and over until it is told to end; counts.
fn storm(addr: SocketAddr, is_over: &AtomicBool, count: &AtomicUsize) {
    while !is_over.load(Ordering::Relaxed) {
        // No port may be free for a moment: each is taken for a while after its connection.
        let streams: Vec<_> = (0..8)
            .filter_map(|_| TcpStream::connect(addr).ok())
            .collect();
        for mut stream in streams {
            let number = count.fetch_add(1, Ordering::Relaxed);
            // The server may have closed already.
            let _ = stream.write_all(GARBAGE[number % GARBAGE.len()]);
        }
    }
}

#[test]
fn a_storm_of_connections_with_garbage_holds_up_nobody() {
    let server = roomy(1_000);
    warm_up(&server);
    let files = open_files(&server);
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        // Sixty-four connections at once.
        for _ in 0..8 {
            scope.spawn(|| storm(server.addr, &is_over, &count));
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            serves_others_for(&server, Duration::from_secs(3));
        }));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    let count = count.into_inner();
    assert!(count > 1_000, "{count} connections are no storm");
    leaks_nothing(&server, files);
    serves_others(&server);
    let lines = server.stop().outcome.stderr.lines().count();
    assert!(lines < 100, "{lines} lines of log of {count} connections");
}
