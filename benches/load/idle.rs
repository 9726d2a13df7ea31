//! What a server costs that has nothing to do: processor time, and how often its threads wake up.

use std::io;
use std::time::Duration;

use async_io::Timer;

use crate::dispatch::Cheap;
use crate::process::Rest;
use crate::report::{self, Series};
use crate::server::{LIMITS, Server, config};
use crate::summary::Target;
use crate::{Bench, directory};

/// How long it is watched: two probes of a worker, which come every 15 s.
const TIME: Duration = Duration::from_secs(30);

/// What comes with the start is over by then: the reclaimer looks at the tables once, 10 s after it.
const AFTER_START: Duration = Duration::from_secs(15);

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let dirs = (
        directory::on_disk()?,
        directory::on_disk()?,
        directory::on_disk()?,
    );
    let cheap = Cheap::start(dirs.0.path()).await?;
    let alone = Server::start(dirs.1.path(), LIMITS).await?;
    let probing = Server::start(dirs.2.path(), &config(cheap.addr(), 1)).await?;
    Timer::after(AFTER_START).await;
    let before = [alone.process.rest()?, probing.process.rest()?];
    Timer::after(TIME).await;
    let after = [alone.process.rest()?, probing.process.rest()?];
    let names = ["without a worker", "with a worker, probed every 15 s"];
    let mut wakings = [Series::default(), Series::default()];
    let mut rows = Vec::new();
    for (((name, before), after), wakings) in names.iter().zip(before).zip(after).zip(&mut wakings)
    {
        let Rest { switches, busy } = after.since(before);
        wakings.push(f64::from(switches));
        rows.push(vec![
            (*name).to_owned(),
            switches.to_string(),
            format!("{:.2}", report::milliseconds(busy)),
        ]);
    }
    let head = ["idle for 30 s", "context switches", "processor time, ms"];
    report::table(&head, &rows)?;
    let [alone_wakings, _] = &wakings;
    let name = "wake-ups of an idle server without workers in 30 s";
    bench
        .summary
        .judge(name, Target::AtMost(0.0), "", alone_wakings, 0);
    alone.process.stop().await?;
    probing.process.stop().await
}
