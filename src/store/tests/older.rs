//! A store with something of all that there may be in one, made anew or as an older program has left it in
//! `tests/data/store-<layout>`.
//!
//! `AMTSWEG_KEEP=tests/data/store-N cargo test --lib store::tests::older` keeps what this program writes there, for
//! the tests of those that come after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::fixture::*;
use super::proof::{Key, lines};
use super::secret::{control, with};
use crate::domain::delivery::step;
use crate::domain::{Action, ContentRef, Record, RemoteName, Terms, Timestamp};
use crate::observe::Metrics;
use crate::proof::audit::audit;
use crate::proof::seal;
use crate::store::{
    AcceptPort, Acceptance, ChangePort, LedgerPort, NewOrder, ReadPort, Retention, Settings, Store,
    StoreError, read_all,
};

/// The gateway's certificate for checkpoints (DER), beside the store.
pub(super) const CERTIFICATE: &str = "gateway.der";
/// Messages in it.
const MESSAGES: u64 = 40;

/// With small segments, and contents of more than a kilobyte in files of their own.
pub(super) fn small(folder: &Path, sealed: bool) -> Settings {
    let retention = Retention {
        closed: Duration::from_secs(60),
        returned: Duration::from_secs(60),
        ..Retention::default()
    };
    let segment = 12 << 10;
    Settings {
        inline_max: 1 << 10,
        ledger_segment: segment,
        content_segment: segment,
        retention,
        ..with(folder, if sealed { &[1] } else { &[] }, sealed)
    }
}

pub(super) fn opened(folder: &Path, sealed: bool) -> Arc<Store> {
    Store::open(small(folder, sealed), Metrics::default()).unwrap().store
}

/// The state that message `n` is brought to.
fn fate(n: u64) -> &'static str {
    let push = n.is_multiple_of(2);
    match (n % 8 / 2, push) {
        (0, true) => "Queued",
        (0, false) => "Available",
        (1, true) => "Sending",
        (1, false) => "Leased",
        (2, _) => "Closed",
        (_, true) => "Parked",
        (_, false) => "Returned",
    }
}

fn attachment(n: u64) -> Vec<u8> {
    format!("Anlage {n} ").into_bytes().into_iter().cycle().take(1500).collect()
}

fn envelope(n: u64) -> Vec<u8> {
    format!("<order n='{n}'/>").into_bytes()
}

async fn accepted_with_all(store: &Store, n: u64) -> Arc<Record> {
    let mut attachments = Vec::new();
    if n.is_multiple_of(5) {
        let mut stage = store.stage(1 << 20).await.unwrap();
        stage.write(Bytes::from(attachment(n))).await.unwrap();
        attachments.push(stage.finish().await.unwrap());
    }
    let mut new = new_message(n, &document(n), attachments);
    if n.is_multiple_of(3) {
        new.order = Some(NewOrder { envelope: envelope(n).into(), terms: Terms::default() });
    }
    match store.accept(new).await.unwrap() {
        Acceptance::New(record) | Acceptance::Again(record) => record,
    }
}

/// Brings message `n` to its state. Those that end do so at the same time.
async fn brought(store: &Store, n: u64) {
    let mut record = accepted_with_all(store, n).await;
    let (token, detail) = (claim(n, 0).token, "for a test".to_owned());
    let server = RemoteName { server: "https://authority.example".to_owned(), id: format!("urn:name:{n}") };
    let mut actions = vec![Action::Claim(claim(n, u64::MAX / 4))];
    match fate(n) {
        "Queued" | "Available" => actions.clear(),
        "Sending" => actions.push(Action::Named { token, name: Some(server) }),
        "Leased" => {}
        "Closed" if n.is_multiple_of(2) => {
            actions.push(Action::Succeeded { token, taken_over: true, detail });
        }
        "Closed" => actions.push(Action::Close { token: Some(token) }),
        "Parked" => actions.push(Action::Refused { token, detail }),
        _ => actions.push(Action::Reject { token: Some(token), detail }),
    }
    for action in actions {
        record = store.commit(step(&record, action, Timestamp(5000)).unwrap()).await.unwrap();
    }
}

