//! What both sides know: the messages of a run, made from a seed, and how a record is told in a mark.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amtsweg::domain::record::ContentPlace;
use amtsweg::domain::{Digest, FactKind, MessageId, Placement, Record, Timestamp, Way};
use amtsweg::observe::Metrics;
use amtsweg::store::{
    AcceptPort, Acceptance, Encryption, NewMessage, OpenError, Opened, Retention, Secret, Settings, SoftKey,
    Staged, Store, StoreError,
};
use amtsweg::verify::{self, Came, Verifier, header::Rules, schema::Schemas, sign::Signer, trust::Trust};
use bytes::Bytes;

use crate::support::Draft;
use crate::support::pki::Pki;

/// Content above this goes to a file of its own.
const INLINE: usize = 8 << 10;
/// Endpoints in use.
pub const ENDPOINTS: usize = 4;

/// A folder for a run, in memory where the system has such a place: what is durable there is for the
/// records to say, not for the disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

/// The messages and the settings of a run.
pub struct World {
    folder: PathBuf,
    verifier: Verifier,
    signer: Signer,
    /// What is stored is encrypted, and messages that have ended are erased.
    pub sealed: bool,
}

/// There where a run's store is encrypted.
const SEALED: &str = "sealed";

pub fn endpoint(n: usize) -> String {
    format!("e{}", n % ENDPOINTS)
}

/// The author's UUID of message `n`.
pub fn uuid(n: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(0xa_0000 + n as u128)
}

/// A mark's short form of a record: what is not the store's own business, which counts a version when it
/// moves or drops content.
pub fn told(record: &Record) -> String {
    let mut record = record.clone();
    record.version = 0;
    record.changed_at = Timestamp(0);
    record.slot = None;
    record.facts.retain(|fact| fact.kind != FactKind::Erased);
    record.document.place = ContentPlace::Dropped;
    record.receipt.place = ContentPlace::Dropped;
    record.attachments.iter_mut().for_each(|a| a.content.place = ContentPlace::Dropped);
    Digest::of(format!("{record:?}").as_bytes()).to_string()
}

/// How long ago an end must lie for the content, and for the record to go.
pub const ERASE: Duration = Duration::from_secs(3600);
pub const FORGET: Duration = Duration::from_secs(36_000);

fn filling(n: usize, octets: usize) -> Vec<u8> {
    (0..octets).map(|at| b'a' + ((at * 7 + n) % 26) as u8).collect()
}

/// The attachments of message `n`: none, or a small one and one for a file of its own.
fn attachments(n: usize) -> Vec<Vec<u8>> {
    if n % 8 == 5 { vec![filling(n, 900), filling(n, INLINE + 3000)] } else { Vec::new() }
}

impl World {
    /// Makes certificates and the first `messages` messages.
    pub fn make(folder: &Path, messages: usize, sealed: bool) -> Self {
        if sealed {
            std::fs::write(folder.join(SEALED), "").unwrap();
        }
        Pki::make(&folder.join("pki"));
        std::fs::create_dir_all(folder.join("documents")).unwrap();
        let world = Self::at(folder);
        for n in 0..messages {
            std::fs::write(folder.join(format!("documents/{n}")), world.write(n, uuid(n))).unwrap();
        }
        world
    }

    /// Signs a document for message `n` under an author's UUID.
    pub fn write(&self, n: usize, uuid: uuid::Uuid) -> Bytes {
        let octets = if n % 8 == 3 { INLINE + 2000 } else { 20 + n * 13 % 700 };
        let content = String::from_utf8(filling(n, octets)).unwrap();
        let mut draft = Draft { uuid, content, ..Draft::default() };
        for (at, octets) in attachments(n).iter().enumerate() {
            draft = draft.attach(&format!("{at}.pdf"), octets);
        }
        draft.signed(&self.signer).into()
    }

    /// The same, made by somebody else.
    pub fn at(folder: &Path) -> Self {
        let pki = Pki(folder.join("pki"));
        let trust = Trust::load(&pki.file("signing-ca.pem"), Some(&pki.file("crl.pem"))).unwrap();
        let verifier = Verifier::new(verify::Settings {
            limits: verify::Limits::default(),
            rules: Arc::new(Rules::built_in()),
            schemas: Arc::new(Schemas::load(&[]).unwrap()),
            trust: Arc::new(trust),
        });
        let signer = pki.signer("signer");
        Self { folder: folder.to_owned(), verifier, signer, sealed: folder.join(SEALED).exists() }
    }

    /// Opens the store in `data`, with small segments so that many begin and end.
    pub fn open(&self, data: &Path) -> Result<Opened, OpenError> {
        let key = SoftKey::new(&Secret::of(&[7; 32]).unwrap()).unwrap();
        let on = Encryption { masters: vec![Arc::new(key)], on: true };
        let settings = Settings {
            encryption: if self.sealed { on } else { Encryption::default() },
            min_free: 0,
            inline_max: INLINE,
            ledger_segment: 64 << 10,
            content_segment: 96 << 10,
            check_budget: Duration::from_secs(20),
            // A fresh index whenever there is little in it.
            index_slack: 0,
            retention: Retention { closed: ERASE, returned: ERASE, metadata: FORGET, ledger: FORGET },
            ..Settings::new(data)
        };
        Store::open(settings, Metrics::default())
    }

    /// The signed document of message `n`.
    pub fn document(&self, n: usize) -> Bytes {
        std::fs::read(self.folder.join(format!("documents/{n}"))).unwrap().into()
    }

    /// Submits message `n` under the id `id`, which it gets if it is new.
    pub async fn accept(&self, store: &Store, n: usize, id: &MessageId) -> Result<Acceptance, StoreError> {
        let placement = Placement {
            authority: "stadt".parse().unwrap(),
            reader: "kop:06411000".parse().unwrap(),
            endpoint: endpoint(n).parse().unwrap(),
            way: Way::Push,
            rule: "test".to_owned(),
        };
        self.offer(store, n, id, self.document(n), placement).await
    }

    /// The same with a document and a way of the caller's own.
    pub async fn offer(
        &self,
        store: &Store,
        n: usize,
        id: &MessageId,
        document: Bytes,
        placement: Placement,
    ) -> Result<Acceptance, StoreError> {
        let mut staged: Vec<Staged> = Vec::new();
        for octets in attachments(n) {
            let mut stage = store.stage(1 << 20).await?;
            for chunk in octets.chunks(5000) {
                stage.write(Bytes::copy_from_slice(chunk)).await?;
            }
            staged.push(stage.finish().await?);
        }
        let came: Vec<Came> = staged.iter().map(|s| Came { size: s.len, sha256: s.sha256 }).collect();
        let at = Timestamp::now();
        let message = self.verifier.verify(document, &came, at).unwrap();
        let new = NewMessage {
            order: None,
            id: id.clone(),
            message,
            attachments: staged,
            account: "portal".parse().unwrap(),
            placement,
            receipt: Bytes::from(format!("<receipt n='{n}' id='{id}'/>")),
            at,
        };
        store.accept(new).await
    }
}
