//! Which endpoint a method and a path mean.
//!
//! The path is compared as it came: a percent-encoded spelling of a path, or one with a slash at
//! its end, is another path. No identifier of this interface needs encoding.

use crate::http::Method;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    ShowPage,
    Health,
    SubmitTask,
    ShowTask,
    CancelTask,
    RetryTask,
    ListAttempts,
    ListTasks,
    ListWorkers,
    PutWorker,
    DeleteWorker,
    ReceiveWebhook,
    ListEvents,
    ShowEvent,
    ExplainEvent,
    ReplayEvent,
    ApproveEvent,
    TestRules,
    ListRefusals,
    BackUp,
    Metrics,
    Stats,
    Follow,
    Describe,
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, from anywhere.
    Open,
    /// Who has a key, where one is set, and is no foreign page in a browser.
    Keyed,
    /// Whoever is no foreign page in a browser; such a page may lead here by a link.
    Unkeyed,
}

/// What an endpoint does with the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// It means nothing.
    Ignored,
    /// It is a task.
    Task,
    /// It is a worker's settings.
    Worker,
    /// It is a delivery.
    Webhook,
    /// It is a payload for the rules.
    RuleTest,
}

/// Method, path, meaning, access, body. `{}` stands for one path segment that is not empty.
/// HEAD is understood wherever GET is, and OPTIONS everywhere.
struct Line(Method, &'static str, Endpoint, Access, Body);

/// A line for who has a key, whose body means nothing.
const fn line(method: Method, pattern: &'static str, endpoint: Endpoint) -> Line {
    Line(method, pattern, endpoint, Access::Keyed, Body::Ignored)
}

const fn get(pattern: &'static str, endpoint: Endpoint) -> Line {
    line(Method::Get, pattern, endpoint)
}

const fn post(pattern: &'static str, endpoint: Endpoint) -> Line {
    line(Method::Post, pattern, endpoint)
}

const fn put(pattern: &'static str, endpoint: Endpoint) -> Line {
    line(Method::Put, pattern, endpoint)
}

const fn delete(pattern: &'static str, endpoint: Endpoint) -> Line {
    line(Method::Delete, pattern, endpoint)
}

impl Line {
    const fn for_access(self, access: Access) -> Self {
        let Self(method, pattern, endpoint, _, body) = self;
        Self(method, pattern, endpoint, access, body)
    }

    const fn with(self, body: Body) -> Self {
        let Self(method, pattern, endpoint, access, _) = self;
        Self(method, pattern, endpoint, access, body)
    }
}

const TABLE: &[Line] = &[
    get("/", Endpoint::ShowPage).for_access(Access::Unkeyed),
    get("/health", Endpoint::Health).for_access(Access::Open),
    post("/task", Endpoint::SubmitTask).with(Body::Task),
    get("/task/{}", Endpoint::ShowTask),
    delete("/task/{}", Endpoint::CancelTask),
    post("/task/{}/retry", Endpoint::RetryTask),
    get("/task/{}/attempts", Endpoint::ListAttempts),
    get("/tasks", Endpoint::ListTasks),
    get("/workers", Endpoint::ListWorkers),
    put("/worker/{}", Endpoint::PutWorker).with(Body::Worker),
    delete("/worker/{}", Endpoint::DeleteWorker),
    post("/webhook/{}", Endpoint::ReceiveWebhook)
        .for_access(Access::Open)
        .with(Body::Webhook),
    get("/events", Endpoint::ListEvents),
    get("/event/{}", Endpoint::ShowEvent),
    get("/event/{}/why", Endpoint::ExplainEvent),
    post("/event/{}/replay", Endpoint::ReplayEvent),
    post("/event/{}/approve", Endpoint::ApproveEvent),
    post("/rules/test", Endpoint::TestRules).with(Body::RuleTest),
    get("/refusals", Endpoint::ListRefusals),
    get("/backup", Endpoint::BackUp),
    get("/metrics", Endpoint::Metrics),
    get("/stats", Endpoint::Stats),
    get("/stream", Endpoint::Follow),
    get("/openapi.json", Endpoint::Describe),
];

/// Method, path, access and body of every line, for the test of the document that describes them.
#[cfg(test)]
pub(super) fn lines() -> impl Iterator<Item = (Method, &'static str, Access, Body)> {
    TABLE
        .iter()
        .map(|Line(method, path, _, access, body)| (*method, *path, *access, *body))
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) access: Access,
    pub(super) target: Target<'a>,
}

