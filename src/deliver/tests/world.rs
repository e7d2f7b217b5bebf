//! A gateway's surroundings for tests: keys, a store in a temporary folder, a directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::deliver::{Deliver, OutboundTls, Parts, Steer};
use crate::domain::{
    Account, DeclaredAttachment, Digest, MessageId, Placement, Quota, Record, Role, State, Timestamp, Way,
};
use crate::mailbox::Mailbox;
use crate::observe::Metrics;
use crate::route::{Directory, Files};
use crate::store::{
    AcceptPort, Acceptance, ChangePort, Encryption, NewMessage, NewOrder, ReadPort, Secret, Settings,
    SoftKey, Staged, Store,
};
use crate::verify::Verified;

/// How long a condition may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything around the worker.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) directory: Arc<ArcSwap<Directory>>,
    pub(crate) tls: OutboundTls,
    pub(crate) server: (PathBuf, PathBuf),
    pub(crate) allow_private: bool,
    /// What the authority's server offers.
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// A running worker; stopped (but not waited for) when dropped.
pub(crate) struct Running {
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

/// A push endpoint's table with short times.
pub(crate) fn push(id: &str, url: &str, more: &str) -> String {
    format!(
        "[[endpoint]]\nid = \"{id}\"\nkind = \"push\"\nurl = \"{url}\"\n\
         backoff_min = \"10ms\"\nbackoff_max = \"80ms\"\ntimeout = \"1s\"\n{more}\n"
    )
}

/// A mailbox's table.
pub(crate) fn pull(id: &str) -> String {
    format!("[[endpoint]]\nid = \"{id}\"\nkind = \"mailbox\"\nlease = \"60s\"\n")
}

/// A directory with the authorities `stadt` (endpoint `push`), `kreis` (`pull`), `land` (`other`)
/// and `dorf` (none), as far as `endpoints` has them.
pub(crate) fn directory(endpoints: &str) -> Directory {
    let connected =
        |id: &str| if endpoints.contains(&format!("id = \"{id}\"")) { id.to_owned() } else { String::new() };
    let (a, b, c) = (connected("push"), connected("pull"), connected("other"));
    let files = Files {
        areas: "ars;name;kind;valid_from;valid_to;successor\n06;Hessen;Land;;;\n".into(),
        services: "service;name\n99102013104000;Hundesteuer\n".into(),
        authorities: format!(
            "authority;name;identifiers;endpoint\nstadt;Stadt;kop:1 ags:1;{a}\nkreis;Kreis;kop:2 ags:2;{b}\n\
             land;Land;kop:3;{c}\ndorf;Dorf;kop:4;\n"
        ),
        competences: "authority;service;area;valid_from;valid_to\nkreis;99102013104000;06;;\n".into(),
        endpoints: endpoints.into(),
    };
    Directory::parse(&files).unwrap()
}

impl World {
    pub(crate) fn new(endpoints: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tls, server) = keys(&folder);
        let settings = Settings { min_free: 0, ..Settings::new(folder.path().join("store")) };
        let store = Store::open(settings, Metrics::default()).unwrap().store;
        let directory = Arc::new(ArcSwap::from_pointee(directory(endpoints)));
        Self {
            folder,
            store,
            directory,
            tls,
            server,
            allow_private: true,
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }

    /// Two worlds: in one the authority speaks HTTP 2, in the other only HTTP 1.1.
    pub(crate) fn both() -> [Self; 2] {
        [Self::new(""), Self { alpn: vec![b"http/1.1".to_vec()], ..Self::new("") }]
    }

    /// Takes a new store that is encrypted.
    pub(crate) fn encrypt(&mut self) {
        let master = SoftKey::new(&Secret::of(&[1; 32]).unwrap()).unwrap();
        let encryption = Encryption { masters: vec![Arc::new(master)], on: true };
        let settings =
            Settings { min_free: 0, encryption, ..Settings::new(self.folder.path().join("sealed")) };
        self.store = Store::open(settings, Metrics::default()).unwrap().store;
    }

    /// Swaps the directory.
    pub(crate) fn set(&self, endpoints: &str) {
        self.directory.store(Arc::new(directory(endpoints)));
    }

    pub(crate) fn parts(&self, instance: &str) -> Parts {
        Parts {
            instance: instance.into(),
            identifier: "gw:probe".parse().unwrap(),
            read: self.store.clone(),
            change: self.store.clone(),
            directory: self.directory.clone(),
            tls: self.tls.clone(),
            allow_private: self.allow_private,
            metrics: Metrics::default(),
        }
    }

    pub(crate) fn start(&self) -> Running {
        run(self.parts("gateway-1"))
    }

    pub(crate) fn steer(&self) -> Steer {
        Steer::new(self.store.clone(), self.store.clone(), self.directory.clone())
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.store.clone(), self.store.clone(), self.directory.clone())
    }

    /// A message for `push` (kop:1), accepted now.
    pub(crate) async fn pushed(&self, n: u64) -> MessageId {
        self.accept(n, placement("stadt", "push", "kop:1", Way::Push), b"<antrag/>", &[], Timestamp::now())
            .await
    }

