//! Opening after a stop of any kind: what the ledger holds is the truth, the index follows.
//!
//! After a clean stop or a killed process the index is checked and the frames after its last one
//! are applied. It is thrown away and rebuilt when it does not open, fails its check, stands at
//! another frame than the ledger, or the machine was booted anew since an unclean stop (its files
//! were never synced). A start that dies while it opens the index leaves a note, so that a
//! damaged index can't bring the process down twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::observe::Metrics;

use super::index::{Index, IndexFault};
use super::ledger::{self, LedgerFault, Segment, Summary};
use super::marker::{self, Marker};
use super::open::{OpenError, Settings, io};
use super::rebuild;
use super::replay::Replay;
use super::vault::Vault;

/// Present while an index is being opened or rebuilt.
const OPENING: &str = "index.opening";
/// Present when a running store found its index damaged.
pub(crate) const SUSPECT: &str = "index.suspect";
/// How long an index may take to open.
const OPEN_WAIT: Duration = Duration::from_secs(8);
/// Ledgers up to this size are walked from the beginning at each start; larger ones from the
/// index's frame on (`amtsweg ledger verify` walks everything).
const WALK_ALL: u64 = 256 << 20;

/// How the store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is new.
    Never,
    /// In order.
    Cleanly,
    /// The process was killed; the machine ran on.
    Killed,
    /// The machine was booted anew since an unclean stop, or that can't be told.
    Booted,
}

/// What was done at the start.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// How the store was left.
    pub stopped: Stopped,
    /// Number of the last frame of the ledger.
    pub frames: u64,
    /// Frames applied to the index.
    pub applied: u64,
    /// Why the index was rebuilt, if it was.
    pub rebuilt: Option<String>,
    /// Whether the index was checked to its end; a large one is trusted for the rest.
    pub checked: bool,
    /// Octets of unfinished frames, never acknowledged, cut off the end of the ledger.
    pub torn: u64,
    /// Frames that the index had and the ledger has not: the ledger folder was damaged or put
    /// back from a backup.
    pub missing: u64,
    /// Messages in the store.
    pub messages: u64,
    /// How long it took.
    pub took: Duration,
}

/// A store ready to be worked with.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: Summary,
    pub(crate) recovery: Recovery,
}

fn how_it_stopped(marker: Option<&Marker>, empty: bool) -> Stopped {
    match marker {
        None if empty => Stopped::Never,
        Some(marker) if marker.clean => Stopped::Cleanly,
        Some(marker) if marker.same_boot() => Stopped::Killed,
        _ => Stopped::Booted,
    }
}

/// Brings ledger and index together. Changes nothing in the ledger.
pub(crate) fn recover(
    settings: &Settings,
    vault: &Arc<Vault>,
    metrics: &Metrics,
) -> Result<Recovered, OpenError> {
    let began = Instant::now();
    let root = settings.folder.as_path();
    let marker = match Marker::read(root) {
        Some(Err(why)) => {
            metrics.corrupt("state");
            tracing::error!(why, "state.json is damaged; it is set aside, and the index rebuilt");
            Marker::set_aside(root);
            None
        }
        Some(Ok(marker)) => Some(marker),
        None => None,
    };
    let segments = ledger::segments(&root.join("ledger"))?;
    let stopped = how_it_stopped(marker.as_ref(), segments.is_empty());
    let mut shelf = Shelf { root: root.to_owned(), vault: Arc::clone(vault), cache: settings.index_cache };
    let (found, mut rebuilt) = match shelf.distrust(stopped)? {
        Some(why) => (None, Some(why)),
        None => match shelf.open(settings.check_budget) {
            Ok(found) => (found, None),
            Err(fault) => (None, Some(fault.to_string())),
        },
    };
    let (mut missing, mut done) = (0, None);
    if let Some((index, checked)) = found {
        let applied = index.meta().applied;
        let (end, faults) = catch_up(&index, &segments, marker.as_ref(), Replay::going_on(&index))?;
        missing = applied.saturating_sub(end.last);
        match faults {
            None => done = Some((index, checked, end, applied)),
            Some(why) => rebuilt = Some(why),
        }
    } else if stopped != Stopped::Never && rebuilt.is_none() {
        rebuilt = Some("there was none".to_owned());
    }
    let (index, checked, end, before) = match done {
        Some(done) => done,
        None => {
            let index = shelf.fresh().map_err(|f| OpenError::Index(f.to_string()))?;
            let filled = rebuild::fill(&index, root, &segments, marker.as_ref(), metrics)?;
            if let Some(why) = filled.fault {
                return Err(OpenError::Index(why));
            }
            let index = index.settled(&root.join("ledger"), settings.index_cache);
            let index = index.map_err(|f| OpenError::Index(f.to_string()))?;
            (index, true, filled.end, filled.snapshot)
        }
    };
    begins(&segments, index.meta().trimmed)?;
    shelf.trust()?;
    shelf.tidy();
    let recovery = Recovery {
        stopped,
        frames: end.last,
        applied: end.last - before.min(end.last),
        rebuilt,
        checked,
        torn: end.torn,
        missing,
        messages: index.meta().messages,
        took: began.elapsed(),
    };
    Ok(Recovered { index, segments, end, recovery })
}

