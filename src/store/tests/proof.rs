//! What a real store's ledger says of itself: sealed, exported, checked, and tampered with in every
//! way.
//!
//! `AMTSWEG_EVENTS=100000 cargo test --release --lib store::tests::proof -- --nocapture` is the long
//! form.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fixture::{accept, accepted, claim, copy, id, open};
use crate::domain::delivery::step;
use crate::domain::{Action, Timestamp};
use crate::observe::Metrics;
use crate::proof::audit::{AuditFault, Auditor, Finding, Findings, audit};
use crate::proof::book::{self, Identity, Restored};
use crate::proof::export::export;
use crate::proof::message::{Level, check, prove};
use crate::proof::seal::{Sealer, Settings};
use crate::proof::tree;
use crate::store::ledger::Tail;
use crate::store::{ChangePort, LedgerPort, ReadingKeys, Store};
use crate::verify::sign::Signer;

type Certificates = Vec<Vec<u8>>;

pub(super) struct Key {
    signer: Arc<Signer>,
    pub(super) certificates: Certificates,
}

impl Key {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let signer = Signer::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let certificates = vec![signer.certificate().to_vec()];
        Self { signer: Arc::new(signer), certificates }
    }

    fn sealer(&self, store: &Arc<Store>, folder: &Path, events: u64) -> Sealer {
        self.with(store, Settings { events, ..Settings::new(folder, "probe") })
    }

    /// A sealer that makes checkpoints when they are full or asked for.
    pub(super) fn with(&self, store: &Arc<Store>, settings: Settings) -> Sealer {
        let settings = Settings { every: Duration::from_secs(3600), asked: Duration::ZERO, ..settings };
        let ledger = Arc::clone(store) as Arc<dyn LedgerPort>;
        Sealer::start(settings, ledger, Arc::clone(&self.signer), Metrics::default()).unwrap()
    }
}

pub(super) fn lines(folder: &Path, keys: &ReadingKeys, from: u64) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    export(folder, keys, from, &mut |line| {
        out.push(line.to_vec());
        Ok(())
    })
    .unwrap();
    out
}

pub(super) fn checked(lines: &[Vec<u8>], key: &Key) -> Result<Findings, Finding> {
    match audit(&mut lines.concat().as_slice(), &key.certificates, &mut |_| {}) {
        Ok(findings) => Ok(findings),
        Err(AuditFault::Found(finding)) => Err(finding),
        Err(AuditFault::Read(fault)) => panic!("{fault}"),
    }
}

/// Accepts messages `from..to` and brings every third one a step on.
pub(super) async fn work(store: &Arc<Store>, from: u64, to: u64) {
    for chunk in (from..to).collect::<Vec<_>>().chunks(64) {
        let one = |n: u64| {
            let store = Arc::clone(store);
            async move {
                let record = accepted(&store, n).await;
                if n.is_multiple_of(3) {
                    let now = Timestamp(2_000 + n);
                    let claimed = step(&record, Action::Claim(claim(n, now.0 + 60)), now).unwrap();
                    store.commit(claimed).await.unwrap();
                }
            }
        };
        futures_util::future::join_all(chunk.iter().map(|n| one(*n))).await;
    }
}

