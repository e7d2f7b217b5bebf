//! The committer's queue: what it is asked for, and how a group is gathered.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::domain::{EndpointControl, MessageId, Record};

use super::accept::Draft;
use super::reindex::Switch;
use super::{Acceptance, StoreError};

/// Octets of content of a group at most, so that one group does not hold up the rest.
const GROUP_OCTETS: usize = 4 << 20;

/// What the committer is asked for.
pub(crate) enum Request {
    Accept(Box<Draft>, oneshot::Sender<Result<Acceptance, StoreError>>),
    Change(Box<Record>, oneshot::Sender<Result<Arc<Record>, StoreError>>),
    Control(EndpointControl, oneshot::Sender<Result<(), StoreError>>),
    /// Erase the content of a message that has ended.
    Erase(MessageId, oneshot::Sender<Result<Arc<Record>, StoreError>>),
    /// A record whose contents have other places, those in it laid in a segment anew.
    Place(Box<Draft>, oneshot::Sender<Result<Arc<Record>, StoreError>>),
    /// Remove a message that still has this version.
    Forget(MessageId, u64, oneshot::Sender<Result<(), StoreError>>),
    /// Frames before this number may go.
    Trim(u64, oneshot::Sender<Result<(), StoreError>>),
    /// An index to take the place of the present one.
    Switch(Box<Switch>),
    /// Finish everything queued before, then stop.
    Stop,
}

impl Request {
    /// Content that goes to a segment: how many entries, and octets.
    pub(crate) fn inline(&self) -> (usize, usize) {
        match self {
            Self::Accept(draft, _) => (draft.inline.len(), draft.inline_octets()),
            Self::Place(draft, _) => (draft.inline.len(), draft.inline_octets()),
            _ => (0, 0),
        }
    }
}

/// All that is queued, up to the bounds of a group; whether a stop came.
pub(crate) fn collect(
    first: Request,
    queue: &mut mpsc::Receiver<Request>,
    most: usize,
) -> (Vec<Request>, bool) {
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
        Request::Control(_, to) | Request::Forget(_, _, to) | Request::Trim(_, to) => {
            drop(to.send(Err(fault)));
        }
        Request::Place(_, to) | Request::Erase(_, to) => drop(to.send(Err(fault))),
        // Dropping a switch tells whoever waits for it.
        Request::Switch(_) | Request::Stop => {}
    }
}
