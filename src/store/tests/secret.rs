//! Messages whose contents can be told from everything else on a disk, and stores that encrypt them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::{Action, ContentRef, EndpointControl, Order, Record, Terms, Timestamp};
use crate::observe::Metrics;
use crate::store::{
    AcceptPort, Acceptance, ChangePort, Encryption, MasterKey, NewOrder, Opened, ReadPort, Secret, Settings,
    SoftKey, Staged, Store, read_all,
};

/// Words that only documents, attachments, receipts, orders and settings have.
pub(super) const WORDS: [&str; 5] =
    ["Kleinschmidt", "Lebenslauf", "Quittungswort", "Umschlagwort", "Stellvertreterin"];

pub(super) fn master(n: u8) -> Arc<dyn MasterKey> {
    Arc::new(SoftKey::new(&Secret::of(&[n; 32]).unwrap()).unwrap())
}

pub(super) fn with(folder: &Path, masters: &[u8], on: bool) -> Settings {
    let encryption = Encryption { masters: masters.iter().map(|n| master(*n)).collect(), on };
    Settings { encryption, ..settings(folder) }
}

pub(super) fn sealed(folder: &Path, masters: &[u8]) -> Opened {
    Store::open(with(folder, masters, true), Metrics::default()).unwrap()
}

pub(super) fn secret_document(n: u64) -> Vec<u8> {
    format!("<antrag n='{n}'>{}</antrag>", WORDS[0].repeat(n as usize % 40 + 1)).into_bytes()
}

pub(super) async fn stage(store: &Store, octets: &[u8]) -> Staged {
    let mut stage = store.stage(64 << 20).await.unwrap();
    for chunk in octets.chunks(10_000) {
        stage.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    stage.finish().await.unwrap()
}

pub(super) fn attachment(n: u64, octets: usize) -> Vec<u8> {
    format!("{} {n} ", WORDS[1]).into_bytes().into_iter().cycle().take(octets).collect()
}

/// Accepts message `n`: with a small and a large attachment and a transport order.
pub(super) async fn accepted_whole(store: &Store, n: u64) -> Arc<Record> {
    let attachments = vec![
        stage(store, &attachment(n, 500)).await,
        stage(store, &attachment(n, 150_000 + n as usize % 100)).await,
    ];
    let mut new = new_message(n, &secret_document(n), attachments);
    new.receipt = Bytes::from(format!("<receipt n='{n}'>{}</receipt>", WORDS[2]));
    new.order = Some(NewOrder {
        envelope: Bytes::from(format!("<order>{}</order>", WORDS[3])),
        terms: Terms::default(),
    });
    match store.accept(new).await.unwrap() {
        Acceptance::New(record) | Acceptance::Again(record) => record,
    }
}

/// Accepts small messages, a hundred at once.
pub(super) async fn many(store: &Store, numbers: std::ops::Range<u64>) {
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(100) {
        futures_util::future::join_all(some.iter().map(|n| accepted(store, *n))).await;
    }
}

/// The message's end: claimed, sent, taken over.
pub(super) async fn closed(store: &Store, record: Arc<Record>, n: u64) -> Arc<Record> {
    let at = record.accepted_at.0;
    let claim = claim(n, at + 9000);
    let token = claim.token;
    let action = match record.placement.way {
        crate::domain::Way::Push => Action::Succeeded { token, taken_over: true, detail: String::new() },
        crate::domain::Way::Pull => Action::Close { token: Some(token) },
    };
    let next = step(&record, Action::Claim(claim), Timestamp(at + 1)).unwrap();
    let record = store.commit(next).await.unwrap();
    store.commit(step(&record, action, Timestamp(at + 2)).unwrap()).await.unwrap()
}

pub(super) async fn control(store: &Store) {
    let control = EndpointControl {
        endpoint: "marburg".parse().unwrap(),
        suspended: true,
        reason: WORDS[4].to_owned(),
        by: "operator".to_owned(),
        at: Timestamp(7),
    };
    store.control(control).await.unwrap();
}

pub(super) async fn text(store: &Store, content: &ContentRef) -> Vec<u8> {
    read_all(store, content, 1 << 30).await.unwrap().to_vec()
}

pub(super) async fn readable(store: &Store, n: u64) {
    let record = store.get(&id(n)).await.unwrap().unwrap();
    assert_eq!(text(store, &record.document).await, secret_document(n));
    assert_eq!(text(store, &record.attachments[0].content).await, attachment(n, 500));
    assert_eq!(text(store, &record.attachments[1].content).await, attachment(n, 150_000 + n as usize % 100));
    lasting(store, &record).await;
}

/// Receipt and order, which outlive the content.
pub(super) async fn lasting(store: &Store, record: &Record) {
    assert!(String::from_utf8(text(store, &record.receipt).await).unwrap().contains(WORDS[2]));
    let Order { envelope, .. } = record.order.as_ref().unwrap();
    assert!(String::from_utf8(text(store, envelope).await).unwrap().contains(WORDS[3]));
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Which of `words` stand anywhere in the folder: in files, or in their names.
pub(super) fn told(folder: &Path, words: &[Vec<u8>]) -> BTreeSet<String> {
    let mut all = Vec::new();
    files(folder, &mut all);
    assert!(all.len() > 5, "the store is not there");
    let mut told = BTreeSet::new();
    for path in all {
        let octets = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().as_encoded_bytes().to_vec();
        for word in words {
            let has = |text: &[u8]| memchr::memmem::find(text, word).is_some();
            if has(&octets) || has(&name) {
                told.insert(format!("{} in {}", String::from_utf8_lossy(word), path.display()));
            }
        }
    }
    told
}

/// What must not stand on disk in plain: content, and who wrote what under which UUID.
pub(super) fn secrets(n: u64) -> Vec<Vec<u8>> {
    let header = header(n);
    let mut words: Vec<Vec<u8>> = WORDS.iter().map(|word| word.as_bytes().to_vec()).collect();
    words.push(header.author.as_str().as_bytes().to_vec());
    words.push(header.uuid.as_bytes().to_vec());
    words.push(header.uuid.to_string().into_bytes());
    words.push(b"antrag.einreichen".to_vec());
    words.push(signer().subject.into_bytes());
    words
}

/// Accepts message `n`: a document alone.
pub(super) async fn accepted_whole_small(store: &Store, n: u64) -> Arc<Record> {
    match store.accept(new_message(n, &secret_document(n), Vec::new())).await.unwrap() {
        Acceptance::New(record) | Acceptance::Again(record) => record,
    }
}
