//! Made-up streams through nginx: what nginx takes for requests, and nothing else, is what mecha
//! takes for requests.
//!
//! Nginx writes down each request that it sent on. Between it and mecha stands a tap that keeps
//! what mecha answers, so that an answer to something nginx knows nothing of would be seen.
//!
//! `MECHA_NGINX` is nginx's path, `MECHA_STREAMS` how many streams are sent, `MECHA_STREAM_SEED`
//! the first one's seed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Program, Server, server, wait_until};
use crate::traffic::{grammar, number};

/// The ways in which nginx may pass requests on.
const WAYS: [(&str, &str); 3] = [
    ("old", "proxy_http_version 1.0;"),
    (
        "kept",
        "proxy_http_version 1.1; proxy_set_header Connection \"\";",
    ),
    (
        "unbuffered",
        "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_request_buffering off;",
    ),
];

/// Nginx in front of `upstream`, with a socket for each way.
struct Nginx {
    home: TempDir,
    program: Program,
}

impl Nginx {
    fn start(upstream: SocketAddr) -> Self {
        let path = std::env::var("MECHA_NGINX").expect("MECHA_NGINX names nginx");
        let home = tempfile::tempdir().unwrap();
        let configuration = configuration(home.path(), upstream);
        fs::write(home.path().join("nginx.conf"), configuration).unwrap();
        let mut command = Command::new(path);
        command
            .arg("-p")
            .arg(home.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null());
        let nginx = Self {
            program: Program::start(command),
            home,
        };
        for (way, _) in WAYS {
            wait_until("nginx listens", || nginx.connect(way).is_some());
        }
        nginx
    }

    fn connect(&self, way: &str) -> Option<UnixStream> {
        UnixStream::connect(self.home.path().join(way)).ok()
    }

    /// Ends nginx, and gives what it wrote down.
    fn requests(self) -> Vec<Value> {
        self.program.signal(Signal::QUIT);
        self.program.ended().expect(0);
        // A target stands there byte by byte as it came.
        let log = fs::read(self.home.path().join("access.log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn configuration(home: &Path, upstream: SocketAddr) -> String {
    let home = home.display();
    let servers = WAYS.map(|(way, settings)| {
        format!(
            "server {{ listen unix:{home}/{way}; location / {{ proxy_pass http://mecha; \
             proxy_set_header Host localhost; {settings} }} }}\n"
        )
    });
    let servers = servers.concat();
    format!(
        r#"
daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 512; }}
http {{
    log_format seen escape=json '{{"uri":"$request_uri","status":"$upstream_status"}}';
    access_log access.log seen;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    proxy_next_upstream off;
    proxy_ignore_client_abort on;
    upstream mecha {{ server {upstream}; keepalive 8; }}
    {servers}
}}
"#
    )
}

/// Passes connections on to `server` and keeps what comes back, connection by connection.
struct Tap {
    addr: SocketAddr,
    answers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&answers);
        // It ends with the process of the tests: nothing waits for it.
        thread::spawn(move || {
            for front in listener.incoming() {
                let (mut front, mut back) = (front.unwrap(), TcpStream::connect(server).unwrap());
                let place = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                let (mut from, mut to) = (front.try_clone().unwrap(), back.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = back.read(&mut buffer) {
                        kept.lock().unwrap()[place].extend_from_slice(&buffer[..read]);
                        let _ = front.write_all(&buffer[..read]);
                    }
                    let _ = front.shutdown(Shutdown::Both);
                });
            }
        });
        Self { addr, answers }
    }
}

/// An answer in what was read from a connection.
#[derive(Debug)]
struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    /// The marker that was asked for, where there is no task of that name.
    fn marker(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("there is no task ")?;
        let (marker, rest) = rest.split_at_checked(16)?;
        (is_marker(marker) && rest.starts_with('"')).then_some(marker)
    }

    /// Whether mecha wrote it, and took what it answers for a request.
    fn is_of_a_request(&self) -> bool {
        let value: Value = serde_json::from_str(&self.text).unwrap_or_default();
        self.status == 204
            || value["code"].as_str().is_some_and(|code| {
                let refusals = [
                    "bad_request",
                    "length_required",
                    "body_too_large",
                    "expectation_failed",
                    "header_too_large",
                    "not_implemented",
                    "version_not_supported",
                ];
                !refusals.contains(&code)
            })
    }
}

/// The answers in `bytes`, none of which is to HEAD.
fn answers(bytes: &[u8]) -> Vec<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let Some((head, behind)) = rest.split_once("\r\n\r\n") else {
            // To HTTP/0.9 nginx answers without a head, and then closes.
            answers.push(Answer {
                status: 0,
                text: rest.to_owned(),
            });
            break;
        };
        let status: u16 = head[9..12].parse().expect(head);
        let head = head.to_lowercase();
        let length = head
            .split_once("\r\ncontent-length: ")
            .map_or(0, |(_, rest)| {
                rest.lines().next().unwrap().parse().expect(rest)
            });
        let (body, behind) = behind.split_at(length);
        if status != 100 {
            answers.push(Answer {
                status,
                text: body.to_owned(),
            });
        }
        rest = behind;
    }
    answers
}

