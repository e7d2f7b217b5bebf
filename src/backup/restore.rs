//! Puts a generation back.

use std::path::{Path, PathBuf};

use crate::domain::delivery::step;
use crate::domain::{Action, ParkReason, Timestamp};
use crate::observe::Metrics;
use crate::proof::book::{Identity, Restored};
use crate::store::ledger::{self, Summary};
use crate::store::{ChangePort, Encryption, OpenError, ReadPort, Settings, Store, StoreError};

use super::compare::Lost;
use super::copy::{copy_file, folders, sync};
use super::{BackupFault, Manifest, generations, io};

/// A generation that was put back.
#[derive(Clone, Debug)]
pub struct Put {
    /// Its number.
    pub generation: u64,
    /// When it was made.
    pub made: String,
    /// Its ledger, walked in its new place.
    pub ledger: Summary,
    /// How often this ledger has been put back, this time included.
    pub branch: u64,
}

/// Puts a generation of the backup folder `from` (the last one, if none is named) into the empty
/// folder `to`, comparing every file with the manifest, and notes in the proof folder that it did:
/// checkpoints made from now on say so. The gateway that starts there makes its index anew.
///
/// # Errors
/// [`BackupFault`]; what was begun in `to` stays, and is not to be used.
pub fn restore(from: &Path, generation: Option<u64>, to: &Path) -> Result<Put, BackupFault> {
    let none = || BackupFault::NoBackup(from.to_owned());
    if !from.is_dir() {
        return Err(none());
    }
    let mut all = generations(from)?;
    let (number, folder) = match generation {
        None => all.pop(),
        Some(wanted) => all.into_iter().find(|(number, _)| *number == wanted),
    }
    .ok_or_else(none)?;
    let manifest = Manifest::read(&folder)?;
    std::fs::create_dir_all(to).map_err(io(to))?;
    if std::fs::read_dir(to).map_err(io(to))?.next().is_some() {
        return Err(BackupFault::NotEmpty(to.to_owned()));
    }
    for entry in &manifest.files {
        let (source, target) = (folder.join(&entry.path), to.join(&entry.path));
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let (len, digest) = copy_file(&source, &target, u64::MAX)?;
        if (len, digest.to_string()) != (entry.len, entry.sha256.clone()) {
            let why = "it is not what was backed up".to_owned();
            return Err(BackupFault::Damaged { path: source, why });
        }
    }
    super::vault::put_back(from, to)?;
    let ledger = ledger::verify(&to.join("ledger"))?;
    if (ledger.last, ledger.head.to_string()) != (manifest.last, manifest.head.clone()) {
        let why = "it does not end as the manifest says".to_owned();
        return Err(BackupFault::Damaged { path: folder.join("ledger"), why });
    }
    let mut branch = 0;
    if let Some(mut identity) = Identity::read(to)? {
        identity.restored.push(Restored { frame: ledger.last, at: Timestamp::now().to_string() });
        identity.write(to)?;
        branch = identity.branch();
    }
    folders(to)?;
    to.parent().filter(|parent| parent.is_dir()).map_or(Ok(()), sync)?;
    Ok(Put { generation: number, made: manifest.made, ledger, branch })
}

/// Why messages could not be set aside.
#[derive(Debug, thiserror::Error)]
pub enum HoldFault {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A message can't be changed.
    #[error("message {0}: {1}")]
    Store(String, #[source] StoreError),
}

/// Sets those messages of the store in `data` aside that the lost time has brought to their authority,
/// so that the gateway does not send them a second time unasked; gives the ids of those that could
/// not be, because an attempt was being made when the backup was taken.
///
/// # Errors
/// [`HoldFault`].
pub async fn hold(data: PathBuf, encryption: Encryption, lost: &[Lost]) -> Result<Vec<String>, HoldFault> {
    let settings = Settings { min_free: 0, encryption, ..Settings::new(data) };
    let store = Store::open(settings, Metrics::default())?.store;
    let mut left = Vec::new();
    let mut fault = None;
    for lost in lost {
        match hold_one(&store, lost).await {
            Ok(true) => {}
            Ok(false) => left.push(lost.message.clone()),
            Err(why) => fault = fault.or(Some(HoldFault::Store(lost.message.clone(), why))),
        }
    }
    store.close().await;
    fault.map_or(Ok(left), Err)
}

async fn hold_one(store: &Store, lost: &Lost) -> Result<bool, StoreError> {
    let Ok(id) = lost.message.parse() else { return Ok(false) };
    let Some(record) = store.get(&id).await? else { return Ok(false) };
    let what = if lost.closed.is_empty() { "handed over" } else { "taken over" };
    let at = if lost.closed.is_empty() { &lost.handed } else { &lost.closed };
    let detail = format!(
        "put back from a backup; the later ledger shows it {what} at {at}: ask the authority, then close or retry it"
    );
    let action = Action::Park { reason: ParkReason::Operator, detail };
    // The claim of a gateway that is gone still runs: its end is waited for by nobody here.
    let Ok(next) = step(&record, action, Timestamp::now()) else { return Ok(false) };
    store.commit(next).await.map(|_| true)
}
