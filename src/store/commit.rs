//! The committer: the one thread that writes. It takes all that is queued as a group, validates
//! each change against the newest record, appends content, then ledger, syncs both in this order,
//! answers, and hands the group to the applier. Nothing is acknowledged before it is synced.

mod plan;

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{Digest, Record, Timestamp};

use super::apply::Group;
use super::content::Segments;
use super::index::Step;
use super::ledger::{Writer, exhausted};
use super::open::Shared;
use super::overlay::Overlay;
use super::queue::{Request, collect, refuse};
use super::vault::Hold;
use super::{Acceptance, StagedFile, StoreError};

/// Why a group was not made durable.
enum Failure {
    /// The disk is full; nothing of the group is left, work goes on.
    Full,
    /// No file can be opened for the moment; nothing of the group is left, work goes on.
    Exhausted(String),
    /// The state on disk is unknown: the store closes itself.
    Fatal(String),
}

impl Failure {
    /// Full disks and exhausted descriptors are survivable while nothing was synced; everything else
    /// is not.
    fn of(what: &str, fault: &std::io::Error) -> Self {
        match fault.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ if exhausted(fault) => Self::Exhausted(format!("{what}: {fault}")),
            _ => Self::Fatal(format!("{what} failed: {fault}")),
        }
    }
}

/// Who waits for what.
enum Reply {
    /// For an acceptance; `true`: the message was there before.
    Accept(oneshot::Sender<Result<Acceptance, StoreError>>, Arc<Record>, bool),
    /// For a change.
    Change(oneshot::Sender<Result<Arc<Record>, StoreError>>, Arc<Record>),
    /// For something without a record.
    Plain(oneshot::Sender<Result<(), StoreError>>),
}

impl Reply {
    /// Tells that it is on disk. Whoever went away meanwhile needs no answer.
    fn done(self) {
        match self {
            Self::Accept(to, record, true) => drop(to.send(Ok(Acceptance::Again(record)))),
            Self::Accept(to, record, false) => drop(to.send(Ok(Acceptance::New(record)))),
            Self::Change(to, record) => drop(to.send(Ok(record))),
            Self::Plain(to) => drop(to.send(Ok(()))),
        }
    }

    /// Tells that it failed.
    fn failed(self, fault: StoreError) {
        match self {
            Self::Accept(to, ..) => drop(to.send(Err(fault))),
            Self::Change(to, ..) => drop(to.send(Err(fault))),
            Self::Plain(to) => drop(to.send(Err(fault))),
        }
    }
}

/// A group in the making.
struct Build {
    group: Group,
    replies: Vec<Reply>,
    /// Files that the group's records name.
    files: Vec<StagedFile>,
    /// Slots that the group's records name.
    holds: Vec<Hold>,
    /// Slots that no record names any more once the group is on disk.
    erased: Vec<u64>,
    frames: Vec<u8>,
    at: Timestamp,
    room: bool,
}

/// What the committer works with.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ledger: Writer,
    pub(crate) content: Segments,
    pub(crate) overlay: Overlay,
    pub(crate) next_sequence: u64,
    /// The last frame that the index has.
    pub(crate) applied: watch::Receiver<u64>,
    pub(crate) applier: SyncSender<Group>,
    pub(crate) group_max: usize,
    /// Reused for the frames of each group.
    pub(crate) frames: Vec<u8>,
}

impl Committer {
    /// Works until it is told to stop (`true`), or everybody has gone or a fault closed the store
    /// (`false`).
    pub(crate) fn run(&mut self, queue: &mut mpsc::Receiver<Request>) -> bool {
        while let Some(first) = queue.blocking_recv() {
            let (requests, stop) = collect(first, queue, self.group_max);
            if !requests.is_empty() && !self.commit(requests) {
                return false;
            }
            if stop {
                return true;
            }
        }
        false
    }

