//! An endpoint worker as they are in practice: mostly right, now and then slow, wrong or gone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{LocalExecutor, Task};

use crate::http::{body_at, content_length};

/// Bytes of a request at most.
const REQUEST_MAX: usize = 32 << 20;

/// How long the worker stays up and down.
const UP: Duration = Duration::from_secs(90);
const DOWN: Duration = Duration::from_secs(4);

/// A worker that misbehaves now and then.
pub(crate) struct Worker {
    /// Where it listens, when it does.
    pub(crate) addr: SocketAddr,
    /// Its listener goes away and comes back over this.
    order: Sender<Option<TcpListener>>,
    _accepting: Task<()>,
}

impl Worker {
    /// Starts it.
    pub(crate) fn start(executor: &LocalExecutor<'static>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let (order, orders) = bounded(1);
        let local = Rc::new(LocalExecutor::new());
        let accepting = executor.spawn(async move {
            let run = accept(Some(listener), &orders, &local);
            local.run(run).await;
        });
        Ok(Self {
            addr,
            order,
            _accepting: accepting,
        })
    }

    /// Lets it go away and come back again and again, until the task is dropped.
    pub(crate) fn restart_now_and_then(&self, executor: &LocalExecutor<'static>) -> Task<()> {
        let (order, addr) = (self.order.clone(), self.addr);
        executor.spawn(async move {
            loop {
                Timer::after(UP.mul_f64(fastrand::f64() + 0.5)).await;
                let _ = order.send(None).await;
                Timer::after(DOWN).await;
                // The port was its own a moment ago; something else may have it for another.
                let listener = loop {
                    match TcpListener::bind(addr) {
                        Ok(listener) => break listener,
                        Err(_) => Timer::after(DOWN).await,
                    };
                };
                let _ = order.send(Some(listener)).await;
            }
        })
    }
}

/// Accepts until there is no more to come; without a listener it waits for one.
async fn accept(
    mut listener: Option<TcpListener>,
    orders: &Receiver<Option<TcpListener>>,
    local: &Rc<LocalExecutor<'static>>,
) {
    loop {
        let accepting = async {
            let Some(listener) = listener.take() else {
                return std::future::pending().await;
            };
            let Ok(listener) = Async::<TcpListener>::new(listener) else {
                return std::future::pending().await;
            };
            while let Ok((stream, _)) = listener.accept().await {
                // The server's concurrency bounds how many there are.
                local
                    .spawn(async move {
                        let _ = answer(stream).await;
                    })
                    .detach();
            }
            std::future::pending().await
        };
        let order = smol::future::or(async { orders.recv().await.ok() }, accepting).await;
        let Some(order) = order else { return };
        listener = order;
    }
}

async fn answer(stream: Async<TcpStream>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = vec![0; 16 << 10];
    loop {
        if let Some(at) = body_at(&request) {
            let head = request.get(..at).unwrap_or_default();
            if request.len() >= at.saturating_add(content_length(head).unwrap_or(0)) {
                break;
            }
        }
        let read = (&stream).read(&mut piece).await?;
        if read == 0 || request.len() > REQUEST_MAX {
            return Ok(());
        }
        request.extend(piece.iter().take(read));
    }
    if request.starts_with(b"GET ") {
        return reply(&stream, "200 OK", "", "{}").await;
    }
    let right = r#"{"output":"LGTM","labels":["reviewed"]}"#;
    match fastrand::u32(0..1_000) {
        0..=39 => reply(&stream, "500 Internal Server Error", "", "{}").await,
        40..=69 => reply(&stream, "400 Bad Request", "", r#"{"error":"no"}"#).await,
        70..=71 => {
            reply(
                &stream,
                "503 Service Unavailable",
                "Retry-After: 1\r\n",
                "{}",
            )
            .await
        }
        72..=99 => Ok(()),
        100..=119 => (&stream).write_all(b"SSH-2.0-nothing\r\n").await,
        120..=139 => {
            (&stream)
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"output\":")
                .await
        }
        140..=179 => {
            Timer::after(Duration::from_millis(fastrand::u64(100..2_000))).await;
            reply(&stream, "200 OK", "", right).await
        }
        180..=184 => {
            // Longer than the worker's timeout.
            Timer::after(Duration::from_secs(4)).await;
            reply(&stream, "200 OK", "", right).await
        }
        185..=229 => {
            let text: String = std::iter::repeat_with(fastrand::alphanumeric)
                .take(fastrand::usize(20_000..200_000))
                .collect();
            reply(&stream, "200 OK", "", &format!(r#"{{"output":"{text}"}}"#)).await
        }
        _ => reply(&stream, "200 OK", "", right).await,
    }
}

async fn reply(
    mut stream: &Async<TcpStream>,
    status: &str,
    fields: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await
}
