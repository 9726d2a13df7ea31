//! What a client of the API does, each request on a connection of its own.

use std::net::SocketAddr;

use serde_json::Value;

use super::connection::Connection;
use super::request::Request;
use super::response::Response;
use super::time::wait_for;

/// A server's address and the key to it; each request has a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) addr: SocketAddr,
    pub(crate) key: Option<String>,
}

impl Api {
    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.addr)
    }

    #[track_caller]
    pub(crate) fn ask(&self, request: Request) -> Response {
        let request = match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        self.connect().ask(&request)
    }

    /// Sends raw bytes, says that nothing more will come, and gives every answer up to the
    /// connection's end.
    #[track_caller]
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<Response> {
        let mut connection = self.connect();
        connection.try_send(bytes);
        connection.finish();
        let mut responses = Vec::new();
        while let Some(response) = connection.next(false) {
            responses.push(response);
        }
        responses
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.ask(Request::get(target))
    }

    #[track_caller]
    pub(crate) fn delete(&self, target: &str) -> Response {
        self.ask(Request::new("DELETE", target))
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: &Value) -> Response {
        self.ask(Request::post(target).json(body))
    }

    #[track_caller]
    pub(crate) fn put(&self, target: &str, body: &Value) -> Response {
        self.ask(Request::new("PUT", target).json(body))
    }

    /// Submits a task and gives its id.
    #[track_caller]
    pub(crate) fn submit(&self, worker: &str, prompt: &str) -> String {
        let body = serde_json::json!({"prompt": prompt, "worker": worker});
        let task = self.post("/task", &body).expect(202).json();
        task["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The task as it is now.
    #[track_caller]
    pub(crate) fn task(&self, id: &str) -> Value {
        self.get(&format!("/task/{id}")).expect(200).json()
    }

    /// The task once it is in `state`.
    #[track_caller]
    pub(crate) fn task_in(&self, id: &str, state: &str) -> Value {
        wait_for(&format!("task {id} is {state}"), || {
            Some(self.task(id)).filter(|task| task["state"] == state)
        })
    }

    /// The ids of a list of tasks.
    #[track_caller]
    pub(crate) fn ids(&self, target: &str) -> Vec<String> {
        let page = self.get(target).expect(200).json();
        let Some(tasks) = page.as_array() else {
            panic!("a list of tasks is an array: {page}");
        };
        tasks
            .iter()
            .map(|task| task["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The worker as `GET /workers` shows it; `Null` where it does not.
    #[track_caller]
    pub(crate) fn worker(&self, name: &str) -> Value {
        let workers = self.get("/workers").expect(200).json();
        let mut workers = workers.as_array().into_iter().flatten();
        workers
            .find(|worker| worker["name"] == name)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until the worker is in `state`.
    #[track_caller]
    pub(crate) fn worker_in(&self, name: &str, state: &str) -> Value {
        wait_for(&format!("worker {name} is {state}"), || {
            Some(self.worker(name)).filter(|worker| worker["state"] == state)
        })
    }
}
