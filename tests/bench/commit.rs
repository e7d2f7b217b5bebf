//! Synced commits per second through the store's ports, 64 clients at once, against the same
//! clients handing records of a like size to one appender that writes and syncs what is there,
//! on the same disk, in the same run: `cargo bench --bench commit` (`-- --folder DIR` chooses
//! the disk; the default is `target/`). Rounds alternate; the median counts. An acceptance writes
//! document, receipt and record in two files, one synced after the other; its peer writes as many
//! octets at once. The peer of a change writes 1 KB. Behind it stands what encryption costs: in each
//! round as many messages go to a second store that is encrypted, before or after the plain one in turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on stops, as a test"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use amtsweg::domain::delivery::step;
use amtsweg::domain::{Action, Claim, MessageId, Placement, Record, Timestamp, Way};
use amtsweg::observe::Metrics;
use amtsweg::store::{
    AcceptPort, Acceptance, ChangePort, Encryption, NewMessage, Secret, Settings, SoftKey, Store,
};
use amtsweg::verify::header::Rules;
use amtsweg::verify::schema::Schemas;
use amtsweg::verify::sign::{Profile, Signer};
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{self, Limits, Verified, Verifier};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

const CLIENTS: usize = 64;
const ROUNDS: usize = 15;
/// Messages accepted in a round.
const MESSAGES: usize = 3000;
/// Changes of each message in a round.
const CHANGES: u64 = 3;
/// How long the appender works in a round.
const SPAN: Duration = Duration::from_secs(2);
/// Octets of a change: about a frame of the ledger.
const RECORD: usize = 1024;
/// Octets of a receipt.
const RECEIPT: usize = 1500;

