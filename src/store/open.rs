//! Opening and closing the store.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::domain::{Event, Timestamp};
use crate::observe::Metrics;

use super::commit::Committer;
use super::content::Segments;
use super::house::{Ask, House, Kept};
use super::index::{Index, IndexFault};
use super::ledger::{self, LedgerFault};
use super::marker::Marker;
use super::overlay::Overlay;
use super::queue::{Request, refuse};
use super::recover::{self, Recovered, Recovery};
use super::retention::Retention;
use super::stage::Files;
use super::vault::{Encryption, Vault, VaultFault};
use super::{StoreError, apply, layout};

/// Events kept for a slow watcher.
const EVENTS: usize = 4096;
/// Groups on their way to the index at most: several changes of one message that meet here cost
/// the index one.
const GROUPS: usize = 16;
/// How long a start waits for a predecessor that is still dying.
const LOCK_WAIT: Duration = Duration::from_secs(3);
/// How long a stop waits for readers.
const READERS_WAIT: Duration = Duration::from_secs(2);

/// Where the store lies, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder; made when missing.
    pub folder: PathBuf,
    /// Octets of the disk that must stay free: below, nothing is accepted any more
    /// ([`StoreError::Full`]); changes of accepted messages go on down to [`super::FLOOR`], which
    /// is also the least that this is taken for.
    pub min_free: u64,
    /// Content of up to so many octets goes to a content segment, larger content to a file.
    pub inline_max: usize,
    /// Octets of a ledger segment.
    pub ledger_segment: u64,
    /// Octets of a content segment.
    pub content_segment: u64,
    /// Commits synced together at most.
    pub group_max: usize,
    /// Commits waiting at most; whoever comes then waits in turn.
    pub queue: usize,
    /// Octets of memory for the index.
    pub index_cache: u64,
    /// Octets that an index may take before it is made anew because it has grown.
    pub index_slack: u64,
    /// How long what is kept.
    pub retention: Retention,
    /// Time between two rounds of the housekeeper.
    pub keep_every: Duration,
    /// How long a start may spend on checking the index; the rest of a large one is trusted.
    pub check_budget: Duration,
    /// Whether, and with which master keys, what is written is encrypted.
    pub encryption: Encryption,
}

impl Settings {
    /// The usual bounds for a store in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            min_free: 256 << 20,
            inline_max: 48 << 10,
            ledger_segment: 64 << 20,
            content_segment: 64 << 20,
            group_max: 512,
            queue: 1024,
            index_cache: 64 << 20,
            index_slack: 64 << 20,
            retention: Retention::default(),
            keep_every: Duration::from_secs(60),
            check_budget: Duration::from_secs(1),
            encryption: Encryption::default(),
        }
    }
}

/// Why a store can't be opened; each a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{0} is in use by another amtsweg process: stop that one first, or choose another folder")]
    InUse(PathBuf),
    /// The folder was laid out by a later program.
    #[error(
        "{folder} has layout {format}, written by a newer amtsweg: start that one, this one can't read it"
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its layout.
        format: u32,
    },
    /// Nothing tells which layout the folder has.
    #[error(
        "{folder}: layout.json does not say which layout this is ({why}), nor does state.json; bring one of them \
         back from the newest backup"
    )]
    Layout {
        /// The folder.
        folder: PathBuf,
        /// Why the file does not say it.
        why: String,
    },
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    /// Even a new index can't be made.
    #[error("a new index can't be made ({0}): check that the disk has room and the folder may be written")]
    Index(String),
    /// Its keys can't be used.
    #[error(transparent)]
    Vault(#[from] VaultFault),
    /// The operating system said no.
    #[error("{path}: {source}; check that the folder exists and may be written")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.to_owned(), source }
}

/// Why the store has stopped, once it has.
#[derive(Default)]
pub(crate) struct Health(OnceLock<String>);

impl Health {
    /// Notes the first reason.
    pub(crate) fn close(&self, why: String) {
        let _ = self.0.set(why);
    }

