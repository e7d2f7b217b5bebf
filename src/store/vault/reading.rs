//! The keys of a store for those who look into its folder from outside: proofs, exports, backups.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;

use super::keyring::{self, Use};
use super::slots::SlotFile;
use super::{Held, Keys, MasterKey, Vault, VaultFault, pool, rotate};

/// What it takes to read records and contents of a store. Writes nothing.
#[derive(Clone)]
pub struct ReadingKeys(pub(in crate::store) Arc<Vault>);

impl std::fmt::Debug for ReadingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadingKeys(redacted)")
    }
}

impl ReadingKeys {
    /// Of a store that is not encrypted.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Vault { folder: "".into(), on: false, keys: None, wake: OnceLock::new() }))
    }

    /// Of the store in `data`, with one of these master keys; none are needed where it is not encrypted.
    ///
    /// # Errors
    /// [`VaultFault`], with the id of the key that is needed.
    pub fn open(data: &Path, masters: &[Arc<dyn MasterKey>]) -> Result<Self, VaultFault> {
        let folder = data.join("vault");
        let Some(written) = (if folder.is_dir() { keyring::read(&folder)? } else { None }) else {
            return Ok(Self::none());
        };
        let keyring = written.open(&folder, masters)?;
        let Some(master) = masters.iter().find(|master| master.id() == written.master) else {
            return Ok(Self::none());
        };
        let files = keyring.of(Use::Slots).map(|(n, key)| SlotFile::read_only(&folder, n, key).map(Arc::new));
        let slots = pool::Slots::new(files.collect::<Result<_, _>>()?)?;
        slots.close();
        let ring = ArcSwap::from_pointee(rotate::ring_of(&keyring)?);
        let blind = keyring.of(Use::Index).next().map(|(_, key)| key.octets().to_vec()).unwrap_or_default();
        let blind = hmac::Key::new(hmac::HMAC_SHA256, &blind);
        let held = Mutex::new(Held { master: Arc::clone(master), keyring });
        let keys = Some(Keys { ring, blind, slots, held });
        Ok(Self(Arc::new(Vault { folder, on: false, keys, wake: OnceLock::new() })))
    }

    /// Whether the store that these keys are for is encrypted.
    #[must_use]
    pub fn are_there(&self) -> bool {
        self.0.keys.is_some()
    }
}
