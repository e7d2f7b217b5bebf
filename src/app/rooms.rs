//! Builds the rooms over one another: store, directory and verifier below, then intake, mailbox
//! and delivery, the two ports on top.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::live::{Live, validities};
use super::material::Material;
use super::{App, StartError};
use crate::backup::Keeper;
use crate::config::Config;
use crate::deliver::{self, Deliver, OutboundTls, Steer, opinion};
use crate::front::{self, Accounts, Front};
use crate::intake::{self, Intake};
use crate::mailbox::Mailbox;
use crate::observe::Metrics;
use crate::observe::health::Health;
use crate::observe::http;
use crate::observe::scrape::Sources;
use crate::proof::Prover;
use crate::proof::seal::{self, Sealer};
use crate::store::{AcceptPort, ChangePort, FLOOR, LedgerPort, ReadPort, Store};
use crate::verify::sign::Signer;

/// What the rooms are built from.
pub struct Rooms {
    pub config: Config,
    pub material: Material,
    pub metrics: Metrics,
    pub store: Arc<Store>,
}

/// The store's three sides.
struct Ports {
    accept: Arc<dyn AcceptPort>,
    change: Arc<dyn ChangePort>,
    read: Arc<dyn ReadPort>,
}

/// What is stopped after the fronts.
struct Below {
    store: Arc<Store>,
    sealer: Sealer,
    backups: Option<Arc<Keeper>>,
}

