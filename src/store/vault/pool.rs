//! Slots in use, slots to come, and the keys that are ready to be handed out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::chunks::Owner;
use super::cipher::{Cipher, Secret};
use super::slots::{Found, SLOT, SlotFile};
use super::{Vault, VaultFault, entry};

/// Keys made at once; as many are kept ready.
const BATCH: usize = 1024;
/// Slots looked at in one step of a sweep or a rotation.
const STEP: u64 = 1024;

/// A message's key, and the slot that it lies in.
pub(crate) struct MessageKey {
    pub(crate) hold: Hold,
    cipher: Arc<Cipher>,
    check: [u8; 8],
}

impl MessageKey {
    pub(super) fn new(vault: &Arc<Vault>, slot: u64, secret: &Secret) -> Result<Self, VaultFault> {
        let hold = Hold { slot, vault: Arc::clone(vault), kept: false };
        Ok(Self { hold, cipher: Arc::new(Cipher::new(secret)?), check: entry::check(secret) })
    }

    /// The owner of the message's content of this number, and the key. Each number once.
    pub(crate) fn owner(&self, number: u32) -> (Owner, Arc<Cipher>) {
        (entry::message_owner(self.hold.slot, number, self.check), Arc::clone(&self.cipher))
    }
}

/// A slot that goes back when it is dropped, unless a commit keeps it.
pub(crate) struct Hold {
    pub(crate) slot: u64,
    vault: Arc<Vault>,
    /// Set before a frame that names it may reach the disk.
    pub(crate) kept: bool,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("slot", &self.slot).field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let (false, Ok(keys)) = (self.kept, self.vault.keys()) {
            lock(&keys.slots.returned).push(self.slot);
        }
    }
}

/// What only one thread at a time may do.
#[derive(Default)]
struct Work {
    /// Behind the last slot that was ever used.
    next: u64,
    /// The same when the vault was opened: slots before it may be somebody's.
    opened: u64,
    /// Wiped slots.
    free: Vec<u64>,
    /// Slots before `opened` that this process has filled or wiped; while a sweep may still meet them.
    ours: Option<HashSet<u64>>,
    /// The next slot that a rotation looks at.
    moving: u64,
    closed: bool,
}

impl Work {
    fn touch(&mut self, slots: &[u64]) {
        let opened = self.opened;
        if let Some(ours) = &mut self.ours {
            ours.extend(slots.iter().filter(|slot| **slot < opened));
        }
    }
}

/// The slots.
pub(super) struct Slots {
    /// Newest last; several while a rotation moves them.
    files: ArcSwap<Vec<Arc<SlotFile>>>,
    work: Mutex<Work>,
    ready: Mutex<Vec<(u64, Secret)>>,
    /// Handed out and not used: the key in them is nobody's.
    returned: Mutex<Vec<u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    pub(super) fn new(files: Vec<Arc<SlotFile>>) -> Result<Self, VaultFault> {
        let mut next = 1;
        for file in &files {
            next = next.max(file.last()? + 1);
        }
        let work = Work { next, opened: next, ours: Some(HashSet::new()), moving: 1, ..Work::default() };
        let (ready, returned) = (Mutex::default(), Mutex::default());
        Ok(Self { files: ArcSwap::from_pointee(files), work: Mutex::new(work), ready, returned })
    }

