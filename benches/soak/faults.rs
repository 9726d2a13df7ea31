//! Clients that break off, send rubbish, dawdle, or send more than fits into memory.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use smol::{LocalExecutor, Task};

use crate::mix::pause;
use crate::target::Target;
use crate::wire::{Connection, request};

/// What no server should take.
const RUBBISH: [&[u8]; 8] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"GET /tasks HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /task HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{\"prompt\": 17}",
];

/// Connections of a flood, and the bytes that each sends: three times what fits.
const FLOOD: u32 = 12;
const FLOOD_BYTES: usize = 2 << 20;

/// How long the last byte of each is held back: others wait for 5 s.
const FLOOD_STALL: Duration = Duration::from_secs(7);

/// Starts all of them. They end when the tasks are dropped.
pub(crate) fn start(executor: &LocalExecutor<'static>, target: &Rc<Target>) -> Vec<Task<()>> {
    let mut tasks = Vec::new();
    for every in [500, 900] {
        let target = Rc::clone(target);
        tasks.push(executor.spawn(async move {
            loop {
                pause(Duration::from_millis(every), 1.0).await;
                // Whatever comes of it: the others must not notice.
                if target.is_up() {
                    let _ = break_off(&target).await;
                }
            }
        }));
    }
    let (sent, dawdled) = (Rc::clone(target), Rc::clone(target));
    tasks.push(executor.spawn(async move {
        loop {
            pause(Duration::from_millis(400), 1.0).await;
            let turn = sent.turn();
            if sent.is_up()
                && let Err(error) = rubbish(&sent).await
                && sent.turn() == turn
            {
                sent.surprise(format!("rubbish: {error}"));
            }
        }
    }));
    tasks.push(executor.spawn(async move {
        loop {
            pause(Duration::from_secs(2), 1.0).await;
            if dawdled.is_up() {
                let _ = dawdle(&dawdled).await;
            }
        }
    }));
    for number in 0..FLOOD {
        let target = Rc::clone(target);
        tasks.push(executor.spawn(async move {
            loop {
                // All at about the same time, and a minute later again.
                Timer::after(Duration::from_secs(60)).await;
                let turn = target.turn();
                if target.is_up()
                    && let Err(error) = flood(&target, number).await
                    && target.turn() == turn
                {
                    target.surprise(format!("flood: {error}"));
                }
            }
        }));
    }
    tasks
}

/// Goes away within a request, or without waiting for its answer.
async fn break_off(target: &Target) -> io::Result<()> {
    let body = br#"{"prompt": "From somebody who goes away", "worker": "endpoint"}"#;
    let post = request("POST", "/task", &[], body);
    let connection = Connection::open(target.addr()).await?;
    let sent = fastrand::usize(..=post.len());
    connection
        .send(post.get(..sent).unwrap_or_default())
        .await?;
    if fastrand::bool() {
        connection.finish()?;
        pause(Duration::from_millis(100), 1.0).await;
    }
    Ok(())
}

/// Every kind of rubbish gets an answer, and none of them is a success.
async fn rubbish(target: &Target) -> io::Result<()> {
    let bytes = fastrand::choice(RUBBISH).unwrap_or_default();
    let mut connection = Connection::open(target.addr()).await?;
    connection.send(bytes).await?;
    connection.finish()?;
    let answer = connection.answer().await?;
    target.note("rubbish", &answer, &[400, 413, 501, 503]);
    Ok(())
}

/// Sends a head byte by byte, and gives up.
async fn dawdle(target: &Target) -> io::Result<()> {
    let connection = Connection::open(target.addr()).await?;
    for byte in b"GET /tasks?limit=1000 HTTP/1.1\r\nHost: loc" {
        connection.send(&[*byte]).await?;
        Timer::after(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Sends a large body and holds its last byte back, so that many of them fill the memory that the
/// server may use, and it has to shed.
async fn flood(target: &Target, number: u32) -> io::Result<()> {
    let body = vec![b'x'; FLOOD_BYTES];
    let post = request("POST", "/task", &[], &body);
    let (last, most) = post.split_last().map_or((0, &post[..]), |(l, m)| (*l, m));
    let mut connection = Connection::open(target.addr()).await?;
    if connection.send(most).await.is_ok() {
        Timer::after(FLOOD_STALL + Duration::from_millis(10) * number).await;
        let _ = connection.send(&[last]).await;
    }
    // It is no JSON: 400 from whom had room, 503 from whom had none. One that was shed early is
    // closed in front of the bytes that it still sends, and its answer may be lost with them.
    match connection.answer().await {
        Ok(answer) => target.note("flood", &answer, &[400, 503]),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
