//! Backups that a gateway makes of its own store when an operator asks for one: one at a time, into the folder
//! that the configuration names.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Timestamp;
use crate::store::LedgerPort;

use super::copy::{Made, backup};
use super::watch::{Progress, Watch};
use super::{BackupFault, generations, made_at};

/// A backup under way.
struct Work {
    by: String,
    began: Timestamp,
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Inner {
    work: Option<Work>,
    last: Option<Last>,
    closed: bool,
}

/// A backup that has ended.
#[derive(Clone, Debug)]
pub struct Last {
    /// Who asked for it.
    pub by: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The generation, or why there is none.
    pub made: Result<Made, String>,
}

/// How things are.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The backup under way: who asked for it, when it began, how far it is.
    pub running: Option<(String, Timestamp, Progress)>,
    /// The last one that was asked for since the gateway started.
    pub last: Option<Last>,
    /// The newest generation in the folder, whoever made it, and when it was made.
    pub newest: Option<(u64, Timestamp)>,
}

/// Makes backups.
pub struct Keeper {
    data: PathBuf,
    folder: PathBuf,
    ledger: Arc<dyn LedgerPort>,
    inner: Mutex<Inner>,
    /// When the newest generation was made, in milliseconds since 1970.
    newest: AtomicU64,
}

impl Keeper {
    /// Makes backups of the store in `data`, which is at work, in `folder`.
    #[must_use]
    pub fn new(data: PathBuf, folder: PathBuf, ledger: Arc<dyn LedgerPort>) -> Self {
        let keeper = Self { data, folder, ledger, inner: Mutex::default(), newest: AtomicU64::new(0) };
        keeper.look();
        keeper
    }

    /// Begins a backup.
    ///
    /// # Errors
    /// [`BackupFault::Busy`] while one is under way, [`BackupFault::NoFolder`], [`BackupFault::Io`].
    pub fn begin(self: &Arc<Self>, by: &str, full: bool) -> Result<(), BackupFault> {
        // Somebody has to have put it there: an empty place where a disk should be would take it, too.
        if !self.folder.is_dir() {
            return Err(BackupFault::NoFolder(self.folder.clone()));
        }
        let mut inner = self.lock();
        if inner.closed {
            return Err(BackupFault::Stopped);
        }
        if inner.work.is_some() {
            return Err(BackupFault::Busy(self.folder.clone()));
        }
        let (watch, began) = (Arc::new(Watch::default()), Timestamp::now());
        let (keeper, seen, who) = (Arc::clone(self), Arc::clone(&watch), by.to_owned());
        let work = move || keeper.work(who, began, full, &seen);
        let thread = std::thread::Builder::new().name("backup".to_owned()).spawn(work);
        thread.map_err(super::io(&self.folder))?;
        tracing::info!(by, full, "an operator has a backup made");
        inner.work = Some(Work { by: by.to_owned(), began, watch });
        Ok(())
    }

    fn work(&self, by: String, began: Timestamp, full: bool, watch: &Watch) {
        let made = backup(&self.data, Some(&self.ledger.keys()), &self.folder, full, watch);
        let ended = Timestamp::now();
        match &made {
            Ok(made) => tracing::info!(
                by,
                generation = made.generation,
                frame = made.last,
                files = made.files,
                octets = made.octets,
                copied = made.copied,
                checked = made.checked,
                milliseconds = u64::try_from(ended.since(began).as_millis()).unwrap_or(u64::MAX),
                "the backup is made"
            ),
            Err(fault) => tracing::error!(by, %fault, "no backup was made"),
        }
        self.look();
        let made = made.map_err(|fault| fault.to_string());
        let mut inner = self.lock();
        inner.last = Some(Last { by, began, ended, made });
        inner.work = None;
    }

    /// How things are. Looks into the folder.
    #[must_use]
    pub fn state(&self) -> State {
        let newest = self.look();
        let inner = self.lock();
        let running = inner.work.as_ref().map(|work| (work.by.clone(), work.began, work.watch.progress()));
        State { running, last: inner.last.clone(), newest }
    }

    /// When the newest generation was made, as far as known: the folder is looked into at the start, with each
    /// backup, and when an operator asks.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        Some(self.newest.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp)
    }

    /// Has a backup that is under way end soon, and takes no other. Gives whether there is none any more: a disk
    /// that does not answer may hold one up.
    pub fn stop(&self) -> bool {
        let mut inner = self.lock();
        inner.closed = true;
        inner.work.as_ref().is_none_or(|work| {
            work.watch.stop();
            false
        })
    }

    fn look(&self) -> Option<(u64, Timestamp)> {
        let (number, folder) = generations(&self.folder).ok()?.pop()?;
        let at = made_at(&folder)?;
        self.newest.store(at.0, Ordering::Relaxed);
        Some((number, at))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
