//! Delivery by push: claim what is due, send it, record the outcome as one transition.
//!
//! One [`Deliver`] works through all push endpoints. Each has a lane of its own (breaker,
//! concurrency, client), so none holds up another. Hints (committed changes, [`Deliver::wake`],
//! timers, a slow tick) say when to look; what is due is read from the store alone. An attempt is
//! made only under a durable claim that outlasts it, so no message is sent twice at once, by
//! whichever process; after a kill the claim runs out and the next attempt follows.

mod attempt;
mod client;
mod content;
mod lane;
mod naming;
mod note;
pub mod opinion;
mod scheduler;
mod steer;
mod sweep;
pub(crate) mod transition;
mod trouble;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::domain::{EndpointId, Identifier};
use crate::observe::Metrics;
use crate::route::Directory;
use crate::store::{ChangePort, ReadPort};
use client::connector::Identity;
use lane::Lane;
use trouble::Trouble;

pub use steer::Steer;

/// A claim outlasts its attempt by this: time to record the outcome, and room for clocks of
/// several gateways that differ a little.
const MARGIN: Duration = Duration::from_secs(5);

/// What delivery works with.
pub struct Parts {
    /// Names this process in claims; unique per start.
    pub instance: String,
    /// The gateway's own identifier: the sender that XTA servers are told.
    pub identifier: Identifier,
    /// Reading the store.
    pub read: Arc<dyn ReadPort>,
    /// Changing it.
    pub change: Arc<dyn ChangePort>,
    /// Directory, swapped on reload.
    pub directory: Arc<ArcSwap<Directory>>,
    /// The gateway's TLS identity and default anchors for outbound calls.
    pub tls: OutboundTls,
    /// Addresses of private networks and loopback may be called.
    pub allow_private: bool,
    /// Counts.
    pub metrics: Metrics,
}

/// TLS for outbound calls.
#[derive(Clone)]
pub struct OutboundTls {
    /// PEM file of the anchors where an endpoint names none.
    pub ca: std::path::PathBuf,
    /// The gateway's client certificate (PEM chain).
    pub certificate: std::path::PathBuf,
    /// Its key (PEM).
    pub key: std::path::PathBuf,
}

/// A push endpoint's present condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `closed`, `open` or `half-open`; `open` also where the endpoint's settings are faulty.
    pub breaker: &'static str,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts allowed at once at present.
    pub limit: usize,
    /// Why nothing can be sent there at all: faulty URL or anchors.
    pub fault: Option<String>,
}

/// What the worker's parts share.
struct Shared {
    parts: Parts,
    lanes: Mutex<BTreeMap<EndpointId, Arc<Lane>>>,
    identity: Mutex<Arc<Identity>>,
    /// Look again at what is due.
    look: Arc<Notify>,
    /// Look again at ages and vanished endpoints.
    sweep: Notify,
    /// [`Deliver::wake`] was called: settings and TLS files may have changed.
    reload: AtomicBool,
    /// Trouble with reading the store, and with changing it.
    reading: Trouble,
    changing: Trouble,
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Arc<Lane>>> {
        // Changed by single inserts and removals: sound even if a holder panicked.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, endpoint: &EndpointId) -> Option<Arc<Lane>> {
        self.lanes().get(endpoint).cloned()
    }

    fn identity(&self) -> MutexGuard<'_, Arc<Identity>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The delivery worker.
pub struct Deliver {
    shared: Arc<Shared>,
}

impl Deliver {
    /// A worker over these parts.
    ///
    /// # Errors
    /// A sentence when the TLS files can't be read.
    pub fn new(parts: Parts) -> Result<Arc<Self>, String> {
        let identity = Mutex::new(Arc::new(Identity::load(&parts.tls)?));
        let shared = Shared {
            parts,
            lanes: Mutex::default(),
            identity,
            look: Arc::default(),
            sweep: Notify::new(),
            reload: AtomicBool::new(false),
            reading: Trouble::with("read"),
            changing: Trouble::with("change"),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Works until `stop` is cancelled, then waits for attempts in flight, at most until their
    /// own time is up.
    pub async fn run(self: Arc<Self>, stop: tokio_util::sync::CancellationToken) {
        tokio::join!(
            scheduler::Scheduler::new(self.shared.clone(), stop.clone()).run(),
            sweep::run(self.shared.clone(), stop),
        );
    }

    /// The condition of a push endpoint; `None` for one that the worker has not met.
    #[must_use]
    pub fn condition(&self, endpoint: &EndpointId) -> Option<Condition> {
        Some(self.shared.lane(endpoint)?.condition())
    }

    /// Something changed (an endpoint was resumed, the directory or the TLS files were swapped):
    /// look again.
    pub fn wake(&self) {
        self.shared.reload.store(true, Ordering::Release);
        self.shared.look.notify_one();
        self.shared.sweep.notify_one();
    }
}

#[cfg(test)]
pub(crate) mod tests;