    /// The reason.
    pub(crate) fn closed(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The reason as an answer.
    pub(crate) fn fault(&self) -> StoreError {
        StoreError::Closed(self.closed().unwrap_or("it is shutting down").to_owned())
    }
}

/// What the threads and the ports share.
pub(crate) struct Shared {
    pub(crate) root: PathBuf,
    pub(crate) index: RwLock<Option<Arc<Index>>>,
    pub(crate) health: Health,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) metrics: Metrics,
    pub(crate) files: Arc<Files>,
    pub(crate) vault: Arc<Vault>,
    /// The last frame on disk.
    pub(crate) synced: AtomicU64,
    /// The ledger's last segment, and the octets of it that are on disk.
    pub(crate) ledger_end: Mutex<(u64, u64)>,
    /// The content segment that is written to.
    pub(crate) content_at: AtomicU64,
    /// Content segments that were dropped while the process ran.
    pub(crate) retired: Mutex<BTreeSet<u64>>,
    /// Held by whoever removes files, so that nothing is removed after the folder was given back.
    pub(crate) house: Mutex<()>,
}

impl Shared {
    /// The index, until the store is closed.
    pub(crate) fn index(&self) -> Result<Arc<Index>, StoreError> {
        let guard = self.index.read().unwrap_or_else(PoisonError::into_inner);
        guard.clone().ok_or_else(|| self.health.fault())
    }

    /// Reports a fault of the index and has it rebuilt at the next start.
    pub(crate) fn suspect(&self, fault: &IndexFault) {
        if matches!(fault, IndexFault::Unread(_)) {
            return;
        }
        let in_ledger = matches!(fault, IndexFault::Record(_));
        self.metrics.corrupt(if in_ledger { "ledger" } else { "index" });
        tracing::error!(%fault, "the index is damaged; it will be rebuilt from the ledger at the next start");
        if let Err(fault) = std::fs::write(self.root.join(recover::SUSPECT), fault.to_string()) {
            tracing::error!(%fault, "that can't be noted: delete the index folder before the next start");
        }
    }