/// 64 threads, one appender: records per second.
fn raw(folder: &Path, octets: usize) -> f64 {
    let (to, from) = sync_channel::<SyncSender<()>>(1024);
    let mut file = File::create(folder.join("raw")).unwrap();
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let to = to.clone();
            std::thread::spawn(move || {
                let (done, wait) = sync_channel(1);
                let mut count = 0_u32;
                while began.elapsed() < SPAN {
                    to.send(done.clone()).unwrap();
                    wait.recv().unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    drop(to);
    append(&mut file, &from, octets);
    let took = began.elapsed().as_secs_f64();
    let records: u32 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    f64::from(records) / took
}

fn append(file: &mut File, from: &Receiver<SyncSender<()>>, octets: usize) {
    let record = vec![7_u8; octets];
    while let Ok(first) = from.recv() {
        let mut group = vec![first];
        group.extend(from.try_iter());
        file.write_all(&record.repeat(group.len())).unwrap();
        file.sync_data().unwrap();
        group.into_iter().for_each(|done| done.send(()).unwrap());
    }
}

/// Signed and verified messages, made before the clock runs.
fn messages(signer: &Signer, verifier: &Verifier, count: usize) -> Vec<(Verified, uuid::Uuid)> {
    (0..count)
        .map(|_| {
            let uuid = uuid::Uuid::new_v4();
            let signed = signer.sign(application(uuid).as_bytes(), Profile::default()).unwrap();
            (verifier.verify(Bytes::from(signed), &[], Timestamp::now()).unwrap(), uuid)
        })
        .collect()
}

fn application(uuid: uuid::Uuid) -> String {
    let list = "urn:xoev-de:amtsweg:codeliste";
    format!(
        r#"<a:antrag.einreichen.0100 xmlns:a="urn:xoev-de:amtsweg:standard:antrag_1.0" standard="Antrag" version="1.0" produkt="Probe" produkthersteller="Probe">
  <nachrichtenkopf.g2g>
    <identifikation.nachricht>
      <nachrichtenUUID>{uuid}</nachrichtenUUID>
      <nachrichtentyp listURI="{list}:nachrichtentyp" listVersionID="1"><code>0100</code></nachrichtentyp>
      <erstellungszeitpunkt>2026-05-01T10:00:00.000+02:00</erstellungszeitpunkt>
    </identifikation.nachricht>
    <autor>
      <verzeichnisdienst listURI="{list}:verzeichnisdienst" listVersionID="1"><code>dvdv</code></verzeichnisdienst>
      <kennung>psw:06000001</kennung>
      <name>Portal der Probe</name>
    </autor>
  </nachrichtenkopf.g2g>
  <a:leistung>99102013104000</a:leistung>
  <a:gebiet>065340014014</a:gebiet>
  <a:fachdaten><hund xmlns="urn:example:hundesteuer">Bello</hund></a:fachdaten>
</a:antrag.einreichen.0100>"#
    )
}

/// A signer, and the anchor it leads to.
fn signer() -> (Signer, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let anchor = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    (Signer::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap(), anchor)
}

fn new_message(message: Verified, uuid: uuid::Uuid) -> NewMessage {
    NewMessage {
        id: MessageId::new("bench", uuid).unwrap(),
        message,
        attachments: Vec::new(),
        account: "portal".parse().unwrap(),
        placement: Placement {
            authority: "marburg".parse().unwrap(),
            reader: "kop:06534014".parse().unwrap(),
            endpoint: "marburg".parse().unwrap(),
            way: Way::Push,
            rule: "the municipality is competent".to_owned(),
        },
        receipt: Bytes::from(vec![b'r'; RECEIPT]),
        order: None,
        at: Timestamp::now(),
    }
}

/// Runs `work` for each share of `items` at once; gives all results and the time.
async fn at_once<T: Send + 'static, R: Send + 'static, F>(
    items: Vec<T>,
    work: impl Fn(Vec<T>) -> F,
) -> (Vec<R>, f64)
where
    F: Future<Output = Vec<R>> + Send + 'static,
{
    let share = items.len().div_ceil(CLIENTS);
    let mut items = items.into_iter();
    let shares: Vec<Vec<T>> = (0..CLIENTS).map(|_| items.by_ref().take(share).collect()).collect();
    let began = Instant::now();
    let tasks: Vec<_> = shares.into_iter().map(|share| tokio::spawn(work(share))).collect();
    let mut out = Vec::new();
    for task in tasks {
        out.extend(task.await.unwrap());
    }
    (out, began.elapsed().as_secs_f64())
}

async fn accepts(store: &Arc<Store>, messages: Vec<(Verified, uuid::Uuid)>) -> (Vec<Arc<Record>>, f64) {
    let count = messages.len() as f64;
    let (records, took) = at_once(messages, |share| {
        let store = Arc::clone(store);
        async move {
            let mut out = Vec::new();
            for (message, uuid) in share {
                let accepted = store.accept(new_message(message, uuid)).await.unwrap();
                let Acceptance::New(record) = accepted else { panic!("the message is new") };
                out.push(record);
            }
            out
        }
    })
    .await;
    (records, count / took)
}

/// Claims, each after the one before ran out: one change of state and due time each.
async fn changes(store: &Arc<Store>, records: Vec<Arc<Record>>) -> f64 {
    let (done, took) = at_once(records, |share| {
        let store = Arc::clone(store);
        async move {
            let mut out = Vec::new();
            for mut record in share {
                for _ in 0..CHANGES {
                    let now = Timestamp(record.changed_at.0 + 1000);
                    let until = Timestamp(now.0 + 10);
                    let claim = Claim { owner: "bench".to_owned(), token: uuid::Uuid::new_v4(), until };
                    record = store.commit(step(&record, Action::Claim(claim), now).unwrap()).await.unwrap();
                    out.push(());
                }
            }
            out
        }
    })
    .await;
    done.len() as f64 / took
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip_while(|a| a != "--folder").skip(1);
    let parent =
        arguments.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    // The build may have another place.
    std::fs::create_dir_all(&parent).unwrap();
    let folder = tempfile::tempdir_in(parent).unwrap();
    let (signer, anchor) = signer();
    let verifier = Verifier::new(verify::Settings {
        limits: Limits::default(),
        rules: Arc::new(Rules::built_in()),
        schemas: Arc::new(Schemas::load(&[]).unwrap()),
        trust: Arc::new(Trust::from_octets(anchor.as_bytes(), &[]).unwrap()),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let open = |name: &str, encryption| {
        let settings = Settings { encryption, ..Settings::new(folder.path().join(name)) };
        Store::open(settings, Metrics::default()).unwrap().store
    };
    let store = open("store", Encryption::default());
    let key = SoftKey::new(&Secret::random().unwrap()).unwrap();
    let sealed = open("sealed", Encryption { masters: vec![Arc::new(key)], on: true });
    println!(
        "{:>6}{:>12}{:>12}{:>8}{:>12}{:>12}{:>8}{:>14}{:>8}{:>14}{:>8}",
        "round",
        "raw/s",
        "accepts/s",
        "ratio",
        "raw/s",
        "changes/s",
        "ratio",
        "sealed acc./s",
        "ratio",
        "changes/s",
        "ratio"
    );
    let (mut of_accepts, mut of_changes) = (Vec::new(), Vec::new());
    let (mut sealed_accepts, mut sealed_changes) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let messages = messages(&signer, &verifier, MESSAGES);
        let octets = messages.first().map_or(0, |(m, _)| m.octets().len()) + RECEIPT + RECORD;
        let large = raw(folder.path(), octets);
        let others = self::messages(&signer, &verifier, MESSAGES);
        let run = |store, messages| {
            let (records, accepted) = runtime.block_on(accepts(store, messages));
            (accepted, runtime.block_on(changes(store, records)))
        };
        let ((accepted, changed), (accepted_sealed, changed_sealed)) = if round % 2 == 0 {
            let plain = run(&store, messages);
            (plain, run(&sealed, others))
        } else {
            let encrypted = run(&sealed, others);
            (run(&store, messages), encrypted)
        };
        let small = raw(folder.path(), RECORD);
        of_accepts.push(accepted / large);
        of_changes.push(changed / small);
        sealed_accepts.push(accepted_sealed / accepted);
        sealed_changes.push(changed_sealed / changed);
        println!(
            "{round:>6}{large:>12.0}{accepted:>12.0}{:>8.2}{small:>12.0}{changed:>12.0}{:>8.2}{accepted_sealed:>14.0}{:>8.2}{changed_sealed:>14.0}{:>8.2}",
            accepted / large,
            changed / small,
            accepted_sealed / accepted,
            changed_sealed / changed
        );
    }
    println!(
        "median ratio: accepts (two syncs: content, then ledger) {:.2}, changes (one sync) {:.2}; goal 0.40",
        median(of_accepts),
        median(of_changes)
    );
    println!(
        "encrypted by plain, median: accepts {:.2}, changes {:.2}; goal 0.80",
        median(sealed_accepts),
        median(sealed_changes)
    );
    runtime.block_on(store.close());
    runtime.block_on(sealed.close());
}
