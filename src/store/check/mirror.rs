//! A directory that looks to the engine like the one that is checked, so that what it writes goes
//! elsewhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::store::Error;
use crate::store::creation::MARKER;
use crate::store::journal::Journals;
use crate::store::tables::Keyspace;

/// A mirror; it is removed when it is dropped.
pub(super) struct Mirror {
    dir: PathBuf,
}

impl Mirror {
    /// Copies the journals in `rows` as far as they are whole, and the lists of tables; the tables
    /// themselves, which nobody writes to, are linked.
    pub(super) fn of(
        rows: &Path,
        journals: &Journals,
        keyspaces: &[Keyspace],
    ) -> Result<Self, Error> {
        let name = format!(
            "mecha-check-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let mirror = Self {
            dir: std::env::temp_dir().join(name),
        };
        mirror
            .fill(rows, journals, keyspaces)
            .map_err(Error::io(format!(
                "make a mirror of the journals in {} (TMPDIR names another directory)",
                mirror.dir.display()
            )))?;
        Ok(mirror)
    }

    /// The data directory that it stands for.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn fill(&self, rows: &Path, journals: &Journals, keyspaces: &[Keyspace]) -> io::Result<()> {
        // Prompts are in it.
        fs::DirBuilder::new().mode(0o700).create(&self.dir)?;
        let rows_here = self.dir.join("store");
        fs::create_dir(&rows_here)?;
        File::create(rows_here.join("lock"))?;
        fs::copy(rows.join(MARKER), rows_here.join(MARKER))?;
        for (path, whole) in &journals.files {
            if let Some(name) = path.file_name() {
                let mut copy = File::create(rows_here.join(name))?;
                io::copy(&mut File::open(path)?.take(*whole), &mut copy)?;
            }
        }
        let rows = fs::canonicalize(rows)?;
        for keyspace in keyspaces {
            let (Some(number), Some(list)) = (keyspace.dir.file_name(), keyspace.list.file_name())
            else {
                continue;
            };
            let here = rows_here.join("keyspaces").join(number);
            fs::create_dir_all(here.join("tables"))?;
            fs::copy(keyspace.dir.join("current"), here.join("current"))?;
            fs::copy(&keyspace.list, here.join(list))?;
            for table in &keyspace.tables {
                let name = table.number.to_string();
                let table = rows
                    .join("keyspaces")
                    .join(number)
                    .join("tables")
                    .join(&name);
                symlink(table, here.join("tables").join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // A link is removed, and not what it leads to.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