    /// A message for the mailbox (kop:2), accepted now.
    pub(crate) async fn laid(&self, n: u64) -> MessageId {
        self.accept(n, placement("kreis", "pull", "kop:2", Way::Pull), b"<antrag/>", &[], Timestamp::now())
            .await
    }

    pub(crate) async fn accept(
        &self,
        n: u64,
        placement: Placement,
        document: &[u8],
        attachments: &[&[u8]],
        at: Timestamp,
    ) -> MessageId {
        self.accept_order(n, placement, document, attachments, at, None).await
    }

    /// The same with the transport order that it came with.
    pub(crate) async fn accept_order(
        &self,
        n: u64,
        placement: Placement,
        document: &[u8],
        attachments: &[&[u8]],
        at: Timestamp,
        order: Option<NewOrder>,
    ) -> MessageId {
        let template = crate::domain::delivery::tests::record(placement.way, u128::from(n) + 1);
        let mut staged: Vec<Staged> = Vec::new();
        let mut declared = Vec::new();
        for (number, octets) in attachments.iter().enumerate() {
            let mut writer = self.store.stage(1 << 30).await.unwrap();
            for chunk in octets.chunks(10_000) {
                writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            staged.push(writer.finish().await.unwrap());
            declared.push(DeclaredAttachment {
                name: format!("Anlage {number} ü.pdf"),
                media_type: "application/pdf".into(),
                size: octets.len() as u64,
                sha256: Digest::of(octets),
            });
        }
        let octets = Bytes::copy_from_slice(document);
        let new = NewMessage {
            id: template.id.clone(),
            order,
            message: Verified::for_tests(octets, template.header, template.signer, declared),
            attachments: staged,
            account: "portal".parse().unwrap(),
            placement,
            receipt: Bytes::from_static(b"<quittung/>"),
            at,
        };
        match self.store.accept(new).await.unwrap() {
            Acceptance::New(record) => record.id.clone(),
            Acceptance::Again(_) => panic!("accepted twice"),
        }
    }

    pub(crate) async fn record(&self, id: &MessageId) -> Arc<Record> {
        self.store.get(id).await.unwrap().unwrap()
    }

    /// Waits until the message is in the state of this name.
    pub(crate) async fn until(&self, id: &MessageId, state: &str) -> Arc<Record> {
        self.until_that(id, |record| record.state.name() == state).await
    }

    /// Waits until the message is so.
    pub(crate) async fn until_that(&self, id: &MessageId, holds: impl Fn(&Record) -> bool) -> Arc<Record> {
        let began = Instant::now();
        loop {
            let record = self.record(id).await;
            if holds(&record) {
                return record;
            }
            assert!(began.elapsed() < PATIENCE, "still {:?}: {:#?}", record.state, record.facts);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Changes a record as the worker would.
    pub(crate) async fn act(
        &self,
        id: &MessageId,
        action: crate::domain::Action,
        now: Timestamp,
    ) -> Arc<Record> {
        let record = self.record(id).await;
        let next = crate::domain::delivery::step(&record, action, now).unwrap();
        self.store.commit(next).await.unwrap()
    }
}

/// Starts a worker.
pub(crate) fn run(parts: Parts) -> Running {
    let deliver = Deliver::new(parts).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(deliver.clone().run(stop.clone()));
    Running { deliver, stop, task }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn placement(authority: &str, endpoint: &str, reader: &str, way: Way) -> Placement {
    Placement {
        authority: authority.parse().unwrap(),
        reader: reader.parse().unwrap(),
        endpoint: endpoint.parse().unwrap(),
        way,
        rule: "test".into(),
    }
}

pub(crate) fn account(name: &str, role: Role, identifiers: &[&str]) -> Account {
    Account {
        name: name.parse().unwrap(),
        roles: vec![role],
        identifiers: identifiers.iter().map(|identifier| identifier.parse().unwrap()).collect(),
        quota: Quota { in_flight: 9, messages_per_minute: 9, message_octets: 9 },
        xades: false,
    }
}

/// The details of all facts, for messages of assertions.
pub(crate) fn details(record: &Record) -> String {
    let told: Vec<_> =
        record.facts.iter().map(|fact| format!("{} {}", fact.kind.as_str(), fact.detail)).collect();
    told.join("\n")
}

pub(crate) fn is_queued(record: &Record) -> bool {
    matches!(record.state, State::Queued { .. })
}

/// A CA, the gateway's client certificate and the authority's server certificate.
fn keys(folder: &TempDir) -> (OutboundTls, (PathBuf, PathBuf)) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let issue = |name: &str, hosts: &[&str], usage| {
        let mut params =
            CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        (write(&format!("{name}.pem"), certificate.pem()), write(&format!("{name}.key"), key.serialize_pem()))
    };
    let server = issue("server", &["localhost", "127.0.0.1", "::1"], ExtendedKeyUsagePurpose::ServerAuth);
    let (certificate, key) = issue("gateway", &["gateway"], ExtendedKeyUsagePurpose::ClientAuth);
    (OutboundTls { ca: write("ca.pem", ca.pem()), certificate, key }, server)
}
