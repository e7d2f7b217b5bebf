//! A lane: what the worker knows of one push endpoint, in memory alone. Losing it costs nothing
//! but a few attempts to find out again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Condition;
use super::client::Client;
use super::client::connector::Identity;
use crate::domain::breaker::{Breaker, Permit};
use crate::domain::concurrency::Concurrency;
use crate::domain::outcome::Outcome;
use crate::domain::retry::Backoff;
use crate::domain::{Endpoint, EndpointId, MessageId, Timestamp, Transport};
use crate::store::Due;

/// Shortest and longest time for an attempt.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60 * 60));
/// The longest that a message is left alone.
pub(super) const LONGEST: Duration = Duration::from_secs(600);
/// Messages left alone for a while that are remembered.
const AVOIDED: usize = 10_000;

/// An endpoint's settings, made ready.
pub(super) struct Setup {
    /// The directory's entry.
    pub(super) endpoint: Arc<Endpoint>,
    /// Its client.
    pub(super) client: Client,
    /// Its back-off.
    pub(super) backoff: Backoff,
    /// Time for an attempt, all of it.
    pub(super) timeout: Duration,
}

impl Setup {
    /// Makes a push endpoint ready.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn new(endpoint: &Arc<Endpoint>, identity: &Identity, allow_private: bool) -> Result<Self, String> {
        let Transport::Push { timeout, backoff_min, backoff_max, .. } = &endpoint.transport else {
            return Err("it is a mailbox".into());
        };
        let backoff = Backoff::new(*backoff_min, *backoff_max).map_err(|fault| fault.to_string())?;
        let client = Client::new(endpoint, identity, allow_private)?;
        let timeout = (*timeout).clamp(TIMEOUTS.0, TIMEOUTS.1);
        Ok(Self { endpoint: endpoint.clone(), client, backoff, timeout })
    }
}

/// One endpoint's lane.
pub(super) struct Lane {
    /// The endpoint's name.
    pub(super) id: EndpointId,
    look: Arc<Notify>,
    inner: Mutex<Inner>,
}

struct Inner {
    endpoint: Arc<Endpoint>,
    setup: Result<Arc<Setup>, String>,
    breaker: Breaker,
    concurrency: Concurrency,
    /// Attempts in flight; true once the message is claimed (and no longer due).
    in_flight: HashMap<MessageId, bool>,
    /// Messages that somebody else has or whose record can't be read: not before then.
    avoid: HashMap<MessageId, Timestamp>,
    /// When to look for due messages again.
    look_at: Timestamp,
}

/// How much may go out.
pub(super) enum Room {
    /// `free` attempts; read `scan` due entries to find them.
    Free { free: usize, scan: usize },
    /// Nothing before this point.
    NotBefore(Timestamp),
    /// Nothing until an attempt comes back.
    Full,
}