/// The ledger begins where it may: whatever is missing before was dropped, and a frame says so.
fn begins(segments: &[Segment], trimmed: u64) -> Result<(), LedgerFault> {
    match segments.first() {
        Some(first) if first.first > trimmed.max(1) => Err(LedgerFault::Damaged {
            path: first.path.clone(),
            offset: 0,
            why: format!("the frames before {} are missing, and nobody dropped them", first.first),
        }),
        _ => Ok(()),
    }
}

/// Walks the ledger and applies what the index lacks. Gives the ledger's end, and why the index is
/// of no use, if so.
pub(crate) fn catch_up(
    index: &Index,
    segments: &[Segment],
    marker: Option<&Marker>,
    mut replay: Replay<'_>,
) -> Result<(Summary, Option<String>), LedgerFault> {
    let meta = index.meta();
    let octets: u64 = segments.iter().map(|s| s.len).sum();
    let from = if octets <= WALK_ALL { 0 } else { segments.partition_point(|s| s.first <= meta.applied) };
    let walked = segments.get(from.saturating_sub(1)..).unwrap_or(segments);
    let clean = marker.filter(|m| m.clean);
    let mut fault = None;
    let mut tampered = false;
    let end = ledger::walk(walked, |number, head, body, place| {
        tampered |= clean.is_some_and(|m| m.last == number && m.head != head.to_string());
        if number == meta.applied && *head != meta.head {
            fault = Some("it stands at a frame that is not the ledger's".to_owned());
        }
        if number > meta.applied && fault.is_none() {
            fault = replay.frame(number, *head, body, place)?.map(|f| f.to_string());
        }
        Ok(())
    })?;
    if let Some(clean) = clean
        && (tampered || clean.last > end.last)
    {
        let path = segments.last().map(|s| s.path.clone()).unwrap_or_default();
        let why = format!(
            "frame {} was on disk at the last clean stop and is not the same now; to go on without what is \
             missing, delete {}",
            clean.last,
            marker::NAME
        );
        return Err(LedgerFault::Damaged { path, offset: 0, why });
    }
    if fault.is_none() {
        fault = replay.flush().err().map(|f| f.to_string());
    }
    if meta.applied > end.last {
        fault = Some(format!("it knows {} frames that the ledger has not", meta.applied - end.last));
    }
    Ok((end, fault))
}

/// The folder of indexes: `index/<n>`, of which the highest counts. A new one gets a new number,
/// so that whatever still hangs on an old one can't disturb it.
struct Shelf {
    root: PathBuf,
    vault: Arc<Vault>,
    cache: u64,
}

impl Shelf {
    fn folder(&self) -> PathBuf {
        self.root.join("index")
    }

