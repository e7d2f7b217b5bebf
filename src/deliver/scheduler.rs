//! Looks for due messages, lane by lane, and starts their attempts.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::connector::Identity;
use super::lane::{Lane, Room};
use super::{MARGIN, Shared, attempt};
use crate::domain::{EndpointId, Event, State, Timestamp, Way};
use crate::route::Directory;
use crate::store::StoreError;

/// Without any hint a lane is looked at this often.
const TICK: Duration = Duration::from_secs(5);
/// Look again after this when something is due but can't be taken at the moment.
const SOON: Duration = Duration::from_millis(500);
/// How long operators' settings are taken as read.
const CONTROLS: Duration = Duration::from_millis(500);
/// Longest wait for attempts in flight when stopping.
const DRAIN: Duration = Duration::from_secs(600);

/// The loop and what only it needs.
pub(super) struct Scheduler {
    shared: Arc<Shared>,
    stop: CancellationToken,
    attempts: JoinSet<()>,
    /// Hints; `None` once the store has closed them.
    events: Option<broadcast::Receiver<Arc<Event>>>,
    /// The snapshot that the lanes were made from.
    directory: Option<Arc<Directory>>,
    suspended: HashSet<EndpointId>,
    controls_read: Option<Timestamp>,
}

impl Scheduler {
    /// A scheduler; it does nothing before [`Scheduler::run`].
    pub(super) fn new(shared: Arc<Shared>, stop: CancellationToken) -> Self {
        let events = Some(shared.parts.read.events());
        Self {
            shared,
            stop,
            attempts: JoinSet::new(),
            events,
            directory: None,
            suspended: HashSet::new(),
            controls_read: None,
        }
    }

