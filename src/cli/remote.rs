//! A running server, as client commands reach it: over HTTP, never by its data directory.
//!
//! BOUND: a connection is made within [`CONNECT_PATIENCE`], an exchange takes [`PATIENCE`] at most, beyond what the caller waits for on purpose,
//! and 64 MiB of an answer are read. What may be larger is read by [`Remote::download`], piece by
//! piece.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_io::Timer;
use serde::Deserialize;
use smol::future::FutureExt;

use super::args::Access;
use super::output;
use crate::budget::Budget;
use crate::clock::monotonic;
use crate::config::environment::Environment;
use crate::config::{self, DEFAULT_ADDR, addr, quoted};
use crate::http::Method;
use crate::http::client::{self, Download, Outgoing, Reuse};
use crate::secret::Secret;
use crate::terminal::on_one_line;
use crate::worker::Endpoint;

/// How long a server may take to accept a connection: one that has not by then is not there.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 64 << 20;

/// Bytes of a refusal that are read where an answer may be of any size.
const REFUSAL_MAX: usize = 64 << 10;

/// A server and the key to it.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) addr: SocketAddr,
    key: Option<Secret>,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Value of `Link`.
    pub(super) link: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Why a server said nothing that can be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no way to it: the request was not made.
    NotReached(String),
    /// The connection broke or took too long: whether the request was carried out is not known.
    Broken(String),
    /// What came is no answer.
    NoAnswer(String),
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotReached(text) | Failure::Broken(text) | Failure::NoAnswer(text) => text,
        }
    }
}

impl Remote {
    /// The server at `--addr`, at `MECHA_ADDR` or at the default address, with the key of
    /// `--api-key` or `MECHA_API_KEY`.
    pub(super) fn find(access: &Access) -> Result<Self, String> {
        let addr = target(access.addr.as_deref(), &Environment::of_process())?;
        let (key, warnings) = config::client_key(access.api_key.as_ref())?;
        for warning in warnings {
            output::report(&format!("warning: {warning}"));
        }
        Ok(Self { addr, key })
    }

    /// A server that wants no key.
    pub(super) fn open(addr: SocketAddr) -> Self {
        Self { addr, key: None }
    }

    /// A server that wants this key.
    pub(super) fn with_key(addr: SocketAddr, key: Secret) -> Self {
        let key = Some(key);
        Self { addr, key }
    }

    /// `GET path`
    pub(super) fn get(&self, path: &str) -> Result<Answer, String> {
        Ok(self.ask(Method::Get, path, &[], None)?)
    }

    /// `GET path` of an answer that the server may hold back for `held`. `tick` is called every
    /// second meanwhile.
    pub(super) fn ask_held(
        &self,
        path: &str,
        held: Duration,
        tick: impl FnMut(),
    ) -> Result<Answer, Failure> {
        let endpoint = self.endpoint();
        let outgoing = self.outgoing(&endpoint, path, ANSWER_MAX);
        let deadline = outgoing.deadline + held;
        let sending = self.send(Outgoing {
            deadline,
            ..outgoing
        });
        smol::block_on(ticking(sending, tick))
    }

    /// `DELETE path`
    pub(super) fn delete(&self, path: &str) -> Result<Answer, String> {
        Ok(self.ask(Method::Delete, path, &[], None)?)
    }

    /// `POST path`
    pub(super) fn post(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        Ok(self.ask(Method::Post, path, headers, Some(body))?)
    }

    /// `PUT path`
    pub(super) fn put(&self, path: &str, body: Vec<u8>) -> Result<Answer, String> {
        Ok(self.ask(Method::Put, path, &[], Some(body))?)
    }

