//! The keyring: the store's own keys, wrapped by the master key, in one small file that is always
//! replaced as a whole. Whoever has the master key and this file can read records, receipts and
//! orders; documents and attachments need their message's slot besides.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::cipher::Secret;
use super::master::MasterKey;
use super::{VaultFault, io};
use crate::store::ledger::sync_folder;

/// Its name in the vault's folder.
pub(super) const NAME: &str = "keyring.json";
/// Layout of the file.
const FORMAT: u32 = 1;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Use {
    /// Records, settings, receipts, orders: the runs' keys follow from it.
    Records,
    /// Message keys in the slots of this generation.
    Slots,
    /// Blinds the keys of the index that would tell authors and UUIDs.
    Index,
}

/// One key as the file holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "use")]
    purpose: Use,
    generation: u32,
    /// Wrapped by the master key, base64.
    wrapped: String,
}

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    format: u32,
    /// Id of the master key that wraps all of them.
    pub(super) master: String,
    keys: Vec<Entry>,
}

/// A key of the store.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) purpose: Use,
    pub(super) generation: u32,
    pub(super) key: Secret,
}

/// The keyring, opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyring {
    pub(super) keys: Vec<Held>,
}

/// The file in the vault's folder; `None` when there is none.
pub(super) fn read(folder: &Path) -> Result<Option<Written>, VaultFault> {
    let path = folder.join(NAME);
    let octets = match std::fs::read(&path) {
        Ok(octets) => octets,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(io(&path)(fault)),
    };
    let broken = |why: String| VaultFault::Keyring { path: path.clone(), why };
    let format = serde_json::from_slice::<serde_json::Value>(&octets)
        .map_err(|e| broken(e.to_string()))?
        .get("format")
        .and_then(serde_json::Value::as_u64);
    match format {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(newer) if newer > u64::from(FORMAT) => return Err(VaultFault::Newer(path.clone())),
        _ => return Err(broken("it names no format that there is".to_owned())),
    }
    serde_json::from_slice(&octets).map(Some).map_err(|e| broken(e.to_string()))
}

impl Written {
    /// Keys for `purpose`.
    pub(super) fn count(&self, purpose: Use) -> usize {
        self.keys.iter().filter(|entry| entry.purpose == purpose).count()
    }

    /// Opens it with the master key that wrapped it.
    pub(super) fn open(&self, folder: &Path, masters: &[Arc<dyn MasterKey>]) -> Result<Keyring, VaultFault> {
        let path = folder.join(NAME);
        let Some(master) = masters.iter().find(|m| m.id() == self.master) else {
            let configured = masters.iter().map(|m| m.id().to_owned()).collect();
            return Err(VaultFault::NoMaster { path, needed: self.master.clone(), configured });
        };
        let mut keys = Vec::with_capacity(self.keys.len());
        for entry in &self.keys {
            let wrapped = STANDARD.decode(&entry.wrapped);
            let wrapped =
                wrapped.map_err(|e| VaultFault::Keyring { path: path.clone(), why: e.to_string() })?;
            let key = master.unwrap_key(&wrapped).map_err(|fault| VaultFault::Keyring {
                path: path.clone(),
                why: format!("key {:?} {}: {fault}", entry.purpose, entry.generation),
            })?;
            keys.push(Held { purpose: entry.purpose, generation: entry.generation, key });
        }
        Ok(Keyring { keys })
    }
}

impl Keyring {
    /// Generations of keys for `purpose`, oldest first.
    pub(super) fn of(&self, purpose: Use) -> impl Iterator<Item = (u32, &Secret)> {
        self.keys.iter().filter(move |held| held.purpose == purpose).map(|held| (held.generation, &held.key))
    }

    /// Adds a new key of the next generation; gives that.
    pub(super) fn add(&mut self, purpose: Use) -> Result<u32, VaultFault> {
        let generation = self.of(purpose).map(|(generation, _)| generation).max().unwrap_or(0) + 1;
        self.keys.push(Held { purpose, generation, key: Secret::random()? });
        Ok(generation)
    }

    /// Replaces the file, durably and as a whole, all keys wrapped by `master`.
    pub(super) fn write(&self, folder: &Path, master: &dyn MasterKey) -> Result<(), VaultFault> {
        let wrap = |held: &Held| {
            let wrapped = STANDARD.encode(master.wrap_key(&held.key)?);
            Ok(Entry { purpose: held.purpose, generation: held.generation, wrapped })
        };
        let keys = self.keys.iter().map(wrap).collect::<Result<_, VaultFault>>()?;
        let written = Written { format: FORMAT, master: master.id().to_owned(), keys };
        let path: PathBuf = folder.join(NAME);
        let draft = folder.join("keyring.json.new");
        let replaced = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&draft)?;
            file.write_all(&serde_json::to_vec_pretty(&written)?)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            sync_folder(folder)
        };
        replaced().map_err(io(&path))
    }
}
