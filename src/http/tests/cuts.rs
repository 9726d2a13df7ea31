//! The rows of `tests/traffic`, each read the same wherever its bytes are cut.
//!
//! There are more places to cut at than a quick run has time for: by default one of 32 is tried in
//! each row, another one in each, and `MECHA_CUT_STEP=1` tries all. Pipelined requests are cut at
//! every byte in any case.

use super::direct::{Conversation, Direct, Reached};
use super::traffic::{BEHIND, Outcome, PIPELINED, Row, SMUGGLED, Seen, number, rows};

/// Rows up to this length are cut at every byte.
const CUT_BYTES_MAX: usize = 1_000;

/// One of so many places to cut at is tried.
fn cut_step() -> usize {
    usize::try_from(number("MECHA_CUT_STEP", 32)).unwrap()
}

/// The row's bytes with what must be read, or must not be read, behind them.
fn stream(row: &Row) -> Vec<u8> {
    let behind = match row.outcome {
        Outcome::Read(_) => BEHIND,
        Outcome::Refused(_) | Outcome::Closed(_) => SMUGGLED,
    };
    [&row.bytes, behind.as_bytes()].concat()
}

fn reached(seen: &Seen) -> Reached {
    Reached {
        method: seen.method.to_owned(),
        target: seen.target.clone(),
        host: seen.host.to_owned(),
        body: seen.body.clone().into_bytes(),
    }
}

/// What is wrong with a row's outcome.
fn fault(row: &Row, conversation: &Conversation) -> Option<String> {
    let (mut expected, refusal, answers) = match &row.outcome {
        Outcome::Refused(status) => (Vec::new(), Some(*status), 1),
        Outcome::Closed(seen) => (seen.clone(), None, seen.len()),
        Outcome::Read(seen) => {
            let behind = Seen::new("GET", "/health", 200);
            ([&seen[..], &[behind]].concat(), None, seen.len() + 1)
        }
    };
    // The server itself answers for itself; no service sees that.
    expected.retain(|seen| seen.target != "*");
    let expected: Vec<Reached> = expected.iter().map(reached).collect();
    let is_right = conversation.reached == expected
        && conversation.refusal() == refusal
        && conversation.statuses().len() == answers
        && conversation.was_closed() != matches!(row.outcome, Outcome::Read(_));
    (!is_right).then(|| format!("{row}\n{conversation:#?}"))
}

#[test]
fn every_stream_of_the_table_is_read_as_it_has_to_be() {
    let direct = Direct::new();
    let rows = rows();
    let read = rows.iter();
    let faults: Vec<String> = read
        .filter_map(|row| fault(row, &direct.converse(&[&stream(row)])))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    println!("{} rows", rows.len());
    assert!(rows.len() > 400);
}

/// Checks that a row is read the same in two pieces; how many cuts were tried, from `first` on in
/// steps of `step`.
#[track_caller]
fn cut(direct: &Direct, row: &Row, first: usize, step: usize) -> usize {
    let stream = stream(row);
    if stream.len() > CUT_BYTES_MAX {
        return 0;
    }
    let whole = direct.converse(&[&stream]);
    let mut count = 0;
    for cut in (1..stream.len()).skip(first % step).step_by(step) {
        let (front, rest) = stream.split_at(cut);
        assert_eq!(direct.converse(&[front, rest]), whole, "{row} cut at {cut}");
        count += 1;
    }
    count
}

#[test]
fn a_stream_is_read_the_same_wherever_it_is_cut() {
    let direct = Direct::new();
    let step = cut_step();
    let rows = rows();
    let rows = rows.iter().enumerate();
    let count: usize = rows
        // A step that shares no factor with theirs tries another place in each row.
        .map(|(place, row)| cut(&direct, row, place * 7, step))
        .sum();
    println!("{count} cuts");
    assert!(count > 2_000, "{count}");
}

#[test]
fn pipelined_requests_are_answered_the_same_wherever_they_are_cut() {
    let direct = Direct::new();
    let rows = rows().into_iter();
    let count: usize = rows
        .filter(|row| row.what.starts_with(PIPELINED))
        .map(|row| cut(&direct, &row, 0, 1))
        .sum();
    assert!(count > 500, "{count}");
}

#[test]
fn a_stream_is_read_the_same_byte_by_byte() {
    let direct = Direct::new();
    let step = cut_step();
    for row in rows().into_iter().step_by(step.div_ceil(8)) {
        let stream = stream(&row);
        if stream.len() <= CUT_BYTES_MAX {
            let pieces: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(fault(&row, &direct.converse(&pieces)), None);
        }
    }
}
