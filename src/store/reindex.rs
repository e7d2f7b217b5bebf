//! A fresh index in the place of one that has grown: sled never gives space back, and at an opening it reads
//! all of its log that was written since the one before. It is filled beside the
//! old one from files that don't change, follows the ledger until little is missing, and is switched in by
//! the applier between two groups: nothing waits but the little that is still missing then.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::StoreError;
use super::house::{House, Kept};
use super::index::Index;
use super::ledger::{self, LedgerFault, Segment};
use super::open::Shared;
use super::queue::Request;
use super::rebuild;
use super::recover::catch_up;
use super::replay::Replay;

/// Octets on disk that a fresh index has for each octet of its entries, at most (measured: see the bench).
const FRESH: u64 = 7;
/// How often the slack of an index its log may be, where that is more than half of a fresh one: with the usual
/// slack a start reads it in less than a second.
const LOG: u64 = 10;
/// Frames that may be missing when it is switched in.
const NEAR: u64 = 2_000;
/// Rounds of following the ledger before it is switched in all the same.
const ROUNDS: usize = 20;
/// How long readers of the old one are waited for.
const READERS: Duration = Duration::from_secs(60);

/// A filled index on its way to the applier.
pub(crate) struct Switch {
    pub(crate) index: Arc<Index>,
    /// The ledger's end behind the group that this comes with: segment, and octets in it.
    pub(crate) end: (u64, u64),
    /// The old index, once the new one is in its place.
    pub(crate) done: oneshot::Sender<Arc<Index>>,
}

/// The ledger's segments up to an end that is on disk.
fn until(shared: &Shared, end: (u64, u64)) -> Result<Vec<Segment>, LedgerFault> {
    let mut segments = ledger::segments(&shared.root.join("ledger"))?;
    segments.retain(|segment| segment.first <= end.0);
    if let Some(last) = segments.last_mut().filter(|last| last.first == end.0) {
        last.len = end.1;
    }
    Ok(segments)
}

/// Applies what an index lacks of the ledger up to `end`.
fn follow(shared: &Shared, index: &Index, end: (u64, u64)) -> Result<(), String> {
    let segments = until(shared, end).map_err(|f| f.to_string())?;
    let from = segments.partition_point(|s| s.first <= index.meta().applied).saturating_sub(1);
    let later = segments.get(from..).unwrap_or_default();
    let (_, fault) = catch_up(index, later, None, Replay::going_on(index)).map_err(|f| f.to_string())?;
    fault.map_or(Ok(()), Err)
}

impl Switch {
    /// Puts the new index in the place of `old`, which has all frames up to the end; gives the one that
    /// is in use then. Called by the applier alone.
    pub(crate) fn make(self, shared: &Shared, old: Arc<Index>) -> Arc<Index> {
        let followed = follow(shared, &self.index, self.end);
        let same = self.index.same(&old);
        if followed.is_err() || !same {
            let why = followed.err().unwrap_or_else(|| "it differs from the old one".to_owned());
            tracing::error!(why, "the fresh index is of no use; the old one stays");
            return old;
        }
        let mut place = shared.index.write().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(&self.index));
        drop(place);
        // The housekeeper may have stopped; then the next start removes the old one's folder.
        let _ = self.done.send(old);
        self.index
    }
}

impl House {
    /// Makes a fresh index when the present one has grown to twice what a fresh one would take, or so much was
    /// written to it since it was opened that the next start would take long over it.
    pub(super) fn reindex(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let index = self.shared.index()?;
        let fresh = index.meta().octets * FRESH;
        let (size, log) = (index.octets_on_disk(), index.written() * FRESH);
        if size <= 2 * fresh + self.slack && log <= (fresh / 2).max(LOG * self.slack) {
            return Ok(());
        }
        let before = index.folder();
        drop(index);
        let began = Instant::now();
        let number = before.file_name().and_then(|n| n.to_str()?.parse::<u64>().ok()).unwrap_or_default() + 1;
        let folder = before.with_file_name(number.to_string());
        let building = folder.with_extension("building");
        let io = || super::content::io("making a fresh index");
        std::fs::write(&building, b"").map_err(io())?;
        std::fs::create_dir_all(&folder).map_err(io())?;
        match self.build(&folder, &building) {
            Ok(old) => {
                let became = self.shared.index()?.octets_on_disk();
                let seconds = began.elapsed().as_secs();
                tracing::info!(octets = size, became, seconds, "the index was made anew");
                kept.reindexed += 1;
                self.put_away(old, before);
            }
            Err(why) => {
                tracing::warn!(why, "no fresh index could be made; it is tried again later");
                self.remove_folder(&folder);
                self.shared.remove([building].into_iter())?;
            }
        }
        Ok(())
    }

    fn end(&self) -> (u64, u64) {
        *self.shared.ledger_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills an index in `folder` and has it switched in; gives the old one.
    fn build(&self, folder: &std::path::Path, building: &std::path::Path) -> Result<Arc<Index>, String> {
        let shared = &self.shared;
        let ledger = shared.root.join("ledger");
        let index = Index::open(folder, &ledger, &shared.vault, self.cache).map_err(|f| f.to_string())?;
        let segments = until(shared, self.end()).map_err(|f| f.to_string())?;
        let filled = rebuild::fill(&index, &shared.root, &segments, None, &shared.metrics)
            .map_err(|f| f.to_string())?;
        if let Some(why) = filled.fault {
            return Err(why);
        }
        let index = index.settled(&ledger, self.cache).map_err(|f| f.to_string())?;
        for _ in 0..ROUNDS {
            let synced = shared.synced.load(std::sync::atomic::Ordering::Acquire);
            if synced.saturating_sub(index.meta().applied) <= NEAR {
                break;
            }
            follow(shared, &index, self.end())?;
        }
        // From here on it is as good as the old one to a start: what it lacks is applied.
        std::fs::remove_file(building).map_err(|e| e.to_string())?;
        let (done, switched) = oneshot::channel();
        let switch = Switch { index: Arc::new(index), end: (0, 0), done };
        self.send(Request::Switch(Box::new(switch))).map_err(|f| f.to_string())?;
        switched.blocking_recv().map_err(|_| "the store did not take it".to_owned())
    }

    /// Removes the old index when its last reader is done.
    fn put_away(&self, mut old: Arc<Index>, folder: PathBuf) {
        let deadline = Instant::now() + READERS;
        loop {
            match Arc::try_unwrap(old) {
                Ok(index) => break drop(index),
                // The next start removes it.
                Err(_) if Instant::now() > deadline => return,
                Err(shared) => old = shared,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.remove_folder(&folder);
    }

    fn remove_folder(&self, folder: &std::path::Path) {
        let _own = self.shared.house.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.health.closed().is_none() {
            // What can't be removed now goes at the next start.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
