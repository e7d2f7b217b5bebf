//! The committer: the one thread that writes. It takes all that is queued as a group, validates
//! each change against the newest record, appends content, then ledger, syncs both in this order,
//! and hands the group to the applier. Nothing is acknowledged before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::domain::{Digest, EndpointControl, MessageId, Record, Timestamp};

use super::accept::Draft;
use super::apply::{Group, Reply};
use super::codec;
use super::content::Segments;
use super::frame::{self, Change, Heading};
use super::index::{Index, IndexFault, Step};
use super::ledger::{Place, Writer, exhausted};
use super::open::Shared;
use super::overlay::Overlay;
use super::{Acceptance, StoreError};

/// Octets of content of a group at most, so that one group does not hold up the rest.
const GROUP_OCTETS: usize = 4 << 20;

/// What the committer is asked for.
pub(crate) enum Request {
    Accept(Box<Draft>, oneshot::Sender<Result<Acceptance, StoreError>>),
    Change(Box<Record>, oneshot::Sender<Result<Arc<Record>, StoreError>>),
    Control(EndpointControl, oneshot::Sender<Result<(), StoreError>>),
    /// Finish everything queued before, then stop.
    Stop,
}

impl Request {
    fn inline(&self) -> (usize, usize) {
        match self {
            Self::Accept(draft, _) => (draft.inline.len(), draft.inline_octets()),
            _ => (0, 0),
        }
    }
}

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

/// A group in the making.
struct Build {
    group: Group,
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
    pub(crate) applied: Arc<AtomicU64>,
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
        self.overlay.prune(self.applied.load(Ordering::Acquire));
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
        let Build { mut group, frames, .. } = build;
        self.frames = frames;
        if let Err(failure) = outcome {
            let replies = std::mem::take(&mut group.replies);
            if !matches!(failure, Failure::Fatal(_)) {
                group.files.iter_mut().for_each(|file| file.kept = false);
            }
            return self.fail(failure, replies, Vec::new());
        }
        self.shared.metrics.committed(group.steps.len(), self.frames.len(), began.elapsed());
        if let Err(gone) = self.applier.send(group) {
            gone.0.replies.into_iter().for_each(|r| r.failed(self.shared.health.fault()));
            return false;
        }
        true
    }

    fn build(&mut self, requests: &[Request]) -> Build {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let accepts = requests.iter().any(|r| matches!(r, Request::Accept(..)));
        let group = Group { last: self.ledger.last, head: self.ledger.head, ..Group::default() };
        let room = !accepts || self.shared.files.room().is_ok();
        Build { group, frames, at: Timestamp::now(), room }
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
        build.group.files.iter_mut().for_each(|file| file.kept = true);
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
                while self.applied.load(Ordering::Acquire) < self.ledger.last {
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
                Ok((record, again)) => build.group.replies.push(Reply::Accept(to, record, again)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Change(next, to) => match self.plan_change(*next, build) {
                Ok((record, added)) => build.group.replies.push(Reply::Change(to, record, added)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Control(control, to) => match self.frame(build, &Change::Control(control.clone())) {
                Ok(_) => {
                    build.group.steps.push(Step::Control(control));
                    build.group.replies.push(Reply::Control(to));
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
        build.group.files.append(&mut draft.files);
        Ok((self.step(build, None, draft.record, place), false))
    }

    fn plan_change(&mut self, next: Record, build: &mut Build) -> Result<(Arc<Record>, u32), StoreError> {
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
        Ok((self.step(build, Some(old), next, place), added))
    }

    fn step(
        &mut self,
        build: &mut Build,
        old: Option<Arc<Record>>,
        new: Record,
        place: Place,
    ) -> Arc<Record> {
        let new = Arc::new(new);
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

/// All that is queued, up to the bounds of a group; whether a stop came.
fn collect(first: Request, queue: &mut mpsc::Receiver<Request>, most: usize) -> (Vec<Request>, bool) {
    let mut group = Vec::with_capacity(most.min(64));
    let mut octets = 0;
    let mut next = Some(first);
    while let Some(request) = next {
        if matches!(request, Request::Stop) {
            return (group, true);
        }
        octets += request.inline().1;
        group.push(request);
        if group.len() >= most || octets >= GROUP_OCTETS {
            break;
        }
        next = queue.try_recv().ok();
    }
    (group, false)
}

/// Answers a request that was not looked at.
pub(crate) fn refuse(request: Request, fault: StoreError) {
    match request {
        Request::Accept(_, to) => drop(to.send(Err(fault))),
        Request::Change(_, to) => drop(to.send(Err(fault))),
        Request::Control(_, to) => drop(to.send(Err(fault))),
        Request::Stop => {}
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
}
