//! What must be known before the configuration is read: of how much memory it speaks.

use std::path::Path;

use toml::de::DeTable;

use super::file::FILE_LENGTH_MAX;
use super::secrets::read_bounded;
use super::value::parse_size;

/// `limits.memory` of the file at `path`. `None` where it has none that can be read: what is wrong with
/// the file is told by who reads it whole.
pub(super) fn memory(path: &Path) -> Option<u64> {
    let bytes = read_bounded(path, FILE_LENGTH_MAX).ok()?;
    let table = DeTable::parse(str::from_utf8(&bytes).ok()?).ok()?;
    let limits = table.get_ref().get("limits")?.get_ref().as_table()?;
    parse_size(limits.get("memory")?.get_ref().as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_where_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mecha.toml");
        assert_eq!(memory(&path), None);
        for (text, found) in [
            ("", None),
            ("[limits]\nqueue = 5\n", None),
            ("[limits]\nmemory = \"lots\"\n", None),
            ("[limits]\nmemory = 5\n", None),
            ("memory = \"16MiB\"\n", None),
            ("[limits]\nmemory = \"16MiB\"\n", Some(16 << 20)),
            ("limits.memory = \"1GiB\"\naddr = 7", Some(1 << 30)),
            ("limits = { memory = \"16MiB\" }\n", Some(16 << 20)),
            ("[limits\nmemory = \"16MiB\"\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(memory(&path), found, "{text:?}");
        }
    }
}
