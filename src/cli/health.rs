//! `mecha health`: asks a running server whether it is well.
//!
//! Plain blocking sockets, so that it works in a container that holds nothing but this program.
//! BOUND: the whole exchange takes 5 s at most, and 4 KiB of the answer are read.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::remote::target;
use super::{Exit, output};
use crate::clock::monotonic;
use crate::config::environment::Environment;

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_LENGTH_MAX: usize = 4_096;

/// Asks the server at `addr`, at `MECHA_ADDR`, or at the default address.
pub(super) fn run(addr: Option<&str>) -> Exit {
    let addr = match target(addr, &Environment::of_process()) {
        Ok(addr) => addr,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    match ask(addr) {
        Ok(()) => {
            output::print("ok");
            Exit::Done
        }
        Err(text) => {
            output::complain(&format!("{addr} {text}"));
            Exit::Failed
        }
    }
}

/// The error goes on where the address stands: `does not answer: ...`.
fn ask(addr: SocketAddr) -> Result<(), String> {
    let deadline = monotonic() + PATIENCE;
    let answer = exchange(addr, deadline).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("does not answer within {} s", PATIENCE.as_secs())
        }
        _ => format!("does not answer: {error}"),
    })?;
    let answer = String::from_utf8_lossy(&answer);
    match status(&answer) {
        Some(200) => Ok(()),
        Some(status) => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            Err(format!("answers {status} {}", escaped(body)))
        }
        None => Err("answers, but not in HTTP: is it a mecha?".to_owned()),
    }
}

fn exchange(addr: SocketAddr, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&addr, time_left(deadline)?)?;
    let request = format!("GET /health HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.set_write_timeout(Some(time_left(deadline)?))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0_u8; 512];
    while answer.len() < ANSWER_LENGTH_MAX {
        stream.set_read_timeout(Some(time_left(deadline)?))?;
        let length = match stream.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The head tells enough, whatever becomes of the rest.
            Err(_) if answer.windows(4).any(|end| end == b"\r\n\r\n") => break,
            Err(error) => return Err(error),
        };
        if length == 0 {
            break;
        }
        answer.extend(piece.iter().take(length));
    }
    Ok(answer)
}

/// The time until `deadline`; an error when there is none.
fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(monotonic());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// The status of an answer's first line.
fn status(answer: &str) -> Option<u16> {
    let behind = answer
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| answer.strip_prefix("HTTP/1.0 "))?;
    let digits = behind.get(..3)?;
    let ends = behind.get(3..)?.starts_with([' ', '\r']);
    digits.parse().ok().filter(|_| ends)
}

fn escaped(body: &str) -> String {
    body.chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect::<String>()
        .replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn ask_a_server_that_answers(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        let result = ask(addr);
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {addr}\r\n")), "{request}");
        result
    }

    #[test]
    fn only_a_200_is_healthy() {
        let body = "{\"status\": \"draining\"}";
        for (answer, error) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], None),
            (b"HTTP/1.0 200 \r\n\r\n", None),
            (
                b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\": \"draining\"}",
                Some(format!("answers 503 {body}")),
            ),
            (b"HTTP/1.1 2000\r\n\r\n", Some("not in HTTP".to_owned())),
            (b"SSH-2.0-x\r\n", Some("not in HTTP".to_owned())),
            (b"\xff\xfe", Some("not in HTTP".to_owned())),
            (b"", Some("not in HTTP".to_owned())),
        ] {
            match (ask_a_server_that_answers(answer), error) {
                (Ok(()), None) => {}
                (Err(found), Some(wanted)) => assert!(found.contains(&wanted), "{found}"),
                (found, wanted) => panic!("{found:?} is not {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_closed_port_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let error = ask(addr).unwrap_err();
        assert!(error.starts_with("does not answer: "), "{error}");
    }
}
