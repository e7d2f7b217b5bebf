//! Starts and stops a gateway without its command line: the rooms put together by hand, so that a
//! test can make any of them misbehave.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amtsweg::deliver::{self, Deliver, OutboundTls, Steer};
use amtsweg::domain::{Account, Quota, Role};
use amtsweg::front::tls::{ClientAuth, Files, Server};
use amtsweg::front::{self, Accounts, Front, Limits, Running};
use amtsweg::intake::{self, Intake};
use amtsweg::mailbox::Mailbox;
use amtsweg::observe::Metrics;
use amtsweg::proof::Prover;
use amtsweg::proof::seal::{self, Sealer};
use amtsweg::route::Directory;
use amtsweg::store::{Settings, Store};
use amtsweg::verify::{self, Verifier, header::Rules, schema::Schemas, trust::Trust};
use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::pki::Pki;

/// What a test may want otherwise.
#[derive(Clone)]
pub struct Options {
    pub limits: Limits,
    pub quota: Quota,
    /// Octets of the disk that must stay free.
    pub min_free: u64,
    /// The file with the signers' revocation list.
    pub crl: &'static str,
    /// The file with the clients' revocation list.
    pub client_crl: Option<&'static str>,
    /// Paths and policies of XTA.
    pub xta: front::xta::Settings,
    /// The gateway's name in the ids that it gives.
    pub name: &'static str,
    /// A directory of its own.
    pub directory: Option<PathBuf>,
    /// The worker that pushes is running.
    pub pushes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            quota: Quota { in_flight: 64, messages_per_minute: 10_000, message_octets: 200 << 20 },
            min_free: 0,
            crl: "crl.pem",
            client_crl: None,
            xta: front::xta::Settings::default(),
            name: "probe",
            directory: None,
            pushes: false,
        }
    }
}

/// A running gateway.
pub struct Gateway {
    pub pki: Pki,
    pub addr: SocketAddr,
    pub operators: SocketAddr,
    pub store: Arc<Store>,
    pub accounts: Arc<ArcSwap<Accounts>>,
    stop: CancellationToken,
    running: [Running; 2],
    worker: Option<tokio::task::JoinHandle<()>>,
    sealer: Sealer,
    _folder: Option<tempfile::TempDir>,
}

pub fn hesse() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/hessen")
}

