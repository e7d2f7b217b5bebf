//! The committer: the one thread that writes. It takes all that is queued as a group, validates
//! each change against the newest record, appends content, then ledger, syncs both in this order,
//! answers, and hands the group to the applier. Nothing is acknowledged before it is synced.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{Digest, MessageId, Record, Timestamp};

use super::accept::Draft;
use super::apply::Group;
use super::codec;
use super::content::Segments;
use super::frame::{self, Change, Heading};
use super::index::{Index, IndexFault, Step};
use super::ledger::{Place, Writer, exhausted};
use super::open::Shared;
use super::overlay::Overlay;
use super::queue::{Request, collect, refuse};
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
    /// For an operator's setting.
    Control(oneshot::Sender<Result<(), StoreError>>),
}

impl Reply {
    /// Tells that it is on disk. Whoever went away meanwhile needs no answer.
    fn done(self) {
        match self {
            Self::Accept(to, record, true) => drop(to.send(Ok(Acceptance::Again(record)))),
            Self::Accept(to, record, false) => drop(to.send(Ok(Acceptance::New(record)))),
            Self::Change(to, record) => drop(to.send(Ok(record))),
            Self::Control(to) => drop(to.send(Ok(()))),
        }
    }

    /// Tells that it failed.
    fn failed(self, fault: StoreError) {
        match self {
            Self::Accept(to, ..) => drop(to.send(Err(fault))),
            Self::Change(to, ..) => drop(to.send(Err(fault))),
            Self::Control(to) => drop(to.send(Err(fault))),
        }
    }
}

/// A group in the making.
struct Build {
    group: Group,
    replies: Vec<Reply>,
    /// Files that the group's records name.
    files: Vec<StagedFile>,
    frames: Vec<u8>,
    at: Timestamp,
    room: bool,
}

