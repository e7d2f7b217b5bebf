//! Encryption and a long life together: the end of a message's retention is the end of its key, and what is
//! copied, cut short and made anew stays encrypted and readable.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::fixture::*;
use super::secret::{accepted_whole, closed, control, lasting, readable, secrets, told, with};
use crate::domain::{Record, Timestamp};
use crate::observe::Metrics;
use crate::store::{ReadPort, Retention, Settings, Store, StoreError, read_all};

/// An encrypted store with small segments.
fn small(folder: &Path) -> Settings {
    let retention = Retention {
        closed: Duration::from_secs(10),
        returned: Duration::from_secs(10),
        metadata: Duration::from_secs(1000),
        ledger: Duration::from_secs(1000),
    };
    Settings { ledger_segment: 16 << 10, content_segment: 16 << 10, retention, ..with(folder, &[1], true) }
}

fn open_small(folder: &Path) -> Arc<Store> {
    Store::open(small(folder), Metrics::default()).unwrap().store
}

/// When the content of what has ended may go, and its record may not yet.
const LATER: Timestamp = Timestamp(60_000);

/// Messages in and out, every tenth is left waiting.
async fn traffic(store: &Store, count: u64) -> Vec<Arc<Record>> {
    let mut ended = Vec::new();
    for n in 0..count {
        let record = accepted_whole(store, n).await;
        if n % 10 > 0 {
            ended.push(closed(store, record, n).await);
        }
    }
    ended
}

/// All messages that wait can be read, in this store and in one without index after a kill; with `snapshot`
/// gone, too.
async fn all_there(folder: &Path, store: &Store, count: u64) {
    let before = state(store).await;
    for without in [&["index"][..], &["index", "snapshot"]] {
        let image = tempfile::tempdir().unwrap();
        copy(folder, image.path());
        for name in without {
            // There may be no snapshot yet.
            let _ = std::fs::remove_dir_all(image.path().join(name));
        }
        let again = open_small(image.path());
        assert_eq!(state(&again).await, before);
        for n in (0..count).step_by(10) {
            readable(store, n).await;
            readable(&again, n).await;
        }
        again.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_retention_wipes_the_key_and_leaves_receipt_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    let ended = traffic(&store, 30).await;
    // Somebody has kept all content as it was.
    let old = tempfile::tempdir().unwrap();
    copy(&folder.path().join("content"), old.path());
    let kept = store.keep_house(LATER).await.unwrap();
    assert_eq!((kept.erased, kept.forgotten), (27, 0), "{kept:?}");
    let slots = std::fs::read(folder.path().join("vault/000001.slots")).unwrap();
    for before in &ended {
        let at = usize::try_from(before.slot.unwrap() * 64).unwrap();
        assert!(slots[at..at + 64].iter().all(|octet| *octet == 0), "{} has a key", before.id);
        let now = store.get(&before.id).await.unwrap().unwrap();
        assert!(now.erased() && now.slot.is_none());
        assert!(matches!(store.open(&now.document).await.err(), Some(StoreError::Dropped)));
        lasting(&store, &now).await;
    }
    all_there(folder.path(), &store, 30).await;
    store.close().await;
    // The content of old is of no use to anybody.
    std::fs::remove_dir_all(folder.path().join("content")).unwrap();
    copy(old.path(), &folder.path().join("content"));
    let store = open_small(folder.path());
    for before in &ended {
        let contents = before.attachments.iter().map(|a| &a.content).chain([&before.document]);
        for content in contents {
            assert!(read_all(&*store, content, 1 << 30).await.is_err(), "{content:?} can be read");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_trimmed_and_indexed_anew_store_still_reads_and_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    control(&store).await;
    let ended = traffic(&store, 80).await;
    let kept = store.keep_house(LATER).await.unwrap();
    assert!(kept.erased == 72 && kept.moved > 0 && kept.segments > 5 && kept.snapshots == 1, "{kept:?}");
    all_there(folder.path(), &store, 80).await;
    for before in &ended {
        lasting(&store, &store.get(&before.id).await.unwrap().unwrap()).await;
    }
    // Records go, and the ledger gives up its beginning.
    let kept = store.keep_house(Timestamp::now().plus(Duration::from_secs(2000))).await.unwrap();
    assert!(kept.forgotten == 72 && kept.trimmed > 5, "{kept:?}");
    all_there(folder.path(), &store, 80).await;
    assert_eq!(store.controls().await.unwrap().len(), 1);
    assert_eq!(all(&store).await.len(), 8);
    // A repeat of a forgotten message is a new one, with a key of its own.
    accepted_whole(&store, 1).await;
    readable(&store, 1).await;
    // The first messages have UUIDs like anybody's numbers: those can't be searched for.
    let (uuid, mut words) = (header(1).uuid, secrets(1));
    words.retain(|word| word != uuid.as_bytes() && *word != uuid.to_string().into_bytes());
    assert_eq!(told(folder.path(), &words), BTreeSet::new());
    store.close().await;
    let opened = Store::open(small(folder.path()), Metrics::default()).unwrap();
    assert_eq!(opened.recovery.rebuilt, None);
    for n in [0, 1, 70] {
        readable(&opened.store, n).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_index_is_taken_though_settings_are_encrypted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(Settings { index_slack: 0, ..small(folder.path()) }, Metrics::default()).unwrap().store;
    control(&store).await;
    let (mut made, mut n) = (0, 0);
    while made == 0 {
        for _ in 0..100 {
            let record = accepted(&store, n).await;
            closed(&store, record, n).await;
            n += 1;
        }
        made += store.keep_house(Timestamp(2_000_000)).await.unwrap().reindexed;
        assert!(n < 20_000, "it never grows");
    }
    accepted_whole(&store, n).await;
    readable(&store, n).await;
    assert_eq!(store.controls().await.unwrap().len(), 1);
    let before = state(&store).await;
    store.close().await;
    let opened = Store::open(small(folder.path()), Metrics::default()).unwrap();
    assert_eq!((opened.recovery.rebuilt, state(&opened.store).await), (None, before));
}
