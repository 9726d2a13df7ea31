//! mecha: a durable task server for LLM agents and other workers.
//!
//! # The way of a task
//!
//! ```text
//! socket → http → api → queue → store ──fsync──> 202
//!                         │
//!             wake ───────┘
//! dispatch: claim → worker (endpoint | command) → complete → store
//! ```
//!
//! Bytes become requests in [`http`], requests become domain types in [`api`], and domain types
//! become rows in [`store`]; each happens in one place. Calls go one way:
//!
//! ```text
//! cli → server → (api, dispatch) → (http, queue, roster) → store → (task, worker, id, clock)
//! ```
//!
//! `api` and `dispatch` know neither each other nor the store. `DESIGN.md` has the reasons.

// The queue's model names this crate as the tests do.
#[cfg(test)]
extern crate self as mecha;

pub mod allocator;
pub mod api;
pub mod backup;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod drain;
pub mod event;
pub mod feed;
pub mod footprint;
pub mod http;
pub mod id;
pub mod logging;
pub mod matcher;
pub mod metrics;
pub mod offload;
pub mod packed;
pub mod page;
pub mod queue;
pub mod relief;
pub mod roster;
pub mod rules;
pub mod secret;
pub mod server;
pub mod source;
pub mod store;
pub mod task;
mod terminal;
pub mod worker;