    /// Gives the room ahead of the files' ends back.
    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        self.content.finish()?;
        self.ledger.finish()
    }

    /// Number and digest of the last frame on disk.
    pub(crate) fn end(&self) -> (u64, Digest) {
        (self.ledger.last, self.ledger.head)
    }

    /// Commits a group; `false` when the store is closed.
    fn commit(&mut self, requests: Vec<Request>) -> bool {
        let began = Instant::now();
        if self.shared.health.closed().is_some() {
            requests.into_iter().for_each(|r| refuse(r, self.shared.health.fault()));
            return false;
        }
        if self.shared.files.scarce() {
            requests.into_iter().for_each(|r| refuse(r, StoreError::Full));
            return true;
        }
        self.overlay.prune(*self.applied.borrow());
        let (entries, octets) =
            requests.iter().map(Request::inline).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if entries > 0
            && let Err(fault) = self.content.begin(entries, octets)
        {
            return self.fail(Failure::of("making a content segment", &fault), Vec::new(), requests);
        }
        self.shared.content_at.store(self.content.number(), Ordering::Release);
        let mut build = self.build(&requests);
        for request in requests {
            self.plan(request, &mut build);
        }
        let outcome = self.persist(&mut build, entries > 0);
        let Build { mut group, replies, mut files, mut holds, frames, .. } = build;
        self.frames = frames;
        if let Err(failure) = outcome {
            if !matches!(failure, Failure::Fatal(_)) {
                files.iter_mut().for_each(|file| file.kept = false);
                holds.iter_mut().for_each(|hold| hold.kept = false);
            }
            return self.fail(failure, replies, Vec::new());
        }
        if let Some(switch) = &mut group.switch {
            switch.end = self.ledger.reach();
        }
        self.shared.metrics.committed(group.steps.len(), self.frames.len(), began.elapsed());
        replies.into_iter().for_each(Reply::done);
        (group.steps.is_empty() && group.switch.is_none()) || self.applier.send(group).is_ok()
    }

    fn build(&mut self, requests: &[Request]) -> Build {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let accepts = requests.iter().any(|r| matches!(r, Request::Accept(..)));
        let group = Group { last: self.ledger.last, head: self.ledger.head, ..Group::default() };
        let room = !accepts || self.shared.files.room().is_ok();
        Build {
            group,
            replies: Vec::new(),
            files: Vec::new(),
            holds: Vec::new(),
            erased: Vec::new(),
            frames,
            at: Timestamp::now(),
            room,
        }
    }

    /// Content, then ledger, then slots that are wiped, each synced before the next.
    fn persist(&mut self, build: &mut Build, content: bool) -> Result<(), Failure> {
        if build.frames.is_empty() {
            return Ok(());
        }
        if content && self.content.pending() > 0 {
            self.content.write().map_err(|e| Failure::of("writing content", &e))?;
            self.content.sync().map_err(|e| Failure::Fatal(format!("syncing content failed: {e}")))?;
        }
        // From here on a frame that names the files and slots may reach the disk.
        build.files.iter_mut().for_each(|file| file.kept = true);
        build.holds.iter_mut().for_each(|hold| hold.kept = true);
        let (last, head) = (build.group.last, build.group.head);
        let appended = self.ledger.append(&build.frames, last, head);
        let (segment, begin) = appended.map_err(|e| Failure::of("writing the ledger", &e))?;
        for step in &mut build.group.steps {
            if let Step::Record { place, .. } = step {
                place.segment = segment;
                place.offset += begin;
            }
        }
        self.ledger.sync().map_err(|e| Failure::Fatal(format!("syncing the ledger failed: {e}")))?;
        // Who reads after his answer finds it: readers wait for this frame. So does who finds a wiped slot.
        *self.shared.ledger_end.lock().unwrap_or_else(PoisonError::into_inner) = self.ledger.reach();
        self.shared.synced.store(last, Ordering::Release);
        let erased = self.shared.vault.erase(&build.erased);
        erased.map_err(|e| Failure::Fatal(format!("erasing keys of messages failed: {e}")))
    }

    /// Answers a group that was not made durable.
    fn fail(&mut self, failure: Failure, replies: Vec<Reply>, requests: Vec<Request>) -> bool {
        let exhausted = match &failure {
            Failure::Exhausted(why) => Some(why.clone()),
            _ => None,
        };
        let goes_on = match failure {
            Failure::Full | Failure::Exhausted(_) => {
                // Records of this group stand in the overlay: once the index has all that is on
                // disk, the overlay can be forgotten.
                while *self.applied.borrow() < self.ledger.last {
                    if self.shared.health.closed().is_some() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.overlay.clear();
                // Without an index the store is closing.
                if let Ok(index) = self.shared.index() {
                    self.next_sequence = index.meta().next_sequence;
                }
                true
            }
            Failure::Fatal(why) => {
                tracing::error!(%why, "the store closes itself: what is on disk can't be told any more");
                self.shared.health.close(format!("{why}; check the disk, then restart"));
                false
            }
        };
        let fault = || match &exhausted {
            Some(why) => {
                StoreError::Io { what: "writing".to_owned(), source: std::io::Error::other(why.clone()) }
            }
            None if goes_on => StoreError::Full,
            None => self.shared.health.fault(),
        };
        replies.into_iter().for_each(|reply| reply.failed(fault()));
        requests.into_iter().for_each(|request| refuse(request, fault()));
        goes_on
    }
}
