//! Encryption at rest: what lies on disk tells nothing, an erased key takes its content with it, keys
//! change while the store works, and every stop is survived.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::fixture::*;
use super::secret::*;
use crate::domain::ContentRef;
use crate::domain::record::ContentPlace;
use crate::observe::Metrics;
use crate::store::{
    AcceptPort, OpenError, ReadPort, Store, StoreError, VaultFault, ledger, read_all, vault_state,
};

#[tokio::test]
async fn nothing_on_disk_tells_what_was_sent_or_by_whom() {
    for on in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(with(folder.path(), &[1], on), Metrics::default()).unwrap().store;
        for n in 5_000_000_000..5_000_000_020 {
            let record = accepted_whole(&store, n).await;
            if n % 2 == 0 {
                closed(&store, record, n).await;
            }
        }
        control(&store).await;
        // What is being staged is on disk already.
        let mut staging = store.stage(64 << 20).await.unwrap();
        staging.write(Bytes::from(attachment(1, 400_000))).await.unwrap();
        let running = told(folder.path(), &secrets(5_000_000_000));
        drop(staging);
        readable(&store, 5_000_000_003).await;
        store.close().await;
        let stopped = told(folder.path(), &secrets(5_000_000_000));
        if on {
            assert_eq!((running, stopped), (BTreeSet::new(), BTreeSet::new()));
        } else {
            assert!(running.len() > 10 && stopped.len() > 10, "the search finds nothing at all");
        }
        let ledger = ledger::verify(&folder.path().join("ledger")).unwrap();
        assert_eq!(ledger.frames, 41, "the chain needs no key");
    }
}

#[tokio::test]
async fn everything_comes_back_after_a_clean_stop_a_kill_and_without_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    for n in 0..30 {
        let record = accepted_whole(&store, n).await;
        if n % 3 == 0 {
            closed(&store, record, n).await;
        }
    }
    control(&store).await;
    let before = state(&store).await;
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    store.close().await;
    let bare = tempfile::tempdir().unwrap();
    copy(folder.path(), bare.path());
    std::fs::remove_dir_all(bare.path().join("index")).unwrap();
    for folder in [folder.path(), image.path(), bare.path()] {
        let store = sealed(folder, &[1]).store;
        assert_eq!(state(&store).await, before);
        for n in 0..30 {
            readable(&store, n).await;
        }
        // It goes on, a repeat is known, and so is another message under the same UUID.
        accepted_whole(&store, 100).await;
        readable(&store, 100).await;
        assert!(matches!(
            store.accept(new_message(3, b"<other/>", Vec::new())).await,
            Err(StoreError::IdUsed(_))
        ));
        assert_eq!(store.find(&header(4).author, header(4).uuid).await.unwrap().unwrap().id, id(4));
        store.close().await;
    }
}

#[tokio::test]
async fn encryption_can_be_switched_on_and_off() {
    let folder = tempfile::tempdir().unwrap();
    for (begin, masters, on) in [(0, &[][..], false), (10, &[1], true), (20, &[1], false), (30, &[1], true)] {
        let opened = Store::open(with(folder.path(), masters, on), Metrics::default()).unwrap();
        // What hides keys of the index has another layout: once it is on, the index is made anew.
        assert_eq!(opened.recovery.rebuilt.is_some(), begin == 10, "{:?}", opened.recovery);
        let store = opened.store;
        for n in begin..begin + 5 {
            let record = accepted_whole(&store, n).await;
            assert_eq!(record.slot.is_some(), on);
        }
        for n in (0..=begin).step_by(10) {
            readable(&store, n).await;
            assert_eq!(store.find(&header(n).author, header(n).uuid).await.unwrap().unwrap().id, id(n));
        }
        // A record from before the switch goes on under it.
        if let Some(before) = begin.checked_sub(10) {
            let record = store.get(&id(before)).await.unwrap().unwrap();
            let slot = record.slot;
            assert_eq!(closed(&store, record, before).await.slot, slot);
            assert_eq!(store.get(&id(before)).await.unwrap().unwrap().slot, slot);
        }
        store.close().await;
    }
}