/// What is at the end of a [`Route`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// An endpoint, with the segment that `{}` stands for, or "".
    Endpoint {
        endpoint: Endpoint,
        segment: &'a str,
        body: Body,
    },
    /// OPTIONS, with the value of `Allow`.
    Options { allow: String },
    /// The path is known, the method is not among those of `allow`.
    WrongMethod { allow: String },
    /// Nothing is there.
    Unknown,
}

/// Finds the way for `method` and `path`.
pub(super) fn find(method: Method, path: &str) -> Route<'_> {
    let wanted = match method {
        Method::Head => Method::Get,
        other => other,
    };
    // Webhooks are signed by their senders, who have no key, whatever path they were given.
    let is_webhook = method == Method::Post && path.starts_with("/webhook/");
    let mut access = if is_webhook {
        Access::Open
    } else {
        Access::Keyed
    };
    let mut is_known = false;
    for Line(line_method, pattern, endpoint, line_access, body) in TABLE {
        let Some(segment) = matched_segment(pattern, path) else {
            continue;
        };
        is_known = true;
        access = *line_access;
        if *line_method == wanted {
            let target = Target::Endpoint {
                endpoint: *endpoint,
                segment,
                body: *body,
            };
            return Route { access, target };
        }
    }
    let target = if is_known {
        let lines = TABLE
            .iter()
            .filter(|line| matched_segment(line.1, path).is_some());
        let allow = allow(lines);
        match method {
            Method::Options => Target::Options { allow },
            _ => Target::WrongMethod { allow },
        }
    } else {
        Target::Unknown
    };
    Route { access, target }
}

/// Each endpoint with its method and path, as the reference writes them.
pub(super) fn endpoints() -> impl Iterator<Item = (Endpoint, Method, String)> {
    TABLE.iter().map(|Line(method, pattern, endpoint, ..)| {
        let segment = match pattern.split('/').nth(1) {
            Some("worker") => "{name}",
            Some("webhook") => "{source}",
            _ => "{id}",
        };
        (*endpoint, *method, pattern.replace("{}", segment))
    })
}

fn matched_segment<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    // A byte is found sooner than two, and this is done for line after line.
    match pattern.split_once('{') {
        None => (pattern == path).then_some(""),
        Some((before, after)) => {
            let segment = path
                .strip_prefix(before)?
                .strip_suffix(after.strip_prefix('}')?)?;
            (!segment.is_empty() && !segment.contains('/')).then_some(segment)
        }
    }
}

