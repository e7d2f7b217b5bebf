//! The housekeeper: a thread that does in small steps what a store needs to live long. Nothing waits for
//! it, it takes at most half of the disk's time, and whatever it is interrupted at is done by a later round.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{MessageId, Timestamp};

use super::StoreError;
use super::index::IndexFault;
use super::open::{Settings, Shared};
use super::queue::Request;
use super::retention::Retention;
use super::vault::VaultFault;

/// Time between two searches for files that nobody names.
const STRAYS: Duration = Duration::from_secs(6 * 3600);

/// What a round of the housekeeper did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Messages whose document and attachments went.
    pub erased: u64,
    /// Messages whose record went.
    pub forgotten: u64,
    /// Messages whose content was copied to another segment.
    pub moved: u64,
    /// Content segments dropped.
    pub segments: u64,
    /// Files removed that no message names.
    pub strays: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Segments dropped from the ledger's beginning.
    pub trimmed: u64,
    /// Fresh indexes made in the place of one that had grown.
    pub reindexed: u64,
}

/// Somebody wants a round now, as if it were that time.
pub(crate) struct Ask {
    pub(crate) now: Timestamp,
    pub(crate) to: oneshot::Sender<Result<Kept, StoreError>>,
}

/// The time for retention: it does not jump ahead with the system's clock while the process runs.
struct Clock {
    began: Instant,
    at: Timestamp,
}

impl Clock {
    fn now(&self) -> Timestamp {
        Timestamp::now().min(self.at.plus(self.began.elapsed()))
    }
}

impl Shared {
    /// Removes files, unless the store is closed: another process may have it then. Gives how many went; one
    /// that can't be removed now is found again later.
    pub(crate) fn remove(&self, paths: impl Iterator<Item = PathBuf>) -> Result<u64, StoreError> {
        let mut gone = 0;
        for path in paths {
            let _own = self.house.lock().unwrap_or_else(PoisonError::into_inner);
            if self.health.closed().is_some() {
                return Err(self.health.fault());
            }
            gone += u64::from(std::fs::remove_file(path).is_ok());
        }
        Ok(gone)
    }
}

/// The housekeeper.
pub(crate) struct House {
    pub(super) shared: Arc<Shared>,
    pub(super) retention: Retention,
    queue: mpsc::WeakSender<Request>,
    applied: watch::Receiver<u64>,
    every: Duration,
    pub(super) slack: u64,
    pub(super) cache: u64,
    /// Messages whose content was reported as broken.
    reported: Mutex<std::collections::HashSet<MessageId>>,
}

impl House {
    pub(crate) fn new(
        shared: Arc<Shared>,
        settings: &Settings,
        queue: mpsc::WeakSender<Request>,
        applied: watch::Receiver<u64>,
    ) -> Self {
        let (retention, every) = (settings.retention, settings.keep_every);
        let (slack, cache) = (settings.index_slack, settings.index_cache);
        Self { shared, retention, queue, applied, every, slack, cache, reported: Mutex::default() }
    }

    /// Works until the store is gone.
    pub(crate) fn run(&self, asks: &Receiver<Ask>) {
        let clock = Clock { began: Instant::now(), at: Timestamp::now() };
        let mut kept = Kept::default();
        self.keys();
        self.report(self.strays(&mut kept), kept);
        let mut swept = Instant::now();
        loop {
            match asks.recv_timeout(self.every) {
                Ok(ask) => {
                    let done = self.round(ask.now, true);
                    // Whoever asked may have gone.
                    let _ = ask.to.send(done);
                }
                Err(RecvTimeoutError::Timeout) if self.shared.health.closed().is_none() => {
                    let strays = swept.elapsed() >= STRAYS;
                    if strays {
                        swept = Instant::now();
                    }
                    match self.round(clock.now(), strays) {
                        Ok(kept) => self.report(Ok(()), kept),
                        Err(fault) => self.report(Err(fault), Kept::default()),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Wipes keys of messages that a stop left behind and no record names. Once, before anything else: only
    /// afterwards are their slots filled anew.
    fn keys(&self) {
        match self.shared.vault.sweep(|slot| self.shared.index().ok()?.has_slot(slot).ok()) {
            Ok(0) | Err(VaultFault::Closed) => {}
            Ok(gone) => tracing::info!(gone, "wiped keys that no message names"),
            Err(fault) => tracing::warn!(%fault, "keys that no message names could not be wiped"),
        }
    }

    fn round(&self, now: Timestamp, strays: bool) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        self.erase(now, &mut kept)?;
        self.forget(now, &mut kept)?;
        self.compact(&mut kept)?;
        if strays {
            self.strays(&mut kept)?;
        }
        self.snapshot(&mut kept)?;
        self.trim(now, &mut kept)?;
        self.reindex(&mut kept)?;
        Ok(kept)
    }

    fn report(&self, outcome: Result<(), StoreError>, kept: Kept) {
        if let Err(fault) = outcome
            && self.shared.health.closed().is_none()
        {
            tracing::warn!(%fault, "housekeeping broke off; it goes on in the next round");
        }
        if kept != Kept::default() {
            let Kept { erased, forgotten, moved, segments, strays, snapshots, trimmed, reindexed } = kept;
            tracing::info!(
                erased,
                forgotten,
                moved,
                segments,
                strays,
                snapshots,
                trimmed,
                reindexed,
                "housekeeping"
            );
        }
    }

    /// Hands a request to the committer.
    pub(super) fn send(&self, request: Request) -> Result<(), StoreError> {
        let queue = self.queue.upgrade().ok_or_else(|| self.shared.health.fault())?;
        queue.blocking_send(request).map_err(|_| self.shared.health.fault())
    }

    /// Waits until the index has all that is on disk now.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let synced = self.shared.synced.load(std::sync::atomic::Ordering::Acquire);
        while *self.applied.borrow() < synced {
            if self.shared.health.closed().is_some() || self.applied.has_changed().is_err() {
                return Err(self.shared.health.fault());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Begins a step.
    pub(super) fn step(&self) -> Instant {
        Instant::now()
    }

    /// Rests for as long as the step took.
    pub(super) fn pause(&self, step: Instant) -> Result<(), StoreError> {
        std::thread::sleep(step.elapsed().min(Duration::from_secs(1)));
        if self.shared.health.closed().is_some() { Err(self.shared.health.fault()) } else { Ok(()) }
    }

    pub(super) fn fault(&self, fault: IndexFault) -> StoreError {
        self.shared.suspect(&fault);
        fault.into()
    }

    /// Reports once that a message's content can't be read.
    pub(super) fn broken(&self, id: &MessageId, fault: &StoreError) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(fault, StoreError::Corrupt { .. }) && reported.insert(id.clone()) {
            drop(reported);
            self.damaged("content", format!("{id}: {fault}"));
        }
    }

    /// Counts and logs damage that was met on the way.
    pub(super) fn damaged(&self, what: &'static str, which: String) {
        self.shared.metrics.corrupt(what);
        tracing::error!(what, which, "damaged; it is left as it is, bring it back from the backup");
    }
}
