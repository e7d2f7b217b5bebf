//! Frames of the ledger on their way into the index.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{Digest, MessageId, Record};

use super::frame::{Body, BodyFault, Change};
use super::index::{Filler, Index, IndexFault, Step};
use super::ledger::{self, LedgerFault, Place, Segment};
use super::rebuild::Progress;
use super::records;
use super::steps::Steps;
use super::vault::Vault;

/// Messages brought to the index in one batch. While a batch goes in, sled keeps every node that it
/// replaces: 2,048 messages at once took 1.1 GB of memory and twice the time (measured).
const BATCH: usize = 64;

/// Which frame says the last word on each message, by its acceptance number: an empty index is
/// told that one alone. What a message went through costs a rebuild next to nothing then (110,000
/// frames of 63,000 messages: 1.7 to 1.9 s instead of 2.3 to 2.5, measured).
pub(crate) struct Newest(HashMap<u64, u64>);

impl Newest {
    /// Walks the whole ledger.
    pub(crate) fn of(segments: &[Segment]) -> Result<Self, LedgerFault> {
        let mut newest = HashMap::new();
        let mut progress = Progress::new("frames of the ledger looked at");
        ledger::walk(segments, |number, _, body, _| {
            progress.tick(number);
            for change in body.changes()? {
                match change {
                    Change::Accepted(sealed) | Change::Changed(_, sealed) => {
                        newest.insert(records::sequence(&sealed)?, number);
                    }
                    Change::Forgotten(sequence, _) => drop(newest.insert(sequence, number)),
                    Change::Control(_) | Change::Trimmed(..) => {}
                }
            }
            Ok(())
        })?;
        Ok(Self(newest))
    }

    /// Whether any frame speaks of this message.
    pub(crate) fn knows(&self, sequence: u64) -> bool {
        self.0.contains_key(&sequence)
    }

    fn is(&self, sequence: u64, number: u64) -> bool {
        self.0.get(&sequence) == Some(&number)
    }
}

/// Where steps go.
enum Target<'i> {
    Known(&'i Index),
    Empty(&'i Filler<'i>, Newest),
}

/// Applies frames to an index, many in a batch.
pub(crate) struct Replay<'i> {
    index: Target<'i>,
    vault: Arc<Vault>,
    steps: Steps,
    last: u64,
    head: Digest,
    progress: Progress,
}

impl<'i> Replay<'i> {
    /// For an index that has what came before.
    pub(crate) fn going_on(index: &'i Index) -> Self {
        Self::new(Target::Known(index), index.vault())
    }

    /// For an empty index: of each message only the last word.
    pub(crate) fn filling(index: &'i Filler<'i>, newest: Newest) -> Self {
        Self::new(Target::Empty(index, newest), index.vault())
    }

    fn new(index: Target<'i>, vault: &Arc<Vault>) -> Self {
        let progress = Progress::new("frames of the ledger brought in");
        let (vault, steps) = (Arc::clone(vault), Steps::default());
        Self { index, vault, steps, last: 0, head: Digest::default(), progress }
    }

    /// Takes a frame in. The inner fault is the index's, the outer one the frame's.
    pub(crate) fn frame(
        &mut self,
        number: u64,
        head: Digest,
        body: &Body,
        place: Place,
    ) -> Result<Option<IndexFault>, BodyFault> {
        self.progress.tick(number);
        for change in body.changes()? {
            let (old, sealed) = match change {
                Change::Control(sealed) => {
                    let control = records::decode_control(&self.vault, &sealed)?;
                    self.steps.push(Step::Control(control));
                    continue;
                }
                Change::Forgotten(sequence, id) => {
                    let old = match &self.index {
                        // It is the last word: nothing earlier was brought in.
                        Target::Empty(..) => None,
                        Target::Known(_) => match self.before(&id) {
                            Ok(old) => Some(old),
                            Err(fault) => return Ok(Some(fault)),
                        },
                    };
                    self.steps.push(Step::Forget { id, sequence, old });
                    continue;
                }
                Change::Trimmed(first, next) => {
                    self.steps.push(Step::Trimmed(first, next));
                    continue;
                }
                Change::Accepted(sealed) => (false, sealed),
                Change::Changed(_, sealed) => (true, sealed),
            };
            if let Target::Empty(_, newest) = &self.index {
                if newest.is(records::sequence(&sealed)?, number) {
                    let new = Arc::new(records::decode(&self.vault, &sealed)?);
                    self.steps.push(Step::Record { old: None, new, place });
                }
                continue;
            }
            let new = Arc::new(records::decode(&self.vault, &sealed)?);
            let old = match old.then(|| self.before(&new.id)).transpose() {
                Ok(old) => old,
                Err(fault) => return Ok(Some(fault)),
            };
            self.steps.push(Step::Record { old, new, place });
        }
        (self.last, self.head) = (number, head);
        if self.steps.as_slice().len() >= BATCH { Ok(self.flush().err()) } else { Ok(None) }
    }

    fn before(&self, id: &MessageId) -> Result<Arc<Record>, IndexFault> {
        let known = match self.steps.newest(id) {
            Some(record) => Some(record),
            None => match &self.index {
                Target::Known(index) => index.get(id)?.map(Arc::new),
                Target::Empty(..) => None,
            },
        };
        known.ok_or(IndexFault::Inconsistent("a changed record is missing"))
    }

    pub(crate) fn flush(&mut self) -> Result<(), IndexFault> {
        if !self.steps.as_slice().is_empty() {
            let steps = self.steps.as_slice();
            match &self.index {
                Target::Known(index) => index.apply(steps, self.last, self.head)?,
                Target::Empty(filler, _) => filler.apply(steps, self.last, self.head)?,
            }
            self.steps.clear();
        }
        Ok(())
    }
}
