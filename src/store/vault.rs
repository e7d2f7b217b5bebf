//! The vault: encryption at rest, and erasure by deleting keys.
//!
//! A master key (file, systemd credential, later a token) wraps the store's own keys, which lie in
//! `vault/keyring.json`. Of these the slot key encrypts one key per message, each in a slot of
//! `vault/*.slots` that is overwritten when the message is erased; the message's key encrypts its
//! document and attachments. The record key encrypts all that has to outlive them: records and
//! settings in ledger and index, receipts, transport orders.
//!
//! Order of writes. Slots are filled and synced ahead, before any message gets one, so that an
//! acceptance waits for no third sync: what names a slot reaches the disk after the slot. An erasure
//! is first a synced frame whose record names no slot any more, then the wiped slot, synced, then the
//! answer, and only then may the slot be filled anew. Whatever a stop leaves between (a slot that no
//! record names) is wiped after the next start.

mod chunks;
mod cipher;
mod entry;
mod keyring;
mod master;
mod pool;
mod reading;
mod ring;
mod rotate;
mod slots;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;

pub(crate) use chunks::{ChunkFault, ChunkReader, ChunkWriter, HEAD as FILE_HEAD, Owner, sealed_len};
pub(crate) use chunks::{head as file_head, key as file_key, owner as file_owner};
pub(crate) use cipher::Cipher;
pub use cipher::Secret;
pub(crate) use entry::{MESSAGE, PREFIX, RECORDS, SealedEntry, open_entry};
use keyring::{Keyring, Use};
pub use master::{MasterKey, MasterSource, SoftKey};
pub(crate) use pool::{Hold, MessageKey};
pub use reading::ReadingKeys;
use ring::Ring;
pub(crate) use ring::{Heading, heading, is_sealed};
pub use rotate::{VaultState, vault_state};
use slots::SlotFile;

use super::codec::CodecFault;
use super::ledger::sync_folder;

/// Pause between two steps of a rotation: it must not slow messages down.
const PAUSE: Duration = Duration::from_millis(5);

/// Whether and with which master keys a store encrypts.
#[derive(Clone, Debug, Default)]
pub struct Encryption {
    /// The first one wraps; all of them unwrap.
    pub masters: Vec<Arc<dyn MasterKey>>,
    /// Whether what comes in from now on is encrypted. What is encrypted already stays so.
    pub on: bool,
}

/// What is wrong with keys or with what they encrypt.
#[derive(Debug, thiserror::Error)]
pub enum VaultFault {
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Random,
    /// The cipher refuses to work.
    #[error("the cipher refuses to work")]
    Cipher,
    /// Wrong key, or changed octets.
    #[error("it can't be decrypted: it was changed, or belongs to another key")]
    Unopened,
    /// The octets are not what was written.
    #[error("its checksum differs")]
    Damaged,
    /// The slot of its message key is wiped, damaged, or holds the key of another message.
    #[error("its key is not in slot {0} of the vault")]
    NoKey(u64),
    /// A key of this generation is not in the keyring.
    #[error("the keyring holds no record key of generation {0}")]
    Generation(u32),
    /// The store has keys, and no master key for them is configured.
    #[error(
        "{} is wrapped by the master key {needed}, and {}: name that key in store.encryption.keys (behind the new \
         one, if it is to be replaced); without it nobody can read what is encrypted",
        path.display(), listed(configured)
    )]
    NoMaster {
        /// The keyring.
        path: PathBuf,
        /// Id of the master key that is needed.
        needed: String,
        /// Ids of those that are configured.
        configured: Vec<String>,
    },
    /// The keyring is broken.
    #[error("{}: {why}; bring the vault folder back from the newest backup", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// A file of keys of a later program.
    #[error("{} was written by a newer amtsweg: start that one, this one can't read it", .0.display())]
    Newer(PathBuf),
    /// A file of slots is missing or has another head.
    #[error(
        "{} is missing or no file of message keys: bring the vault folder back from the newest backup", .0.display()
    )]
    Slots(PathBuf),
    /// The vault is closed.
    #[error("the store is shutting down")]
    Closed,
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
}

fn listed(ids: &[String]) -> String {
    match ids {
        [] => "no master key is configured".to_owned(),
        ids => format!("of those configured none is that one ({})", ids.join(", ")),
    }
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> VaultFault + '_ {
    move |source| VaultFault::Io { path: path.to_owned(), source }
}

impl From<VaultFault> for CodecFault {
    fn from(fault: VaultFault) -> Self {
        match fault {
            VaultFault::Damaged => Self::Checksum,
            fault => Self::Content(fault.to_string()),
        }
    }
}

