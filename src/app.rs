//! The composition root: builds the rooms in order, swaps what a reload may swap, and takes all
//! down again in reverse order. Several gateways may live in one process.

mod check;
mod expiry;
mod live;
mod material;
mod rooms;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use check::{Report, check};
pub use expiry::Expiry;
pub use serve::serve;

use crate::backup::Keeper;
use crate::config::{Config, Fault};
use crate::front::{FrontError, Running};
use crate::observe::Metrics;
use crate::observe::health::Health;
use crate::proof::seal::Sealer;
use crate::store::{self, OpenError, Store};
use live::Live;
use material::Material;
use rooms::Rooms;

/// Time for what is left once requests and attempts have drained.
const LAST: Duration = Duration::from_secs(5);
/// Time between two looks whether something has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Faults of the configuration or of the files it names, all of them.
    #[error("the configuration has {} fault(s):{}", .0.len(), lines(.0))]
    Faults(Vec<Fault>),
    /// The store did not open.
    #[error("the store did not open: {0}")]
    Store(#[from] OpenError),
    /// Outbound calls can't be made.
    #[error("deliveries can't be made: {0}")]
    Deliver(String),
    /// A port could not be opened.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// The operating system said no.
    #[error("{what}: {source}")]
    System {
        /// While doing what.
        what: &'static str,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// The log could not be installed.
    #[error("{0}")]
    Log(String),
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |text, fault| text + "\n  " + &fault.to_string())
}

/// A running gateway.
pub struct App {
    live: Live,
    metrics: Metrics,
    health: Arc<Health>,
    store: Arc<Store>,
    sealer: Sealer,
    backups: Option<Arc<Keeper>>,
    main: Running,
    operators: Running,
    deliver: JoinHandle<()>,
    stop_main: CancellationToken,
    stop_deliver: CancellationToken,
    stop_operators: CancellationToken,
    drain: Duration,
}

impl App {
    /// Reads all files, opens the store (recovering it), begins to deliver, and opens the ports
    /// last: nothing is accepted before everything works.
    ///
    /// # Errors
    /// [`StartError`]; whatever had been started is stopped.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let began = Instant::now();
        let (config, material) = blocking("the configuration's files", move || {
            let material = Material::load(&config);
            (config, material)
        })
        .await?;
        let material = material.map_err(StartError::Faults)?;
        let metrics = Metrics::default();
        let store = open_store(&config, &material, &metrics).await?;
        Rooms { config, material, metrics, store }.start(began).await
    }

    /// The main port's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.main.addr
    }

    /// The operators' port's address.
    #[must_use]
    pub fn operators_addr(&self) -> SocketAddr {
        self.operators.addr
    }

    /// The gateway's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reads configuration, directory, schemas, trust, accounts and certificates again, and takes
    /// all of it or nothing. What needs a restart is named in the answer.
    ///
    /// # Errors
    /// All faults; everything stays as it was.
    pub async fn reload(&self) -> Result<Vec<&'static str>, Vec<Fault>> {
        let outcome = self.live.reload().await;
        self.metrics.reloaded(if outcome.is_ok() { "taken" } else { "refused" });
        outcome
    }

    /// Stops: no new connections, requests and attempts in work end (within `gateway.drain`, the
    /// rest is cut), then the operators' port closes, last the store. Nothing acknowledged is lost
    /// either way.
    pub async fn shutdown(self) {
        self.health.drain();
        self.stop_main.cancel();
        self.stop_deliver.cancel();
        let working = async { tokio::join!(self.main.finished(), self.deliver) };
        // The rooms keep to the bound themselves; this is for the case that one does not.
        if tokio::time::timeout(self.drain + LAST, working).await.is_err() {
            tracing::warn!("requests or attempts did not end in time; they are cut");
        }
        self.stop_operators.cancel();
        let _ = tokio::time::timeout(LAST, self.operators.finished()).await;
        if let Some(backups) = self.backups {
            let ended = async {
                while !backups.stop() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            // It is of no use without its end; what is left of it is cleared by the next one.
            let _ = tokio::time::timeout(LAST, ended).await;
        }
        // What has happened up to now is sealed before the folder is given back.
        let _ = tokio::task::spawn_blocking(|| self.sealer.stop()).await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StartError::System { what, source: std::io::Error::other(error) })
}
/// Opens the store and says what that took.
async fn open_store(
    config: &Config,
    material: &Material,
    metrics: &Metrics,
) -> Result<Arc<Store>, StartError> {
    let settings = store::Settings {
        min_free: config.store.min_free,
        ledger_segment: config.store.segment,
        content_segment: config.store.segment,
        index_cache: config.store.cache,
        encryption: store::Encryption { masters: material.masters.clone(), on: config.store.encryption.on },
        retention: config.store.retention,
        ..store::Settings::new(&config.gateway.data)
    };
    let metrics = metrics.clone();
    let opened = blocking("opening the store", move || Store::open(settings, metrics)).await??;
    let found = &opened.recovery;
    tracing::info!(
        stopped = ?found.stopped, messages = found.messages, frames = found.frames, applied = found.applied,
        rebuilt = found.rebuilt.as_deref().unwrap_or("no"), torn_octets = found.torn,
        milliseconds = u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX), "the store is open"
    );
    if found.missing > 0 {
        tracing::error!(
            frames = found.missing,
            "the index knew frames that the ledger has not: was a part of the data folder put back or removed?"
        );
    }
    Ok(opened.store)
}