    /// Takes the index away from the readers and waits until the last one is done.
    fn take_index(&self) -> Option<Index> {
        let taken = self.index.write().unwrap_or_else(PoisonError::into_inner).take();
        let mut index = taken?;
        let deadline = Instant::now() + READERS_WAIT;
        loop {
            match Arc::try_unwrap(index) {
                Ok(index) => return Some(index),
                Err(_) if Instant::now() > deadline => return None,
                Err(shared) => index = shared,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The store. It implements [`super::AcceptPort`], [`super::ChangePort`] and [`super::ReadPort`].
/// Dropped without [`Store::close`] it stops as if the process had been killed: nothing
/// acknowledged is lost.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: mpsc::Sender<Request>,
    asks: std::sync::mpsc::Sender<Ask>,
    /// The last frame that the index has.
    pub(crate) applied: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
}

/// An open store, and what had to be done for it.
pub struct Opened {
    /// The store.
    pub store: Arc<Store>,
    /// How it was found.
    pub recovery: Recovery,
}

impl Store {
    /// Opens the store, bringing its index up to date or making it anew. Blocking; takes the
    /// folder for this process alone.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed in ledger and content then.
    pub fn open(settings: Settings, metrics: Metrics) -> Result<Opened, OpenError> {
        let root = settings.folder.clone();
        std::fs::create_dir_all(root.join("ledger")).map_err(io(&root))?;
        let lock = lock(&root)?;
        layout::bring(&root)?;
        Files::prepare(&root).map_err(io(&root))?;
        let vault = Vault::open(&root, &settings.encryption)?;
        let Recovered { index, segments, end, recovery } = recover::recover(&settings, &vault, &metrics)?;
        let folder = root.join("ledger");
        let ledger = ledger::Writer::open(&folder, &segments, &end, settings.ledger_segment)?;
        let meta = index.meta();
        vault.spare(index.last_slot().map_err(|f| OpenError::Index(f.to_string()))?);
        let content = Segments::open(&root, meta.content_end, settings.content_segment).map_err(io(&root))?;
        Marker::new(false, ledger.last, &ledger.head).write(&root).map_err(io(&root))?;
        let index = Arc::new(index);
        let files = Arc::new(Files::new(&root, settings.inline_max, settings.min_free, vault.seals()));
        let shared = Arc::new(Shared {
            root,
            index: RwLock::new(Some(Arc::clone(&index))),
            health: Health::default(),
            events: broadcast::Sender::new(EVENTS),
            metrics,
            files,
            vault,
            synced: AtomicU64::new(ledger.last),
            ledger_end: Mutex::new(ledger.reach()),
            content_at: AtomicU64::new(content.number()),
            retired: Mutex::default(),
            house: Mutex::default(),
        });
        let (applying_at, applied) = watch::channel(ledger.last);
        let (applier, groups) = std::sync::mpsc::sync_channel(GROUPS);
        let (queue, requests) = mpsc::channel(settings.queue.max(1));
        let (stopped, stopped_seen) = watch::channel(false);
        let committer = Committer {
            shared: Arc::clone(&shared),
            ledger,
            content,
            overlay: Overlay::default(),
            next_sequence: meta.next_sequence,
            applied: applied.clone(),
            applier,
            group_max: settings.group_max.max(1),
            frames: Vec::new(),
        };
        let applying = spawn("store-apply", {
            let shared = Arc::clone(&shared);
            move || apply::run(&shared, index, &applying_at, &groups)
        })?;
        spawn("store-commit", move || work(committer, requests, applying, lock, &stopped))?;
        shared.vault.start().map_err(io(&shared.root))?;
        let house = House::new(Arc::clone(&shared), &settings, queue.downgrade(), applied.clone());
        let (asks, asked) = std::sync::mpsc::channel();
        spawn("store-house", move || house.run(&asked))?;
        Ok(Opened { store: Arc::new(Self { shared, queue, asks, applied, stopped: stopped_seen }), recovery })
    }

    /// Does now what the store does by itself every minute, as if it were `now`: what has come to the end of
    /// its retention by then goes, and what is not needed any more is given back to the disk.
    ///
    /// # Errors
    /// [`StoreError`]; what was done until then is done.
    pub async fn keep_house(&self, now: Timestamp) -> Result<Kept, StoreError> {
        let (to, answer) = oneshot::channel();
        self.asks.send(Ask { now, to }).map_err(|_| self.shared.health.fault())?;
        answer.await.unwrap_or_else(|_| Err(self.shared.health.fault()))
    }

    /// Finishes all that is queued, refuses what comes after, and marks a clean stop. The folder
    /// is free again when this returns.
    pub async fn close(&self) {
        // An error means that it has stopped already.
        let _ = self.queue.send(Request::Stop).await;
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Why the store takes nothing any more, if so: it was closed, or a fault closed it. For
    /// readiness.
    #[must_use]
    pub fn closed(&self) -> Option<String> {
        self.shared.health.closed().map(str::to_owned)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(io(Path::new(name)))
}

/// The committer's life: work, then let the applier finish, then put everything away.
fn work(
    mut committer: Committer,
    mut requests: mpsc::Receiver<Request>,
    applying: std::thread::JoinHandle<()>,
    lock: File,
    stopped: &watch::Sender<bool>,
) {
    let clean = committer.run(&mut requests);
    let shared = Arc::clone(&committer.shared);
    let (last, head) = committer.end();
    let tidy = clean && committer.finish().is_ok();
    // Ends the applier once it has done what it has.
    drop(committer);
    let applied = applying.join().is_ok() && shared.health.closed().is_none();
    shared.health.close("it is shutting down".to_owned());
    // Whoever removes files has let go of the folder then.
    drop(shared.house.lock().unwrap_or_else(PoisonError::into_inner));
    requests.close();
    while let Ok(request) = requests.try_recv() {
        refuse(request, shared.health.fault());
    }
    let index = shared.take_index();
    if tidy && applied {
        let closed = index.map(Index::close);
        let written = match closed {
            Some(Ok(())) => Marker::new(true, last, &head).write(&shared.root).map_err(|e| e.to_string()),
            Some(Err(fault)) => Err(fault.to_string()),
            None => Err("somebody still reads".to_owned()),
        };
        if let Err(why) = written {
            tracing::warn!(%why, "the stop is not marked as clean; the next start will look closer");
        }
    }
    shared.vault.close();
    drop(lock);
    let _ = stopped.send(true);
}

/// Takes the folder for this process; the kernel gives it back when the process ends, however.
fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(fault)) => return Err(io(&path)(fault)),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(OpenError::InUse(root.to_owned()));
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
