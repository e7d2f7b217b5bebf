//! Snapshots are taken, and the ledger gives up its beginning: segments whose frames are older than their
//! retention. What is still the last word on something in there is written anew first; then a frame says
//! that the beginning may be gone; then it goes, segment by segment, each removal durable before the next.

use std::path::Path;

use tokio::sync::oneshot;

use crate::domain::Timestamp;

use super::StoreError;
use super::accept::Draft;
use super::house::{House, Kept};
use super::ledger::{self, LedgerFault, Place, Segment, sync_folder};
use super::queue::Request;
use super::retention::{STEP, before};
use super::snapshot::{self, Snapshot, SnapshotFault};
use super::vault::Vault;

fn ledger_fault(fault: LedgerFault) -> StoreError {
    StoreError::Io { what: "housekeeping in the ledger".to_owned(), source: std::io::Error::other(fault) }
}

impl House {
    fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        ledger::segments(&self.shared.root.join("ledger")).map_err(ledger_fault)
    }

    /// Takes a snapshot when as much ledger was closed since the last one as it would write, a segment at
    /// least.
    pub(super) fn snapshot(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let segments = self.segments()?;
        let before = self.newest(Snapshot::open);
        let known = before.as_ref().map_or(0, |b| b.head.next);
        let closed = segments.split_last().map_or(&[][..], |(_, closed)| closed);
        let grown: u64 = closed.iter().filter(|s| s.first >= known).map(|s| s.len).sum();
        if grown == 0 || grown < before.as_ref().map_or(0, Snapshot::octets) {
            return Ok(());
        }
        match snapshot::take(&self.shared.root, &self.shared.vault, &segments, self.newest(Snapshot::check)) {
            Ok(taken) => kept.snapshots += u64::from(taken),
            Err(SnapshotFault::Io(fault)) => return Err(super::content::io("writing a snapshot")(fault)),
            // The ledger's damage is for the start and for `ledger verify` to judge.
            Err(fault) => self.damaged("ledger", format!("no snapshot can be taken: {fault}")),
        }
        Ok(())
    }

    /// The newest snapshot that can be opened; a broken one is left for the next start to set aside.
    fn newest(&self, open: impl Fn(&Path, &Vault) -> Result<Snapshot, SnapshotFault>) -> Option<Snapshot> {
        snapshot::all(&self.shared.root).iter().find_map(|path| open(path, &self.shared.vault).ok())
    }

    /// Drops segments from the ledger's beginning.
    pub(super) fn trim(&self, now: Timestamp, kept: &mut Kept) -> Result<(), StoreError> {
        let until = before(now, self.retention.ledger);
        let segments = self.segments()?;
        for pair in segments.windows(2).take(segments.len().saturating_sub(2)) {
            let [oldest, next] = pair else { break };
            if self.shared.index()?.meta().trimmed < next.first && !self.give_up(oldest, next, until)? {
                break;
            }
            if self.shared.remove([oldest.path.clone()].into_iter())? == 0 {
                // A gap must never come about: later ones stay until this one can go.
                break;
            }
            kept.trimmed += 1;
            sync_folder(&self.shared.root.join("ledger"))
                .map_err(super::content::io("trimming the ledger"))?;
            self.shared.index()?.let_go(oldest.first);
        }
        Ok(())
    }

    /// Has a frame say that the ledger may begin with `next`; `false` where it may not yet.
    fn give_up(&self, oldest: &Segment, next: &Segment, until: Timestamp) -> Result<bool, StoreError> {
        let written = ledger::first_at(next).map_err(ledger_fault)?;
        if written.is_none_or(|written| written > until) {
            return Ok(false);
        }
        let covered = self.newest(Snapshot::check).filter(|s| s.head.next >= next.first);
        let Some(snapshot) = covered else { return Ok(false) };
        let mut living: Vec<(u64, Place)> = Vec::new();
        let collect = |sequence, place: Place| {
            // What earlier segments held was written anew before they went.
            if place.segment == oldest.first {
                living.push((sequence, place));
            }
            Ok::<_, SnapshotFault>(())
        };
        if snapshot.each(collect).is_err() {
            return Ok(false);
        }
        for step in living.chunks(STEP) {
            let begun = self.step();
            self.again(step)?;
            self.pause(begun)?;
        }
        // Whoever changed meanwhile has a later frame by himself; all others must have one now.
        for (sequence, place) in &living {
            if self.last_word(*sequence, *place)?.is_some() {
                return Ok(false);
            }
        }
        for control in self.shared.index()?.controls().map_err(|f| self.fault(f))? {
            self.plain(|to| Request::Control(control, to))?;
        }
        self.plain(|to| Request::Trim(next.first, to))?;
        self.settle()?;
        Ok(true)
    }

    /// Writes records anew that are still the last word.
    fn again(&self, step: &[(u64, Place)]) -> Result<(), StoreError> {
        let mut asked = Vec::new();
        for (sequence, place) in step {
            let Some(mut record) = self.last_word(*sequence, *place)? else { continue };
            record.version = record.version.saturating_add(1);
            let (to, answer) = oneshot::channel();
            let draft = Draft { record, inline: Vec::new(), files: Vec::new(), hold: None };
            self.send(Request::Place(Box::new(draft), to))?;
            asked.push(answer);
        }
        for answer in asked {
            match answer.blocking_recv().unwrap_or_else(|_| Err(self.shared.health.fault())) {
                Ok(_) | Err(StoreError::Conflict | StoreError::Unknown) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.settle()
    }

    /// The record at a place, if the index still leads there.
    fn last_word(&self, sequence: u64, place: Place) -> Result<Option<crate::domain::Record>, StoreError> {
        self.shared.index()?.last_word(sequence, place).map_err(|f| self.fault(f))
    }

    fn plain(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Request,
    ) -> Result<(), StoreError> {
        let (to, answer) = oneshot::channel();
        self.send(request(to))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.shared.health.fault()))
    }
}
