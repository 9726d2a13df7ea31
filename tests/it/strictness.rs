//! The strictness table: every stream of `tests/traffic` against the real program. Each gets the
//! answers it has to get and no further one, starts nothing that is hidden in it, and leaves the
//! server serving.

use std::thread;

use serde_json::Value;

use crate::harness::{Connection, Response, Server, offline_worker};
use crate::traffic::{BEHIND, Outcome, Row, SMUGGLED, Seen, rows};

/// Rows are tried over so many connections at once.
const CLIENTS: usize = 4;

/// Everything that is answered to `bytes`, up to the connection's end; `seen` says which of the
/// answers are to HEAD. The server has to end the connection by itself unless it `is_open`.
fn answers(server: &Server, bytes: &[u8], seen: &[Seen], is_open: bool) -> Vec<Response> {
    let mut connection = server.connect();
    connection.try_send(bytes);
    if is_open {
        connection.finish();
    }
    let mut answers = Vec::new();
    while let Some(answer) = next(&mut connection, seen.get(answers.len())) {
        answers.push(answer);
    }
    answers
}

/// The next answer that is no interim one.
fn next(connection: &mut Connection, seen: Option<&Seen>) -> Option<Response> {
    let is_head = seen.is_some_and(|seen| seen.method == "HEAD");
    loop {
        let answer = connection.next(is_head)?;
        if answer.status != 100 {
            return Some(answer);
        }
    }
}

/// What is wrong with the answers to a row.
fn fault(server: &Server, row: &Row) -> Option<String> {
    let (seen, refusal, behind) = match &row.outcome {
        Outcome::Refused(status) => (&[][..], Some(*status), SMUGGLED),
        Outcome::Closed(seen) => (&seen[..], None, SMUGGLED),
        Outcome::Read(seen) => (&seen[..], Some(200), BEHIND),
    };
    let is_open = matches!(row.outcome, Outcome::Read(_));
    let bytes = [&row.bytes, behind.as_bytes()].concat();
    let given = answers(server, &bytes, seen, is_open);
    let expected = seen.iter().map(|seen| seen.status).chain(refusal);
    let is_right = given.iter().map(|answer| answer.status).eq(expected)
        && given
            .last()
            .is_some_and(|answer| answer.closes() != is_open)
        && seen.iter().zip(&given).all(|(seen, answer)| {
            // A submission is answered with the task, so with the body that was read.
            answer.status != 202 || prompt(&seen.body) == prompt(&answer.text())
        });
    (!is_right).then(|| {
        let given = given.iter();
        let given: Vec<_> = given.map(|a| (a.status, a.closes(), a.text())).collect();
        format!("{row}, and gave {given:?}")
    })
}

fn prompt(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(value["prompt"].as_str()?.to_owned())
}

#[test]
fn every_stream_gets_its_answers_and_no_other() {
    let server = Server::with(offline_worker("offline"));
    let rows = rows();
    let faults = thread::scope(|scope| {
        let clients: Vec<_> = rows
            .chunks(rows.len().div_ceil(CLIENTS))
            .map(|rows| {
                scope.spawn(|| {
                    let tried = rows.iter().filter_map(|row| {
                        let fault = fault(&server, row);
                        // On a connection of its own: others are served as before.
                        let tasks = server.get("/tasks?limit=1000").expect(200).text();
                        let smuggled = tasks
                            .contains("smuggled")
                            .then(|| format!("{row}: smuggled"));
                        fault.or(smuggled)
                    });
                    tried.collect::<Vec<String>>()
                })
            })
            .collect();
        let joined = clients.into_iter();
        joined
            .flat_map(|client| client.join().unwrap())
            .collect::<Vec<String>>()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn the_table_has_a_row_for_each_trick_and_names_its_rule() {
    let rows = rows();
    for row in &rows {
        assert!(row.rule.starts_with("RFC 9"), "{row}");
        assert!(!row.what.is_empty() && !row.bytes.is_empty(), "{row}");
    }
    let places = rows.iter().enumerate();
    let twins = places.filter(|(place, row)| {
        let others = rows[..*place].iter();
        others
            .map(|other| &other.bytes)
            .any(|bytes| *bytes == row.bytes)
    });
    let twins: Vec<String> = twins.map(|(_, row)| row.to_string()).collect();
    assert!(twins.is_empty(), "twice: {}", twins.join("\n"));
}
