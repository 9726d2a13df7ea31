//! `mecha serve`.

use super::Exit;
use crate::config::{Args, Config};
use crate::logging;
use crate::server::{Error, Server};

/// Runs the server until it is told to stop. `args` are kept to read the configuration again;
/// `warning` is logged at first.
pub(super) fn run(args: &Args, config: Config, warning: Option<&str>) -> Exit {
    logging::init(config.log);
    if let Some(warning) = warning {
        log::warn!("{warning}");
    }
    let args = args.clone();
    let reload = Box::new(move || Config::load(&args));
    let ended = Server::open(config).and_then(|server| server.run(reload));
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            // A line of the log like every other one, also for those that read it as JSON.
            log::error!("{error}");
            exit(&error)
        }
    }
}

/// The exit code of a server that did not end well.
pub(super) fn exit(error: &Error) -> Exit {
    match error {
        Error::Store(_) | Error::StoreFailed => Exit::Store,
        Error::Bind { .. } | Error::System(_) | Error::CutShort => Exit::Failed,
    }
}
