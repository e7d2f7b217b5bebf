//! The applier: a thread that brings synced groups into the index and tells the watchers. It
//! works while the committer syncs the next groups, and takes all that has come meanwhile in one
//! batch. Commits are answered as soon as they are on disk; whoever reads waits until the index
//! has all that was on disk when he asked.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::watch;

use crate::domain::{Digest, Event, Record};

use super::index::{Index, Step};
use super::open::Shared;
use super::reindex::Switch;
use super::steps::Steps;

/// Commits in one batch of the index at most, give or take a group: sled keeps every node that a
/// batch replaces until all of it is in.
const BATCH: usize = 256;

/// A synced group on its way to the index.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) steps: Vec<Step>,
    /// Records that changed, and how many facts each change added.
    pub(crate) events: Vec<(Arc<Record>, u32)>,
    /// Its last frame and that frame's digest.
    pub(crate) last: u64,
    pub(crate) head: Digest,
    /// After it another index takes the place of the present one.
    pub(crate) switch: Option<Box<Switch>>,
}

/// Works until the committer hangs up or the index fails. `applied` tells the last frame that the
/// index has; it goes when this ends.
pub(crate) fn run(
    shared: &Shared,
    mut index: Arc<Index>,
    applied: &watch::Sender<u64>,
    groups: &Receiver<Group>,
) {
    let mut steps = Steps::default();
    while let Ok(mut group) = groups.recv() {
        steps.clear();
        group.steps.drain(..).for_each(|step| steps.push(step));
        let mut taken = group.events.len();
        while taken < BATCH
            && group.switch.is_none()
            && let Ok(next) = groups.try_recv()
        {
            taken += next.events.len() + 1;
            next.steps.into_iter().for_each(|step| steps.push(step));
            group.events.extend(next.events);
            (group.last, group.head, group.switch) = (next.last, next.head, next.switch);
        }
        if let Err(fault) = index.apply(steps.as_slice(), group.last, group.head) {
            // All of it is durable, but can't be shown: the store closes. The next start rebuilds
            // the index from the ledger.
            shared.suspect(&fault);
            shared.health.close(format!("the index failed: {fault}; restart to have it rebuilt"));
            return;
        }
        applied.send_replace(group.last);
        if let Some(switch) = group.switch.take() {
            index = switch.make(shared, index);
        }
        if shared.events.receiver_count() == 0 {
            continue;
        }
        for (record, added) in group.events {
            // Nobody listening is fine.
            let _ = shared.events.send(Arc::new(event(&record, added)));
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