#[tokio::test]
async fn without_the_right_master_key_it_does_not_start_and_says_which_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    accepted_whole(&store, 1).await;
    store.close().await;
    for (masters, on) in [(&[][..], false), (&[][..], true), (&[2][..], true), (&[2, 3][..], false)] {
        let fault = Store::open(with(folder.path(), masters, on), Metrics::default()).err().unwrap();
        let said = fault.to_string();
        assert!(matches!(fault, OpenError::Vault(VaultFault::NoMaster { .. })), "{said}");
        assert!(said.contains(master(1).id()) && said.contains("store.encryption.keys"), "{said}");
    }
    readable(&sealed(folder.path(), &[1]).store, 1).await;
}

/// Every way to read a content whose octets somebody has kept: each of the slots' keys that the folder still
/// yields, and the store's own reader over old copies of all content.
async fn yields(folder: &Path, old: &Path, content: &[ContentRef]) -> usize {
    let copy_of_all = tempfile::tempdir().unwrap();
    copy(folder, copy_of_all.path());
    std::fs::remove_dir_all(copy_of_all.path().join("content")).unwrap();
    copy(&old.join("content"), &copy_of_all.path().join("content"));
    let store = sealed(copy_of_all.path(), &[1]).store;
    let mut read = 0;
    for content in content {
        read += usize::from(read_all(&*store, content, 1 << 30).await.is_ok());
    }
    store.close().await;
    read
}

#[tokio::test]
async fn an_erased_message_can_be_read_by_nobody_from_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    let mut records = Vec::new();
    for n in 0..12 {
        let record = accepted_whole(&store, n).await;
        let list = if n % 3 == 0 { &mut gone } else { &mut stays };
        list.push(record.document.clone());
        list.extend(record.attachments.iter().map(|a| a.content.clone()));
        records.push(closed(&store, record, n).await);
    }
    // Somebody has kept all content, the ledger and the index as they were.
    let old = tempfile::tempdir().unwrap();
    copy(folder.path(), old.path());
    let vault = folder.path().join("vault");
    let slots: Vec<u64> = records.iter().step_by(3).map(|record| record.slot.unwrap()).collect();
    for n in (0..12).step_by(3) {
        let erased = store.erase(&id(n)).await.unwrap();
        assert_eq!(erased.slot, None);
        assert_eq!(store.erase(&id(n)).await.unwrap().version, erased.version, "there is nothing left to do");
        assert!(matches!(store.open(&erased.document).await.err(), Some(StoreError::Dropped)));
        lasting(&store, &erased).await;
    }
    // On disk when the answer is there.
    let octets = std::fs::read(vault.join("000001.slots")).unwrap();
    for slot in &slots {
        let at = usize::try_from(slot * 64).unwrap();
        assert!(octets[at..at + 64].iter().all(|octet| *octet == 0), "slot {slot} is not wiped");
    }
    assert_eq!(yields(folder.path(), old.path(), &gone).await, 0);
    assert_eq!(yields(folder.path(), old.path(), &stays).await, stays.len());
    // A message on its way is not erased.
    let open = accepted_whole(&store, 50).await;
    assert!(matches!(store.erase(&id(50)).await, Err(StoreError::Conflict)));
    readable(&store, 50).await;
    assert!(matches!(store.erase(&id(51)).await, Err(StoreError::Unknown)));
    drop(open);
    // The slots are filled anew: with other keys.
    many(&store, 1000..2300).await;
    let octets = std::fs::read(vault.join("000001.slots")).unwrap();
    assert!(slots.iter().all(|slot| octets[*slot as usize * 64..][..64].iter().any(|octet| *octet != 0)));
    store.close().await;
    assert_eq!(yields(folder.path(), old.path(), &gone).await, 0);
    let store = sealed(folder.path(), &[1]).store;
    for n in [1, 2, 4, 5, 50] {
        readable(&store, n).await;
    }
    let again = store.get(&id(0)).await.unwrap().unwrap();
    assert_eq!(again.slot, None);
    // Gone, not damaged, though another message has its slot.
    for content in [&again.document, &again.attachments[0].content, &again.attachments[1].content] {
        assert!(matches!(store.open(content).await.err(), Some(StoreError::Dropped)));
    }
    lasting(&store, &again).await;
}

