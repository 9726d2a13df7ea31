//! Why the store cannot be opened, read or written, in words for an operator.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failure of the store.
#[derive(Debug)]
pub enum Error {
    /// Another process has the data directory open.
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// Acknowledged records are damaged.
    Damaged {
        /// The damaged file or row.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Another directory stands where the data directory was when it was opened.
    Moved {
        /// The data directory.
        dir: PathBuf,
    },
    /// A newer mecha wrote the data directory.
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// Its schema version.
        version: u32,
    },
    /// A file operation failed.
    Io {
        /// What was done, to which path.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The storage engine failed.
    Engine(fjall::Error),
}

impl Error {
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    pub(super) fn damaged(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Damaged {
            place: place.into(),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { dir } => write!(
                f,
                "data directory {} is in use by another process; stop it, or choose another with --data",
                dir.display()
            ),
            Self::Damaged { place, detail } => write!(
                f,
                "{place} is damaged: {detail}; acknowledged tasks may be affected, so nothing was changed: \
                 keep a copy of the data directory, check the disk, and restore the last backup"
            ),
            Self::Moved { dir } => write!(
                f,
                "data directory {} was moved or replaced while the server ran; put the one that it had \
                 back, and start again",
                dir.display()
            ),
            Self::Newer { dir, version } => write!(
                f,
                "data directory {} has schema version {version} and this mecha knows up to {}; \
                 run the newer mecha that wrote it",
                dir.display(),
                super::SCHEMA_VERSION
            ),
            Self::Io { action, source } => write!(f, "cannot {action}: {source}"),
            Self::Engine(source) => write!(f, "the storage engine failed: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Engine(source) => Some(source),
            Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Moved { .. }
            | Self::Newer { .. } => None,
        }
    }
}

impl From<fjall::Error> for Error {
    fn from(source: fjall::Error) -> Self {
        match source {
            // Rows that were on disk cannot be read any more.
            fjall::Error::Storage(
                fjall::LsmError::ChecksumMismatch { .. }
                | fjall::LsmError::Decompress(_)
                | fjall::LsmError::InvalidTag(_)
                | fjall::LsmError::InvalidHeader(_)
                | fjall::LsmError::InvalidTrailer
                | fjall::LsmError::Unrecoverable,
            ) => Self::damaged(
                "a table of the data directory",
                format!("{source} ('mecha check --data DIR' finds which)"),
            ),
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                Self::Io {
                    action: "read or write the data directory".to_owned(),
                    source,
                }
            }
            other => Self::Engine(other),
        }
    }
}
