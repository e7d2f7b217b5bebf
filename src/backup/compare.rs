//! What a store lacks of a later export of its ledger.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use serde::Serialize;

use crate::proof::audit::{AuditFault, Findings, audit};
use crate::proof::book::Identity;
use crate::proof::event::Seen;
use crate::store::ReadingKeys;
use crate::store::inspect;
use crate::store::ledger::Tail;

use super::BackupFault;
use super::contents::messages;

/// A message whose later steps the store does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The message.
    pub message: String,
    /// Where it went.
    pub endpoint: String,
    /// Its state in the store; empty when the store does not know it at all.
    pub here: String,
    /// Its state at the end of the export.
    pub there: String,
    /// When it was accepted.
    pub accepted: String,
    /// When the authority was handed it, by the export.
    pub handed: String,
    /// When the authority took it over, by the export.
    pub closed: String,
}

impl Lost {
    /// Whether the store would bring it to its authority although the lost time has done so.
    #[must_use]
    pub fn twice(&self) -> bool {
        let open = !matches!(self.here.as_str(), "" | "Closed" | "Returned" | "Delivered" | "Parked");
        open && !(self.handed.is_empty() && self.closed.is_empty())
    }
}

/// What a store lacks.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The last frame that both have.
    pub common: u64,
    /// The export's last frame.
    pub last: u64,
    /// Accepted after that: the store does not have them.
    pub missing: Vec<Lost>,
    /// The store has them, but not their last steps.
    pub behind: Vec<Lost>,
    /// What the check of the export found.
    pub findings: Findings,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareFault {
    /// The export does not pass.
    #[error("the export: {0}")]
    Export(#[from] AuditFault),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] BackupFault),
    /// They are of different ledgers.
    #[error("the export is of another ledger: its frame {0} is not the store's")]
    Another(u64),
    /// The export is no later one.
    #[error(
        "the export begins with frame {from}, and the store's ledger ends with frame {last}: what lies between is in \
         neither; export from frame {last} or earlier (--from)"
    )]
    Gap {
        /// First frame of the export.
        from: u64,
        /// Last frame of the store.
        last: u64,
    },
}

/// Compares the store in `data` with a later export of the ledger that it was copied from. Where the
/// store was put back and has gone on since, only what it had when it was put back counts.
///
/// # Errors
/// [`CompareFault`].
pub fn compare<C: AsRef<[u8]>>(
    data: &Path,
    keys: &ReadingKeys,
    export: &mut dyn BufRead,
    certificates: &[C],
) -> Result<Compared, CompareFault> {
    let ledger = data.join("ledger");
    let end = inspect::end(&ledger).map_err(BackupFault::from)?.0;
    let identity = Identity::read(data).map_err(BackupFault::from)?;
    let put_back = identity.as_ref().and_then(|identity| identity.restored.last()).map(|r| r.frame);
    let common = put_back.unwrap_or(end.last).min(end.last);
    let mut later: HashMap<String, (Lost, bool)> = HashMap::new();
    let mut here = String::new();
    let findings = audit(export, certificates, &mut |seen| {
        if seen.frame == common {
            seen.digest.clone_into(&mut here);
        }
        if seen.frame > common && !seen.message.is_empty() {
            let new = seen.kind == "accepted";
            let entry = later.entry(seen.message.to_owned()).or_insert_with(|| (lost(seen), new));
            entry.0 = lost(seen);
        }
    })?;
    if findings.from > common + 1 {
        return Err(CompareFault::Gap { from: findings.from, last: common });
    }
    if let Some(start) = findings.start.as_ref().filter(|start| start.frame() == common) {
        here = start.head.to_string();
    }
    let ours = digest(&ledger, keys, common)?;
    if common > 0 && findings.last.as_ref().is_some_and(|l| l.frame() >= common) && ours != here {
        return Err(CompareFault::Another(common));
    }
    let mut compared = Compared {
        common,
        last: findings.last.as_ref().map_or(0, |last| last.frame()),
        findings,
        ..Compared::default()
    };
    let begin = Tail::first(&ledger).map_err(BackupFault::from)?.unwrap_or(1);
    messages(&ledger, keys, begin, |number, record| {
        if number <= common
            && let Some((lost, _)) = later.get_mut(record.id.as_str())
        {
            record.state.name().clone_into(&mut lost.here);
        }
        Ok(())
    })?;
    for (lost, new) in later.into_values() {
        if new { compared.missing.push(lost) } else { compared.behind.push(lost) }
    }
    let order = |list: &mut Vec<Lost>| {
        list.sort_by(|a, b| (&a.accepted, &a.message).cmp(&(&b.accepted, &b.message)));
    };
    order(&mut compared.missing);
    order(&mut compared.behind);
    Ok(compared)
}

fn lost(seen: &Seen<'_>) -> Lost {
    Lost {
        message: seen.message.to_owned(),
        endpoint: seen.endpoint.to_owned(),
        here: String::new(),
        there: seen.state.to_owned(),
        accepted: seen.accepted.to_owned(),
        handed: seen.handed.to_owned(),
        closed: seen.closed.to_owned(),
    }
}

/// The digest of a frame of the store.
fn digest(ledger: &Path, keys: &ReadingKeys, frame: u64) -> Result<String, BackupFault> {
    if frame == 0 {
        return Ok(String::new());
    }
    let mut tail = Tail::open(ledger, frame, keys)?;
    Ok(tail.any()?.map_or_else(String::new, |frame| frame.digest.to_string()))
}
