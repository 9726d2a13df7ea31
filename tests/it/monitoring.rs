//! `docs/monitoring`: Prometheus reads what the server says, and alerts, dashboard and text name what
//! there is.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{EndpointWorker, Server, github_source, pull_request, rule, server};
use crate::metrics::{ended, moody};

/// Runs promtool on `input`; `None`, said on standard error, where it is not installed.
fn promtool(args: &[&str], input: &str) -> Option<()> {
    let mut command = Command::new("promtool");
    command
        .args(args)
        .current_dir(monitoring())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let _ = std::io::stderr().write_all(b"skipped: promtool is not installed\n");
            return None;
        }
        Err(error) => panic!("promtool does not start: {error}"),
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{said:?}\n{input}");
    // Its advice is taken, too.
    if args == ["check", "metrics"] {
        assert_eq!(said.concat(), "", "{input}");
    }
    Some(())
}

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(monitoring().join(file)).unwrap()
}

/// A server that has counted something of everything.
fn busy_server() -> (Server, EndpointWorker) {
    let worker = moody();
    let config = [
        worker.config("w", ""),
        rule("*", "Look", ""),
        github_source(""),
    ]
    .concat();
    let server = Server::with(config);
    let event = server.receive("1", &pull_request("opened", 1));
    server.event_in(&event, "completed");
    let id = server.submit("w", "bad");
    ended(&server, &id);
    server.get("/nothing").expect(404);
    (server, worker)
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let (busy, _worker) = busy_server();
    let text = busy.get("/metrics").expect(200).text();
    promtool(&["check", "metrics"], &text);
    // Before anything was counted, too.
    let idle = server().start();
    let text = idle.get("/metrics").expect(200).text();
    promtool(&["check", "metrics"], &text);
}

#[test]
fn promtool_takes_the_alerts_and_their_tests() {
    if promtool(&["check", "rules", "alerts.yml"], "").is_some() {
        promtool(&["test", "rules", "alerts_test.yml"], "");
    }
}

#[test]
fn promtool_reads_every_query_of_the_dashboard() {
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let rules: Vec<_> = targets
        .enumerate()
        .map(|(number, target)| {
            // As Grafana fills its variables in.
            let expr = target["expr"].as_str().unwrap();
            let expr = expr.replace("$__rate_interval", "5m");
            let expr = expr.replace("$instance", ".*");
            json!({"record": format!("query:{number}"), "expr": expr})
        })
        .collect();
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queries.json");
    std::fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}

/// The names in a text that a server of this kind could have.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("mecha_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// The names of the families of a scrape, with those of the series of histograms.
fn exposed(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            names.insert(name.to_owned());
            if kind == "histogram" {
                names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
            }
        }
    }
    names
}

#[test]
fn every_metric_that_alerts_dashboard_and_docs_name_exists_and_is_documented() {
    let (server, _worker) = busy_server();
    let text = server.get("/metrics").expect(200).text();
    let exposed = exposed(&text);
    for file in ["alerts.yml", "alerts_test.yml", "grafana.json", "README.md"] {
        let named = names(&read(file));
        assert!(named.len() > 5, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    let documented = names(&read("README.md"));
    let families = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in families {
        assert!(documented.contains(name), "README.md lacks {name}");
    }
}

#[test]
fn the_dashboard_is_json_with_a_query_in_each_panel() {
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 5);
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert!(
                !names(target["expr"].as_str().unwrap()).is_empty(),
                "{target}"
            );
        }
    }
}
