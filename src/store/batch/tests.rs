//! What a batch reads of itself and of the disk at once.

use super::*;

fn id(number: u32) -> TaskId {
    format!("{number:016}").parse().unwrap()
}

/// A record that tells of itself by the length of its prompt.
fn record(number: u32) -> TaskRecord {
    TaskRecord::new(0, 1, 1, number.into())
}

/// The numbers that a walk over `wanted` finds.
fn found(batch: &Batch<'_>, wanted: &[u32]) -> Vec<u32> {
    let ids: Vec<TaskId> = wanted.iter().copied().map(id).collect();
    let found = batch.tasks_among(&ids).unwrap();
    let numbers = found.into_iter().map(|(found, record)| {
        let number = u32::try_from(record.prompt_bytes).unwrap();
        assert_eq!(found, id(number));
        number
    });
    numbers.collect()
}

#[test]
fn a_walk_finds_the_tasks_that_looking_them_up_finds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = store.batch();
    for number in (0..100).filter(|number| number % 10 != 9) {
        batch.put_task(id(number), None, &record(number));
    }
    batch.commit().unwrap();
    let mut batch = store.batch();
    batch.put_task(id(9), None, &record(9));
    batch.delete_task(id(11), &record(11));
    for wanted in [
        vec![],
        vec![3],
        vec![19],
        vec![8, 9, 10, 11, 12],
        vec![0, 1, 5, 19, 20, 99],
        (0..100).collect(),
    ] {
        let looked_up = wanted
            .iter()
            .filter(|number| batch.task(id(**number)).unwrap().is_some());
        let looked_up: Vec<u32> = looked_up.copied().collect();
        assert_eq!(found(&batch, &wanted), looked_up, "{wanted:?}");
    }
    // Behind many others the rest is looked up.
    assert_eq!(found(&batch, &[0, 50, 51]), [0, 50, 51]);
}
