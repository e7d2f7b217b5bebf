//! Stores of older layouts are copied and upgraded, wherever a start is cut off; what a newer program wrote is
//! refused with a sentence, and left as it is. `tests/data/store-1` was written by amtsweg before there was a
//! layout 2, without an index.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fixture::*;
use super::older::{CERTIFICATE, files, made, opened, small, sound};
use super::secret::master;
use crate::backup::{self, BackupFault, Watch};
use crate::domain::Timestamp;
use crate::observe::Metrics;
use crate::proof::book;
use crate::store::frame::{self, Change, Heading};
use crate::store::ledger::{self, LedgerFault, Tail, TailFault};
use crate::store::{OpenError, ReadingKeys, Store, VaultFault, codec};

/// The two stores of layout 1: in plain, and encrypted.
fn old(sealed: bool) -> PathBuf {
    let name = if sealed { "sealed" } else { "plain" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store-1").join(name)
}

fn image(of: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(of, folder.path());
    folder
}

fn layout(folder: &Path) -> serde_json::Value {
    let said: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("layout.json")).unwrap()).unwrap();
    said["layout"].clone()
}

/// What of a store is in the copy from before its upgrade.
fn is_kept(path: &Path) -> bool {
    !path.starts_with("vault") && path != Path::new(CERTIFICATE) && path != Path::new("lock")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_layout_1_is_copied_upgraded_and_as_it_was() {
    for sealed in [false, true] {
        let folder = image(&old(sealed));
        let before = files(folder.path());
        assert!(!before.contains_key(Path::new("layout.json")) && before.len() > 10);
        let store = opened(folder.path(), sealed);
        sound(&store, folder.path()).await;
        assert_eq!(layout(folder.path()), 2);
        store.close().await;
        // The copy is what was there, whatever has happened since.
        let kept = folder.path().join("before-upgrade-1");
        let copied = files(&kept);
        let expected: Vec<_> = before.keys().filter(|path| is_kept(path)).collect();
        assert_eq!(copied.keys().collect::<Vec<_>>(), expected);
        assert!(copied.iter().all(|(path, octets)| before[path] == *octets));
        // Going back: the copy, and the keys beside it.
        let back = image(&kept);
        if sealed {
            copy(&folder.path().join("vault"), &back.path().join("vault"));
        }
        std::fs::copy(folder.path().join(CERTIFICATE), back.path().join(CERTIFICATE)).unwrap();
        let store = opened(back.path(), sealed);
        sound(&store, back.path()).await;
        store.close().await;
        // Once is enough.
        std::fs::remove_dir_all(&kept).unwrap();
        let store = opened(folder.path(), sealed);
        assert!(!kept.exists());
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_anywhere_in_an_upgrade_is_gone_on_from() {
    // What a whole upgrade leaves, without the rest of the start.
    let done = image(&old(false));
    crate::store::layout::bring(done.path()).unwrap();
    let kept = "before-upgrade-1";
    let state = std::fs::read(done.path().join("state.json")).unwrap();
    type Stop<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let stops: [Stop<'_>; 5] = [
        (
            "half a copy",
            Box::new(|root| {
                let part = root.join("before-upgrade-1.part");
                copy(&root.join("ledger"), &part.join("ledger"));
                std::fs::write(part.join("state.json"), b"{").unwrap();
            }),
        ),
        ("the copy", Box::new(|root| copy(&done.path().join(kept), &root.join(kept)))),
        (
            "the copy and the draft of a step",
            Box::new(|root| {
                copy(&done.path().join(kept), &root.join(kept));
                std::fs::write(root.join("state.json.new"), b"{\"format\": 2").unwrap();
            }),
        ),
        (
            "the copy and a step without its number",
            Box::new(|root| {
                copy(&done.path().join(kept), &root.join(kept));
                std::fs::write(root.join("state.json"), &state).unwrap();
            }),
        ),
        (
            "the draft of the number",
            Box::new(|root| {
                copy(&done.path().join(kept), &root.join(kept));
                std::fs::write(root.join("state.json"), &state).unwrap();
                std::fs::write(root.join("layout.json.new"), b"").unwrap();
            }),
        ),
    ];
    let expected = files(&done.path().join(kept));
    for (stop, leave) in stops {
        let folder = image(&old(false));
        leave(folder.path());
        let store = opened(folder.path(), false);
        sound(&store, folder.path()).await;
        assert_eq!(layout(folder.path()), 2, "{stop}");
        store.close().await;
        assert_eq!(files(&folder.path().join(kept)), expected, "{stop}");
        assert!(!folder.path().join("before-upgrade-1.part").exists(), "{stop}");
    }
}

#[tokio::test]
async fn the_layout_is_known_though_the_marker_is_damaged_or_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), false);
    accepted(&store, 1).await;
    store.close().await;
    assert_eq!(layout(folder.path()), 2);
    let said = std::fs::read_to_string(folder.path().join("layout.json")).unwrap();
    let newer = {
        let sum = format!("{:08x}", crc32c::crc32c(b"amtsweg layout 3"));
        format!("{{\"layout\": 3, \"sum\": \"{sum}\", \"more\": true}}")
    };
    for state in [None, Some(&b"{"[..])] {
        // Of this layout: it starts. Of a newer one: it is refused, and not touched.
        for (text, starts) in [(&said, true), (&newer, false)] {
            let image = image(folder.path());
            match state {
                None => std::fs::remove_file(image.path().join("state.json")).unwrap(),
                Some(octets) => std::fs::write(image.path().join("state.json"), octets).unwrap(),
            }
            std::fs::write(image.path().join("layout.json"), text).unwrap();
            let before = files(image.path());
            match Store::open(small(image.path(), false), Metrics::default()) {
                Ok(opened) => {
                    assert!(starts);
                    assert_eq!(all(&opened.store).await.len(), 1);
                }
                Err(fault) => {
                    assert!(!starts && matches!(fault, OpenError::Newer { format: 3, .. }), "{fault}");
                    assert!(fault.to_string().contains("written by a newer amtsweg"), "{fault}");
                    assert_eq!(files(image.path()), before);
                }
            }
        }
        // Neither says it.
        let image = image(folder.path());
        std::fs::write(image.path().join("layout.json"), said.replace('2', "3")).unwrap();
        std::fs::write(image.path().join("state.json"), state.unwrap_or_default()).unwrap();
        let fault = Store::open(small(image.path(), false), Metrics::default()).map(|_| ()).unwrap_err();
        assert!(matches!(fault, OpenError::Layout { .. }), "{fault}");
    }
    // A damaged layout.json is written anew where the marker says it.
    std::fs::write(folder.path().join("layout.json"), b"{}").unwrap();
    let store = opened(folder.path(), false);
    assert_eq!((layout(folder.path()), all(&store).await.len()), (2.into(), 1));
    assert!(!folder.path().join("before-upgrade-2").exists());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_says_which_layout_it_has_and_one_of_layout_1_is_upgraded_when_it_is_put_back() {
    let (to, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Made by an older program: there is no layout.json in it.
    let source = image(&old(false));
    for generation in [1, 2] {
        backup::backup(source.path(), Some(&ReadingKeys::none()), to.path(), true, &Watch::default())
            .unwrap();
        let put = back.path().join(generation.to_string());
        backup::restore(to.path(), None, &put).unwrap();
        std::fs::copy(source.path().join(CERTIFICATE), put.join(CERTIFICATE)).unwrap();
        assert_eq!(put.join("layout.json").exists(), generation == 2);
        let store = opened(&put, false);
        sound(&store, &put).await;
        assert_eq!(layout(&put), 2);
        assert_eq!(put.join("before-upgrade-1").exists(), generation == 1);
        store.close().await;
        // The second one is of the upgraded store.
        opened(source.path(), false).close().await;
    }
}

/// Changes octets of a file.
fn edit(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut octets = std::fs::read(path).unwrap();
    change(&mut octets);
    std::fs::write(path, octets).unwrap();
}

fn refused(folder: &Path) -> OpenError {
    Store::open(small(folder, true), Metrics::default()).map(|_| ()).unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_file_that_a_newer_program_wrote_is_named_and_not_taken_for_damage() {
    let whole = tempfile::tempdir().unwrap();
    made(whole.path(), true).await;
    let segment = |folder: &Path| {
        let mut all: Vec<_> =
            std::fs::read_dir(folder.join("ledger")).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all.pop().unwrap()
    };
    let seal = |octets: &mut Vec<u8>, until: usize| {
        let crc = crc32c::crc32c(&octets[..until]).to_le_bytes();
        octets[until..until + 4].copy_from_slice(&crc);
    };
    // A segment of the ledger.
    let folder = image(whole.path());
    edit(&segment(folder.path()), |octets| {
        octets[8] = 9;
        seal(octets, 60);
    });
    let fault = refused(folder.path());
    assert!(matches!(fault, OpenError::Ledger(LedgerFault::Newer { .. })), "{fault}");
    // A record in it.
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), false);
    let record = accepted(&store, 1).await;
    store.close().await;
    let end = ledger::verify(&folder.path().join("ledger")).unwrap();
    let mut value = codec::encode(&record).unwrap();
    value[0] = 9;
    let until = value.len() - 4;
    seal(&mut value, until);
    let heading = Heading { number: end.last + 1, synced: end.last, previous: end.head, at: Timestamp(1) };
    edit(&segment(folder.path()), |octets| {
        octets.truncate(end.octets as usize);
        frame::write(octets, heading, &Change::Accepted(value.clone())).unwrap();
    });
    let fault = Store::open(small(folder.path(), false), Metrics::default()).map(|_| ()).unwrap_err();
    assert!(matches!(fault, OpenError::Ledger(LedgerFault::Newer { .. })), "{fault}");
    let mut tail = Tail::open(&folder.path().join("ledger"), end.last + 1, &ReadingKeys::none()).unwrap();
    let fault = tail.any().unwrap_err();
    assert!(matches!(fault, TailFault::Ledger(LedgerFault::Newer { .. })), "{fault}");
    // Keys.
    let folder = image(whole.path());
    edit(&folder.path().join("vault/keyring.json"), |octets| {
        *octets = String::from_utf8(octets.clone()).unwrap().replace("\"format\": 1", "\"format\": 9").into();
    });
    let fault = refused(folder.path());
    assert!(matches!(fault, OpenError::Vault(VaultFault::Newer(_))), "{fault}");
    let folder = image(whole.path());
    edit(&folder.path().join("vault/000001.slots"), |octets| {
        octets[8] = 9;
        seal(octets, 60);
    });
    let fault = refused(folder.path());
    assert!(matches!(fault, OpenError::Vault(VaultFault::Newer(_))), "{fault}");
    assert!(fault.to_string().contains("newer amtsweg") && !fault.to_string().contains("backup"), "{fault}");
    // What the ledger is sealed with.
    let folder = image(whole.path());
    edit(&folder.path().join("proof/ledger.json"), |octets| {
        *octets = String::from_utf8(octets.clone()).unwrap().replace("\"format\": 1", "\"format\": 9").into();
    });
    let fault = book::Identity::read(folder.path()).unwrap_err();
    assert!(matches!(fault, book::BookFault::Newer(_)), "{fault}");
    // A snapshot is not needed: it stays for the one who can read it.
    let folder = image(whole.path());
    let snapshot = std::fs::read_dir(folder.path().join("snapshot")).unwrap().next().unwrap().unwrap().path();
    edit(&snapshot, |octets| octets[8] = 9);
    let metrics = Metrics::default();
    let opened = Store::open(small(folder.path(), true), metrics.clone()).unwrap();
    sound(&opened.store, folder.path()).await;
    assert!(snapshot.exists() && metrics.render().contains("amtsweg_corrupt_total{what=\"snapshot\"} 0"));
    opened.store.close().await;
    // A generation of a backup.
    let to = tempfile::tempdir().unwrap();
    let keys = ReadingKeys::open(whole.path(), &[master(1)]).unwrap();
    let made = backup::backup(whole.path(), Some(&keys), to.path(), true, &Watch::default()).unwrap();
    edit(&made.folder.join("manifest.json"), |octets| {
        *octets = String::from_utf8(octets.clone()).unwrap().replace("\"format\":1", "\"format\":9").into();
    });
    let fault = backup::restore(to.path(), None, &to.path().join("back")).unwrap_err();
    assert!(matches!(fault, BackupFault::Newer(_)), "{fault}");
}

#[tokio::test]
async fn the_copy_from_before_an_upgrade_goes_after_a_week() {
    let folder = image(&old(false));
    let store = opened(folder.path(), false);
    let kept = folder.path().join("before-upgrade-1");
    store.keep_house(Timestamp::now()).await.unwrap();
    assert!(kept.exists());
    let age = |days: u64| {
        let at = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        std::fs::File::open(&kept).unwrap().set_modified(at).unwrap();
    };
    age(6);
    store.keep_house(Timestamp::now()).await.unwrap();
    assert!(kept.exists());
    age(8);
    store.keep_house(Timestamp::now()).await.unwrap();
    assert!(!kept.exists());
    assert!(folder.path().join("ledger").exists());
}
