//! Filling an index that nobody reads yet: one thread makes batches, another brings them in.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::domain::Digest;

use super::super::vault::Vault;
use super::{Index, IndexFault, Step, guarded};

/// Batches under way: enough that neither thread waits for long, few enough for the memory.
const AHEAD: usize = 4;
/// How long the threads of an index that was closed may hold its lock.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// Takes steps for an index that is being filled.
pub(crate) struct Filler<'i> {
    index: &'i Index,
    to: SyncSender<sled::Batch>,
}

impl Filler<'_> {
    /// The keys that records are read with.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        self.index.vault()
    }

    /// Has a group of commits brought in, some time before the filling ends.
    ///
    /// # Errors
    /// A fault of the engine; what it was, [`Index::fill`] tells.
    pub(crate) fn apply(&self, steps: &[Step], applied: u64, head: Digest) -> Result<(), IndexFault> {
        let batch = self.index.derived().batch(steps, applied, head)?;
        self.to.send(batch).map_err(|_| IndexFault::Panicked)
    }
}

impl Index {
    /// Closes a filled index that nobody reads yet, and opens it again. Two things hang on it. What is still
    /// in memory comes into the files: a kill would leave an index that fits itself, claims to stand at the frame
    /// that it was filled up to, and lacks messages. And sled notes what its log amounts to when it opens, and at
    /// no other time: later openings read that note and what was written since. At a million messages that is
    /// a tenth of the work (0.24 s of processor time instead of 2.15, measured with sled alone and such entries).
    pub(crate) fn settled(self, ledger: &Path, cache: u64) -> Result<Self, IndexFault> {
        let (folder, vault) = (self.folder.clone(), Arc::clone(&self.vault));
        guarded(move || {
            drop(self);
            Ok(())
        })?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match Self::open(&folder, ledger, &vault, cache) {
                Err(IndexFault::Engine(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened,
            }
        }
    }

    /// Runs `work`, whose steps another thread brings into the index. It has them all when this
    /// returns; until then it must not be read.
    pub(crate) fn fill<R>(&self, work: impl FnOnce(&Filler<'_>) -> R) -> (R, Result<(), IndexFault>) {
        std::thread::scope(|scope| {
            let (to, batches) = sync_channel::<sled::Batch>(AHEAD);
            let bring = move || {
                for batch in batches {
                    guarded(|| Ok(self.db.apply_batch(batch)?))?;
                }
                Ok(())
            };
            let bringing = scope.spawn(bring);
            let filler = Filler { index: self, to };
            let done = work(&filler);
            drop(filler);
            (done, bringing.join().unwrap_or(Err(IndexFault::Panicked)))
        })
    }
}