impl Lane {
    /// A lane for a push endpoint. Faulty settings make a lane that sends nothing and says why.
    pub(super) fn new(
        endpoint: &Arc<Endpoint>,
        identity: &Identity,
        allow_private: bool,
        look: Arc<Notify>,
    ) -> Self {
        let setup = ready(endpoint, identity, allow_private);
        let (breaker, concurrency) = fresh(endpoint);
        let inner = Inner {
            endpoint: endpoint.clone(),
            setup,
            breaker,
            concurrency,
            in_flight: HashMap::new(),
            avoid: HashMap::new(),
            look_at: Timestamp(0),
        };
        Self { id: endpoint.id.clone(), look, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is made whole before the lock is let go.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over changed settings. What is in flight goes on with the old ones.
    pub(super) fn renew(
        &self,
        endpoint: &Arc<Endpoint>,
        identity: &Identity,
        allow_private: bool,
        force: bool,
    ) {
        let mut inner = self.inner();
        if inner.endpoint == *endpoint && inner.setup.is_ok() && !force {
            return;
        }
        inner.setup = ready(endpoint, identity, allow_private);
        (inner.breaker, inner.concurrency) = fresh(endpoint);
        inner.endpoint = endpoint.clone();
        inner.look_at = Timestamp(0);
    }

    /// When to look for due messages.
    pub(super) fn look_at(&self) -> Timestamp {
        self.inner().look_at
    }

    /// Looking begins: hints that come from now on count for the next time.
    pub(super) fn looking(&self) {
        self.inner().look_at = Timestamp(u64::MAX);
    }

    /// Look again at `at` at the latest.
    pub(super) fn look_by(&self, at: Timestamp) {
        let mut inner = self.inner();
        inner.look_at = inner.look_at.min(at);
    }

    /// What may go out at `now`.
    pub(super) fn room(&self, now: Timestamp) -> Room {
        let mut inner = self.inner();
        // A span longer than the longest can only come of a clock that was set back.
        inner.avoid.retain(|_, until| now < *until && until.since(now) <= LONGEST);
        if inner.setup.is_err() {
            return Room::Full;
        }
        let limit = match inner.breaker.permit(now) {
            Permit::Any => inner.concurrency.limit(),
            Permit::Probe => 1,
            Permit::NotBefore(at) => return Room::NotBefore(at),
            Permit::Probing => return Room::Full,
        };
        let free = limit.saturating_sub(inner.in_flight.len());
        if free == 0 {
            return Room::Full;
        }
        let unclaimed = inner.in_flight.values().filter(|claimed| !**claimed).count();
        Room::Free { free, scan: free + unclaimed + inner.avoid.len() }
    }

    /// Reserves at most `free` of `due`.
    pub(super) fn reserve(self: &Arc<Self>, due: Vec<Due>, free: usize, now: Timestamp) -> Vec<Ticket> {
        let mut inner = self.inner();
        let Ok(setup) = inner.setup.clone() else { return Vec::new() };
        let mut tickets = Vec::with_capacity(free.min(due.len()));
        for Due { id, .. } in due {
            if tickets.len() == free {
                break;
            }
            if inner.avoid.contains_key(&id) {
                continue;
            }
            let Entry::Vacant(entry) = inner.in_flight.entry(id.clone()) else { continue };
            entry.insert(false);
            inner.breaker.sent(now);
            tickets.push(Ticket { lane: self.clone(), setup: setup.clone(), id, began: now, told: false });
        }
        tickets
    }

    /// The longest that an attempt may last.
    pub(super) fn timeout(&self) -> Duration {
        self.inner().setup.as_ref().map_or(Duration::ZERO, |setup| setup.timeout)
    }

    /// For operators.
    pub(super) fn condition(&self) -> Condition {
        let inner = self.inner();
        let fault = inner.setup.as_ref().err().cloned();
        Condition {
            breaker: if fault.is_some() { "open" } else { inner.breaker.name() },
            in_flight: inner.in_flight.len(),
            limit: inner.concurrency.limit(),
            fault,
        }
    }
}

fn ready(endpoint: &Arc<Endpoint>, identity: &Identity, allow_private: bool) -> Result<Arc<Setup>, String> {
    let setup = Setup::new(endpoint, identity, allow_private);
    if let Err(fault) = &setup {
        tracing::error!(endpoint = %endpoint.id, fault, "nothing can be sent to this endpoint; correct it and reload");
    }
    setup.map(Arc::new)
}

fn fresh(endpoint: &Endpoint) -> (Breaker, Concurrency) {
    let (min, max, most) = match &endpoint.transport {
        Transport::Push { backoff_min, backoff_max, concurrency, .. } => {
            (*backoff_min, *backoff_max, *concurrency)
        }
        Transport::Mailbox { .. } => (Duration::ZERO, Duration::ZERO, 1),
    };
    let backoff = Backoff::new(min, max).unwrap_or_default();
    (Breaker::new(backoff), Concurrency::new(most))
}

/// The right to make one attempt; gives its place back when dropped, even by a panic.
pub(super) struct Ticket {
    /// Where.
    pub(super) lane: Arc<Lane>,
    /// How.
    pub(super) setup: Arc<Setup>,
    /// What.
    pub(super) id: MessageId,
    began: Timestamp,
    told: bool,
}

impl Ticket {
    /// The message is claimed: it is not due any more.
    pub(super) fn claimed(&self) {
        self.lane.inner().in_flight.insert(self.id.clone(), true);
    }

    /// Leaves the message alone until `until`.
    pub(super) fn avoid(&self, until: Timestamp) {
        let mut inner = self.lane.inner();
        if inner.avoid.len() < AVOIDED {
            inner.avoid.insert(self.id.clone(), until);
        }
    }

    /// Tells the lane how the endpoint behaved. `random` spreads the breaker's pauses.
    pub(super) fn tell(&mut self, outcome: &Outcome, now: Timestamp, random: u64) {
        self.told = true;
        let mut inner = self.lane.inner();
        match outcome {
            Outcome::Has { .. } | Outcome::Refused => {
                if inner.breaker.name() == "closed" {
                    inner.concurrency.succeeded();
                } else {
                    tracing::info!(endpoint = %self.lane.id, "the endpoint answers again");
                    inner.concurrency.restart();
                }
                inner.breaker.succeeded();
            }
            Outcome::Again { asked } => {
                inner.concurrency.failed(self.began, now);
                if inner.breaker.failed(now, random, *asked) {
                    tracing::warn!(endpoint = %self.lane.id, "the endpoint keeps failing; only probes go there for now");
                }
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.lane.inner();
        inner.in_flight.remove(&self.id);
        if !self.told {
            inner.breaker.unused();
        }
        inner.look_at = Timestamp(0);
        drop(inner);
        self.lane.look.notify_one();
    }
}