fn allow<'a>(lines: impl Iterator<Item = &'a Line>) -> String {
    let mut methods = vec![Method::Options];
    for Line(method, ..) in lines {
        methods.push(*method);
        if *method == Method::Get {
            methods.push(Method::Head);
        }
    }
    let mut names: Vec<_> = methods.into_iter().map(Method::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_and_path_leads_to_its_endpoint() {
        use Endpoint as E;
        for (method, path, endpoint, segment) in [
            (Method::Get, "/", E::ShowPage, ""),
            (Method::Head, "/", E::ShowPage, ""),
            (Method::Get, "/health", E::Health, ""),
            (Method::Head, "/health", E::Health, ""),
            (Method::Post, "/task", E::SubmitTask, ""),
            (Method::Get, "/task/0k3v", E::ShowTask, "0k3v"),
            (Method::Head, "/task/0k3v", E::ShowTask, "0k3v"),
            (Method::Delete, "/task/0k3v", E::CancelTask, "0k3v"),
            (Method::Post, "/task/0k3v/retry", E::RetryTask, "0k3v"),
            (Method::Get, "/task/retry", E::ShowTask, "retry"),
            (Method::Post, "/task/retry/retry", E::RetryTask, "retry"),
            (Method::Get, "/tasks", E::ListTasks, ""),
            (Method::Get, "/workers", E::ListWorkers, ""),
            (Method::Put, "/worker/a.b-c_d", E::PutWorker, "a.b-c_d"),
            (Method::Delete, "/worker/%61", E::DeleteWorker, "%61"),
            (Method::Post, "/webhook/github", E::ReceiveWebhook, "github"),
            (Method::Get, "/events", E::ListEvents, ""),
            (Method::Get, "/event/0k3v", E::ShowEvent, "0k3v"),
            (Method::Get, "/event/0k3v/why", E::ExplainEvent, "0k3v"),
            (Method::Post, "/event/0k3v/replay", E::ReplayEvent, "0k3v"),
            (Method::Post, "/event/0k3v/approve", E::ApproveEvent, "0k3v"),
            (Method::Post, "/rules/test", E::TestRules, ""),
            (Method::Get, "/refusals", E::ListRefusals, ""),
            (Method::Get, "/metrics", E::Metrics, ""),
            (Method::Get, "/stats", E::Stats, ""),
            (Method::Get, "/openapi.json", E::Describe, ""),
        ] {
            let route = find(method, path);
            let Target::Endpoint {
                endpoint: found,
                segment: found_segment,
                ..
            } = route.target
            else {
                panic!("{method:?} {path}: {route:?}");
            };
            assert_eq!((found, found_segment), (endpoint, segment), "{path}");
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "",
            "*",
            "//",
            "/index.html",
            "/Health",
            "/health/",
            "/healthz",
            "/task/",
            "/task//retry",
            "/task/a/b",
            "/task/a/retry/",
            "/task/a/retry/b",
            "/tasks/",
            "//tasks",
            "/worker",
            "/worker/",
            "/workers/a",
            "/webhook",
            "/webhook/",
            "/webhook/a/b",
            "/event/a/why/",
            "/rules",
            "/%74asks",
            "/tasks%20",
        ] {
            let route = find(Method::Get, path);
            assert_eq!(route.target, Target::Unknown, "{path:?}");
            assert_eq!(route.access, Access::Keyed, "{path:?}");
        }
    }

    #[test]
    fn a_wrong_method_and_options_are_told_what_is_allowed() {
        for (path, allowed) in [
            ("/health", "GET, HEAD, OPTIONS"),
            ("/task", "OPTIONS, POST"),
            ("/task/0k3v", "DELETE, GET, HEAD, OPTIONS"),
            ("/task/0k3v/retry", "OPTIONS, POST"),
            ("/tasks", "GET, HEAD, OPTIONS"),
            ("/workers", "GET, HEAD, OPTIONS"),
            ("/worker/a", "DELETE, OPTIONS, PUT"),
            ("/webhook/github", "OPTIONS, POST"),
            ("/event/0k3v", "GET, HEAD, OPTIONS"),
            ("/event/0k3v/why", "GET, HEAD, OPTIONS"),
            ("/rules/test", "OPTIONS, POST"),
        ] {
            let allow = allowed.to_owned();
            let refused = find(Method::Patch, path).target;
            assert_eq!(refused, Target::WrongMethod { allow }, "{path}");
            let allow = allowed.to_owned();
            let options = find(Method::Options, path).target;
            assert_eq!(options, Target::Options { allow }, "{path}");
        }
    }

    #[test]
    fn health_webhooks_and_the_page_alone_want_no_key_whatever_the_method() {
        for Line(_, pattern, endpoint, ..) in TABLE {
            let path = pattern.replace("{}", "x");
            for method in [Method::Get, Method::Put, Method::Options, Method::Patch] {
                let expected = match endpoint {
                    Endpoint::Health | Endpoint::ReceiveWebhook => Access::Open,
                    Endpoint::ShowPage => Access::Unkeyed,
                    _ => Access::Keyed,
                };
                assert_eq!(find(method, &path).access, expected, "{path}");
            }
        }
    }
}
