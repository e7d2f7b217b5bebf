//! The slow round: messages that grow old, messages whose endpoint has left the directory, came
//! back, or changed from push to mailbox. What it does are single transitions like anybody else's,
//! so it may run in several processes at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::domain::delivery::step;
use crate::domain::retry::Age;
use crate::domain::{Action, Endpoint, EndpointId, ParkReason, Placement, Record, State, Timestamp, Way};
use crate::store::{Depth, Filter, StoreError};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// Messages read at once, transitions at once, and messages of one queue looked at in one round.
const PAGE: usize = 128;
const AT_ONCE: usize = 16;
const MOST: usize = 20_000;
/// Times that a transition is tried when others change the message at the same moment.
const CONFLICTS: usize = 8;

/// States that somebody can still act on, by name.
const OPEN: [&str; 7] = ["Queued", "Sending", "Available", "Leased", "Deferred", "Parked", "Delivered"];

/// Makes rounds until stopped: at once, every half minute, and when the directory was swapped.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let round = async {
            match round(&shared, Timestamp::now()).await {
                Ok(()) => {}
                Err(error) => shared.reading.failed(&error, Instant::now()),
            }
            tokio::select! {
                () = shared.sweep.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// One round over all queues, as of `now`.
pub(super) async fn round(shared: &Shared, now: Timestamp) -> Result<(), StoreError> {
    let directory = shared.parts.directory.load_full();
    let controls = shared.parts.read.controls().await?;
    let suspended: HashSet<EndpointId> =
        controls.into_iter().filter(|control| control.suspended).map(|control| control.endpoint).collect();
    for depth in shared.parts.read.depths().await? {
        let queue = Queue {
            shared,
            held: suspended.contains(&depth.endpoint) || sends(shared, &depth.endpoint),
            endpoint: directory.endpoint(&depth.endpoint),
            depth: &depth,
        };
        queue.sweep(now).await?;
    }
    Ok(())
}

/// Whether attempts go out to this endpoint, or will as soon as the worker has met it, so that
/// each message gets its own last try.
fn sends(shared: &Shared, endpoint: &EndpointId) -> bool {
    let condition = shared.lane(endpoint).map(|lane| lane.condition());
    condition.is_none_or(|condition| condition.breaker == "closed")
}

/// One queue in one round.
struct Queue<'a> {
    shared: &'a Shared,
    depth: &'a Depth,
    endpoint: Option<&'a Arc<Endpoint>>,
    /// Queued messages are not given up by age here: an operator holds them, or attempts go out.
    held: bool,
}

impl Queue<'_> {
    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        for state in OPEN {
            if self.depth.by_state.get(state).copied().unwrap_or_default() == 0 {
                continue;
            }
            let Some(youngest) = self.concerns(state, now) else { continue };
            self.page_through(state, youngest, now).await?;
        }
        Ok(())
    }

    /// Whether messages of this state need a look, and up to which time of acceptance.
    fn concerns(&self, state: &str, now: Timestamp) -> Option<Timestamp> {
        let all = Some(Timestamp(u64::MAX));
        let Some(endpoint) = self.endpoint else { return all };
        let elsewhere = match endpoint.way() {
            Way::Push => ["Available", "Leased", "Deferred"].as_slice(),
            Way::Pull => ["Queued", "Sending"].as_slice(),
        };
        if state == "Parked" || elsewhere.contains(&state) {
            return all;
        }
        if ["Queued", "Available", "Leased", "Deferred"].contains(&state) && looks_at_all(now) {
            return all;
        }
        let late = Timestamp(now.0.saturating_sub(millis(endpoint.warn_after)));
        self.depth.oldest.is_some_and(|oldest| oldest <= late).then_some(late)
    }

    async fn page_through(&self, state: &str, youngest: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut filter = Filter {
            endpoint: Some(self.depth.endpoint.clone()),
            state: Some(state.to_owned()),
            limit: PAGE,
            ..Filter::default()
        };
        for _ in 0..MOST / PAGE {
            let page = self.shared.parts.read.list(&filter).await?;
            let Some(last) = page.last() else { return Ok(()) };
            // In order of acceptance: behind one that is too young there are only younger ones.
            let over = page.len() < PAGE || last.accepted_at > youngest;
            filter.after = Some(last.sequence);
            let mut acts = stream::iter(page).map(|record| self.apply(record, now)).buffer_unordered(AT_ONCE);
            while let Some(done) = acts.next().await {
                done?;
            }
            if over {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is to be done about a message, if anything.
    fn act(&self, record: &Record, now: Timestamp) -> Option<Action> {
        let Some(endpoint) = self.endpoint else {
            let idle = !matches!(record.state, State::Parked { .. } | State::Delivered);
            return idle.then(|| Action::Park {
                reason: ParkReason::EndpointGone,
                detail: format!("endpoint {} is not in the directory; reroute it", self.depth.endpoint),
            });
        };
        if matches!(record.state, State::Parked { reason: ParkReason::EndpointGone }) {
            return Some(Action::Retry { detail: "the endpoint is in the directory again".into() });
        }
        let waiting =
            matches!(record.state, State::Queued { .. } | State::Available | State::Deferred { .. });
        if waiting && record.placement.way != endpoint.way() {
            let placement = Placement { way: endpoint.way(), ..record.placement.clone() };
            return Some(Action::Reroute { placement, detail: "the endpoint was changed".into() });
        }
        let waiting = waiting || matches!(record.state, State::Leased { .. });
        if waiting && record.obsolete(now) {
            return Some(Action::Return {
                detail: "not taken over before its author's last day for it".into(),
            });
        }
        let age = Age::of(record, endpoint.warn_after, endpoint.return_after, now);
        let days = now.since(record.accepted_at).as_secs() / 86_400;
        let expired = record.state.claimable_at().is_some_and(|at| at <= now);
        let give_up = match record.state {
            State::Available | State::Leased { .. } => expired,
            State::Queued { .. } => !self.held,
            _ => false,
        };
        match age {
            Age::TooOld if give_up => {
                Some(Action::Return { detail: format!("not taken over for {days} days") })
            }
            Age::TooOld | Age::Late if !record.warned => {
                Some(Action::Warn { detail: format!("not taken over for {days} days") })
            }
            _ => None,
        }
    }

    /// Does what is to be done; again when the message changed at the same moment.
    async fn apply(&self, mut record: Arc<Record>, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..CONFLICTS {
            let Some(action) = self.act(&record, now) else { return Ok(()) };
            // A message that is claimed is met again in the next round.
            let Ok(next) = step(&record, action, now) else { return Ok(()) };
            match self.shared.parts.change.commit(next).await {
                Ok(next) => {
                    if let Some(fact) = next.facts.last() {
                        let (id, endpoint, kind) = (&next.id, &self.depth.endpoint, fact.kind.as_str());
                        tracing::warn!(%id, %endpoint, kind, detail = fact.detail, "a waiting message was dealt with");
                    }
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unknown) => return Ok(()),
                Err(error) => return Err(error),
            }
            match self.shared.parts.read.get(&record.id).await? {
                Some(again) if again.placement.endpoint == self.depth.endpoint => record = again,
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Once in ten minutes a round looks at every waiting message: some are obsolete before they are old.
/// None of these is handed out or sent meanwhile.
fn looks_at_all(now: Timestamp) -> bool {
    let round = millis(ROUND).max(1);
    (now.0 / round).is_multiple_of(600_000 / round)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
