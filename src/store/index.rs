//! The index: sled, and the only file that names it. Everything in it follows from the ledger, so
//! it can be thrown away at any time; nothing relies on its flush.
//!
//! A message's entry says where its newest record lies in the ledger; the record itself is read
//! from there, so the index stays small and quick to rebuild.
//!
//! One batch applies a group of commits together with the number and digest of the last frame, so
//! the index stands at a frame at any time. With it goes a running sum over all entries: an index
//! that lost, kept or mixed up entries is found out when it is opened.
//!
//! sled 0.34 may panic on damaged files. Every call is guarded: a panic becomes a fault.

mod apply;
mod check;
mod fill;
mod frame;
pub(crate) mod query;

use apply::{Counts, Derived, hidden};
pub(crate) use fill::Filler;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::{Digest, EndpointControl, Identifier, MessageId, Record};

use super::StoreError;
use super::codec::{self, CodecFault};
use super::keys::{self, Key, kind};
use super::ledger::{self, Place, ReadFault};
use super::vault::Vault;

/// Layout of the index; another one is rebuilt.
const LAYOUT: u8 = 4;
/// Added to the layout where keys that tell authors and UUIDs are hidden.
const BLIND: u8 = 0x80;

/// Why the index can't answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexFault {
    /// sled reports an error.
    #[error("the index reports: {0}")]
    Engine(String),
    /// sled panicked.
    #[error("the index engine broke off")]
    Panicked,
    /// It took too long to open.
    #[error("the index did not open within {0} s")]
    Hangs(u64),
    /// An entry is broken.
    #[error("{0} in the index: {1}")]
    Entry(&'static str, CodecFault),
    /// A record can't be read where the index says it is.
    #[error("a record in the ledger: {0}")]
    Record(String),
    /// A record can't be read for the moment; says nothing of the index.
    #[error("the ledger can't be read: {0}")]
    Unread(String),
    /// Entries are missing, too many or stale.
    #[error("the index does not fit itself: {0}")]
    Inconsistent(&'static str),
}

impl From<sled::Error> for IndexFault {
    fn from(fault: sled::Error) -> Self {
        // sled's texts may quote paths and sizes, never values.
        Self::Engine(fault.to_string())
    }
}

impl From<IndexFault> for StoreError {
    fn from(fault: IndexFault) -> Self {
        match fault {
            IndexFault::Unread(why) => {
                Self::Io { what: "reading the ledger".to_owned(), source: std::io::Error::other(why) }
            }
            fault => Self::Corrupt { what: "the index".to_owned(), why: fault.to_string() },
        }
    }
}

/// Runs `f`, a panic becoming a fault.
fn guarded<T>(f: impl FnOnce() -> Result<T, IndexFault>) -> Result<T, IndexFault> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(IndexFault::Panicked))
}

/// What the index knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    layout: u8,
    /// Last frame applied.
    pub(crate) applied: u64,
    /// Its digest.
    pub(crate) head: Digest,
    /// The number the next accepted message gets.
    pub(crate) next_sequence: u64,
    /// Segment and offset of the last content that a record names.
    pub(crate) content_end: (u64, u64),
    /// Sum over all entries but counts and this one.
    sum: u64,
    /// Messages.
    pub(crate) messages: u64,
    /// Octets of all entries that the sum counts.
    pub(crate) octets: u64,
    /// The ledger may begin with this frame.
    pub(crate) trimmed: u64,
}

/// One commit's effect on the index.
#[derive(Debug)]
pub(crate) enum Step {
    /// A record, new or changed.
    Record {
        /// The record before.
        old: Option<Arc<Record>>,
        /// The record after.
        new: Arc<Record>,
        /// Where the record after lies in the ledger.
        place: Place,
    },
    /// An operator's setting.
    Control(EndpointControl),
    /// A message whose retention has ended.
    Forget {
        /// Which.
        id: MessageId,
        /// Its acceptance number.
        sequence: u64,
        /// Its record; `None` where the index has none.
        old: Option<Arc<Record>>,
    },
    /// The ledger may begin here, and the next accepted message gets that number.
    Trimmed(u64, u64),
}

/// The open index.
pub(crate) struct Index {
    db: sled::Db,
    folder: PathBuf,
    vault: Arc<Vault>,
    derived: Mutex<Derived>,
    ledger: ledger::Reader,
}

/// Octets of a message's entry: version, segment, offset, length, CRC32C.
const PLACE: usize = 8 + 8 + 8 + 4;

