//! Delivery by push: claim what is due, send it, record the outcome as one transition.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::{EndpointId, MessageId, Record, Timestamp};
use crate::error::Refusal;
use crate::observe::Metrics;
use crate::route::Directory;
use crate::store::{ChangePort, ReadPort};

/// What delivery works with.
pub struct Parts {
    /// Names this process in claims; unique per start.
    pub instance: String,
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
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// Attempts in flight.
    pub in_flight: usize,
}

/// The delivery worker.
pub struct Deliver {
    #[allow(dead_code)]
    parts: Parts,
}

impl Deliver {
    /// A worker over these parts.
    ///
    /// # Errors
    /// A sentence when the TLS files can't be read.
    pub fn new(parts: Parts) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self { parts }))
    }

    /// Works until `stop` is cancelled, then waits for attempts in flight.
    pub async fn run(self: Arc<Self>, stop: tokio_util::sync::CancellationToken) {
        stop.cancelled().await;
    }

    /// The condition of a push endpoint.
    #[must_use]
    pub fn condition(&self, endpoint: &EndpointId) -> Option<Condition> {
        let _ = endpoint;
        None
    }

    /// Something changed (an endpoint was resumed, the directory was swapped): look again.
    pub fn wake(&self) {}
}

/// The operators' verbs on messages and endpoints.
pub struct Steer {
    #[allow(dead_code)]
    read: Arc<dyn ReadPort>,
    #[allow(dead_code)]
    change: Arc<dyn ChangePort>,
    #[allow(dead_code)]
    directory: Arc<ArcSwap<Directory>>,
}

impl Steer {
    /// Steering over these ports.
    #[must_use]
    pub fn new(
        read: Arc<dyn ReadPort>,
        change: Arc<dyn ChangePort>,
        directory: Arc<ArcSwap<Directory>>,
    ) -> Self {
        Self { read, change, directory }
    }

    /// Queues a parked or waiting message again, now.
    ///
    /// # Errors
    /// AW-0401, AW-0402 when its state does not allow it.
    pub async fn retry(
        &self,
        id: &MessageId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let _ = (id, by, reason, now);
        todo!()
    }

    /// Routes a message anew: to `reader`, or as the directory now says.
    ///
    /// # Errors
    /// AW-0401, AW-0402, AW-02xx.
    pub async fn reroute(
        &self,
        id: &MessageId,
        reader: Option<&crate::domain::Identifier>,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let _ = (id, reader, by, reason, now);
        todo!()
    }

    /// Sets a message aside.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn park(
        &self,
        id: &MessageId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let _ = (id, by, reason, now);
        todo!()
    }

    /// Suspends or resumes an endpoint; durable.
    ///
    /// # Errors
    /// AW-0401 when the directory has no such endpoint.
    pub async fn suspend(
        &self,
        endpoint: &EndpointId,
        suspended: bool,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let _ = (endpoint, suspended, by, reason, now);
        todo!()
    }
}