/// The directory of Hesse in `folder`, with its endpoints changed.
pub fn hesse_in(folder: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for file in std::fs::read_dir(hesse()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let endpoints = folder.join("endpoints.toml");
    let text = std::fs::read_to_string(&endpoints).unwrap();
    std::fs::write(&endpoints, change(text)).unwrap();
    folder.to_owned()
}

fn accounts(pki: &Pki, quota: Quota) -> Accounts {
    let account = |name: &str, role: Role, identifiers: &[&str]| {
        let identifiers = identifiers.iter().map(|id| id.parse().unwrap()).collect();
        let account =
            Account { name: name.parse().unwrap(), roles: vec![role], identifiers, quota, xades: false };
        (pki.fingerprint(name), account)
    };
    Accounts::new([
        account("portal", Role::Portal, &["psw:portal"]),
        account("portal2", Role::Portal, &["psw:portal2"]),
        account("authority", Role::Authority, &["kop:06534014"]),
        account("authority2", Role::Authority, &["kop:06631013"]),
        account("operator", Role::Operator, &[]),
        // Another gateway that pushes here: its client certificate is the one it serves with.
        account("server", Role::Portal, &["psw:portal", "psw:portal2"]),
    ])
}

fn verifier(pki: &Pki, crl: &str) -> Verifier {
    let trust = Trust::load(&pki.file("signing-ca.pem"), Some(&pki.file(crl))).unwrap();
    Verifier::new(verify::Settings {
        limits: verify::Limits::default(),
        rules: Arc::new(Rules::built_in()),
        schemas: Arc::new(Schemas::load(&[]).unwrap()),
        trust: Arc::new(trust),
    })
}

/// The rooms over a store, up to the fronts, and the worker that pushes.
fn rooms(
    pki: &Pki,
    options: &Options,
    store: &Arc<Store>,
    accounts: Arc<ArcSwap<Accounts>>,
    metrics: Metrics,
    proofs: Arc<Prover>,
) -> (Front, Arc<Deliver>) {
    let folder = options.directory.clone().unwrap_or_else(hesse);
    let directory = Arc::new(ArcSwap::from_pointee(Directory::load(&folder).unwrap()));
    let intake = Intake::new(intake::Parts {
        gateway: options.name.to_owned(),
        identifier: "gw:probe".parse().unwrap(),
        verifier: Arc::new(ArcSwap::from_pointee(verifier(pki, options.crl))),
        directory: directory.clone(),
        accept: store.clone(),
        read: store.clone(),
        signer: Arc::new(pki.signer("signer")),
        metrics: metrics.clone(),
    });

    let tls = OutboundTls {
        ca: pki.file("ca.pem"),
        certificate: pki.file("server.pem"),
        key: pki.file("server.key"),
    };
    let deliver = Deliver::new(deliver::Parts {
        instance: format!("{}-1", options.name),
        identifier: "gw:probe".parse().unwrap(),
        read: store.clone(),
        change: store.clone(),
        directory: directory.clone(),
        tls,
        allow_private: true,
        metrics: metrics.clone(),
    })
    .unwrap();
    let front = Front::new(front::Parts {
        intake: Arc::new(intake),
        mailbox: Arc::new(Mailbox::new(store.clone(), store.clone(), directory.clone())),
        steer: Arc::new(Steer::new(store.clone(), store.clone(), directory.clone())),
        deliver: deliver.clone(),
        accept: store.clone(),
        read: store.clone(),
        directory,
        accounts,
        metrics,
        proofs,
        backups: None,
        limits: options.limits.clone(),
        xta: Arc::new(options.xta.clone()),
    });
    (front, deliver)
}

impl Gateway {
    /// One of its own folder, which goes with it.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::make(&folder.path().join("pki"));
        let mut gateway = Self::start_in(folder.path(), pki, options).await;
        gateway._folder = Some(folder);
        gateway
    }

    /// One in `folder`, with certificates that are there already.
    pub async fn start_in(folder: &Path, pki: Pki, options: Options) -> Self {
        let metrics = Metrics::default();
        let mut settings = Settings::new(folder.join("store"));
        settings.min_free = options.min_free;
        let store = Store::open(settings, metrics.clone()).unwrap().store;
        let accounts = Arc::new(ArcSwap::from_pointee(accounts(&pki, options.quota)));
        let data = folder.join("store");
        let signer = Arc::new(pki.signer("signer"));
        let seal = seal::Settings::new(&data, options.name);
        let sealer = Sealer::start(seal, store.clone(), signer, metrics.clone()).unwrap();
        let proofs = Arc::new(Prover::new(data, store.clone(), &sealer));
        let (front, deliver) = rooms(&pki, &options, &store, accounts.clone(), metrics, proofs);
        let files = Files {
            certificate: pki.file("server.pem"),
            key: pki.file("server.key"),
            client_ca: pki.file("ca.pem"),
            client_crls: options.client_crl.map(|name| pki.file(name)),
        };
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let stop = CancellationToken::new();
        let worker = options.pushes.then(|| tokio::spawn(deliver.run(stop.clone())));
        let main = Server::load(files.clone(), ClientAuth::Required).unwrap();
        let main = front.start(any, main, stop.clone()).await.unwrap();
        let open = axum::Router::new().route("/health/live", axum::routing::get(|| async { "alive" }));
        let operators = Server::load(files, ClientAuth::Optional).unwrap();
        let operators = front.start_operators(any, operators, open, stop.clone()).await.unwrap();
        Self {
            pki,
            addr: main.addr,
            operators: operators.addr,
            store,
            accounts,
            stop,
            running: [main, operators],
            worker,
            sealer,
            _folder: None,
        }
    }

    /// Drains both ports and closes the store.
    pub async fn stop(self) {
        self.stop.cancel();
        for running in self.running {
            running.finished().await;
        }
        if let Some(worker) = self.worker {
            worker.await.unwrap();
        }
        self.sealer.stop();
        self.store.close().await;
    }
}
