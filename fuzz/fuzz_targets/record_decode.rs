#![no_main]

use mecha::store::record::{KeyRecord, LaneRecord, TaskRecord, decode, encode};

// What can be read is written back as the same row, and nothing panics.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(row) = decode::<TaskRecord>(input, "row") {
        assert_eq!(decode::<TaskRecord>(&encode(&row), "row").unwrap(), row);
    }
    if let Ok(row) = decode::<LaneRecord>(input, "row") {
        assert_eq!(decode::<LaneRecord>(&encode(&row), "row").unwrap(), row);
    }
    if let Ok(row) = decode::<KeyRecord>(input, "row") {
        assert_eq!(decode::<KeyRecord>(&encode(&row), "row").unwrap(), row);
    }
});
