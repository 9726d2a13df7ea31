//! What the tests share: a server under test, an HTTP client, workers that do as they are told.
//!
//! Nothing here knows the inside of the program: it is started as a process and spoken to in
//! bytes. Every wait has a deadline, every process and thread ends with the test that began it.

mod api;
mod connection;
mod control_group;
mod delivery;
mod endpoint_worker;
mod gate;
mod program;
mod relay;
mod request;
mod response;
mod server;
mod time;
mod wire;

pub(crate) use api::Api;
pub(crate) use connection::Connection;
pub(crate) use control_group::ControlGroup;
pub(crate) use delivery::{SECRET, delivery, github_source, hex_hmac, pull_request, rule};
pub(crate) use endpoint_worker::{Answer, EndpointWorker, unused_address};
pub(crate) use gate::Gate;
pub(crate) use program::{Outcome, Program, is_running};
pub(crate) use relay::{Relay, Turn};
pub(crate) use request::Request;
pub(crate) use response::Response;
pub(crate) use server::{
    Launch, Server, Stopped, command_worker, endpoint_worker, offline_worker, server,
};
pub(crate) use time::{PATIENCE, now, stays, wait_for, wait_until};
