//! SIGHUP: the configuration is read again, and what can change while the server runs does.

use std::collections::BTreeSet;
use std::sync::Arc;

use log::{error, info, warn};

use super::{Reload, body_limits, matcher_setup, queue_settings, workers};
use crate::api::Api;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::matcher::Matcher;
use crate::queue::Queue;
use crate::roster::{Origin, Roster};
use crate::worker::WorkerName;

/// The parts of a running server that a reload reaches.
pub(super) struct Live {
    pub(super) reload: Reload,
    pub(super) dispatcher: Dispatcher,
    pub(super) matcher: Matcher,
    pub(super) config: Config,
    pub(super) api: Arc<Api>,
    pub(super) roster: Roster,
    pub(super) queue: Queue,
    /// Bytes of `limits.memory` that the server runs with until it ends.
    pub(super) memory: u64,
}

impl Live {
    /// Reads the configuration and applies it. A bad one changes nothing.
    pub(super) async fn reload(&mut self) {
        let config = match (self.reload)() {
            Ok(config) => config,
            Err(error) => {
                for problem in error.problems() {
                    error!("reload: {problem}");
                }
                error!("reload: the configuration is wrong, and the last one stays in force");
                return;
            }
        };
        for warning in &config.warnings {
            warn!("reload: {warning}");
        }
        let waiting = config.needs_restart(&self.config);
        if !waiting.is_empty() {
            warn!(
                "reload: a change takes effect at the next start: {}",
                waiting.join(", ")
            );
        }
        self.api.set_keys(&config.api_keys);
        self.api.set_body_limits(body_limits(&config, self.memory));
        self.matcher.configure(matcher_setup(&config));
        if let Err(failure) = self.queue.configure(queue_settings(&config)).await {
            error!("reload: the queue's limits stay as they were: {failure}");
        }
        self.dispatcher
            .add_secret_variables(&config.secret_variables);
        self.replace_workers(&config).await;
        info!("reload: done; workers: {}", self.roster.all().len());
        self.config = config;
    }

    async fn replace_workers(&self, config: &Config) {
        let kept: BTreeSet<&WorkerName> =
            config.workers.iter().map(|worker| &worker.name).collect();
        for entry in self.roster.all() {
            if entry.origin() == Origin::File && !kept.contains(entry.name()) {
                self.roster.remove(entry.name());
                let pending = self.queue.pending(entry.name());
                if pending > 0 {
                    warn!(
                        "reload: {pending} pending tasks wait for worker {}, which is gone",
                        entry.name()
                    );
                }
            }
        }
        workers::put_all(&self.roster, &config.workers, &self.queue).await;
    }
}