fn write_place(version: u64, place: &Place) -> Vec<u8> {
    let mut out = Vec::with_capacity(PLACE + 4);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&place.segment.to_be_bytes());
    out.extend_from_slice(&place.offset.to_be_bytes());
    out.extend_from_slice(&place.len.to_be_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

fn read_place(octets: &[u8]) -> Result<(u64, Place), IndexFault> {
    let fault = |f| IndexFault::Entry("a message's place", f);
    let whole: &[u8; PLACE + 4] = octets.try_into().map_err(|_| fault(CodecFault::Short(octets.len())))?;
    if crc32c::crc32c(&whole[..PLACE]).to_be_bytes() != whole[PLACE..] {
        return Err(fault(CodecFault::Checksum));
    }
    let number =
        |at: usize, len: usize| whole[at..at + len].iter().fold(0_u64, |n, o| n << 8 | u64::from(*o));
    let len = u32::try_from(number(24, 4)).unwrap_or(u32::MAX);
    Ok((number(0, 8), Place { segment: number(8, 8), offset: number(16, 8), len }))
}

/// The share of an entry in the running sum.
fn weight(key: &[u8], value: &[u8]) -> u64 {
    let head = crc32c::crc32c(key);
    let tail = crc32c::crc32c_append(head ^ 0x5bd1_e995, value);
    u64::from(head) << 32 | u64::from(tail)
}

impl Index {
    /// Opens or makes an index. May panic, hang or take much memory on damaged files: call it
    /// through `recover`, which guards against that.
    pub(crate) fn open(
        folder: &Path,
        ledger: &Path,
        vault: &Arc<Vault>,
        cache: u64,
    ) -> Result<Self, IndexFault> {
        guarded(|| {
            let db = sled::Config::new()
                .path(folder)
                .cache_capacity(cache)
                .flush_every_ms(None)
                .mode(sled::Mode::HighThroughput)
                .open()?;
            let mut derived = Derived {
                vault: Arc::clone(vault),
                meta: Meta::default(),
                counts: Counts::new(),
                controls: BTreeMap::new(),
                living: BTreeMap::new(),
                written: 0,
            };
            let layout = if vault.blinds() { LAYOUT | BLIND } else { LAYOUT };
            match db.get(Key::of(kind::META).done())? {
                Some(octets) => {
                    derived.meta = codec::unseal(&octets).map_err(|f| IndexFault::Entry("the head", f))?.1;
                    if derived.meta.layout != layout {
                        return Err(IndexFault::Inconsistent("it has another layout"));
                    }
                }
                None if db.is_empty() => {
                    derived.meta = Meta { layout, next_sequence: 1, ..Meta::default() };
                }
                None => return Err(IndexFault::Inconsistent("it has no head")),
            }
            derived.counts = read_counts(&db)?;
            derived.living = read_living(&db)?;
            for entry in db.scan_prefix([kind::CONTROL]) {
                let (key, value) = entry?;
                derived.controls.insert(key.to_vec(), value.to_vec());
            }
            let ledger = ledger::Reader::new(ledger, Arc::clone(vault));
            let vault = Arc::clone(vault);
            Ok(Self { db, folder: folder.to_owned(), vault, derived: Mutex::new(derived), ledger })
        })
    }

    fn derived(&self) -> MutexGuard<'_, Derived> {
        // Poisoned only by a failing engine, and then the index is given up.
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that records are read with.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// What it knows of itself.
    pub(crate) fn meta(&self) -> Meta {
        self.derived().meta.clone()
    }

    /// Octets of entries that came or went since it was opened: what the next opening has to read grows with
    /// them.
    pub(crate) fn written(&self) -> u64 {
        self.derived().written
    }

    /// Applies a group of commits in one batch, all or nothing.
    pub(crate) fn apply(&self, steps: &[Step], applied: u64, head: Digest) -> Result<(), IndexFault> {
        guarded(|| {
            // Held until the batch is in: what is in memory and what is in sled change together. After a
            // failure the two differ, but then the index is given up anyway.
            let mut derived = self.derived();
            let batch = derived.batch(steps, applied, head)?;
            self.db.apply_batch(batch)?;
            Ok(())
        })
    }

    /// Where the newest record of a message lies, and its version.
    pub(crate) fn place(&self, id: &MessageId) -> Result<Option<(u64, Place)>, IndexFault> {
        guarded(|| self.db.get(keys::message(id))?.map(|octets| read_place(&octets)).transpose())
    }

    /// The record that lies at `place`, if it is the newest of its message.
    pub(crate) fn last_word(&self, sequence: u64, place: Place) -> Result<Option<Record>, IndexFault> {
        let record =
            self.ledger.numbered(place, sequence).map_err(|fault| IndexFault::Record(fault.to_string()))?;
        let newest = self.place(&record.id)?;
        Ok(newest.is_some_and(|(_, newest)| newest == place).then_some(record))
    }

    /// Octets of its files. sled's own count breaks off where a file of its goes at the same moment.
    pub(crate) fn octets_on_disk(&self) -> u64 {
        octets_in(&self.folder)
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Closes a segment of the ledger that is gone.
    pub(crate) fn let_go(&self, segment: u64) {
        self.ledger.let_go(segment);
    }

    /// A record, read from the ledger where the index says it is.
    pub(crate) fn get(&self, id: &MessageId) -> Result<Option<Record>, IndexFault> {
        guarded(|| {
            let Some((version, place)) = self.place(id)? else { return Ok(None) };
            let record = self.ledger.record(place, id).map_err(|fault| match fault {
                ReadFault::Io(fault) if ledger::exhausted(&fault) => IndexFault::Unread(fault.to_string()),
                fault => IndexFault::Record(fault.to_string()),
            })?;
            if record.version == version {
                Ok(Some(record))
            } else {
                Err(IndexFault::Inconsistent("a record has another version than it should"))
            }
        })
    }

    /// The message under a duplicate key, with the digest of its document.
    pub(crate) fn duplicate(
        &self,
        author: &Identifier,
        uuid: uuid::Uuid,
    ) -> Result<Option<(MessageId, Digest)>, IndexFault> {
        guarded(|| {
            let key = hidden(&self.vault, keys::duplicate(author, uuid));
            let Some(value) = self.db.get(key)? else { return Ok(None) };
            let fault = || IndexFault::Inconsistent("a duplicate key leads nowhere");
            let (digest, id) = value.split_first_chunk::<32>().ok_or_else(fault)?;
            Ok(Some((keys::unpacked(id).ok_or_else(fault)?, Digest(*digest))))
        })
    }

    /// Whether a record names this content file.
    pub(crate) fn has_file(&self, name: uuid::Uuid) -> Result<bool, IndexFault> {
        guarded(|| Ok(self.db.contains_key(keys::file(name))?))
    }

    /// Whether a record names this slot of the vault.
    pub(crate) fn has_slot(&self, slot: u64) -> Result<bool, IndexFault> {
        guarded(|| Ok(self.db.contains_key(keys::slot_of_key(slot))?))
    }

    /// Writes out what is buffered and syncs its files: only a clean stop asks for it, and even
    /// then the check at the next start has the last word.
    pub(crate) fn close(self) -> Result<(), IndexFault> {
        let folder = self.folder.clone();
        guarded(move || {
            self.db.flush()?;
            drop(self);
            Ok(())
        })?;
        sync_all(&folder).map_err(|e| IndexFault::Engine(e.to_string()))
    }
}

fn sync_all(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            std::fs::File::open(path)?.sync_all()?;
        }
    }
    super::ledger::sync_folder(folder)
}

