use super::*;
use crate::store::{Error, keys};

/// A data directory with rows in every keyspace.
fn original(dir: &Path) -> Store {
    let store = Store::open(dir).unwrap();
    let mut batch = store.batch();
    for (space, kilobytes) in SPACES.into_iter().zip([0, 1, 3, 9, 27]) {
        for row in 0..200_u32 {
            let value = vec![kilobytes; 1_000 * usize::from(kilobytes)];
            batch.write(space, format!("{row:05}").into_bytes(), &value);
        }
    }
    batch.commit().unwrap();
    store
}

fn rows(store: &Store) -> Vec<Row> {
    let row = |row: Result<crate::store::ExportedRow, Error>| {
        let row = row.unwrap();
        Row {
            space: row.space().to_owned(),
            key: row.key().to_vec(),
            value: row.value().to_vec(),
        }
    };
    store.snapshot().export().unwrap().map(row).collect()
}

fn import_all(dir: &Path, rows: &[Row]) -> Result<Imported, ImportError> {
    fs::create_dir(dir).unwrap();
    import(dir, rows.iter().cloned().map(Ok))
}

#[test]
fn a_copy_has_the_same_rows_and_opens() {
    let home = tempfile::tempdir().unwrap();
    let original = original(&home.path().join("original"));
    let exported = rows(&original);
    let copy = home.path().join("copy");
    let imported = import_all(&copy, &exported).unwrap();
    assert_eq!(imported.rows, exported.len() as u64);
    assert_eq!((imported.tasks, imported.events), (200, 200));
    assert!(imported.disk_bytes > 0);
    let opened = Store::open(&copy).unwrap();
    assert_eq!(
        opened.run(),
        original.run() + 1,
        "attempts of then are over"
    );
    let without_run = |rows: Vec<Row>| -> Vec<Row> {
        let is_run = |row: &Row| row.space == "meta" && row.key == keys::RUN;
        rows.into_iter().filter(|row| !is_run(row)).collect()
    };
    assert!(without_run(rows(&opened)) == without_run(exported));
    // It can be written like any other one.
    let mut batch = opened.batch();
    batch.write(Space::Tasks, b"00000".to_vec(), b"changed");
    batch.commit().unwrap();
    drop(opened);
    let again = Store::open(&copy).unwrap();
    let found = again.batch().read(Space::Tasks, b"00000").unwrap();
    assert_eq!(found.as_deref(), Some(&b"changed"[..]));
}

#[test]
fn rows_that_cannot_be_a_backup_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let exported = rows(&original(&home.path().join("original")));
    let damages: [fn(&mut Vec<Row>); 8] = [
        |rows| rows.swap(10, 11),
        |rows| rows.insert(10, rows[9].clone()),
        |rows| rows.rotate_left(1),
        |rows| rows[20].space = "prompts".to_owned(),
        |rows| rows[20].key = Vec::new(),
        |rows| rows.last_mut().unwrap().key = vec![0xff; 70_000],
        |rows| rows.retain(|row| row.key != keys::SCHEMA),
        |rows| {
            let schema = rows.iter_mut().find(|row| row.key == keys::SCHEMA);
            schema.unwrap().value = 77_u32.to_be_bytes().to_vec();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut rows = exported.clone();
        damage(&mut rows);
        let error = import_all(&home.path().join(number.to_string()), &rows).unwrap_err();
        assert!(
            matches!(
                error,
                ImportError::OutOfPlace { .. } | ImportError::UnknownSchema { .. }
            ),
            "{number}: {error}"
        );
    }
}