    /// `GET path`, whose answer may be of any size; one that is refused becomes the error.
    pub(super) fn download(&self, path: &str) -> Result<Download, String> {
        let endpoint = self.endpoint();
        let failed = |error: client::Error| String::from(self.failure(path, &error));
        smol::block_on(async {
            let outgoing = self.outgoing(&endpoint, path, u64::MAX);
            let mut download = Download::start(outgoing).await.map_err(failed)?;
            if (200..300).contains(&download.status()) {
                return Ok(download);
            }
            let mut refused = Answer {
                status: download.status(),
                link: None,
                body: Vec::new(),
            };
            while let Some(piece) = download.next().await.map_err(failed)? {
                refused.body.extend(piece);
                if refused.body.len() > REFUSAL_MAX {
                    break;
                }
            }
            Err(refused.accepted().err().unwrap_or_default())
        })
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: self.addr.ip().to_string(),
            port: self.addr.port(),
            path: String::new(),
        }
    }

    fn outgoing<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        path: &'a str,
        answer_max: u64,
    ) -> Outgoing<'a> {
        Outgoing {
            method: Method::Get,
            endpoint,
            token: self.key.as_ref(),
            headers: &[],
            body: None,
            path,
            connect_patience: Some(CONNECT_PATIENCE),
            deadline: monotonic() + PATIENCE,
            answer_max,
            reuse: Reuse::Never,
        }
    }

    /// Sends a request and reads the answer.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let endpoint = self.endpoint();
        smol::block_on(self.send(Outgoing {
            method,
            headers,
            body,
            ..self.outgoing(&endpoint, path, ANSWER_MAX)
        }))
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, Failure> {
        let path = outgoing.path;
        match client::send(outgoing, &Budget::new(ANSWER_MAX)).await {
            Ok(answer) => Ok(Answer {
                status: answer.status,
                link: answer.link,
                body: answer.body,
            }),
            Err(error) => Err(self.failure(path, &error)),
        }
    }

    fn failure(&self, path: &str, error: &client::Error) -> Failure {
        let addr = self.addr;
        match error {
            client::Error::Connect(error) => Failure::NotReached(format!(
                "no server answers at http://{addr}: {error}; 'mecha serve' starts one, --addr or \
                 MECHA_ADDR name another"
            )),
            client::Error::Timeout | client::Error::Broken(_) => {
                Failure::Broken(format!("http://{addr}{path}: {error}"))
            }
            client::Error::NotHttp(_) | client::Error::TooLarge | client::Error::NoMemory => {
                Failure::NoAnswer(format!("http://{addr}{path}: {error}"))
            }
        }
    }
}

/// Does `work`, and calls `tick` every second until it is done.
pub(super) async fn ticking<T>(work: impl Future<Output = T>, mut tick: impl FnMut()) -> T {
    let ticks = async {
        loop {
            Timer::after(Duration::from_secs(1)).await;
            tick();
        }
    };
    work.or(ticks).await
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    code: String,
}

impl Answer {
    /// The code of a refusal; empty where there is none.
    pub(super) fn code(&self) -> String {
        let refusal = serde_json::from_slice::<Refusal>(&self.body);
        refusal.map_or_else(|_| String::new(), |refusal| refusal.code)
    }

    /// The body, or what the server said was wrong.
    pub(super) fn accepted(self) -> Result<Vec<u8>, String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let said = match serde_json::from_slice::<Refusal>(&self.body) {
            Ok(refusal) if refusal.code == "unauthorized" => {
                "it wants an API key; give the right one by --api-key or MECHA_API_KEY".to_owned()
            }
            Ok(refusal) => on_one_line(&refusal.error),
            Err(_) => "no reason; is it a mecha?".to_owned(),
        };
        Err(format!("the server answers {}: {said}", self.status))
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where to ask. An address that means every interface is asked on loopback.
pub(super) fn target(flag: Option<&str>, environment: &Environment) -> Result<SocketAddr, String> {
    let (name, text) = match flag {
        Some(text) => ("--addr", text),
        None => match environment.text("MECHA_ADDR")? {
            Some(text) => ("MECHA_ADDR", text),
            None => return Ok(DEFAULT_ADDR),
        },
    };
    let addr = addr::parse(text)
        .and_then(|addr| addr.resolve())
        .map_err(|error| format!("{name} {}: {error}", quoted(text)))?;
    if addr.port() == 0 {
        return Err(format!(
            "{name} {addr}: port 0 names no server; write the port that the server's log names"
        ));
    }
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_beats_variable_beats_default() {
        let with = Environment::of(&[("MECHA_ADDR", "0.0.0.0:80")]);
        let without = Environment::of(&[]);
        for (flag, environment, addr) in [
            (Some("[::]:81"), &with, "[::1]:81"),
            (None, &with, "127.0.0.1:80"),
            (None, &without, "127.0.0.1:21212"),
        ] {
            assert_eq!(target(flag, environment).unwrap().to_string(), addr);
        }
        for flag in ["", "127.0.0.1", "127.0.0.1:0"] {
            assert!(target(Some(flag), &without).is_err(), "{flag}");
        }
    }
}