/// The keyring, and the master key that wraps it.
struct Held {
    master: Arc<dyn MasterKey>,
    keyring: Keyring,
}

/// Keys in use.
struct Keys {
    ring: ArcSwap<Ring>,
    blind: hmac::Key,
    slots: pool::Slots,
    held: Mutex<Held>,
}

/// A store's keys; empty where nothing is encrypted.
pub(crate) struct Vault {
    folder: PathBuf,
    /// Whether new content is encrypted.
    on: bool,
    keys: Option<Keys>,
    /// Wakes the worker.
    wake: OnceLock<SyncSender<()>>,
}

impl Vault {
    /// Opens the vault below `root`, making it when encryption is switched on. Begins a rotation when
    /// the first master key is not the one that wraps the keyring.
    pub(crate) fn open(root: &Path, encryption: &Encryption) -> Result<Arc<Self>, VaultFault> {
        let folder = root.join("vault");
        let written = if folder.is_dir() { keyring::read(&folder)? } else { None };
        let keys = match (&written, encryption.masters.first()) {
            (Some(written), _) => {
                let keyring = written.open(&folder, &encryption.masters)?;
                let master = encryption.masters.iter().find(|m| m.id() == written.master);
                master.map(|master| Keys::open(&folder, keyring, Arc::clone(master))).transpose()?
            }
            (None, Some(first)) if encryption.on => Some(Keys::create(root, &folder, Arc::clone(first))?),
            (None, _) => None,
        };
        let on = encryption.on && keys.is_some();
        let vault = Self { folder, on, keys, wake: OnceLock::new() };
        vault.rotate(&encryption.masters)?;
        Ok(Arc::new(vault))
    }

    /// Whether new content is encrypted.
    pub(crate) fn seals(&self) -> bool {
        self.on
    }

    fn keys(&self) -> Result<&Keys, VaultFault> {
        self.keys.as_ref().ok_or(VaultFault::Generation(0))
    }

    /// A value for ledger or index, encrypted if that is on or if the record inside has a slot to
    /// name.
    pub(crate) fn seal(&self, heading: Heading, plain: Vec<u8>) -> Result<Vec<u8>, VaultFault> {
        match &self.keys {
            Some(keys) if self.on || heading.slot.is_some() => keys.ring.load().seal(heading, &plain),
            _ => Ok(plain),
        }
    }