    fn numbers(&self) -> Vec<(u64, PathBuf)> {
        let entries = std::fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let mut out: Vec<_> =
            entries.filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path()))).collect();
        out.retain(|(_, path): &(u64, PathBuf)| !path.with_extension("building").exists());
        out.sort();
        out
    }

    /// Why the index is not even to be opened.
    fn distrust(&self, stopped: Stopped) -> Result<Option<String>, OpenError> {
        let there = |name: &str| self.root.join(name).exists();
        let why = if stopped == Stopped::Booted {
            "the machine was booted anew since an unclean stop"
        } else if there(OPENING) {
            "the last start ended while it opened it"
        } else if there(SUSPECT) {
            "it was found damaged while the gateway ran"
        } else {
            return Ok(None);
        };
        Ok(Some(why.to_owned()))
    }

    /// Opens and checks the present index; gives whether the check came to its end.
    fn open(&self, budget: Duration) -> Result<Option<(Index, bool)>, IndexFault> {
        let Some((_, folder)) = self.numbers().pop() else { return Ok(None) };
        remove_unfinished(&folder);
        let engine = |e: std::io::Error| IndexFault::Engine(e.to_string());
        std::fs::write(self.root.join(OPENING), b"").map_err(engine)?;
        let (to, opened) = std::sync::mpsc::channel();
        let (cache, ledger, vault) = (self.cache, self.root.join("ledger"), Arc::clone(&self.vault));
        let work = move || {
            let index = Index::open(&folder, &ledger, &vault, cache);
            let checked = index.and_then(|i| Ok((i.check(Instant::now() + budget)?, i)));
            // Nobody waits any more when it took too long; the index goes then.
            let _ = to.send(checked);
        };
        std::thread::Builder::new().name("store-open".to_owned()).spawn(work).map_err(engine)?;
        let opened = opened.recv_timeout(OPEN_WAIT + budget);
        std::fs::remove_file(self.root.join(OPENING)).map_err(engine)?;
        match opened {
            Ok(opened) => opened.map(|(checked, index)| Some((index, checked))),
            Err(RecvTimeoutError::Timeout) => Err(IndexFault::Hangs(OPEN_WAIT.as_secs())),
            Err(RecvTimeoutError::Disconnected) => Err(IndexFault::Panicked),
        }
    }

    /// Removes indexes that were being filled when the process ended, and those that one took the place of.
    fn tidy(&self) {
        let used = self.numbers().pop().map(|(_, path)| path);
        let mut others: Vec<PathBuf> =
            std::fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|e| e.path()).collect();
        others.retain(|path| Some(path) != used.as_ref());
        // Folders first: a mark must not go before what it marks. What stays is tried again next time.
        others.sort_by_key(|path| path.extension().is_some());
        for path in others {
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// A new index; the old ones go.
    fn fresh(&mut self) -> Result<Index, IndexFault> {
        let old = self.numbers();
        let mut number = old.last().map_or(0, |(n, _)| n + 1);
        while self.folder().join(number.to_string()).exists() {
            number += 1;
        }
        let folder = self.folder().join(number.to_string());
        let engine = |e: std::io::Error| IndexFault::Engine(e.to_string());
        std::fs::create_dir_all(&folder).map_err(engine)?;
        // Until the rebuild is done its index is of no use to another start.
        std::fs::write(self.root.join(OPENING), b"").map_err(engine)?;
        for (_, path) in old {
            // What can't be removed now is tried again next time.
            let _ = std::fs::remove_dir_all(path);
        }
        Index::open(&folder, &self.root.join("ledger"), &self.vault, self.cache)
    }

    /// The index is in use now: removes the notes against it.
    fn trust(&self) -> Result<(), OpenError> {
        for name in [OPENING, SUSPECT] {
            let path = self.root.join(name);
            match std::fs::remove_file(&path) {
                Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(fault)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// sled refuses to open beside a snapshot that a killed process did not finish.
fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with("snap.") && n.ends_with(".generating")) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