    /// Works until stopped, then drains.
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let wait = self.pass().await;
            let look = self.shared.look.clone();
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = look.notified() => {}
                () = tokio::time::sleep(wait) => {}
                event = heard(&mut self.events) => self.take_hints(event),
                Some(ended) = self.attempts.join_next() => noted(ended),
            }
        }
        self.drain().await;
    }

    /// One look at every lane whose time has come; how long to sleep if nothing happens.
    async fn pass(&mut self) -> Duration {
        while let Some(ended) = self.attempts.try_join_next() {
            noted(ended);
        }
        let now = Timestamp::now();
        if let Some(pause) = self.pause() {
            return pause;
        }
        self.renew_lanes();
        let lanes: Vec<Arc<Lane>> = self.shared.lanes().values().cloned().collect();
        let mut next = now.plus(TICK);
        for lane in lanes {
            // Later than a tick can only be after the clock was set back.
            let at = lane.look_at();
            if at <= now || at > now.plus(TICK) {
                lane.looking();
                if let Err(error) = self.look(&lane, now).await {
                    lane.look_by(now);
                    self.shared.reading.failed(&error, Instant::now());
                    return self.pause().unwrap_or(SOON);
                }
                self.shared.reading.over();
                lane.look_by(now.plus(TICK));
            }
            next = next.min(lane.look_at());
        }
        next.since(Timestamp::now())
    }

    /// How long to leave the store alone, if it is in trouble.
    fn pause(&self) -> Option<Duration> {
        let now = Instant::now();
        self.shared.reading.pause(now).max(self.shared.changing.pause(now))
    }

    /// Starts what is due in a lane, as far as it has room.
    async fn look(&mut self, lane: &Arc<Lane>, now: Timestamp) -> Result<(), StoreError> {
        self.read_controls(now).await?;
        if self.suspended.contains(&lane.id) {
            lane.look_by(now.plus(CONTROLS));
            return Ok(());
        }
        let (free, scan) = match lane.room(now) {
            Room::Free { free, scan } => (free, scan),
            Room::NotBefore(at) => {
                lane.look_by(at);
                return Ok(());
            }
            Room::Full => return Ok(()),
        };
        let read = self.shared.parts.read.clone();
        let due = read.due(&lane.id, now, scan).await?;
        let more = due.len() == scan;
        let tickets = lane.reserve(due, free, now);
        let full = tickets.len() == free;
        for ticket in tickets {
            self.attempts.spawn(attempt::run(self.shared.clone(), ticket, self.stop.clone()));
        }
        if full {
            // The end of an attempt makes the lane look again.
            return Ok(());
        }
        if more {
            lane.look_by(now.plus(SOON));
            return Ok(());
        }
        match read.next_due(&lane.id).await? {
            // Due, but being claimed at this moment or left alone for a while.
            Some(at) if at <= now => lane.look_by(now.plus(SOON)),
            Some(at) => lane.look_by(at),
            None => {}
        }
        Ok(())
    }

    async fn read_controls(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.controls_read.is_some_and(|at| now.since(at) < CONTROLS && at <= now) {
            return Ok(());
        }
        let controls = self.shared.parts.read.controls().await?;
        self.suspended = controls
            .into_iter()
            .filter(|control| control.suspended)
            .map(|control| control.endpoint)
            .collect();
        self.controls_read = Some(now);
        Ok(())
    }

    /// Brings the lanes in line with the directory and the TLS files.
    fn renew_lanes(&mut self) {
        let reload = self.shared.reload.swap(false, Ordering::AcqRel);
        let directory = self.shared.parts.directory.load_full();
        let same = self.directory.as_ref().is_some_and(|known| Arc::ptr_eq(known, &directory));
        if same && !reload {
            return;
        }
        let force = reload && self.reload_identity();
        let identity = self.shared.identity().clone();
        let allow_private = self.shared.parts.allow_private;
        let mut lanes = self.shared.lanes();
        let push = |id: &EndpointId| directory.endpoint(id).is_some_and(|found| found.way() == Way::Push);
        lanes.retain(|id, _| push(id));
        for endpoint in directory.endpoints().filter(|endpoint| endpoint.way() == Way::Push) {
            match lanes.get(&endpoint.id) {
                Some(lane) => lane.renew(endpoint, &identity, allow_private, force),
                None => {
                    let lane = Lane::new(endpoint, &identity, allow_private, self.shared.look.clone());
                    lanes.insert(endpoint.id.clone(), Arc::new(lane));
                }
            }
        }
        lanes.values().for_each(|lane| lane.look_by(Timestamp(0)));
        drop(lanes);
        self.controls_read = None;
        if !same {
            self.shared.sweep.notify_one();
        }
        self.directory = Some(directory);
    }

    /// Reads the TLS files again; true when they have changed. Unreadable ones leave the old.
    fn reload_identity(&self) -> bool {
        match Identity::load(&self.shared.parts.tls) {
            Ok(identity) => {
                let mut held = self.shared.identity();
                let changed = **held != identity;
                if changed {
                    *held = Arc::new(identity);
                }
                changed
            }
            Err(fault) => {
                tracing::error!(fault, "outbound TLS files can't be read; the old ones stay in use");
                false
            }
        }
    }

    /// Takes a hint and those behind it.
    fn take_hints(&mut self, first: Result<Arc<Event>, RecvError>) {
        let lanes = self.shared.lanes();
        let all = || lanes.values().for_each(|lane| lane.look_by(Timestamp(0)));
        let one = |event: &Event| {
            let queued = matches!(event.state, State::Queued { .. });
            if let Some(lane) = lanes.get(&event.endpoint).filter(|_| queued) {
                lane.look_by(Timestamp(0));
            }
        };
        match first {
            Ok(event) => one(&event),
            Err(RecvError::Lagged(_)) => all(),
            Err(RecvError::Closed) => {
                self.events = None;
                return;
            }
        }
        let Some(events) = &mut self.events else { return };
        for _ in 0..1024 {
            match events.try_recv() {
                Ok(event) => one(&event),
                Err(TryRecvError::Lagged(_)) => all(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    /// Waits for attempts in flight until their time is up.
    async fn drain(mut self) {
        let longest = self.shared.lanes().values().map(|lane| lane.timeout()).max().unwrap_or_default();
        let patience = (longest + MARGIN).min(DRAIN);
        let all = async {
            while let Some(ended) = self.attempts.join_next().await {
                noted(ended);
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            let left = self.attempts.len();
            tracing::warn!(left, "attempts broken off; their claims run out and they are made again");
        }
        self.attempts.shutdown().await;
    }
}

async fn heard(events: &mut Option<broadcast::Receiver<Arc<Event>>>) -> Result<Arc<Event>, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

fn noted(ended: Result<(), tokio::task::JoinError>) {
    if let Some(error) = ended.err().filter(tokio::task::JoinError::is_panic) {
        tracing::error!(%error, "an attempt broke down; its claim runs out and it is made again");
    }
}
