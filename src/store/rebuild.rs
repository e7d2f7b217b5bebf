//! Filling an empty index: from the newest snapshot that is whole and fits the ledger, and the frames behind
//! it; without one from all frames there are.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::observe::Metrics;

use super::index::{Filler, Index, IndexFault, Step};
use super::ledger::{self, LedgerFault, Reader, Segment, Summary};
use super::marker::Marker;
use super::recover::catch_up;
use super::replay::{Newest, Replay};
use super::snapshot::{self, Snapshot, SnapshotFault};
use super::vault::Vault;

/// Messages brought to the index in one batch; see `replay`.
const BATCH: usize = 64;
/// Time between two lines of progress.
const TELL: Duration = Duration::from_secs(5);

/// Says how far it has come, now and then.
pub(crate) struct Progress {
    what: &'static str,
    began: Instant,
    told: Instant,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        let now = Instant::now();
        Self { what, began: now, told: now }
    }

    /// `done` so many.
    pub(crate) fn tick(&mut self, done: u64) {
        if done.is_multiple_of(256) && self.told.elapsed() > TELL {
            self.told = Instant::now();
            let seconds = self.began.elapsed().as_secs();
            tracing::info!(done, seconds, "opening the store: {}", self.what);
        }
    }
}

/// A filled index's state.
pub(crate) struct Filled {
    /// How far the ledger goes.
    pub(crate) end: Summary,
    /// Why the index is of no use after all.
    pub(crate) fault: Option<String>,
    /// The last frame that the snapshot knew; 0 without one.
    pub(crate) snapshot: u64,
}

/// Fills `index`. Blocking.
pub(crate) fn fill(
    index: &Index,
    root: &Path,
    segments: &[Segment],
    marker: Option<&Marker>,
    metrics: &Metrics,
) -> Result<Filled, LedgerFault> {
    let base = base(root, index.vault(), segments, metrics);
    let (snapshot, later) = match base {
        Some((snapshot, at)) => (Some(snapshot), segments.get(at..).unwrap_or_default()),
        None => (None, segments),
    };
    let known = snapshot.as_ref().map_or(0, |s| s.head.next.saturating_sub(1));
    let newest = Newest::of(later)?;
    let ledger = root.join("ledger");
    let (walked, filled) = index.fill(|filler| {
        if let Some(snapshot) = snapshot {
            load(filler, snapshot, &ledger, &newest)?;
        }
        catch_up(index, later, marker, Replay::filling(filler, newest))
    });
    let (end, fault) = walked?;
    Ok(Filled { end, fault: filled.err().map(|f| f.to_string()).or(fault), snapshot: known })
}

/// The newest whole snapshot that ends where a segment begins, and that segment's place among the others. A
/// broken one is set aside.
fn base(root: &Path, vault: &Vault, segments: &[Segment], metrics: &Metrics) -> Option<(Snapshot, usize)> {
    for path in snapshot::all(root) {
        let snapshot = match Snapshot::check(&path, vault) {
            Ok(snapshot) => snapshot,
            Err(fault @ SnapshotFault::Newer(_)) => {
                tracing::info!(path = %path.display(), %fault, "a snapshot can't be used");
                continue;
            }
            Err(fault) => {
                metrics.corrupt("snapshot");
                tracing::error!(path = %path.display(), %fault, "a snapshot is damaged; it is set aside");
                // It stays where it is if that fails, and is found again next time.
                let _ = std::fs::rename(&path, path.with_extension("damaged"));
                continue;
            }
        };
        if let Some(at) = segments.iter().position(|s| snapshot.fits(s)) {
            return Some((snapshot, at));
        }
    }
    None
}

/// What stops a load.
enum Stop {
    Snapshot(SnapshotFault),
    Ledger(LedgerFault),
    /// The filling thread has given up and tells why itself.
    Index,
}

impl From<SnapshotFault> for Stop {
    fn from(fault: SnapshotFault) -> Self {
        Self::Snapshot(fault)
    }
}

impl From<IndexFault> for Stop {
    fn from(_: IndexFault) -> Self {
        Self::Index
    }
}

/// Brings in all records that a snapshot names and no later frame changes.
fn load(filler: &Filler<'_>, snapshot: Snapshot, folder: &Path, newest: &Newest) -> Result<(), LedgerFault> {
    let head = snapshot.head.clone();
    let (last, digest) = (head.next.saturating_sub(1), head.digest);
    let mut progress = Progress::new("messages of the snapshot brought in");
    let reader = Reader::new(folder, Arc::clone(filler.vault()));
    let mut steps: Vec<Step> = head.controls.into_iter().map(Step::Control).collect();
    steps.push(Step::Trimmed(head.trimmed, head.next_sequence));
    let mut done = 0_u64;
    let brought: Result<(), Stop> = snapshot.each(|sequence, place| {
        done += 1;
        progress.tick(done);
        if newest.knows(sequence) {
            return Ok(());
        }
        let record = reader.numbered(place, sequence).map_err(|fault| {
            let why = format!("the record of message {sequence}: {fault}");
            Stop::Ledger(ledger::damaged_at(folder, place, why))
        })?;
        steps.push(Step::Record { old: None, new: Arc::new(record), place });
        if steps.len() >= BATCH {
            filler.apply(&steps, last, digest)?;
            steps.clear();
        }
        Ok(())
    });
    match brought {
        Ok(()) => {}
        Err(Stop::Ledger(fault)) => return Err(fault),
        Err(Stop::Index) => return Ok(()),
        // It was whole a moment ago.
        Err(Stop::Snapshot(fault)) => {
            let source = std::io::Error::other(fault);
            return Err(LedgerFault::Io { path: folder.to_owned(), source });
        }
    }
    // A fault here is told by the filling thread.
    let _ = filler.apply(&steps, last, digest);
    Ok(())
}
