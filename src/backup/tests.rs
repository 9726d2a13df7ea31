use std::io::BufReader;

use super::*;

fn rows() -> Vec<Row> {
    let row = |space: &str, key: &[u8], value: &[u8]| Row {
        space: space.to_owned(),
        key: key.to_vec(),
        value: value.to_vec(),
    };
    vec![
        row("meta", b"v", &[0, 0, 0, 2]),
        row("texts", b"0k3vp", "\u{fc}\n\"],".as_bytes()),
        row("texts", b"0k3vr", &[0xff; 1_000]),
        row("index", &[0, 10, 13, 255], b""),
    ]
}

/// The document of `rows`, their values written in parts of `part` bytes.
fn document(rows: &[Row], part: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::begin(2, &mut out);
    for row in rows {
        writer.begin_row(&row.space, &row.key, &mut out);
        for part in row.value.chunks(part) {
            writer.value(part, &mut out);
        }
        writer.end_row(&mut out);
    }
    writer.finish(&mut out);
    out
}

fn read(document: &[u8]) -> Result<Vec<Row>, Error> {
    // Lines are longer than what is read at once.
    Reader::open(BufReader::with_capacity(7, document))?.collect()
}

#[test]
fn a_document_is_json_and_gives_its_rows_back() {
    for (rows, part) in [(rows(), 3), (rows(), 999), (rows(), 3_000), (vec![], 3)] {
        let written = document(&rows, part);
        let json: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(json["mecha_backup"], 1);
        assert_eq!(json["schema"], 2);
        assert_eq!(json["count"], rows.len());
        assert_eq!(json["rows"].as_array().unwrap().len(), rows.len());
        assert_eq!(written, document(&rows, 6), "whatever the parts");
        assert_eq!(read(&written).unwrap(), rows);
        assert_eq!(Reader::open(&written[..]).unwrap().schema(), 2);
    }
}

#[test]
fn a_document_that_is_cut_anywhere_is_not_whole() {
    let whole = document(&rows(), 3);
    for length in 0..whole.len() {
        let cut = read(&whole[..length]).unwrap_err();
        assert!(
            matches!(cut, Error::Cut { .. } | Error::NotABackup),
            "{length}: {cut}"
        );
    }
}

#[test]
fn a_document_that_is_changed_anywhere_is_refused() {
    let whole = document(&rows(), 3);
    for at in 0..whole.len() {
        for flip in [1, 0x20, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            // Of the last line's white space nothing depends.
            if serde_json::from_slice::<serde_json::Value>(&changed).ok()
                == serde_json::from_slice(&whole).ok()
            {
                continue;
            }
            assert!(read(&changed).is_err(), "{at} {flip}");
        }
    }
    // A row that is missing, with its line.
    let text = String::from_utf8(whole).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(2);
    let shorter = lines.join("\n") + "\n";
    let error = read(shorter.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("its count"), "{error}");
}

#[test]
fn something_else_and_a_newer_version_are_told_from_a_backup() {
    for other in ["", "\n", "{}\n", "<html>\n", "{\"mecha_backup\":1}\n"] {
        let error = read(other.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::NotABackup), "{other:?}: {error}");
    }
    let newer = String::from_utf8(document(&rows(), 3)).unwrap();
    let newer = newer.replacen("\"mecha_backup\":1", "\"mecha_backup\":7", 1);
    let error = read(newer.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("version 7"), "{error}");
}
