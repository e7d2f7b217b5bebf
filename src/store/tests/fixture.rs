//! Messages and stores for tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::{
    Claim, DeclaredAttachment, Digest, Header, MessageId, Placement, Record, SignerInfo, Timestamp, Way,
};
use crate::observe::Metrics;
use crate::store::{
    AcceptPort, Acceptance, Filter, NewMessage, Opened, ReadPort, Settings, Staged, StagedBody, Store,
    StoreError,
};
use crate::verify::Verified;

pub(super) const ENDPOINTS: [&str; 3] = ["marburg", "marburg-biedenkopf", "m"];

pub(super) fn settings(folder: &Path) -> Settings {
    Settings { min_free: 0, ..Settings::new(folder) }
}

pub(super) fn open(folder: &Path) -> Opened {
    Store::open(settings(folder), Metrics::default()).unwrap()
}

/// The `n`th message: deterministic, so that it can be made again.
pub(super) fn id(n: u64) -> MessageId {
    MessageId::new("test", uuid::Uuid::from_u128(u128::from(n) + 1)).unwrap()
}

pub(super) fn placement(n: u64) -> Placement {
    let endpoint = ENDPOINTS[n as usize % 3];
    Placement {
        authority: endpoint.parse().unwrap(),
        reader: format!("kop:{n}").parse().unwrap(),
        endpoint: endpoint.parse().unwrap(),
        way: if n.is_multiple_of(2) { Way::Push } else { Way::Pull },
        rule: "the municipality is competent".to_owned(),
    }
}

pub(super) fn header(n: u64) -> Header {
    Header {
        namespace: "urn:test".to_owned(),
        root: "antrag.einreichen.0100".to_owned(),
        standard: "Antrag".to_owned(),
        version: "1.0".to_owned(),
        type_code: "0100".to_owned(),
        uuid: uuid::Uuid::from_u128(u128::from(n)),
        created: "2026-01-01T00:00:00.000Z".to_owned(),
        author: "psw:06534014".parse().unwrap(),
        reader: None,
        service: "99102013104000".parse().ok(),
        area: "065340014014".parse().ok(),
        date: jiff::civil::Date::new(2026, 1, 1).ok(),
        test: true,
    }
}

pub(super) fn signer() -> SignerInfo {
    SignerInfo {
        subject: "CN=Test".to_owned(),
        serial: "01".to_owned(),
        fingerprint: Digest([1; 32]),
        not_after: Timestamp(u64::MAX / 2),
    }
}

pub(super) fn memory(octets: &[u8]) -> Staged {
    let body = StagedBody::Memory(Bytes::copy_from_slice(octets));
    Staged { len: octets.len() as u64, sha256: Digest::of(octets), body }
}

pub(super) fn new_message(n: u64, document: &[u8], attachments: Vec<Staged>) -> NewMessage {
    let declared = attachments.iter().enumerate().map(|(at, staged)| DeclaredAttachment {
        name: format!("{at}.pdf"),
        media_type: "application/pdf".to_owned(),
        size: staged.len,
        sha256: staged.sha256,
    });
    let octets = Bytes::copy_from_slice(document);
    NewMessage {
        id: id(n),
        order: None,
        message: Verified::for_tests(octets, header(n), signer(), declared.collect()),
        attachments,
        account: if n.is_multiple_of(2) { "portal" } else { "portal-2" }.parse().unwrap(),
        placement: placement(n),
        receipt: Bytes::from(format!("<receipt n='{n}'/>")),
        at: Timestamp(1000 + n),
    }
}

pub(super) fn document(n: u64) -> Vec<u8> {
    format!("<antrag n='{n}'>{}</antrag>", "x".repeat(n as usize % 300)).into_bytes()
}

pub(super) async fn accept(store: &Store, n: u64) -> Result<Acceptance, StoreError> {
    store.accept(new_message(n, &document(n), Vec::new())).await
}

pub(super) async fn accepted(store: &Store, n: u64) -> Arc<Record> {
    match accept(store, n).await.unwrap() {
        Acceptance::New(record) | Acceptance::Again(record) => record,
    }
}

pub(super) fn claim(n: u64, until: u64) -> Claim {
    Claim { owner: "worker".to_owned(), token: uuid::Uuid::from_u128(u128::from(n)), until: Timestamp(until) }
}

/// All records, in order of acceptance.
pub(super) async fn all(store: &Store) -> Vec<Record> {
    let filter = Filter { limit: 10_000, ..Filter::default() };
    store.list(&filter).await.unwrap().iter().map(|r| Record::clone(r)).collect()
}

/// Everything that the ports can tell, for comparing two stores.
pub(super) async fn state(store: &Store) -> String {
    let mut out = format!("{:?}", all(store).await);
    for endpoint in ENDPOINTS {
        let endpoint = endpoint.parse().unwrap();
        out += &format!("\n{:?}", store.due(&endpoint, Timestamp(u64::MAX - 1), 10_000).await.unwrap());
        out += &format!("\n{:?}", store.next_due(&endpoint).await.unwrap());
    }
    let mut depths = store.depths().await.unwrap();
    depths.retain(|d| !d.by_state.is_empty());
    out += &format!("\n{depths:?}\n{:?}", store.controls().await.unwrap());
    out
}

/// Waits for a condition, for at most ten seconds.
pub(super) async fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it did not come about in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A copy of a folder, as it lies there now: what a killed process leaves.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
