//! The sealer: a thread that follows the ledger at its own pace and signs what has come. Nobody who
//! hands in or fetches a message waits for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::{Digest, Timestamp};
use crate::observe::Metrics;
use crate::store::ledger::{Tail, TailFault};
use crate::store::{LedgerPort, ReadingKeys};
use crate::verify::sign::{SignError, Signer};

use super::book::{self, BookFault, Identity, Noted};
use super::checkpoint::{Checkpoint, Numbers, Signed, Statement};
use super::event::Event;
use super::tree::{self, Peaks};

/// How often the sealer looks for what has come.
const TICK: Duration = Duration::from_millis(500);

/// When checkpoints are made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's folder.
    pub data: PathBuf,
    /// The gateway's name.
    pub gateway: String,
    /// At the latest so long after the last one, when something has happened.
    pub every: Duration,
    /// At the latest after so many events.
    pub events: u64,
    /// Asked for, not before so long after the last one.
    pub asked: Duration,
    /// Checkpoints in one file.
    pub page: usize,
}

impl Settings {
    /// A minute, a thousand events, two seconds when asked for; 1,024 checkpoints in a file.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, gateway: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            gateway: gateway.into(),
            every: Duration::from_secs(60),
            events: 1_000,
            asked: Duration::from_secs(2),
            page: 1024,
        }
    }
}

/// Why nothing more can be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealFault {
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] TailFault),
    /// Checkpoints can't be read or kept.
    #[error(transparent)]
    Book(#[from] BookFault),
    /// The key can't sign.
    #[error("a checkpoint can't be signed: {0}")]
    Sign(#[from] SignError),
    /// The ledger is not the one that was sealed.
    #[error(
        "the ledger is not what was sealed: {0}. Messages that were acknowledged may be lost, or the data folder was \
         changed; run `amtsweg ledger verify`, and put a backup back with `amtsweg restore`, which notes that it did. \
         To go on without what was sealed, move the folder `proof` away"
    )]
    Differs(String),
}

/// How far the ledger is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Number of the last frame in a checkpoint.
    pub frame: u64,
    /// Why there will be no more, if so.
    pub fault: Option<String>,
}

/// What the sealer is asked for.
pub(super) enum Ask {
    /// A checkpoint soon.
    Now,
    /// A last checkpoint, then the end.
    Stop,
}

/// A running sealer.
pub struct Sealer {
    pub(super) asks: Sender<Ask>,
    pub(crate) sealed: watch::Receiver<Sealed>,
    thread: std::thread::JoinHandle<()>,
}

impl Sealer {
    /// Begins to follow the ledger. What can't be done is logged, counted and told to those who ask
    /// for a proof; the gateway goes on.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn start(
        settings: Settings,
        ledger: Arc<dyn LedgerPort>,
        signer: Arc<Signer>,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (asks, asked) = channel();
        let (tell, sealed) = watch::channel(Sealed::default());
        let work = move || {
            let worked = Work::open(settings, &ledger.keys(), signer)
                .and_then(|work| run(work, &*ledger, &asked, &tell));
            if let Err(fault) = worked {
                tracing::error!(%fault, "no checkpoints are made any more");
                metrics.corrupt("proof");
                // The last value: whoever asks later is told, too.
                tell.send_modify(|sealed| sealed.fault = Some(fault.to_string()));
            }
        };
        let thread = std::thread::Builder::new().name("proof-seal".to_owned()).spawn(work)?;
        Ok(Self { asks, sealed, thread })
    }

    /// Seals what there is and ends.
    pub fn stop(self) {
        // An error means that it has ended already.
        let _ = self.asks.send(Ask::Stop);
        let _ = self.thread.join();
    }
}

fn run(
    mut work: Work,
    ledger: &dyn LedgerPort,
    asked: &Receiver<Ask>,
    tell: &watch::Sender<Sealed>,
) -> Result<(), SealFault> {
    let mut wanted = false;
    let mut failing = false;
    let mut last = Instant::now();
    loop {
        tell.send_if_modified(|sealed| std::mem::replace(&mut sealed.frame, work.sealed()) != work.sealed());
        let wait = if wanted && !failing {
            work.settings.asked.saturating_sub(last.elapsed()).min(TICK)
        } else {
            TICK
        };
        let stop = match asked.recv_timeout(wait) {
            Ok(Ask::Now) => {
                wanted = true;
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => true,
        };
        let due = stop
            || last.elapsed() >= work.settings.every
            || (wanted && last.elapsed() >= work.settings.asked);
        match work.follow(ledger.synced(), due) {
            Ok(sealed) => {
                failing = false;
                if sealed {
                    last = Instant::now();
                }
                wanted &= work.pending() > 0;
            }
            // A full disk passes; it is tried again at the next look.
            Err(SealFault::Book(fault @ BookFault::Io { .. })) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%fault, "a checkpoint could not be kept; it will be tried again");
                }
            }
            Err(fault) => return Err(fault),
        }
        if stop {
            return Ok(());
        }
    }
}

/// The state between two frames.
struct Work {
    settings: Settings,
    signer: Arc<Signer>,
    certificate: Digest,
    identity: Identity,
    tail: Tail,
    book: book::Writer,
    tree: Peaks,
    numbers: Numbers,
    /// Numbers that changed since the last checkpoint.
    changed: BTreeMap<String, u64>,
    head: Digest,
}

