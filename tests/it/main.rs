//! The program held to its contract from outside (the real binary, real sockets, real signals), and
//! its queue held to a model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::too_many_lines,
    reason = "tables of cases are as long as they are"
)]

mod allocator;
mod attempts;
mod auth;
mod backup;
mod backup_faults;
mod behind_nginx;
mod cancel;
mod cli;
mod client;
mod clock_jumps;
mod command_workers;
mod config_errors;
mod crash;
mod crowds;
mod data_check;
mod data_directory;
mod deliveries;
mod disk_faults;
mod dispatch;
mod docs;
mod drain;
mod endpoint_workers;
mod event_crash;
mod events;
mod faults;
mod fixtures;
mod floods;
mod forgery;
mod framing;
mod fuzz_seeds;
mod harness;
mod harness_works;
mod http_general;
mod http_limits;
mod idempotency;
mod layering;
mod limits;
mod logs;
mod memory;
mod metrics;
mod model;
mod monitoring;
mod open_files;
mod openapi;
mod origin;
mod page;
mod reload;
mod restart;
mod retry;
mod secrets;
mod senders;
mod shell;
mod slow_peers;
mod small_host;
mod stream;
mod strictness;
mod task_lists;
mod tasks;
mod torture;
#[path = "../traffic/mod.rs"]
mod traffic;
mod wait;
mod webhooks;
mod worker_api;
mod worker_lies;
mod workers;
