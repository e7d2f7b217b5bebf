//! Copies a store while it works, puts a copy back, and says what a copy lacks.
//!
//! A backup folder holds generations, `000001`, `000002`, …: each is a whole store without its index
//! (which is made anew from the ledger), and a `manifest.json` that names every file with its length
//! and SHA-256. What has not changed since the generation before is the same file under both names
//! (a hard link), so a generation costs what is new; any of them can be deleted by itself.
//!
//! Keys of an encrypted store are in no generation: `vault/` beside them is replaced with each one, so that
//! what was erased since is erased in all of them.
//!
//! The order is what makes a copy of a working store consistent: checkpoints first, then the ledger up
//! to its end at that time, then the content, which is on disk before the ledger names it. What was moved or let
//! go meanwhile is followed until nothing is missing.

pub mod compare;
mod contents;
mod copy;
mod keeper;
mod restore;
mod vault;
mod watch;

pub use copy::{Made, backup};
pub use keeper::{Keeper, Last, State};
pub use restore::{Put, hold, restore};
pub use watch::{Phase, Progress, Watch};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::proof::book::BookFault;
use crate::store::ledger::{LedgerFault, TailFault};

/// Layout of a generation that this program writes.
const FORMAT: u32 = 1;
/// The file that names all others.
const MANIFEST: &str = "manifest.json";
/// Octets of a manifest at most.
const MAX_MANIFEST: u64 = 1 << 30;

/// What is in a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// When it was made.
    pub made: String,
    /// The last frame of its ledger.
    pub last: u64,
    /// That frame's digest.
    pub head: String,
    files: Vec<Entry>,
}

/// A file of a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// Relative to the generation, with `/`.
    path: String,
    len: u64,
    sha256: String,
    /// When the original was written last, in nanoseconds since 1970.
    modified: u64,
    /// The original was still being written to: it is never linked.
    open: bool,
}

/// Why a backup could not be made or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// The folder is no store.
    #[error("{0} holds no ledger; name the folder that gateway.data of the configuration names")]
    NoStore(PathBuf),
    /// Another backup goes to the same folder.
    #[error("another backup to {0} is under way: wait for it")]
    Busy(PathBuf),
    /// The folder of the configuration is not there.
    #[error("{0} is not there: mount it, or make it; nothing was copied")]
    NoFolder(PathBuf),
    /// There is nothing to put back.
    #[error("{0} holds no backup; name the folder that `amtsweg backup --to` named")]
    NoBackup(PathBuf),
    /// The target is not empty.
    #[error("{0} is not empty: a backup is put back into an empty or new folder")]
    NotEmpty(PathBuf),
    /// Made by a later program.
    #[error("{0} was made by a newer amtsweg: use that one, this one can't read it")]
    Newer(PathBuf),
    /// A file is not what was backed up.
    #[error("{path} is damaged ({why}): use another generation, and look after the disk")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// The ledger does not fit itself.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    /// The ledger can't be followed.
    #[error(transparent)]
    Tail(#[from] TailFault),
    /// The checkpoints can't be read.
    #[error(transparent)]
    Book(#[from] BookFault),
    /// Content of a message is not there as the ledger names it.
    #[error("the content of message {id}: {why}")]
    Content {
        /// The message.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// It was told to stop.
    #[error("it was stopped before it was done, because the gateway stops; no generation was made")]
    Stopped,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BackupFault + '_ {
    move |source| BackupFault::Io { path: path.to_owned(), source }
}

/// The whole generations of a backup folder, oldest first.
///
/// # Errors
/// [`BackupFault::Io`].
pub fn generations(folder: &Path) -> Result<Vec<(u64, PathBuf)>, BackupFault> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.filter(|name| name.len() == 6).and_then(|name| name.parse().ok());
        found.extend(number.filter(|_| path.join(MANIFEST).is_file()).map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

/// When a generation was made: its manifest is written last.
fn made_at(generation: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(generation.join(MANIFEST)).and_then(|about| about.modified()).ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

impl Manifest {
    /// Reads a generation's manifest.
    ///
    /// # Errors
    /// [`BackupFault`].
    pub fn read(generation: &Path) -> Result<Self, BackupFault> {
        let path = generation.join(MANIFEST);
        let damaged = |why: &str| BackupFault::Damaged { path: path.clone(), why: why.to_owned() };
        if std::fs::metadata(&path).map_err(io(&path))?.len() > MAX_MANIFEST {
            return Err(damaged("it is far too large"));
        }
        let octets = std::fs::read(&path).map_err(io(&path))?;
        let manifest: Self = serde_json::from_slice(&octets).map_err(|e| damaged(&e.to_string()))?;
        if manifest.format > FORMAT {
            return Err(BackupFault::Newer(path));
        }
        let outside = |entry: &Entry| entry.path.split('/').any(|part| matches!(part, "" | "." | ".."));
        if manifest.files.iter().any(outside) {
            return Err(damaged("it names a file outside its folder"));
        }
        Ok(manifest)
    }
}