impl Work {
    fn open(settings: Settings, keys: &ReadingKeys, signer: Arc<Signer>) -> Result<Self, SealFault> {
        let data = settings.data.as_path();
        let folder = data.join("ledger");
        let identity = match Identity::read(data)? {
            Some(identity) => identity,
            None => {
                let identity = Identity::new(Tail::first(&folder)?.unwrap_or(1));
                identity.write(data)?;
                identity
            }
        };
        let book = book::Writer::open(data, settings.page)?;
        let numbers = book.numbers().clone();
        let (tree, tail, head) = match book.last() {
            None => (Peaks::default(), Tail::open(&folder, identity.first, keys)?, Digest::default()),
            Some(last) => {
                let statement = &last.statement;
                let tree = last.checkpoint.tree(statement.size).filter(|tree| tree.root() == statement.root);
                let tree =
                    tree.ok_or_else(|| SealFault::Differs("the last checkpoint is broken".to_owned()))?;
                (tree, resume(&folder, statement, keys)?, statement.head)
            }
        };
        let certificate = Digest::of(signer.certificate());
        let work = Self {
            settings,
            signer,
            certificate,
            identity,
            tail,
            book,
            tree,
            numbers,
            changed: BTreeMap::new(),
            head,
        };
        work.prune();
        Ok(work)
    }

    /// Lets checkpoints go whose frames the ledger has let go.
    fn prune(&self) {
        let data = &self.settings.data;
        let least = Tail::first(&data.join("ledger")).map_err(SealFault::from);
        match least.and_then(|least| Ok(book::prune(data, &self.identity, least.unwrap_or(1))?)) {
            Ok(0) => {}
            Ok(files) => {
                tracing::info!(files, "checkpoints of frames that the ledger has let go are removed")
            }
            Err(fault) => tracing::warn!(%fault, "old checkpoints can't be removed; it will be tried again"),
        }
    }

    /// The last frame in a checkpoint.
    fn sealed(&self) -> u64 {
        self.book.last().map_or(0, |last| last.statement.frame())
    }

    /// Events that are in no checkpoint yet.
    fn pending(&self) -> u64 {
        self.tree.size() - self.book.last().map_or(0, |last| last.statement.size)
    }

    /// Takes in all frames up to `synced`; makes checkpoints as they become full, and one for the rest
    /// if that is `due`. Whether there was one.
    fn follow(&mut self, synced: u64, due: bool) -> Result<bool, SealFault> {
        let mut sealed = false;
        loop {
            // Also what could not be kept the last time.
            if self.pending() >= self.settings.events {
                self.seal()?;
                sealed = true;
            }
            let Some(frame) = self.tail.read(synced)? else { break };
            if self.tree.size() > 0 && frame.previous != self.head {
                let what = format!("frame {} does not follow the one before", frame.number);
                return Err(SealFault::Differs(what));
            }
            let mut event = Event::of(&frame);
            event.number = self.numbers.next(&event.endpoint);
            self.tree.push(tree::leaf(event.line().as_bytes()));
            self.changed.insert(event.endpoint, event.number);
            self.head = frame.digest;
        }
        if due && self.pending() > 0 {
            self.seal()?;
            sealed = true;
        }
        Ok(sealed)
    }

    fn seal(&mut self) -> Result<(), SealFault> {
        let last = self.book.last();
        let statement = Statement {
            gateway: self.settings.gateway.clone(),
            ledger: self.identity.ledger,
            branch: self.identity.branch(),
            number: last.map_or(0, |last| last.statement.number) + 1,
            first: self.identity.first,
            size: self.tree.size(),
            root: self.tree.root(),
            head: self.head,
            at: Timestamp::now().to_string(),
            destinations: self.numbers.digest(),
            previous: last.map_or_else(Digest::default, |last| last.checkpoint.signed.digest()),
            signer: self.certificate,
        };
        let signed = Signed::make(&statement, &self.signer)?;
        let peaks = self.tree.peaks().iter().map(ToString::to_string).collect();
        let checkpoint = Checkpoint { signed, peaks, numbers: self.changed.clone() };
        let begins = self.book.append(Noted { checkpoint, statement })?;
        self.changed.clear();
        // Not with each one: files go as slowly as they come.
        if begins {
            self.prune();
        }
        Ok(())
    }
}

/// The ledger behind the last checkpoint, after a look whether it is the one that was sealed.
fn resume(folder: &Path, last: &Statement, keys: &ReadingKeys) -> Result<Tail, SealFault> {
    let gone = |at: u64| {
        SealFault::Differs(format!(
            "frames up to {} were on disk at {}, and the ledger ends before frame {at}",
            last.frame(),
            last.at
        ))
    };
    let mut tail = match Tail::open(folder, last.frame(), keys) {
        // The frame itself may be let go with its segment; the next one names its digest.
        Err(TailFault::Gone { first, .. }) if first == last.frame() + 1 => {
            return Ok(Tail::open(folder, first, keys)?);
        }
        Err(TailFault::Missing(at)) => return Err(gone(at)),
        opened => opened?,
    };
    match tail.any()? {
        None => Err(gone(last.frame())),
        Some(frame) if frame.digest != last.head => {
            Err(SealFault::Differs(format!("frame {} is another than at {}", last.frame(), last.at)))
        }
        Some(_) => Ok(tail),
    }
}