/// What a stop between the frame of an erasure and the wiped slot leaves is wiped at the next start; so is
/// a key that was made ready for nobody.
#[tokio::test]
async fn slots_that_no_record_names_are_wiped_at_the_next_start_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    let record = accepted_whole(&store, 2).await;
    let slot = closed(&store, record, 2).await.slot.unwrap();
    accepted_whole(&store, 3).await;
    let path = folder.path().join("vault/000001.slots");
    let before = std::fs::read(&path).unwrap();
    store.erase(&id(2)).await.unwrap();
    store.close().await;
    std::fs::write(&path, &before).unwrap();
    let filled = |octets: &[u8]| octets[64..].chunks(64).filter(|slot| slot.iter().any(|o| *o != 0)).count();
    assert!(filled(&before) > 1000);
    let settings = with(folder.path(), &[1], false);
    let store = Store::open(settings, Metrics::default()).unwrap().store;
    eventually(|| filled(&std::fs::read(&path).unwrap()) == 1).await;
    let after = std::fs::read(&path).unwrap();
    assert!(after[slot as usize * 64..][..64].iter().all(|octet| *octet == 0));
    readable(&store, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_changes_while_messages_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    many(&store, 0..3000).await;
    accepted_whole(&store, 5000).await;
    let old_copy = tempfile::tempdir().unwrap();
    copy(folder.path(), old_copy.path());
    let traffic = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 6000..6200 {
                let record = accepted_whole_small(&store, n).await;
                if n % 2 == 0 {
                    closed(&store, record, n).await;
                    store.erase(&id(n)).await.unwrap();
                }
            }
        }
    });
    for (at, masters) in [[2, 1], [3, 2]].iter().enumerate() {
        let masters: Vec<_> = masters.iter().map(|n| master(*n)).collect();
        assert!(store.rotate(&masters).unwrap());
        assert!(!store.rotate(&masters).unwrap(), "it is the first one already");
        let state = vault_state(folder.path()).unwrap().unwrap();
        assert_eq!(state.master, masters[0].id(), "the keyring is under the new key at once");
        assert!(state.moving || !store.rotating());
        if at == 1 {
            eventually(|| !store.rotating()).await;
        }
    }
    traffic.await.unwrap();
    eventually(|| !store.rotating()).await;
    let slots: Vec<_> =
        std::fs::read_dir(folder.path().join("vault")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(slots.len(), 2, "keyring and one file of slots: {slots:?}");
    let check = async |store: &Store| {
        readable(store, 5000).await;
        for n in (0..3000).step_by(97) {
            let record = store.get(&id(n)).await.unwrap().unwrap();
            assert_eq!(text(store, &record.document).await, document(n));
        }
        for n in 6000..6200 {
            let record = store.get(&id(n)).await.unwrap().unwrap();
            assert_eq!(record.slot.is_none(), n % 2 == 0);
            assert_eq!(store.open(&record.document).await.is_ok(), n % 2 == 1, "{n}");
        }
    };
    check(&store).await;
    store.close().await;
    // The old keys are not needed any more, and of no use.
    for wrong in [1, 2] {
        let fault = Store::open(with(folder.path(), &[wrong], true), Metrics::default()).err().unwrap();
        assert!(fault.to_string().contains(master(3).id()), "{fault}");
    }
    let store = sealed(folder.path(), &[3]).store;
    check(&store).await;
    store.close().await;
    // A start with a new first key changes it, too, from wherever the last one stopped.
    let store = sealed(old_copy.path(), &[9, 1]).store;
    drop(store);
    eventually(|| std::fs::File::open(old_copy.path().join("lock")).unwrap().try_lock().is_ok()).await;
    let store = sealed(old_copy.path(), &[9]).store;
    eventually(|| !store.rotating()).await;
    readable(&store, 5000).await;
}

