//! A message's key that is not in its slot: lost while a record names it, gone for good once the message was
//! erased. And what an erasure leaves of a record, whoever asked for it.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fixture::*;
use super::secret::{
    accepted_whole, accepted_whole_small, closed, lasting, many, master, readable, sealed, with,
};
use crate::backup::{self, BackupFault, Watch};
use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, FactKind, Record, Timestamp};
use crate::observe::Metrics;
use crate::store::content::file_path;
use crate::store::{ReadPort, ReadingKeys, Retention, Settings, Store, StoreError, read_all};

const SLOT: u64 = 64;

/// Reads and writes a slot in its file.
struct SlotFile(std::fs::File);

impl SlotFile {
    fn of(folder: &Path) -> Self {
        let path = folder.join("vault/000001.slots");
        Self(std::fs::File::options().read(true).write(true).open(path).unwrap())
    }

    fn read(&self, slot: u64) -> [u8; SLOT as usize] {
        let mut octets = [0; SLOT as usize];
        self.0.read_exact_at(&mut octets, slot * SLOT).unwrap();
        octets
    }

    fn write(&self, slot: u64, octets: &[u8]) {
        self.0.write_all_at(octets, slot * SLOT).unwrap();
    }
}

fn counted(metrics: &Metrics, what: &str) -> u64 {
    let head = format!("amtsweg_corrupt_total{{what=\"{what}\"}} ");
    let text = metrics.render();
    text.lines().find_map(|line| line.strip_prefix(&head)).unwrap().parse().unwrap()
}

async fn fault(store: &Store, content: &ContentRef) -> StoreError {
    read_all(store, content, 1 << 30).await.expect_err("it can be read")
}

#[tokio::test]
async fn a_lost_key_is_damage_while_a_record_names_its_slot_and_none_once_it_was_erased() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::default();
    let store = Store::open(with(folder.path(), &[1], true), metrics.clone()).unwrap().store;
    let (record, other) = (accepted_whole(&store, 1).await, accepted_whole(&store, 2).await);
    let ended = accepted_whole(&store, 3).await;
    let ended = closed(&store, ended, 3).await;
    let (slot, slots) = (record.slot.unwrap(), SlotFile::of(folder.path()));
    let whole = slots.read(slot);
    let mut flipped = whole;
    flipped[30] ^= 1;
    let mut seen = 0;
    for lost in [[0; SLOT as usize], flipped, slots.read(other.slot.unwrap())] {
        slots.write(slot, &lost);
        for content in record.erasable() {
            let fault = fault(&store, content).await;
            assert!(matches!(fault, StoreError::Corrupt { .. }), "{fault:?}");
            assert!(fault.to_string().contains(&format!("slot {slot} of the vault")), "{fault}");
            seen += 1;
        }
        // Receipt and order have other keys.
        lasting(&store, &record).await;
        assert_eq!((counted(&metrics, "vault"), counted(&metrics, "content")), (seen, 0));
        slots.write(slot, &whole);
        readable(&store, 1).await;
    }
    // Whoever still holds the record from before an erasure is told that it is gone.
    store.erase(&ended.id).await.unwrap();
    for content in ended.erasable() {
        assert!(matches!(fault(&store, content).await, StoreError::Dropped));
    }
    slots.write(ended.slot.unwrap(), &flipped);
    assert!(matches!(fault(&store, &ended.document).await, StoreError::Dropped));
    assert_eq!((counted(&metrics, "vault"), counted(&metrics, "content")), (seen, 0));
    slots.write(ended.slot.unwrap(), &[0; SLOT as usize]);
    slots.write(slot, &[0; SLOT as usize]);
    store.close().await;
    // Neither a start nor its sweep takes the lost one for free; it is still damage.
    let store = Store::open(with(folder.path(), &[1], true), metrics.clone()).unwrap().store;
    many(&store, 100..1300).await;
    assert!(matches!(fault(&store, &record.document).await, StoreError::Corrupt { .. }));
    assert_eq!(slots.read(slot), [0; SLOT as usize]);
    // Its end is one like any other.
    let record = closed(&store, record, 1).await;
    assert!(store.erase(&record.id).await.unwrap().erased());
    assert!(matches!(fault(&store, &record.document).await, StoreError::Dropped));
}