/// Sends `bytes` and says that no more will come; everything that is answered.
fn through(nginx: &Nginx, way: &str, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = nginx.connect(way).unwrap();
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut read = Vec::new();
    // An end by a reset is an end.
    if let Err(error) = stream.read_to_end(&mut read) {
        let kind = error.kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{error}");
    }
    answers(&read)
}

fn directly(server: &Server, bytes: &[u8]) -> Vec<Answer> {
    let given = server.raw(bytes).into_iter();
    given
        .filter(|answer| answer.status != 100)
        .map(|answer| Answer {
            status: answer.status,
            text: answer.text(),
        })
        .collect()
}

/// What both took for a request must be the same one, as far as both go.
#[track_caller]
fn compare(seed: u64, way: &str, direct: &[Answer], behind: &[Answer]) -> usize {
    let mut both = 0;
    for (direct, behind) in direct.iter().zip(behind) {
        if !(direct.is_of_a_request() && behind.is_of_a_request()) {
            break;
        }
        let (one, other) = (direct.marker(), behind.marker());
        let is_same = one.is_none() || other.is_none() || one == other;
        assert!(is_same, "seed {seed}, {way}: {direct:?} and {behind:?}");
        both += 1;
    }
    both
}

/// The marker in a target of nginx's log that asks for a task.
fn marker(uri: &str) -> Option<&str> {
    let path = uri.split('?').next()?;
    let path = path.strip_suffix("/retry").unwrap_or(path);
    path.strip_prefix("/task/").filter(|name| is_marker(name))
}

fn is_marker(name: &str) -> bool {
    name.len() == 16
        && name.starts_with(['r', 'b'])
        && name.bytes().skip(1).all(|b| b.is_ascii_digit())
}

fn count<'a>(markers: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for marker in markers {
        *counts.entry(marker).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "needs nginx, named by MECHA_NGINX; .ci/run has it"]
fn mecha_takes_for_requests_what_nginx_takes_for_requests() {
    let server = server().start();
    let tap = Tap::start(server.addr);
    let nginx = Nginx::start(tap.addr);
    let first = number("MECHA_STREAM_SEED", 0);
    let streams = number("MECHA_STREAMS", 1_000);
    let mut compared = 0;
    for seed in first..first.saturating_add(streams) {
        let stream = grammar::stream(seed);
        // An answer to HEAD announces a body that it has not.
        if stream.bytes.windows(4).any(|bytes| bytes == b"HEAD") {
            continue;
        }
        let direct = directly(&server, &stream.bytes);
        for (way, _) in WAYS {
            let behind = through(&nginx, way, &stream.bytes);
            compared += compare(seed, way, &direct, &behind);
            if let Some(meant) = &stream.meant {
                assert_eq!(behind.len(), meant.len(), "seed {seed}, {way}: {behind:?}");
            }
        }
    }
    let requests = nginx.requests();
    let sent: Vec<&Value> = requests
        .iter()
        .filter(|request| !request["status"].as_str().unwrap().is_empty())
        .collect();
    let kept = tap.answers.lock().unwrap();
    let given: Vec<Answer> = kept.iter().flat_map(|bytes| answers(bytes)).collect();
    println!(
        "{streams} streams from seed {first}: nginx took {} requests and sent on {}, mecha answered {}; \
         {compared} compared with what mecha reads by itself",
        requests.len(),
        sent.len(),
        given.len()
    );
    assert_eq!(given.len(), sent.len(), "answers and requests");
    // Each task that mecha was asked for is one that nginx asked for, as often.
    let asked = sent.iter().filter(|request| request["status"] == "404");
    let asked = count(asked.filter_map(|request| marker(request["uri"].as_str()?)));
    let answered = count(given.iter().filter_map(Answer::marker));
    let mut differing = answered.clone();
    differing.retain(|marker, times| asked.get(marker) != Some(times));
    assert!(differing.is_empty(), "answered and not sent: {differing:?}");
    assert_eq!(answered.len(), asked.len(), "sent and not answered");
    assert!(compared as u64 > streams, "{compared}");
}

#[test]
fn answers_are_told_apart() {
    let body = r#"{"error":"there is no task r000000000000100","code":"unknown_task"}"#;
    let bytes = format!(
        "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}HTTP/1.1 204 No Content\r\n\r\n",
        body.len()
    );
    let answers = answers(bytes.as_bytes());
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].marker(), Some("r000000000000100"));
    assert!(answers.iter().all(Answer::is_of_a_request));
    assert_eq!(
        marker("/task/b000000000000100/retry"),
        Some("b000000000000100")
    );
    assert_eq!(marker("/task/0000000000000100"), None);
}