/// Octets of all files below a folder; those that go meanwhile don't count.
fn octets_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let octets = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => octets_in(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(octets).sum()
}

fn read_living(db: &sled::Db) -> Result<BTreeMap<u64, u64>, IndexFault> {
    let fault = || IndexFault::Inconsistent("a content segment's share is broken");
    let mut living = BTreeMap::new();
    for entry in db.scan_prefix([kind::SEGMENT]) {
        let (key, value) = entry?;
        let number = key.last_chunk().map(|n| u64::from_be_bytes(*n)).ok_or_else(fault)?;
        let value: [u8; 8] = value.as_ref().try_into().map_err(|_| fault())?;
        living.insert(number, u64::from_be_bytes(value));
    }
    Ok(living)
}

fn read_counts(db: &sled::Db) -> Result<Counts, IndexFault> {
    let fault = || IndexFault::Inconsistent("a count is broken");
    let mut counts = Counts::new();
    for entry in db.scan_prefix([kind::COUNT]) {
        let (key, value) = entry?;
        let (state, endpoint) = key.get(2..).and_then(<[u8]>::split_last).ok_or_else(fault)?;
        let endpoint = std::str::from_utf8(endpoint).map_err(|_| fault())?.to_owned();
        let value: [u8; 8] = value.as_ref().try_into().map_err(|_| fault())?;
        counts.insert((endpoint, *state), u64::from_be_bytes(value));
    }
    Ok(counts)
}