#[tokio::test]
async fn flipped_bits_are_seen_in_whatever_file_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    let record = accepted_whole(&store, 1).await;
    let flip = |path: &Path, at: u64| {
        let mut octets = std::fs::read(path).unwrap();
        octets[at as usize] ^= 0x10;
        std::fs::write(path, octets).unwrap();
    };
    let segment = |content: &ContentRef| match content.place {
        ContentPlace::Segment { segment, offset } => {
            (folder.path().join(format!("content/segments/{segment:010}.content")), offset)
        }
        ContentPlace::File { name } => (super::super::content::file_path(folder.path(), name), 0),
        ContentPlace::Dropped => panic!("it was never removed"),
    };
    let contents =
        [&record.document, &record.receipt, &record.attachments[0].content, &record.attachments[1].content];
    for content in contents {
        let (path, begin) = segment(content);
        for at in [0, 20, 45, 60, content.len.min(140_000)] {
            flip(&path, begin + at);
            let read = read_all(&*store, content, 1 << 30).await;
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "octet {at} of {content:?}: {read:?}");
            flip(&path, begin + at);
        }
        assert!(read_all(&*store, content, 1 << 30).await.is_ok());
    }
    let slot = record.slot.unwrap();
    flip(&folder.path().join("vault/000001.slots"), slot * 64 + 30);
    let read = read_all(&*store, &record.document, 1 << 30).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    lasting(&store, &record).await;
    store.close().await;
    // A damaged keyring stops the start with a sentence.
    let ring = folder.path().join("vault/keyring.json");
    let whole = std::fs::read_to_string(&ring).unwrap();
    for broken in [whole.replace("\"wrapped\": \"", "\"wrapped\": \"AA"), String::new(), "{}".to_owned()] {
        std::fs::write(&ring, broken).unwrap();
        let fault = Store::open(with(folder.path(), &[1], true), Metrics::default()).err().unwrap();
        assert!(matches!(fault, OpenError::Vault(VaultFault::Keyring { .. })), "{fault}");
    }
    std::fs::write(&ring, whole).unwrap();
    std::fs::remove_file(folder.path().join("vault/000001.slots")).unwrap();
    let fault = Store::open(with(folder.path(), &[1], true), Metrics::default()).err().unwrap();
    assert!(fault.to_string().contains("000001.slots") && fault.to_string().contains("backup"), "{fault}");
}

/// Digests that a reader opens that shares no line with this crate, given master key and folder; and how many
/// contents it can't open. `None`, with a line, where there is no Python with the package it needs.
fn oracle(folder: &Path) -> Option<(BTreeSet<String>, u64, Vec<serde_json::Value>)> {
    let named = std::env::var("AMTSWEG_PYTHON").ok();
    let has = |python: &String| {
        let there = std::process::Command::new(python).args(["-c", "import cryptography"]).output();
        there.is_ok_and(|there| there.status.success())
    };
    let Some(python) = named.into_iter().chain(["python3".to_owned()]).find(has) else {
        println!("skipped: no Python with the package cryptography (name one in AMTSWEG_PYTHON)");
        return None;
    };
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "01".repeat(32)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/app/sealed.py");
    let out = std::process::Command::new(python).arg(script).args([key.path(), folder]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let list = |name: &str| told[name].as_array().unwrap().clone();
    let contents = list("contents").iter().map(|digest| digest.as_str().unwrap().to_owned()).collect();
    Some((contents, told["unopened"].as_u64().unwrap(), list("values")))
}

#[tokio::test]
async fn another_reader_opens_all_of_it_with_the_master_key_and_nothing_of_what_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let store = sealed(folder.path(), &[1]).store;
    let (mut digests, mut lasting) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..4 {
        let record = accepted_whole(&store, n).await;
        let all: BTreeSet<String> = record.contents().map(|content| content.sha256.to_string()).collect();
        lasting.insert(record.receipt.sha256.to_string());
        lasting.insert(record.order.as_ref().unwrap().envelope.sha256.to_string());
        digests.extend(all);
        closed(&store, record, n).await;
    }
    control(&store).await;
    let Some((contents, unopened, values)) = oracle(folder.path()) else { return };
    assert_eq!((contents, unopened), (digests.clone(), 0));
    assert_eq!(values.len(), 13, "four messages in three frames each, and a setting");
    // Sequence and slot in the clear, the codec's format inside: 4, a record with order and coverage.
    assert_eq!((values[0][0].as_u64(), values[0][2].as_u64()), (Some(1), Some(4)));
    for n in 0..4 {
        store.erase(&id(n)).await.unwrap();
    }
    let (contents, unopened, values) = oracle(folder.path()).unwrap();
    // The files are gone; what lies in segments can't be opened.
    assert_eq!((contents, unopened), (lasting, 8));
    assert_eq!((values.len(), values[16][1].as_u64()), (17, Some(0)));
}
