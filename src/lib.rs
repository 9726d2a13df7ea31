//! mecha: a durable task server for LLM agents and other workers.

pub mod budget;
pub mod clock;
pub mod drain;
pub mod id;
pub mod queue;
pub mod roster;
pub mod secret;
pub mod store;
pub mod task;
pub mod worker;