    /// The files are this process' to write to until it is closed.
    fn work(&self) -> Result<MutexGuard<'_, Work>, VaultFault> {
        let work = lock(&self.work);
        if work.closed { Err(VaultFault::Closed) } else { Ok(work) }
    }

    /// Whether the files may still be written to.
    pub(super) fn check(&self) -> Result<(), VaultFault> {
        self.work().map(|_| ())
    }

    pub(super) fn close(&self) {
        lock(&self.work).closed = true;
    }

    /// A key that is ready.
    pub(super) fn take(&self) -> Option<(u64, Secret)> {
        lock(&self.ready).pop()
    }

    /// Whether it is time to make new ones.
    pub(super) fn is_low(&self) -> bool {
        lock(&self.ready).len() < BATCH
    }

    /// The key in a slot; `None` when it is wiped or damaged.
    pub(super) fn key(&self, slot: u64) -> Result<Option<Secret>, VaultFault> {
        for file in self.files.load().iter().rev() {
            // Where a move was cut off, it is still where it was.
            if let Found::Key(key) = file.read(slot)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Behind `last`, too, slots are somebody's.
    pub(super) fn spare(&self, last: u64) {
        let mut work = lock(&self.work);
        work.next = work.next.max(last.saturating_add(1));
        work.opened = work.opened.max(work.next);
    }

    /// Fills slots with new keys, synced before anybody gets one.
    pub(super) fn refill(&self) -> Result<(), VaultFault> {
        let mut work = self.work()?;
        if !self.is_low() {
            return Ok(());
        }
        let returned = std::mem::take(&mut *lock(&self.returned));
        work.free.extend(returned);
        let keep = work.free.len().saturating_sub(BATCH);
        let mut numbers = work.free.split_off(keep);
        let more = (BATCH - numbers.len()) as u64;
        numbers.extend(work.next..work.next + more);
        numbers.sort_unstable();
        let filled = self.fill(&numbers);
        if filled.is_err() {
            let next = work.next;
            work.free.extend(numbers.into_iter().filter(|slot| *slot < next));
            return filled.map(|_| ());
        }
        work.next += more;
        work.touch(&numbers);
        lock(&self.ready).extend(filled?);
        Ok(())
    }

    fn fill(&self, numbers: &[u64]) -> Result<Vec<(u64, Secret)>, VaultFault> {
        let files = self.files.load_full();
        let Some(newest) = files.last() else { return Err(VaultFault::Closed) };
        let mut keys = Vec::with_capacity(numbers.len());
        let mut octets = Vec::with_capacity(numbers.len());
        for slot in numbers {
            let key = Secret::random()?;
            octets.push((*slot, newest.filled(*slot, &key)?));
            keys.push((*slot, key));
        }
        // In an older file a slot that was given back may still hold its unused key.
        for file in files.iter().rev().skip(1) {
            wipe(file, numbers)?;
        }
        newest.write(&octets)?;
        newest.sync()?;
        Ok(keys)
    }

    /// Wipes slots in every file.
    pub(super) fn wipe(&self, mut slots: Vec<u64>) -> Result<(), VaultFault> {
        let mut work = self.work()?;
        slots.sort_unstable();
        slots.dedup();
        for file in self.files.load().iter() {
            wipe(file, &slots)?;
        }
        work.touch(&slots);
        work.free.extend(slots);
        Ok(())
    }

    /// See [`Vault::sweep`].
    pub(super) fn sweep(&self, named: impl Fn(u64) -> Option<bool>) -> Result<u64, VaultFault> {
        let (mut at, mut wiped) = (1, 0);
        loop {
            let mut work = self.work()?;
            if at >= work.opened {
                work.ours = None;
                return Ok(wiped);
            }
            let until = work.opened.min(at + STEP);
            let (mut leaked, mut empty) = (Vec::new(), Vec::new());
            for slot in at..until {
                if work.ours.as_ref().is_some_and(|ours| ours.contains(&slot)) {
                    continue;
                }
                match named(slot) {
                    Some(false) if self.is_empty(slot)? => empty.push(slot),
                    Some(false) => leaked.push(slot),
                    _ => {}
                }
            }
            for file in self.files.load().iter() {
                wipe(file, &leaked)?;
            }
            wiped += leaked.len() as u64;
            work.free.extend(leaked);
            work.free.extend(empty);
            at = until;
        }
    }

    fn is_empty(&self, slot: u64) -> Result<bool, VaultFault> {
        for file in self.files.load().iter() {
            if !matches!(file.read(slot)?, Found::Empty) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether slots lie in more than one file.
    pub(super) fn is_moving(&self) -> bool {
        self.files.load().len() > 1
    }

    /// From now on slots are filled in this file, and those of the others move there.
    pub(super) fn begin(&self, file: SlotFile) -> Result<(), VaultFault> {
        let mut work = self.work()?;
        let mut files = self.files.load().to_vec();
        files.push(Arc::new(file));
        self.files.store(Arc::new(files));
        work.moving = 1;
        Ok(())
    }

    /// Moves some slots into the newest file; `true` when all are there.
    pub(super) fn step(&self) -> Result<bool, VaultFault> {
        let mut work = self.work()?;
        let files = self.files.load_full();
        let Some((newest, older)) = files.split_last() else { return Ok(true) };
        let until = work.next.min(work.moving + STEP);
        let mut octets = Vec::new();
        for slot in work.moving..until {
            if !matches!(newest.read(slot)?, Found::Empty | Found::Damaged) {
                continue;
            }
            for file in older.iter().rev() {
                if let Found::Key(key) = file.read(slot)? {
                    octets.push((slot, newest.filled(slot, &key)?));
                    break;
                }
            }
        }
        newest.write(&octets)?;
        newest.sync()?;
        work.moving = until;
        Ok(until >= work.next)
    }

    /// The files that slots have moved away from.
    pub(super) fn older(&self) -> Vec<Arc<SlotFile>> {
        let mut files = self.files.load().to_vec();
        files.pop();
        files
    }

    /// Gives up all files but the newest.
    pub(super) fn retire(&self) -> Result<(), VaultFault> {
        let _work = self.work()?;
        let newest = self.files.load().last().cloned();
        self.files.store(Arc::new(newest.into_iter().collect()));
        Ok(())
    }
}

/// Overwrites slots (in rising order) with zeros, as far as the file has them, durably.
fn wipe(file: &SlotFile, slots: &[u64]) -> Result<(), VaultFault> {
    let last = file.last()?;
    let zeros: Vec<_> = slots.iter().filter(|slot| **slot <= last).map(|slot| (*slot, [0; SLOT])).collect();
    if zeros.is_empty() {
        return Ok(());
    }
    file.write(&zeros)?;
    file.sync()
}