fn events() -> u64 {
    std::env::var("AMTSWEG_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_whole_also_after_restarts_and_for_old_stores() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::new();
    let store = open(dir.path()).store;
    // Frames from before there were checkpoints.
    work(&store, 1, 100).await;
    store.close().await;
    let mut before = 0;
    for round in 1..5_u64 {
        let store = open(dir.path()).store;
        let sealer = key.sealer(&store, dir.path(), 50);
        work(&store, round * 100, round * 100 + 40).await;
        sealer.stop();
        let last = store.synced();
        let all = lines(dir.path(), &ReadingKeys::none(), 1);
        let findings = checked(&all, &key).unwrap();
        assert_eq!((findings.events, findings.from, findings.branch), (last, 1, 0));
        assert_eq!(findings.destinations, 3);
        assert_eq!(findings.last.as_ref().unwrap().frame(), last);
        assert!(findings.checkpoints > before);
        before = findings.checkpoints;
        // A later begin rests on the checkpoint before it.
        let part = lines(dir.path(), &ReadingKeys::none(), last - 20);
        let findings = checked(&part, &key).unwrap();
        assert!(findings.from <= last - 20 && findings.from > 1, "{findings:?}");
        assert_eq!(findings.start.as_ref().unwrap().frame() + 1, findings.from);
        assert_eq!(findings.events + findings.from - 1, last);
        store.close().await;
    }
    assert!(
        checked(&lines(dir.path(), &ReadingKeys::none(), 1), &Key::new())
            .unwrap_err()
            .why
            .contains("was not given")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_has_a_proof_and_no_other_passes() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::new();
    let store = open(dir.path()).store;
    let sealer = key.sealer(&store, dir.path(), 32);
    work(&store, 1, 200).await;
    sealer.stop();
    for n in 1..200 {
        let frame = store.newest_frame(&id(n)).await.unwrap().unwrap();
        let proof = prove(dir.path(), &ReadingKeys::none(), &id(n), frame).unwrap();
        let octets = serde_json::to_vec(&proof).unwrap();
        let document = super::fixture::document(n);
        let shown = check(&octets, &key.certificates, Some(&document)).unwrap();
        assert_eq!(shown.message, id(n).to_string());
        // Leased (pull) counts as handed over, a push that is under way does not.
        let leased = n.is_multiple_of(3) && !n.is_multiple_of(2);
        assert_eq!(shown.level, if leased { Level::Handed } else { Level::Accepted });
        assert!(proof.path.len() <= 9);
        assert!(check(&octets, &key.certificates, Some(b"another")).is_err());
        assert!(check(&octets, &Key::new().certificates, None).is_err());
        let mut other = proof.clone();
        other.event = other
            .event
            .replace("Available", "Closed")
            .replace("Queued", "Closed")
            .replace("Leased", "Closed");
        if other.event != proof.event {
            assert!(check(&serde_json::to_vec(&other).unwrap(), &key.certificates, None).is_err());
        }
        let moved = crate::proof::message::Proof { index: proof.index ^ 1, ..proof };
        assert!(check(&serde_json::to_vec(&moved).unwrap(), &key.certificates, None).is_err());
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_sees_what_is_written_behind_what_it_has_read() {
    let dir = tempfile::tempdir().unwrap();
    // Small segments, so that it has to go from one to the next.
    let settings = crate::store::Settings { ledger_segment: 4096, ..super::fixture::settings(dir.path()) };
    let store = Store::open(settings, Metrics::default()).unwrap().store;
    let mut tail = Tail::open(&dir.path().join("ledger"), 1, &ReadingKeys::none()).unwrap();
    for n in 1..40 {
        accept(&store, n).await.unwrap();
        let synced = store.synced();
        assert_eq!(tail.read(synced).unwrap().unwrap().number, n);
        assert!(tail.read(synced).unwrap().is_none() && tail.any().unwrap().is_none());
        assert_eq!(
            Tail::open(&dir.path().join("ledger"), n, &ReadingKeys::none())
                .unwrap()
                .any()
                .unwrap()
                .unwrap()
                .number,
            n
        );
    }
    assert!(Tail::open(&dir.path().join("ledger"), 41, &ReadingKeys::none()).is_err());
    store.close().await;
}

/// Checks `tampered` in place of what stands behind the state `before`.
fn found(before: &Auditor<'_, Vec<u8>>, tampered: &[&[u8]]) -> Result<Findings, Finding> {
    let mut auditor = before.clone();
    for octets in tampered {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            auditor.line(line, &mut |_| {})?;
        }
    }
    auditor.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_dropped_swapped_or_inserted_record_is_found_and_its_place_named() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::new();
    let store = open(dir.path()).store;
    let sealer = key.sealer(&store, dir.path(), 1_000);
    // Four events for three messages.
    work(&store, 0, events() * 3 / 4).await;
    sealer.stop();
    store.close().await;
    let all = lines(dir.path(), &ReadingKeys::none(), 1);
    let began = Instant::now();
    let findings = checked(&all, &key).unwrap();
    println!("{} events checked in {:?}", findings.events, began.elapsed());
    let mut random = StdRng::seed_from_u64(1);
    let mut state = Auditor::new(&key.certificates);
    let mut tampered = 0;
    for (at, line) in all.iter().enumerate() {
        let number = at as u64 + 1;
        let rest: Vec<&[u8]> = all[at + 1..].iter().take(1_100).map(Vec::as_slice).collect();
        // What comes behind the next checkpoint need not be looked at: it is found before.
        let with = |first: &[&[u8]]| found(&state, &[first, rest.as_slice()].concat());
        let mut flipped = line.clone();
        let octet = random.random_range(0..flipped.len());
        flipped[octet] ^= 1 << random.random_range(0..8);
        assert_eq!(with(&[&flipped]).unwrap_err().line, number, "flipped octet {octet} of line {number}");
        let dropped = with(&[]).unwrap_err();
        if line.starts_with(b"checkpoint ") {
            // Between which frames it stood shows at the next one, or at the end.
            assert!(
                dropped.line >= number && dropped.why.contains("missing"),
                "dropped line {number}: {dropped}"
            );
        } else {
            assert_eq!(dropped.line, number, "dropped line {number}: {dropped}");
        }
        if line.starts_with(b"event ") {
            let checkpoints = all[..at].iter().filter(|l| l.starts_with(b"checkpoint")).count() as u64;
            assert_eq!(dropped.frame, Some(number - 1 - checkpoints));
        }
        if let Some((next, behind)) = rest.split_first() {
            let swapped = found(&state, &[&[*next, line.as_slice()], behind].concat()).unwrap_err();
            // An event before the checkpoint that does not cover it is seen at the checkpoint.
            let late = u64::from(line.starts_with(b"checkpoint "));
            assert!((number..=number + late).contains(&swapped.line), "swapped line {number}: {swapped}");
        }
        let other = &all[random.random_range(0..all.len())];
        if other != line {
            let inserted = with(&[other, line]).unwrap_err();
            assert_eq!(inserted.line, number, "inserted before line {number}: {inserted}");
        }
        let doubled = with(&[line, line]).unwrap_err();
        assert_eq!(doubled.line, number + 1, "doubled line {number}: {doubled}");
        // Found at the next checkpoint alone, so it costs more than all the others: some will do.
        let some = (at as u64).is_multiple_of((events() / 2_000).max(1));
        if let Some(forged) = forged(line).filter(|_| some) {
            let forged = with(&[&forged]).unwrap_err();
            let upto = forged.line;
            let (from, why) = (forged.frame.unwrap(), forged.why);
            let frame = dropped.frame.unwrap();
            assert!(from <= frame && upto > number && why.contains("not what was signed"), "{frame}: {why}");
            tampered += 1;
        }
        tampered += 5;
        state.line(line, &mut |_| {}).unwrap();
    }
    println!("{tampered} changes, every one found");
}

/// A record changed together with its hash.
fn forged(line: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).unwrap();
    let json = text.strip_prefix("event ")?.split_once(' ')?.1.trim_end();
    let json = json.replacen("\"state\":\"", "\"state\":\"X", 1);
    Some(format!("event {} {json}\n", tree::leaf(json.as_bytes())).into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_lost_sealed_frames_is_sealed_no_more_until_a_restore_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (data, kept) = (dir.path().join("data"), dir.path().join("kept"));
    let key = Key::new();
    let store = open(&data).store;
    work(&store, 1, 20).await;
    store.close().await;
    copy(&data, &kept);
    let store = open(&data).store;
    let sealer = key.sealer(&store, &data, 10);
    work(&store, 20, 60).await;
    sealer.stop();
    store.close().await;
    // The ledger of before, the checkpoints of today.
    copy(&data.join(book::FOLDER), &kept.join(book::FOLDER));
    let store = open(&kept).store;
    let sealer = key.sealer(&store, &kept, 10);
    let mut sealed = sealer.sealed.clone();
    let fault = sealed.wait_for(|sealed| sealed.fault.is_some()).await.unwrap().fault.clone().unwrap();
    assert!(fault.contains("were on disk"), "{fault}");
    // The gateway itself goes on.
    accept(&store, 900).await.unwrap();
    sealer.stop();
    store.close().await;
    // A backup brings both from the same moment, and says what it did.
    let back = dir.path().join("back");
    copy(&data, &back);
    let mut identity = Identity::read(&back).unwrap().unwrap();
    identity.restored.push(Restored { frame: 1, at: Timestamp(1).to_string() });
    identity.write(&back).unwrap();
    let store = open(&back).store;
    let sealer = key.sealer(&store, &back, 10);
    accept(&store, 901).await.unwrap();
    sealer.stop();
    assert_eq!(checked(&lines(&back, &ReadingKeys::none(), 1), &key).unwrap().branch, 1);
    store.close().await;
}