#[tokio::test]
async fn slots_behind_the_end_of_a_cut_off_file_go_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    many(&store, 0..40).await;
    let before: Vec<Record> = all(&store).await;
    store.close().await;
    let slots = SlotFile::of(folder.path());
    let mut named: Vec<u64> = before.iter().map(|record| record.slot.unwrap()).collect();
    named.sort_unstable();
    slots.0.set_len(named[20] * SLOT).unwrap();
    let store = sealed(folder.path(), &[1]).store;
    many(&store, 100..1400).await;
    let records = all(&store).await;
    let mut taken: Vec<u64> = records.iter().map(|record| record.slot.unwrap()).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), records.len(), "a slot is used twice");
    let mut lost = 0;
    for record in &records {
        match read_all(&*store, &record.document, 1 << 20).await {
            Ok(_) => {}
            Err(StoreError::Corrupt { .. }) => lost += 1,
            Err(fault) => panic!("{}: {fault}", record.id),
        }
    }
    assert_eq!(lost, 20, "what is lost is told, and nothing else is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_reads_while_it_is_erased_meets_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::default();
    let store = Store::open(with(folder.path(), &[1], true), metrics.clone()).unwrap().store;
    let mut ended = Vec::new();
    for n in 0..300 {
        let record = accepted_whole_small(&store, n).await;
        ended.push(closed(&store, record, n).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, ended, over) = (Arc::clone(&store), ended.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut dropped = 0;
                while !over.load(Ordering::Acquire) {
                    for record in &ended {
                        match read_all(&*store, &record.document, 1 << 20).await {
                            Ok(_) => {}
                            Err(StoreError::Dropped) => dropped += 1,
                            Err(fault) => panic!("{fault}"),
                        }
                    }
                }
                dropped
            })
        })
        .collect();
    for record in &ended {
        store.erase(&record.id).await.unwrap();
    }
    over.store(true, Ordering::Release);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    assert_eq!(counted(&metrics, "vault"), 0);
}

#[tokio::test]
async fn a_backup_finds_a_lost_key_and_takes_an_erased_one_for_none() {
    let (folder, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sealed(folder.path(), &[1]).store;
    let record = accepted_whole(&store, 1).await;
    let ended = accepted_whole(&store, 2).await;
    closed(&store, ended, 2).await;
    store.erase(&id(2)).await.unwrap();
    let keys = ReadingKeys::open(folder.path(), &[master(1)]).unwrap();
    let back_up = || backup::backup(folder.path(), Some(&keys), to.path(), true, &Watch::default());
    assert_eq!(back_up().unwrap().checked, 2);
    let (slot, slots) = (record.slot.unwrap(), SlotFile::of(folder.path()));
    let whole = slots.read(slot);
    slots.write(slot, &[0; SLOT as usize]);
    let fault = back_up().unwrap_err();
    assert!(matches!(&fault, BackupFault::Content { id, .. } if *id == record.id.to_string()), "{fault}");
    slots.write(slot, &whole);
    assert_eq!(back_up().unwrap().generation, 2);
}

/// The record without what differs from run to run: times, and where receipt and order lie.
fn comparable(mut record: Record) -> Record {
    record.changed_at = Timestamp(0);
    record.slot = None;
    record.receipt.place = ContentPlace::Dropped;
    if let Some(order) = &mut record.order {
        order.envelope.place = ContentPlace::Dropped;
    }
    for fact in record.facts.iter_mut().filter(|fact| fact.kind == FactKind::Erased) {
        fact.at = Timestamp(0);
    }
    record
}

#[tokio::test]
async fn an_erasure_leaves_the_same_whether_it_was_asked_for_or_its_time_had_come() {
    for on in [true, false] {
        let mut left = Vec::new();
        for asked in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let retention = Retention { closed: Duration::from_secs(10), ..Retention::default() };
            let settings = Settings { retention, ..with(folder.path(), &[1], on) };
            let store = Store::open(settings, Metrics::default()).unwrap().store;
            let (record, stays) = (accepted_whole(&store, 1).await, accepted_whole(&store, 2).await);
            let record = closed(&store, record, 1).await;
            if asked {
                let erased = store.erase(&record.id).await.unwrap();
                assert_eq!(erased.version, record.version + 1);
            } else {
                // The index has its end then.
                store.get(&record.id).await.unwrap();
                assert_eq!(store.keep_house(Timestamp(60_000)).await.unwrap().erased, 1);
            }
            let now = store.get(&record.id).await.unwrap().unwrap();
            assert!(now.erased() && now.erasable().all(|content| content.place == ContentPlace::Dropped));
            let gone = |record: &Record| {
                let mut files = record.erasable().filter_map(|content| match content.place {
                    ContentPlace::File { name } => Some(file_path(folder.path(), name)),
                    _ => None,
                });
                let first = files.next().expect("it has a file");
                !first.exists() && files.all(|file| !file.exists())
            };
            assert!(gone(&record) && !gone(&stays));
            lasting(&store, &now).await;
            readable(&store, 2).await;
            // Once is enough, and its record goes with the others at the end of theirs.
            assert_eq!(store.erase(&record.id).await.unwrap().version, now.version);
            let later = Timestamp(record.accepted_at.0 + 366 * 24 * 3_600_000);
            let kept = store.keep_house(later).await.unwrap();
            assert_eq!((kept.erased, kept.forgotten), (0, 1), "{kept:?}");
            left.push(comparable(Record::clone(&now)));
        }
        assert_eq!(left[0], left[1]);
    }
}
