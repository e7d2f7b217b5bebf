//! The fronts: gRPC, XML over HTTPS and XTA on one port with mutual TLS, and the operators' port.
//!
//! Everything that comes in passes `listen` (connections), then `gate` (who is it, is there
//! room), then the handlers in `grpc`, `https` and `xta`. What goes wrong leaves through the one
//! error table, [`status`]. Handlers translate; the work is done in `intake`, `mailbox` and
//! `deliver`.

pub mod accounts;
mod body;
mod feed;
mod gate;
mod grpc;
mod https;
pub mod limits;
mod linger;
mod listen;
pub(crate) mod multipart;
mod report;
pub mod status;
pub mod tls;
mod upload;
mod watch;
pub mod xta;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use accounts::Accounts;
pub use limits::Limits;

use crate::backup::Keeper;
use crate::deliver::{Deliver, Steer};
use crate::domain::{Account, MessageId, Timestamp};
use crate::intake::Intake;
use crate::mailbox::Mailbox;
use crate::observe::Metrics;
use crate::proof::Prover;
use crate::route::Directory;
use crate::store::{AcceptPort, ReadPort};
use gate::Gate;

/// What the fronts work with.
pub struct Parts {
    /// Takes messages in.
    pub intake: Arc<Intake>,
    /// Hands messages out.
    pub mailbox: Arc<Mailbox>,
    /// The operators' verbs.
    pub steer: Arc<Steer>,
    /// For the condition of push endpoints.
    pub deliver: Arc<Deliver>,
    /// Stages attachments while they come in.
    pub accept: Arc<dyn AcceptPort>,
    /// Reports, documents, events.
    pub read: Arc<dyn ReadPort>,
    /// Directory, swapped on reload.
    pub directory: Arc<ArcSwap<Directory>>,
    /// Accounts, swapped on reload (see [`Accounts::renewed`]).
    pub accounts: Arc<ArcSwap<Accounts>>,
    /// Counts.
    pub metrics: Metrics,
    /// Proofs of messages.
    pub proofs: Arc<Prover>,
    /// Makes backups, where the configuration names a folder for them.
    pub backups: Option<Arc<Keeper>>,
    /// Bounds.
    pub limits: Limits,
    /// Paths and policies of XTA.
    pub xta: Arc<xta::Settings>,
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The address is taken, or not this machine's.
    #[error(
        "can't listen on {addr}: {source}; stop what uses this port (another gateway, a demo?), or set \
         listen.address or listen.operators to a free one"
    )]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// The fronts of one gateway: both ports share accounts, bounds and counts.
pub struct Front {
    core: Arc<Core>,
}

/// What every handler needs.
pub(crate) struct Core {
    parts: Parts,
    room: gate::Room,
}

impl Core {
    /// Gives a lease back whose message did not get to its reader whole, so that it can be fetched
    /// again at once and not only when the lease ends.
    pub(crate) async fn give_back(&self, account: &Account, id: &MessageId, token: uuid::Uuid) {
        let released = self.parts.mailbox.release(account, id, token, Timestamp::now()).await;
        if let Err(refusal) = released {
            // The reader may have closed or rejected the message meanwhile: that is as good.
            tracing::debug!(message = %id, code = refusal.code.as_str(), "the lease was not given back");
        }
    }
}

/// A port that is open.
pub struct Running {
    /// Its address; the real port where 0 was asked for.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends when the port is closed and its connections have drained, or the time for that is up.
    pub async fn finished(self) {
        // The task neither panics nor is it aborted; an error would mean the same: it is over.
        let _ = self.task.await;
    }
}

/// Which port a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Portals and authorities.
    Main,
    /// Operators.
    Operators,
}

impl Front {
    /// Fronts over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let room = gate::Room::new(&parts.limits);
        Self { core: Arc::new(Core { parts, room }) }
    }

    /// Opens the main port. Cancelling `stop` drains it: no new connections, requests in work
    /// end, watches are told to come back, and after `limits.drain` the rest is cut.
    ///
    /// # Errors
    /// [`FrontError::Bind`].
    pub async fn start(
        &self,
        addr: SocketAddr,
        tls: tls::Server,
        stop: CancellationToken,
    ) -> Result<Running, FrontError> {
        let gate = Gate { core: self.core.clone(), side: Side::Main };
        let router = grpc::main_routes(&self.core, &stop)
            .merge(https::routes(&self.core))
            .merge(xta::routes(&self.core));
        self.open(addr, tls, gate.around(router), stop).await
    }

    /// Opens the operators' port. `extra` holds the paths without an account of their own
    /// (`/metrics`, `/health/…`): they are served without a certificate on loopback, and to
    /// operators from elsewhere.
    ///
    /// # Errors
    /// [`FrontError::Bind`].
    pub async fn start_operators(
        &self,
        addr: SocketAddr,
        tls: tls::Server,
        extra: axum::Router,
        stop: CancellationToken,
    ) -> Result<Running, FrontError> {
        let gate = Gate { core: self.core.clone(), side: Side::Operators };
        let extra = extra.reset_fallback().layer(axum::middleware::from_fn(gate::open_path));
        let router = grpc::operator_routes(&self.core, &stop).merge(extra.reset_fallback());
        self.open(addr, tls, gate.around(router), stop).await
    }

    async fn open(
        &self,
        addr: SocketAddr,
        tls: tls::Server,
        router: axum::Router,
        stop: CancellationToken,
    ) -> Result<Running, FrontError> {
        let bound = |source| FrontError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bound)?;
        let real = listener.local_addr().map_err(bound)?;
        let limits = self.core.parts.limits.clone();
        let task = tokio::spawn(listen::serve(listener, tls, router, limits, stop));
        Ok(Running { addr: real, task })
    }
}

/// Octets of a receipt; ours have some thousand.
pub(crate) const MAX_RECEIPT: u64 = 1 << 20;