    /// The value in plain, whichever way it was written.
    pub(crate) fn unseal<'v>(&self, value: &'v [u8]) -> Result<Cow<'v, [u8]>, VaultFault> {
        if !is_sealed(value) {
            return Ok(Cow::Borrowed(value));
        }
        Ok(Cow::Owned(self.keys()?.ring.load().open(value)?))
    }

    /// Hides what a key of the index says, if this store has keys: the same for the same octets.
    pub(crate) fn blind(&self, octets: &[u8]) -> Option<Vec<u8>> {
        self.keys.as_ref().map(|keys| hmac::sign(&keys.blind, octets).as_ref().to_vec())
    }

    /// Whether keys of the index are hidden.
    pub(crate) fn blinds(&self) -> bool {
        self.keys.is_some()
    }

    /// A key for a new message; its slot is on disk.
    pub(crate) async fn message_key(self: &Arc<Self>) -> Result<MessageKey, VaultFault> {
        loop {
            if let Some((slot, secret)) = self.keys()?.slots.take() {
                if self.keys()?.slots.is_low() {
                    self.nudge();
                }
                return MessageKey::new(self, slot, &secret);
            }
            let vault = Arc::clone(self);
            let refilled = tokio::task::spawn_blocking(move || vault.refill()).await;
            refilled.map_err(|_| VaultFault::Closed)??;
        }
    }

    fn refill(&self) -> Result<(), VaultFault> {
        self.keys()?.slots.refill()
    }

    /// Which key encrypts what outlives a message's content, with a nonce of its own.
    pub(crate) fn records_owner(&self) -> Result<(Owner, Arc<Cipher>), VaultFault> {
        let (stamp, cipher) = self.keys()?.ring.load().stamp();
        Ok((entry::records_owner(&stamp), cipher))
    }

    /// The key that `owner` of this kind means.
    pub(crate) fn owner(
        &self,
        kind: u8,
        octets: [u8; chunks::OWNER],
    ) -> Result<(Owner, Arc<Cipher>), VaultFault> {
        let keys = self.keys()?;
        match entry::read_owner(kind, &octets)? {
            entry::Read::Slot(owner, slot, check) => {
                let key = keys.slots.key(slot)?.filter(|key| entry::check(key) == check);
                let key = key.ok_or(VaultFault::NoKey(slot))?;
                Ok((owner, Arc::new(Cipher::new(&key)?)))
            }
            entry::Read::Stamp(owner, stamp) => Ok((owner, keys.ring.load().cipher(&stamp)?)),
        }
    }

    /// Wipes slots, durably: what their keys encrypted can't be read any more, by anybody. Only to be
    /// called once a synced frame says that no record names them.
    pub(crate) fn erase(&self, slots: &[u64]) -> Result<(), VaultFault> {
        if slots.is_empty() {
            return Ok(());
        }
        self.keys()?.slots.wipe(slots.to_vec())
    }

    /// Wipes slots that were in use when the store was opened and that no record names, and finds
    /// those that can be filled anew. `named` answers `None` where it can't tell. Gives how many
    /// were wiped.
    pub(crate) fn sweep(&self, named: impl Fn(u64) -> Option<bool>) -> Result<u64, VaultFault> {
        self.keys.as_ref().map_or(Ok(0), |keys| keys.slots.sweep(named))
    }

    /// Leaves slots up to `last` alone, though the file may end before them: records name them.
    pub(crate) fn spare(&self, last: u64) {
        if let Some(keys) = &self.keys {
            keys.slots.spare(last);
        }
    }

    /// Starts the thread that fills slots ahead and moves them after a rotation. It ends with the
    /// vault.
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        if self.keys.is_none() {
            return Ok(());
        }
        let (wake, woken) = sync_channel(1);
        let vault = Arc::downgrade(self);
        let _ = self.wake.set(wake);
        let work = move || {
            while wait(&woken, vault.upgrade().is_some_and(|vault| vault.is_moving())) {
                let Some(vault) = vault.upgrade() else { return };
                if let Err(fault) = vault.work() {
                    match fault {
                        VaultFault::Closed => return,
                        fault => tracing::error!(%fault, "message keys can't be written"),
                    }
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        };
        std::thread::Builder::new().name("store-vault".to_owned()).spawn(work)?;
        self.nudge();
        Ok(())
    }

    fn nudge(&self) {
        if let Some(wake) = self.wake.get() {
            // Full: it will look anyway.
            let _ = wake.try_send(());
        }
    }

    fn work(&self) -> Result<(), VaultFault> {
        if self.on {
            self.refill()?;
        }
        self.move_on()
    }

    /// Nothing is written to the vault's files after this: the folder may be somebody else's then.
    pub(crate) fn close(&self) {
        if let Some(keys) = &self.keys {
            let _held = keys.held.lock().unwrap_or_else(PoisonError::into_inner);
            keys.slots.close();
        }
    }
}

/// Waits for a nudge, or for the next step of a rotation; `false` when the vault is gone.
fn wait(woken: &Receiver<()>, moving: bool) -> bool {
    if !moving {
        return woken.recv().is_ok();
    }
    !matches!(woken.recv_timeout(PAUSE), Err(RecvTimeoutError::Disconnected))
}

impl Keys {
    /// The first keys of a store. The keyring comes last: without one there is no vault yet.
    fn create(root: &Path, folder: &Path, master: Arc<dyn MasterKey>) -> Result<Self, VaultFault> {
        std::fs::create_dir_all(folder).and_then(|()| sync_folder(root)).map_err(io(folder))?;
        slots::remove_unknown(folder, &[])?;
        let mut keyring = Keyring::default();
        for purpose in [Use::Records, Use::Slots, Use::Index] {
            keyring.add(purpose)?;
        }
        for (generation, key) in keyring.of(Use::Slots) {
            SlotFile::create(folder, generation, key)?;
        }
        keyring.write(folder, &*master)?;
        Self::open(folder, keyring, master)
    }

    fn open(folder: &Path, keyring: Keyring, master: Arc<dyn MasterKey>) -> Result<Self, VaultFault> {
        // Names that a killed process left unsynced.
        sync_folder(folder).map_err(io(folder))?;
        let known: Vec<u32> = keyring.of(Use::Slots).map(|(generation, _)| generation).collect();
        slots::remove_unknown(folder, &known)?;
        let files = keyring.of(Use::Slots).map(|(n, key)| SlotFile::open(folder, n, key).map(Arc::new));
        let slots = pool::Slots::new(files.collect::<Result<_, _>>()?)?;
        let blind = keyring.of(Use::Index).next().ok_or_else(|| VaultFault::Keyring {
            path: folder.join(keyring::NAME),
            why: "it has no key for the index".to_owned(),
        })?;
        let blind = hmac::Key::new(hmac::HMAC_SHA256, blind.1.octets());
        let ring = ArcSwap::from_pointee(rotate::ring_of(&keyring)?);
        Ok(Self { ring, blind, slots, held: Mutex::new(Held { master, keyring }) })
    }
}