impl Rooms {
    /// Builds and starts everything; on a failure closes the store again.
    pub async fn start(self, began: Instant) -> Result<App, StartError> {
        let store = Arc::clone(&self.store);
        match self.build().await {
            Ok(app) => {
                let took = began.elapsed();
                tracing::info!(
                    address = %app.addr(), operators = %app.operators_addr(),
                    milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    version = env!("CARGO_PKG_VERSION"), "the gateway is up"
                );
                Ok(app)
            }
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    async fn build(self) -> Result<App, StartError> {
        let Self { config, material, metrics, store } = self;
        let ports = Ports {
            accept: Arc::clone(&store) as Arc<dyn AcceptPort>,
            change: Arc::clone(&store) as Arc<dyn ChangePort>,
            read: Arc::clone(&store) as Arc<dyn ReadPort>,
        };
        let directory = Arc::new(ArcSwap::from_pointee(material.directory));
        let verifier = Arc::new(ArcSwap::from_pointee(material.verifier));
        let accounts = Arc::new(ArcSwap::from_pointee(Accounts::new(material.accounts)));
        let deliver = build_deliver(&config, &ports, &directory, &metrics)?;
        let signer = Arc::new(material.signer);
        let (sealer, proofs) = build_proof(&config, &store, &signer, &metrics)?;
        let intake = Intake::new(intake::Parts {
            gateway: config.gateway.name.clone(),
            identifier: config.gateway.identifier.clone(),
            verifier: Arc::clone(&verifier),
            directory: Arc::clone(&directory),
            accept: Arc::clone(&ports.accept),
            read: Arc::clone(&ports.read),
            signer,
            metrics: metrics.clone(),
        });
        let side =
            |ports: &Ports| (Arc::clone(&ports.read), Arc::clone(&ports.change), Arc::clone(&directory));
        let (read, change, current) = side(&ports);
        let mailbox = Mailbox::new(read, change, current);
        let (read, change, current) = side(&ports);
        let steer = Steer::new(read, change, current);
        let backups = build_backups(&config, &store).await?;
        let front = Front::new(front::Parts {
            intake: Arc::new(intake),
            mailbox: Arc::new(mailbox),
            steer: Arc::new(steer),
            deliver: Arc::clone(&deliver),
            accept: Arc::clone(&ports.accept),
            read: Arc::clone(&ports.read),
            directory: Arc::clone(&directory),
            accounts: Arc::clone(&accounts),
            metrics: metrics.clone(),
            proofs,
            backups: backups.clone(),
            limits: front_limits(&config),
            xta: Arc::new(config.xta.clone()),
        });
        let live = Live {
            verifier,
            directory,
            accounts,
            validities: Arc::new(ArcSwap::from_pointee(validities(&config))),
            tls: material.tls,
            operators_tls: material.operators_tls,
            deliver,
            store: Arc::clone(&store),
            one: tokio::sync::Mutex::default(),
            config: ArcSwap::from_pointee(config),
        };
        open_ports(live, front, ports, metrics, Below { store, sealer, backups }).await
    }
}

/// The thread that signs checkpoints, and who makes proofs from them.
fn build_proof(
    config: &Config,
    store: &Arc<Store>,
    signer: &Arc<Signer>,
    metrics: &Metrics,
) -> Result<(Sealer, Arc<Prover>), StartError> {
    let settings = seal::Settings {
        every: config.proof.every,
        events: config.proof.events,
        ..seal::Settings::new(&config.gateway.data, &config.gateway.name)
    };
    let ledger = || Arc::clone(store) as Arc<dyn LedgerPort>;
    let sealer = Sealer::start(settings, ledger(), Arc::clone(signer), metrics.clone())
        .map_err(|source| StartError::System { what: "starting the sealer", source })?;
    let proofs = Prover::new(config.gateway.data.clone(), ledger(), &sealer);
    Ok((sealer, Arc::new(proofs)))
}

/// Who makes backups, where the configuration names a folder for them.
async fn build_backups(config: &Config, store: &Arc<Store>) -> Result<Option<Arc<Keeper>>, StartError> {
    let Some(folder) = config.backup.clone() else { return Ok(None) };
    let (data, ledger) = (config.gateway.data.clone(), Arc::clone(store) as Arc<dyn LedgerPort>);
    let looked = super::blocking("looking for backups", move || Keeper::new(data, folder, ledger)).await?;
    Ok(Some(Arc::new(looked)))
}

fn build_deliver(
    config: &Config,
    ports: &Ports,
    directory: &Arc<ArcSwap<crate::route::Directory>>,
    metrics: &Metrics,
) -> Result<Arc<Deliver>, StartError> {
    Deliver::new(deliver::Parts {
        // Unique per start: claims of an earlier run are told apart from this one's.
        instance: format!("{}-{}", config.gateway.name, uuid::Uuid::new_v4().simple()),
        identifier: config.gateway.identifier.clone(),
        read: Arc::clone(&ports.read),
        change: Arc::clone(&ports.change),
        directory: Arc::clone(directory),
        tls: OutboundTls {
            ca: config.delivery.ca.clone(),
            certificate: config.delivery.pair.certificate.clone(),
            key: config.delivery.pair.key.path().to_owned(),
        },
        allow_private: config.delivery.allow_private,
        metrics: metrics.clone(),
    })
    .map_err(StartError::Deliver)
}

/// Opens the operators' port, then the main port, then begins to deliver: what can fail comes
/// first.
async fn open_ports(
    live: Live,
    front: Front,
    ports: Ports,
    metrics: Metrics,
    Below { store, sealer, backups }: Below,
) -> Result<App, StartError> {
    let config = live.config.load_full();
    let watched = Arc::clone(&store);
    let closed = Box::new(move || watched.closed());
    let min_free = config.store.min_free.max(FLOOR);
    let health = Arc::new(Health::new(closed, config.gateway.data.clone(), min_free));
    let sources = Sources {
        metrics: metrics.clone(),
        read: Arc::clone(&ports.read),
        deliver: Arc::clone(&live.deliver),
        health: Arc::clone(&health),
        validities: Arc::clone(&live.validities),
        backups: backups.clone(),
    };
    let stop = CancellationToken::new;
    let (stop_operators, stop_main, stop_deliver) = (stop(), stop(), stop());
    let extra = http::router(Arc::new(sources));
    let tls = live.operators_tls.clone();
    let operators =
        front.start_operators(config.listen.operators, tls, extra, stop_operators.clone()).await?;
    let main = match front.start(config.listen.address, live.tls.clone(), stop_main.clone()).await {
        Ok(main) => main,
        Err(error) => {
            stop_operators.cancel();
            operators.finished().await;
            return Err(error.into());
        }
    };
    let delivering = Arc::clone(&live.deliver).run(stop_deliver.clone());
    let asking = second_opinions(Arc::clone(&config), ports, metrics.clone(), stop_deliver.clone());
    let deliver = tokio::spawn(async move {
        tokio::join!(delivering, asking);
    });
    let drain = config.gateway.drain;
    Ok(App {
        live,
        metrics,
        health,
        store,
        sealer,
        backups,
        main,
        operators,
        deliver,
        stop_main,
        stop_deliver,
        stop_operators,
        drain,
    })
}

/// Asks for second opinions, where the configuration says whom.
async fn second_opinions(config: Arc<Config>, ports: Ports, metrics: Metrics, stop: CancellationToken) {
    let Some(settings) = config.second_opinion.clone() else { return };
    let parts = opinion::Parts { read: ports.read, change: ports.change, settings, metrics };
    opinion::run(parts, stop).await;
}

/// The fronts' bounds as the configuration has them.
fn front_limits(config: &Config) -> front::Limits {
    let limits = &config.limits;
    front::Limits {
        connections: limits.connections,
        handshake: limits.handshake,
        headers: limits.header,
        stall: limits.body,
        requests: limits.requests,
        memory_octets: limits.buffered,
        document_octets: u64::try_from(limits.document.octets).unwrap_or(u64::MAX),
        attachment_octets: limits.attachment,
        attachments: limits.document.attachments,
        drain: config.gateway.drain,
        ..front::Limits::default()
    }
}
