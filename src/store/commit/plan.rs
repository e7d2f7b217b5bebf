//! What a group is to hold: each request is validated against the newest record, and gets its frame.

use std::sync::Arc;

use crate::domain::{EndpointControl, MessageId, Record};

use super::super::StoreError;
use super::super::accept::Draft;
use super::super::frame::{self, Change, Heading};
use super::super::index::{IndexFault, Step};
use super::super::ledger::Place;
use super::super::queue::Request;
use super::super::records;
use super::{Build, Committer, Reply};

impl Committer {
    /// Validates one request and adds its frame to the group, or answers why not.
    pub(super) fn plan(&mut self, request: Request, build: &mut Build) {
        match request {
            Request::Accept(draft, to) => match self.plan_accept(*draft, build) {
                Ok((record, again)) => build.replies.push(Reply::Accept(to, record, again)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Change(next, to) => match self.plan_change(*next, build) {
                Ok(record) => build.replies.push(Reply::Change(to, record)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Erase(id, to) => match self.plan_erase(&id, build) {
                Ok(record) => build.replies.push(Reply::Change(to, record)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Control(control, to) => match self.plan_control(&control, build) {
                Ok(()) => {
                    build.group.steps.push(Step::Control(control));
                    build.replies.push(Reply::Plain(to));
                }
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Place(draft, to) => match self.plan_place(*draft, build) {
                Ok(record) => build.replies.push(Reply::Change(to, record)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Forget(id, version, to) => match self.plan_forget(&id, version, build) {
                Ok(()) => build.replies.push(Reply::Plain(to)),
                Err(fault) => drop(to.send(Err(fault))),
            },
            Request::Trim(first, to) => {
                match self.frame(build, &Change::Trimmed(first, self.next_sequence)) {
                    Ok(_) => {
                        build.group.steps.push(Step::Trimmed(first, self.next_sequence));
                        build.replies.push(Reply::Plain(to));
                    }
                    Err(fault) => drop(to.send(Err(fault))),
                }
            }
            Request::Switch(switch) => build.group.switch = Some(switch),
            Request::Stop => {}
        }
    }

    fn plan_control(&self, control: &EndpointControl, build: &mut Build) -> Result<(), StoreError> {
        let sealed = records::encode_control(&self.shared.vault, control).map_err(unwritable)?;
        self.frame(build, &Change::Control(sealed)).map(|_| ())
    }

    /// The end of its content's retention, now: with the frame on disk the slot of its key is nobody's.
    fn plan_erase(&mut self, id: &MessageId, build: &mut Build) -> Result<Arc<Record>, StoreError> {
        let old = self.current(id)?.ok_or(StoreError::Unknown)?;
        if !old.state.is_final() {
            return Err(StoreError::Conflict);
        }
        if old.erased() {
            return Ok(old);
        }
        let next = old.without_content(build.at);
        let added = facts_added(&old, &next);
        let sealed = records::encode(&self.shared.vault, &next).map_err(unwritable)?;
        let place = self.frame(build, &Change::Changed(added, sealed))?;
        Ok(self.step(build, (Some(old), added), next, place))
    }

    fn plan_accept(
        &mut self,
        mut draft: Draft,
        build: &mut Build,
    ) -> Result<(Arc<Record>, bool), StoreError> {
        let header = &draft.record.header;
        let known = match self.overlay.duplicate(&header.author, header.uuid) {
            Some(known) => known,
            None => self.shared.index()?.duplicate(&header.author, header.uuid).map_err(|f| self.fault(f))?,
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
        for (slot, payload) in std::mem::take(&mut draft.inline) {
            let place = self.content.put(&draft.record.id, &payload);
            draft.set(slot, place);
        }
        draft.record.sequence = self.next_sequence;
        let sealed = records::encode(&self.shared.vault, &draft.record).map_err(unwritable)?;
        let place = self.frame(build, &Change::Accepted(sealed))?;
        self.next_sequence += 1;
        build.files.append(&mut draft.files);
        build.holds.extend(draft.hold.take());
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
        let added = facts_added(&old, &next);
        let sealed = records::encode(&self.shared.vault, &next).map_err(unwritable)?;
        let place = self.frame(build, &Change::Changed(added, sealed))?;
        Ok(self.step(build, (Some(old), added), next, place))
    }

    /// The same message with its contents elsewhere, or without some.
    fn plan_place(&mut self, mut draft: Draft, build: &mut Build) -> Result<Arc<Record>, StoreError> {
        let old = self.current(&draft.record.id)?.ok_or(StoreError::Unknown)?;
        if old.version.checked_add(1) != Some(draft.record.version) {
            return Err(StoreError::Conflict);
        }
        for (slot, payload) in std::mem::take(&mut draft.inline) {
            let place = self.content.put(&draft.record.id, &payload);
            draft.set(slot, place);
        }
        let added = facts_added(&old, &draft.record);
        let sealed = records::encode(&self.shared.vault, &draft.record).map_err(unwritable)?;
        let place = self.frame(build, &Change::Changed(added, sealed))?;
        Ok(self.step(build, (Some(old), added), draft.record, place))
    }

    /// The end of a message's retention.
    fn plan_forget(&mut self, id: &MessageId, version: u64, build: &mut Build) -> Result<(), StoreError> {
        let old = self.current(id)?.ok_or(StoreError::Unknown)?;
        if old.version != version || !old.state.is_final() {
            return Err(StoreError::Conflict);
        }
        self.frame(build, &Change::Forgotten(old.sequence, id.clone()))?;
        self.overlay.forget(build.group.last, &old);
        build.erased.extend(old.slot);
        let (id, sequence) = (id.clone(), old.sequence);
        build.group.steps.push(Step::Forget { id, sequence, old: Some(old) });
        Ok(())
    }

    fn step(
        &mut self,
        build: &mut Build,
        (old, added): (Option<Arc<Record>>, u32),
        new: Record,
        place: Place,
    ) -> Arc<Record> {
        let new = Arc::new(new);
        let gone = old.as_ref().and_then(|old| old.slot).filter(|slot| new.slot != Some(*slot));
        build.erased.extend(gone);
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
            Some(known) => Ok(known),
            None => Ok(self.shared.index()?.get(id).map_err(|f| self.fault(f))?.map(Arc::new)),
        }
    }

    fn fault(&self, fault: IndexFault) -> StoreError {
        self.shared.suspect(&fault);
        fault.into()
    }
}

/// Facts that `next` has more than `old`, those counted that the history had no room for.
fn facts_added(old: &Record, next: &Record) -> u32 {
    let total = |r: &Record| r.facts.len() as u64 + u64::from(r.facts_dropped);
    let added = total(next).saturating_sub(total(old)).min(next.facts.len() as u64);
    u32::try_from(added).unwrap_or(u32::MAX)
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
        && old.slot == next.slot
}
