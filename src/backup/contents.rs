//! Compares the contents of messages with what the ledger says of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::store::ReadingKeys;
use crate::store::inspect;
use crate::store::ledger::{Tail, Told};

use super::BackupFault;
use super::watch::Watch;

/// Messages that may have lost content meanwhile; more than that is damage.
const MOST: usize = 100_000;

/// What was compared so far.
pub(super) struct Contents {
    /// The last frame that was looked at.
    since: u64,
    /// Messages whose contents are there.
    pub(super) checked: u64,
    /// Messages, by acceptance number, with contents that are not there.
    pub(super) missing: BTreeMap<u64, Missing>,
}

/// A message whose content is not there, and how that shows.
pub(super) struct Missing(String, String);

impl From<Missing> for BackupFault {
    fn from(Missing(id, why): Missing) -> Self {
        Self::Content { id, why }
    }
}

impl Contents {
    pub(super) fn new(since: u64) -> Self {
        Self { since, checked: 0, missing: BTreeMap::new() }
    }

    /// Compares the contents of all messages that changed up to frame `last`.
    pub(super) fn check(
        &mut self,
        root: &Path,
        keys: &ReadingKeys,
        last: u64,
        watch: &Watch,
    ) -> Result<(), BackupFault> {
        let ledger = root.join("ledger");
        let Some(begin) = Tail::first(&ledger)? else { return Ok(()) };
        let begin = begin.max(self.since + 1);
        let mut newest: HashMap<u64, u64> = HashMap::new();
        let mut forgotten = HashSet::new();
        frames(&ledger, keys, begin, |number, told| {
            match told {
                Told::Message { record, .. } => drop(newest.insert(record.sequence, number)),
                // What was its content may be gone by now.
                Told::Forgotten { sequence, .. } => {
                    newest.remove(sequence);
                    forgotten.insert(*sequence);
                }
                Told::Setting(_) | Told::Trimmed(_) => {}
            }
            Ok(())
        })?;
        self.missing.retain(|sequence, _| !forgotten.contains(sequence));
        // Nothing has happened to such a message that would explain it.
        let unchanged = self.missing.keys().find(|sequence| !newest.contains_key(sequence)).copied();
        if let Some(missing) = unchanged.and_then(|sequence| self.missing.remove(&sequence)) {
            return Err(missing.into());
        }
        self.missing.clear();
        messages(&ledger, keys, begin, |number, record| {
            if newest.get(&record.sequence) == Some(&number) {
                watch.go_on()?;
                let mut contents = record.contents();
                match contents.find_map(|content| inspect::content(root, keys, content).err()) {
                    None => self.checked += 1,
                    Some(fault) if self.missing.len() < MOST => {
                        let missing = Missing(record.id.to_string(), fault.to_string());
                        self.missing.insert(record.sequence, missing);
                    }
                    Some(fault) => return Err(Missing(record.id.to_string(), fault.to_string()).into()),
                }
            }
            Ok(())
        })?;
        self.since = last;
        Ok(())
    }
}

/// All records from a frame on.
pub(super) fn messages(
    ledger: &Path,
    keys: &ReadingKeys,
    begin: u64,
    mut visit: impl FnMut(u64, &crate::domain::Record) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    frames(ledger, keys, begin, |number, told| match told {
        Told::Message { record, .. } => visit(number, record),
        _ => Ok(()),
    })
}

/// All that is told from a frame on.
fn frames(
    ledger: &Path,
    keys: &ReadingKeys,
    begin: u64,
    mut visit: impl FnMut(u64, &Told) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    if inspect::end(ledger)?.0.last < begin {
        return Ok(());
    }
    let mut tail = Tail::open(ledger, begin, keys)?;
    while let Some(frame) = tail.any()? {
        for told in &frame.told {
            visit(frame.number, told)?;
        }
    }
    Ok(())
}
