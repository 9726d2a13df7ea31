//! A connection between two programs that breaks where a test wants it to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::gate::Gate;

/// Passes one connection on to a server, and of its answer a number of bytes.
#[derive(Debug)]
pub(crate) struct Relay {
    addr: SocketAddr,
    passed: Arc<AtomicUsize>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// It is read, and the connection closed.
    Drop,
    /// The server has it and answers, and the connection is closed in front of the answer.
    Lose,
    /// It is answered in place of the server.
    Say(&'static str),
    /// The server has it, and the client the answer.
    Pass,
}

impl Relay {
    /// In front of `server`: behind `bytes` of its answer nothing passes until `gate` is open, and
    /// then the connection is closed.
    pub(crate) fn cutting(server: SocketAddr, bytes: usize, gate: &Gate) -> Self {
        let passed = Arc::new(AtomicUsize::new(0));
        let (counted, gate) = (Arc::clone(&passed), gate.clone());
        let addr = accept_one(move |mut client| {
            let mut upstream = TcpStream::connect(server).unwrap();
            upstream.write_all(&read_head(&mut client)).unwrap();
            let mut left = bytes;
            let mut buffer = vec![0; 64 * 1024];
            while left > 0 {
                let room = left.min(buffer.len());
                match upstream.read(&mut buffer[..room]) {
                    Ok(read) if read > 0 => {
                        if client.write_all(&buffer[..read]).is_err() {
                            return;
                        }
                        left -= read;
                        counted.fetch_add(read, Ordering::SeqCst);
                    }
                    _ => break,
                }
            }
            gate.pass();
        });
        Self { addr, passed }
    }

    /// In front of `server`: does with one connection after the other what `turns` say, and passes
    /// the one behind them as it is.
    pub(crate) fn in_turn(server: SocketAddr, turns: &[Turn]) -> Self {
        let turns: Vec<Turn> = turns.iter().copied().chain([Turn::Pass]).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let passed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&passed);
        thread::spawn(move || {
            for turn in turns {
                let Ok((mut client, _)) = listener.accept() else {
                    return;
                };
                let request = read_request(&mut client);
                let answer = match turn {
                    Turn::Say(answer) => answer.as_bytes().to_vec(),
                    Turn::Drop => Vec::new(),
                    Turn::Lose | Turn::Pass => exchange(server, &request),
                };
                if matches!(turn, Turn::Say(_) | Turn::Pass) {
                    client.write_all(&answer).unwrap();
                    counted.fetch_add(answer.len(), Ordering::SeqCst);
                }
            }
        });
        Self { addr, passed }
    }

    /// In place of a server: answers one request with these bytes and closes.
    pub(crate) fn answering(answer: Vec<u8>) -> Self {
        let addr = accept_one(move |mut client| {
            read_head(&mut client);
            // Whoever has seen enough closes.
            let _ = client.write_all(&answer);
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        });
        Self {
            addr,
            passed: Arc::default(),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes of the answer that passed so far.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

fn accept_one(act: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        if let Ok((client, _)) = listener.accept() {
            act(client);
        }
    });
    addr
}

/// Sends a request that closes its connection, and reads the answer.
fn exchange(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut upstream = TcpStream::connect(server).unwrap();
    upstream.write_all(request).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    answer
}

/// A request with its body, whose length it gives.
fn read_request(client: &mut TcpStream) -> Vec<u8> {
    let mut request = read_head(client);
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body).unwrap();
    request.append(&mut body);
    request
}

fn read_head(client: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    head
}