/// Makes a store: messages in all states, some erased, a setting, several segments, a snapshot, checkpoints,
/// a clean stop.
pub(super) async fn made(folder: &Path, sealed: bool) {
    let store = opened(folder, sealed);
    let key = Key::new();
    let settings = seal::Settings { events: 20, ..seal::Settings::new(folder, "probe") };
    let sealer = key.with(&store, settings);
    for n in 0..MESSAGES {
        brought(&store, n).await;
        if n == MESSAGES / 2 {
            control(&store).await;
            // The first half of those that have ended is erased, once the index has all of it.
            store.depths().await.unwrap();
            let kept = store.keep_house(Timestamp(80_000)).await.unwrap();
            assert!(kept.erased > 5 && kept.snapshots == 1, "{kept:?}");
        }
    }
    sealer.stop();
    store.close().await;
    std::fs::write(folder.join(CERTIFICATE), &key.certificates[0]).unwrap();
    std::fs::remove_dir_all(folder.join("index")).unwrap();
}

async fn text(store: &Store, content: &ContentRef) -> Result<Vec<u8>, StoreError> {
    read_all(store, content, 1 << 20).await.map(|octets| octets.to_vec())
}

/// Everything in the store is as [`made`] has left it, its ledger is what was sealed, and it goes on.
pub(super) async fn sound(store: &Arc<Store>, folder: &Path) {
    let (mut states, mut erased) = (BTreeMap::new(), 0);
    for n in 0..MESSAGES {
        let record = store.get(&id(n)).await.unwrap().unwrap();
        assert_eq!((record.header.clone(), record.sequence), (header(n), n + 1));
        assert_eq!(record.state.name(), fate(n));
        *states.entry(fate(n)).or_insert(0) += 1;
        assert_eq!(record.order.is_some(), n.is_multiple_of(3));
        assert_eq!(record.remote.is_some(), fate(n) == "Sending");
        assert!(record.coverage.is_some());
        if record.erased() {
            assert!(record.state.is_final() && n <= MESSAGES / 2);
            assert!(matches!(text(store, &record.document).await, Err(StoreError::Dropped)));
            erased += 1;
        } else {
            assert_eq!(text(store, &record.document).await.unwrap(), document(n));
            for part in &record.attachments {
                assert_eq!(text(store, &part.content).await.unwrap(), attachment(n));
            }
        }
        let receipt = format!("<receipt n='{n}'/>").into_bytes();
        assert_eq!(text(store, &record.receipt).await.unwrap(), receipt);
        if let Some(order) = &record.order {
            assert_eq!(text(store, &order.envelope).await.unwrap(), envelope(n));
        }
        // A repeat is known.
        assert!(matches!(accept(store, n).await.unwrap(), Acceptance::Again(again) if again.id == id(n)));
    }
    assert_eq!((states.len(), erased), (7, 7));
    assert_eq!(store.controls().await.unwrap().len(), 1);
    let certificate = std::fs::read(folder.join(CERTIFICATE)).unwrap();
    let export = lines(folder, &store.keys(), 1).concat();
    let findings = audit(&mut export.as_slice(), &[certificate], &mut |_| {}).unwrap();
    assert!(findings.events > 80 && findings.from == 1, "{findings:?}");
    accepted_with_all(store, 1000).await;
    assert_eq!(all(store).await.len() as u64, MESSAGES + 1);
}

/// The names and octets of all files below a folder.
pub(super) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn gather(root: &Path, folder: &Path, out: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(root, &path, out);
            } else {
                out.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    gather(folder, folder, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_program_writes_is_read_again_without_an_index() {
    for (sealed, name) in [(false, "plain"), (true, "sealed")] {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path(), sealed).await;
        if let Some(keep) = std::env::var_os("AMTSWEG_KEEP") {
            for (path, octets) in files(folder.path()) {
                let to = Path::new(&keep).join(name).join(path);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::write(to, octets).unwrap();
            }
        }
        let store = opened(folder.path(), sealed);
        sound(&store, folder.path()).await;
        store.close().await;
    }
}
