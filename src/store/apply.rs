//! The applier: a thread that brings synced groups into the index, then answers and tells the
//! watchers. It works while the committer syncs the next group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use crate::domain::{Digest, Event, Record};

use super::index::{Index, Step};
use super::open::Shared;
use super::{Acceptance, StagedFile, StoreError};

/// Who waits for what.
pub(crate) enum Reply {
    /// For an acceptance; `true`: the message was there before.
    Accept(oneshot::Sender<Result<Acceptance, StoreError>>, Arc<Record>, bool),
    /// For a change that added so many facts.
    Change(oneshot::Sender<Result<Arc<Record>, StoreError>>, Arc<Record>, u32),
    /// For an operator's setting.
    Control(oneshot::Sender<Result<(), StoreError>>),
}

impl Reply {
    /// Tells that it went well, and what happened.
    fn done(self) -> Option<(Arc<Record>, u32)> {
        // Whoever went away meanwhile needs no answer.
        match self {
            Self::Accept(to, record, true) => {
                let _ = to.send(Ok(Acceptance::Again(record)));
                None
            }
            Self::Accept(to, record, false) => {
                let _ = to.send(Ok(Acceptance::New(Arc::clone(&record))));
                Some((record, 1))
            }
            Self::Change(to, record, added) => {
                let _ = to.send(Ok(Arc::clone(&record)));
                Some((record, added))
            }
            Self::Control(to) => {
                let _ = to.send(Ok(()));
                None
            }
        }
    }

    /// Tells that it failed.
    pub(crate) fn failed(self, fault: StoreError) {
        match self {
            Self::Accept(to, ..) => drop(to.send(Err(fault))),
            Self::Change(to, ..) => drop(to.send(Err(fault))),
            Self::Control(to) => drop(to.send(Err(fault))),
        }
    }
}

/// A group of commits on its way to the index.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) steps: Vec<Step>,
    pub(crate) replies: Vec<Reply>,
    /// Files that the group's records name.
    pub(crate) files: Vec<StagedFile>,
    /// Its last frame and that frame's digest.
    pub(crate) last: u64,
    pub(crate) head: Digest,
}

/// Works until the committer hangs up or the index fails.
pub(crate) fn run(shared: &Shared, index: &Index, applied: &AtomicU64, groups: &Receiver<Group>) {
    while let Ok(group) = groups.recv() {
        if !group.steps.is_empty()
            && let Err(fault) = index.apply(&group.steps, group.last, group.head)
        {
            // The group is durable, but can't be shown: nothing more is acknowledged. The next
            // start rebuilds the index, and who repeats a message gets its first receipt.
            shared.suspect(&fault);
            shared.health.close(format!("the index failed: {fault}; restart to have it rebuilt"));
            group.replies.into_iter().for_each(|reply| reply.failed(shared.health.fault()));
            return;
        }
        applied.store(group.last, Ordering::Release);
        for reply in group.replies {
            if let Some((record, added)) = reply.done() {
                // Nobody listening is fine.
                let _ = shared.events.send(Arc::new(event(&record, added)));
            }
        }
    }
}

fn event(record: &Record, added: u32) -> Event {
    let begin = record.facts.len().saturating_sub(added as usize);
    Event {
        id: record.id.clone(),
        account: record.account.clone(),
        endpoint: record.placement.endpoint.clone(),
        facts: record.facts.iter().skip(begin).cloned().collect(),
        state: record.state.clone(),
    }
}
