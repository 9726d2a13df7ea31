//! `GET /openapi.json`: this interface, described for programs (OpenAPI 3.1).
//!
//! The document is `openapi.json`, beside this file, and is written by hand. Tests hold it to the
//! table of routes, to the codes of errors and to the version; `tests/schemathesis` holds the
//! server's answers to it.

use super::Api;
use super::error::ApiError;
use super::memory::{byte_count, grow_to};
use crate::http::Reply;
use crate::packed::Packed;

/// The document as it is sent.
const DOCUMENT: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json")));

impl Api {
    /// `GET /openapi.json`
    pub(super) async fn describe(&self) -> Result<Reply, ApiError> {
        let mut permit = self.budget.empty();
        grow_to(&self.budget, &mut permit, byte_count(DOCUMENT.size())).await?;
        Ok(Reply {
            permit: Some(permit),
            ..Reply::json(200, DOCUMENT.unpack().into_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use serde_json::Value as Json;

    use super::*;
    use crate::api::route::{self, Access, Body};
    use crate::source::Unreadable;

    /// An operation of the document: its method, its path with `{}` for a parameter, and itself.
    type Operation = (String, String, Json);

    fn document() -> Json {
        serde_json::from_str(&DOCUMENT.unpack()).unwrap()
    }

    /// What is described and not there yet, `GET /path` and `503 code` each.
    fn not_yet() -> BTreeSet<String> {
        let document = document();
        let listed = document["x-not-yet"].as_array().cloned();
        let listed = listed.unwrap_or_default();
        let lines: BTreeSet<_> = listed
            .iter()
            .map(|line| line.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(lines.len(), listed.len());
        lines
    }

    fn operations() -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, item) in document()["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                let plain = path.split('{').map(|part| match part.split_once('}') {
                    Some((_, rest)) => format!("{{}}{rest}"),
                    None => part.to_owned(),
                });
                operations.push((method.to_uppercase(), plain.collect(), operation.clone()));
            }
        }
        assert!(operations.len() > 10);
        operations
    }

    /// `value`, or what its `$ref` leads to.
    fn resolved(value: &Json) -> Json {
        match value["$ref"].as_str() {
            None => value.clone(),
            Some(reference) => document()
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("{reference} leads nowhere"))
                .clone(),
        }
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let mut described: BTreeSet<_> = operations()
            .into_iter()
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();
        for line in not_yet().iter().filter(|line| line.contains('/')) {
            let plain = line.replace("{id}", "{}");
            assert!(described.remove(&plain), "{line} is not described");
        }
        let routed: BTreeSet<_> = route::lines()
            .map(|(method, path, ..)| format!("{} {path}", method.as_str()))
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn the_document_says_who_may_ask_and_what_has_a_body() {
        let operations = operations();
        for (method, path, access, body) in route::lines() {
            let is_line = |(of, at, _): &&Operation| of == method.as_str() && at == path;
            let (_, _, operation) = operations.iter().find(is_line).unwrap();
            let is_open = operation["security"] == serde_json::json!([]);
            assert_eq!(is_open, access != Access::Keyed, "{method:?} {path}");
            let has_body = operation.get("requestBody").is_some();
            assert_eq!(has_body, body != Body::Ignored, "{method:?} {path}");
        }
    }

    #[test]
    fn the_document_has_every_code_of_an_error_and_no_other() {
        let mut described = codes_of_document();
        for line in not_yet().iter().filter(|line| !line.contains('/')) {
            let (status, code) = line.split_once(' ').unwrap();
            let code = (status.parse().unwrap(), code.to_owned());
            assert!(described.remove(&code), "{line} is not described");
        }
        assert_eq!(described, codes_of_sources());
    }

    #[test]
    fn the_document_has_the_version_of_the_program() {
        assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    /// Status and code of every error in the document.
    fn codes_of_document() -> BTreeSet<(u16, String)> {
        let mut codes = BTreeSet::new();
        let mut add = |status: &str, response: &Json| {
            let response = resolved(response);
            let schema = &response["content"]["application/json"]["schema"];
            let of_error = schema["properties"]["code"]["enum"].as_array();
            for code in of_error.into_iter().flatten() {
                codes.insert((status.parse().unwrap(), code.as_str().unwrap().to_owned()));
            }
        };
        for (.., operation) in operations() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                add(status, response);
            }
        }
        // What no described operation answers has a response of its own.
        let document = document();
        for (status, name) in [("404", "UnknownPath"), ("405", "MethodNotAllowed")] {
            add(status, &document["components"]["responses"][name]);
        }
        let of_schema = &document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let listed = of_schema.as_array().unwrap().iter();
        let listed: BTreeSet<_> = listed.map(|code| code.as_str().unwrap()).collect();
        let named: BTreeSet<_> = codes.iter().map(|(_, code)| code.as_str()).collect();
        assert_eq!(listed, named);
        codes
    }

    /// Status and code of every error in the sources, where they stand as `409, "already_ended"`.
    fn codes_of_sources() -> BTreeSet<(u16, String)> {
        let mut codes: BTreeSet<_> = [
            (401, ApiError::BAD_SIGNATURE),
            (400, Unreadable::Empty.as_str()),
            (400, Unreadable::NoPayload.as_str()),
        ]
        .map(|(status, code)| (status, code.to_owned()))
        .into();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let of_api = fs::read_dir(sources.join("api")).unwrap().flatten();
        let mut files: Vec<_> = of_api.map(|entry| entry.path()).collect();
        files.push(sources.join("http/refusal.rs"));
        // The words of `GET /health` are no codes.
        files.retain(|path| {
            path.extension().is_some_and(|e| e == "rs") && !path.ends_with("health.rs")
        });
        for path in files {
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (at, _) in code.match_indices(", \"").chain(code.match_indices(",\n")) {
                let before = code[..at].trim_end();
                let status = before.get(before.len().saturating_sub(3)..).unwrap_or("");
                let behind = code[at + 1..].trim_start();
                let (Ok(status @ 400..600), Some(text)) =
                    (status.parse::<u16>(), behind.strip_prefix('"'))
                else {
                    continue;
                };
                let code = text.split('"').next().unwrap().to_owned();
                codes.insert((status, code));
            }
        }
        assert!(codes.len() > 20);
        codes
    }
}
