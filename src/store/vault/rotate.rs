//! A new master key: the keyring is wrapped by it at once, new record and slot keys are made, and the
//! slots move to a file under the new slot key step by step, while everything goes on. The old file is
//! wiped and removed at the end. A stop at any point is gone on from at the next start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::keyring::{self, Keyring, Use};
use super::ring::Ring;
use super::slots::SlotFile;
use super::{Held, MasterKey, Vault, VaultFault};

/// The record keys of a keyring, with a run of their newest.
pub(super) fn ring_of(keyring: &Keyring) -> Result<Ring, VaultFault> {
    let keys: BTreeMap<_, _> = keyring.of(Use::Records).map(|(n, key)| (n, key.clone())).collect();
    Ring::new(keys)
}

impl Vault {
    /// Makes the first of `masters` the one that wraps; gives whether it was another before.
    pub(crate) fn rotate(&self, masters: &[Arc<dyn MasterKey>]) -> Result<bool, VaultFault> {
        let (Some(keys), Some(first)) = (&self.keys, masters.first()) else { return Ok(false) };
        let mut held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
        if first.id() == held.master.id() {
            return Ok(false);
        }
        keys.slots.check()?;
        let mut keyring = held.keyring.clone();
        keyring.add(Use::Records)?;
        let generation = keyring.add(Use::Slots)?;
        let ring = ring_of(&keyring)?;
        let key = keyring.of(Use::Slots).find(|(n, _)| *n == generation);
        let Some((_, key)) = key else { return Err(VaultFault::Generation(generation)) };
        // On disk before the keyring speaks of it; without the keyring it is nobody's.
        let file = SlotFile::create(&self.folder, generation, key)?;
        keyring.write(&self.folder, &**first)?;
        keys.slots.begin(file)?;
        keys.ring.store(Arc::new(ring));
        *held = Held { master: Arc::clone(first), keyring };
        drop(held);
        tracing::info!(
            master = first.id(),
            "the keyring is wrapped by a new master key; message keys follow"
        );
        self.nudge();
        Ok(true)
    }

    /// Whether message keys are still on their way to a new file.
    pub(crate) fn is_moving(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.slots.is_moving())
    }

    /// One step of a rotation, if there is one.
    pub(super) fn move_on(&self) -> Result<(), VaultFault> {
        let Some(keys) = self.keys.as_ref().filter(|keys| keys.slots.is_moving()) else { return Ok(()) };
        if !keys.slots.step()? {
            return Ok(());
        }
        let mut held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A rotation may have begun since.
        if !keys.slots.step()? {
            return Ok(());
        }
        // Wiped while an erasure still finds them: what is wiped in the new file alone could come back.
        let old = keys.slots.older();
        let generations: Vec<u32> = old.iter().map(|file| file.generation).collect();
        old.iter().try_for_each(|file| file.wipe_all())?;
        held.keyring.keys.retain(|key| key.purpose != Use::Slots || !generations.contains(&key.generation));
        held.keyring.write(&self.folder, &*held.master)?;
        keys.slots.retire()?;
        old.iter().try_for_each(|file| file.remove(&self.folder))?;
        tracing::info!(master = held.master.id(), "all message keys are under the new master key");
        Ok(())
    }
}

/// What the vault of a store's folder says of its master key, for a check beside a running gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultState {
    /// Id of the master key that wraps the keyring: the one that is needed.
    pub master: String,
    /// Whether message keys still move to a new file.
    pub moving: bool,
}

/// Looks at the vault of the store in `folder`; `None` when it has none.
///
/// # Errors
/// A keyring that can't be read.
pub fn vault_state(folder: &Path) -> Result<Option<VaultState>, VaultFault> {
    let folder = folder.join("vault");
    let written = if folder.is_dir() { keyring::read(&folder)? } else { None };
    Ok(written.map(|written| VaultState { moving: written.count(Use::Slots) > 1, master: written.master }))
}