/// What the committer works with.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Arc<Index>,
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
        let mut build = self.build(&requests);
        for request in requests {
            self.plan(request, &mut build);
        }
        let outcome = self.persist(&mut build, entries > 0);
        let Build { group, replies, mut files, frames, .. } = build;
        self.frames = frames;
        if let Err(failure) = outcome {
            if !matches!(failure, Failure::Fatal(_)) {
                files.iter_mut().for_each(|file| file.kept = false);
            }
            return self.fail(failure, replies, Vec::new());
        }
        // Who reads after his answer finds it: readers wait for this frame.
        self.shared.synced.store(group.last, Ordering::Release);
        self.shared.metrics.committed(group.steps.len(), self.frames.len(), began.elapsed());
        replies.into_iter().for_each(Reply::done);
        group.steps.is_empty() || self.applier.send(group).is_ok()
    }

    fn build(&mut self, requests: &[Request]) -> Build {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let accepts = requests.iter().any(|r| matches!(r, Request::Accept(..)));
        let group = Group { last: self.ledger.last, head: self.ledger.head, ..Group::default() };
        let room = !accepts || self.shared.files.room().is_ok();
        Build { group, replies: Vec::new(), files: Vec::new(), frames, at: Timestamp::now(), room }
    }

    /// Content, then ledger, each synced before the next.
    fn persist(&mut self, build: &mut Build, content: bool) -> Result<(), Failure> {
        if build.frames.is_empty() {
            return Ok(());
        }
        if content && self.content.pending() > 0 {
            self.content.write().map_err(|e| Failure::of("writing content", &e))?;
            self.content.sync().map_err(|e| Failure::Fatal(format!("syncing content failed: {e}")))?;
        }
        // From here on a frame that names the files may reach the disk.
        build.files.iter_mut().for_each(|file| file.kept = true);
        let (last, head) = (build.group.last, build.group.head);
        let appended = self.ledger.append(&build.frames, last, head);
        let (segment, begin) = appended.map_err(|e| Failure::of("writing the ledger", &e))?;
        for step in &mut build.group.steps {
            if let Step::Record { place, .. } = step {
                place.segment = segment;
                place.offset += begin;
            }
        }
        self.ledger.sync().map_err(|e| Failure::Fatal(format!("syncing the ledger failed: {e}")))
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
                self.next_sequence = self.index.meta().next_sequence;
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

    /// Validates one request and adds its frame to the group, or answers why not.
    fn plan(&mut self, request: Request, build: &mut Build) {
        match request {
            Request::Accept(draft, to) => match self.plan_accept(*draft, build) {
                Ok((record, again)) => build.replies.push(Reply::Accept(to, record, again)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Change(next, to) => match self.plan_change(*next, build) {
                Ok(record) => build.replies.push(Reply::Change(to, record)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Control(control, to) => match self.frame(build, &Change::Control(control.clone())) {
                Ok(_) => {
                    build.group.steps.push(Step::Control(control));
                    build.replies.push(Reply::Control(to));
                }
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Stop => {}
        }
    }

    fn plan_accept(
        &mut self,
        mut draft: Draft,
        build: &mut Build,
    ) -> Result<(Arc<Record>, bool), StoreError> {
        let header = &draft.record.header;
        let known = match self.overlay.duplicate(&header.author, header.uuid) {
            Some(known) => Some(known),
            None => self.index.duplicate(&header.author, header.uuid).map_err(|f| self.fault(f))?,
        };
        if let Some((id, digest)) = known {
            if digest != draft.record.document.sha256 {
                return Err(StoreError::IdUsed(id));
            }
            let first = self
                .current(&id)?
                .ok_or_else(|| self.fault(IndexFault::Inconsistent("a record is missing")))?;
            return Ok((first, true));
        }
        if self.current(&draft.record.id)?.is_some() {
            return Err(StoreError::IdUsed(draft.record.id));
        }
        if !build.room {
            return Err(StoreError::Full);
        }
        for (slot, octets) in std::mem::take(&mut draft.inline) {
            let place = self.content.put(&octets);
            draft.set(slot, place);
        }
        draft.record.sequence = self.next_sequence;
        let sealed = codec::encode(&draft.record).map_err(unwritable)?;
        let place = self.frame(build, &Change::Accepted(sealed))?;
        self.next_sequence += 1;
        build.files.append(&mut draft.files);
        Ok((self.step(build, (None, 1), draft.record, place), false))
    }

    fn plan_change(&mut self, next: Record, build: &mut Build) -> Result<Arc<Record>, StoreError> {
        let old = self.current(&next.id)?.ok_or(StoreError::Unknown)?;
        if old.version.checked_add(1) != Some(next.version) {
            return Err(StoreError::Conflict);
        }
        if !same_message(&old, &next) {
            return Err(unwritable("a change may not touch what is immutable in a message"));
        }
        let total = |r: &Record| r.facts.len() as u64 + u64::from(r.facts_dropped);
        let added = total(&next).saturating_sub(total(&old)).min(next.facts.len() as u64);
        let added = u32::try_from(added).unwrap_or(u32::MAX);
        let sealed = codec::encode(&next).map_err(unwritable)?;
        let place = self.frame(build, &Change::Changed(added, sealed))?;
        Ok(self.step(build, (Some(old), added), next, place))
    }

    fn step(
        &mut self,
        build: &mut Build,
        (old, added): (Option<Arc<Record>>, u32),
        new: Record,
        place: Place,
    ) -> Arc<Record> {
        let new = Arc::new(new);
        build.group.events.push((Arc::clone(&new), added));
        self.overlay.put(build.group.last, &new, old.is_none());
        build.group.steps.push(Step::Record { old, new: Arc::clone(&new), place });
        new
    }

    /// Adds a frame to the group; its place counts from the group's begin for now.
    fn frame(&self, build: &mut Build, change: &Change) -> Result<Place, StoreError> {
        let heading = Heading {
            number: build.group.last + 1,
            synced: self.ledger.last,
            previous: build.group.head,
            at: build.at,
        };
        let offset = build.frames.len();
        build.group.head = frame::write(&mut build.frames, heading, change).map_err(unwritable)?;
        build.group.last = heading.number;
        let len = u32::try_from(build.frames.len() - offset).map_err(unwritable)?;
        Ok(Place { segment: 0, offset: offset as u64, len })
    }

    /// The newest record under an id.
    fn current(&self, id: &MessageId) -> Result<Option<Arc<Record>>, StoreError> {
        match self.overlay.get(id) {
            Some(record) => Ok(Some(record)),
            None => Ok(self.index.get(id).map_err(|f| self.fault(f))?.map(Arc::new)),
        }
    }

    fn fault(&self, fault: IndexFault) -> StoreError {
        self.shared.suspect(&fault);
        fault.into()
    }
}

/// A record that can't be written: a fault in the gateway.
fn unwritable(why: impl std::fmt::Display) -> StoreError {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, why.to_string());
    StoreError::Io { what: "writing a record".to_owned(), source }
}

/// Whether `next` is a later form of the same message: all that never changes is equal.
fn same_message(old: &Record, next: &Record) -> bool {
    old.sequence == next.sequence
        && old.account == next.account
        && old.accepted_at == next.accepted_at
        && old.document == next.document
        && old.receipt == next.receipt
        && old.header == next.header
        && old.signer == next.signer
        && old.attachments == next.attachments
        && old.order == next.order
        && old.coverage == next.coverage
}
