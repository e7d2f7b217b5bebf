//! Checkpoints go with the frames that they are about, and what rests on the others goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::fixture::*;
use super::proof::{Key, checked, lines, work};
use crate::backup::compare::compare;
use crate::backup::{Watch, backup, restore};
use crate::domain::Timestamp;
use crate::observe::Metrics;
use crate::proof::book::{self, Identity};
use crate::proof::message::prove;
use crate::proof::seal;
use crate::store::ledger::Tail;
use crate::store::{LedgerPort, ReadingKeys, Retention, Settings, Store};

const SPAN: Duration = Duration::from_secs(1000);

/// A store with small segments, which keeps messages for long and frames for a short time.
fn open_small(folder: &Path) -> Arc<Store> {
    let long = Duration::from_secs(1 << 40);
    let retention = Retention { closed: long, returned: long, metadata: long, ledger: SPAN };
    let settings = Settings { ledger_segment: 8 << 10, retention, ..settings(folder) };
    Store::open(settings, Metrics::default()).unwrap().store
}

fn sealing(folder: &Path) -> seal::Settings {
    seal::Settings { events: 5, page: 4, ..seal::Settings::new(folder, "probe") }
}

/// Sizes in the names of the files of checkpoints.
fn files(folder: &Path) -> Vec<u64> {
    book::files(folder).unwrap().into_iter().map(|(size, _)| size).collect()
}

fn least(folder: &Path) -> u64 {
    Tail::first(&folder.join("ledger")).unwrap().unwrap()
}

/// Which of the messages have a proof.
async fn proven(store: &Store, folder: &Path, upto: u64) -> BTreeSet<u64> {
    let mut proven = BTreeSet::new();
    for n in 1..upto {
        let frame = store.newest_frame(&id(n)).await.unwrap().unwrap();
        if prove(folder, &ReadingKeys::none(), &id(n), frame).is_ok() {
            proven.insert(n);
        }
    }
    proven
}

/// Exports from wherever one is asked for pass, and end with the ledger.
fn whole(folder: &Path, key: &Key, last: u64) {
    let least = least(folder);
    for from in [1, least, least + 7, last - 3] {
        let findings = checked(&lines(folder, &ReadingKeys::none(), from), key).unwrap();
        assert!(findings.from >= least && findings.from <= from.max(least) + 5, "{findings:?}");
        assert_eq!(findings.from + findings.events - 1, last);
        assert_eq!(findings.start.unwrap().frame() + 1, findings.from);
    }
}

/// A store whose ledger has let its beginning go while it was sealed; copies of the checkpoints as they were
/// before lie in `kept`.
async fn trimmed(data: &Path, kept: &Path, key: &Key) -> Arc<Store> {
    let store = open_small(data);
    let sealer = key.with(&store, sealing(data));
    work(&store, 1, 150).await;
    let synced = store.synced();
    sealer.sealed.clone().wait_for(|sealed| sealed.frame + 5 > synced).await.unwrap();
    copy(data, kept);
    let done = store.keep_house(Timestamp::now().plus(SPAN * 2)).await.unwrap();
    assert!(done.trimmed > 3, "{done:?}");
    work(&store, 150, 200).await;
    sealer.stop();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_go_with_their_frames_and_exports_proofs_and_comparisons_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    let (data, kept, to, back) = (place("data"), place("kept"), place("to"), place("back"));
    let key = Key::new();
    let store = trimmed(&data, &kept, &key).await;
    let (before, after) = (files(&kept), files(&data));
    assert!(before.len() > 5 && before[0] == 0, "{before:?}");
    let first = Identity::read(&data).unwrap().unwrap().first;
    assert!(after[0] > 0 && before.contains(&after[0]), "{after:?}");
    assert!(
        first + after[0] <= least(&data) && first + after[1] > least(&data),
        "{after:?} {}",
        least(&data)
    );
    whole(&data, &key, store.synced());
    let provable = proven(&store, &data, 200).await;
    assert!(provable.len() > 190, "{provable:?}");

    // A backup of it is put back, and compared with a later export.
    backup(&data, Some(&ReadingKeys::none()), &to, true, &Watch::default()).unwrap();
    let sealer = key.with(&store, sealing(&data));
    work(&store, 200, 220).await;
    sealer.stop();
    let later = lines(&data, &ReadingKeys::none(), 1).concat();
    store.close().await;
    restore(&to, None, &back).unwrap();
    assert_eq!(files(&back), after);
    let compared = compare(&back, &ReadingKeys::none(), &mut later.as_slice(), &key.certificates).unwrap();
    assert_eq!((compared.missing.len(), compared.behind.len()), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_between_two_files_is_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let (data, kept) = (dir.path().join("data"), dir.path().join("kept"));
    let key = Key::new();
    let store = trimmed(&data, &kept, &key).await;
    let (before, after) = (files(&kept), files(&data));
    let gone = before.iter().position(|size| *size == after[0]).unwrap();
    assert!(gone > 3, "{before:?}, then {after:?}");
    let (last, provable) = (store.synced(), proven(&store, &data, 200).await);
    store.close().await;
    // None of them gone, or some, or all; or all but the first, whose removal was never synced.
    let some = (0..=gone).map(|n| before[n..gone].to_vec());
    for there in some.chain([before[..1].to_vec()]) {
        let image = tempfile::tempdir().unwrap();
        copy(&data, image.path());
        for size in &there {
            let name = format!("{}/{size:020}.checkpoints", book::FOLDER);
            std::fs::copy(kept.join(&name), image.path().join(&name)).unwrap();
        }
        assert_eq!(files(image.path()), [there.as_slice(), after.as_slice()].concat());
        whole(image.path(), &key, last);
        let store = open_small(image.path());
        assert_eq!(proven(&store, image.path(), 200).await, provable, "with {there:?}");
        // The next start does the rest.
        key.with(&store, sealing(image.path())).stop();
        assert_eq!(files(image.path()), after);
        whole(image.path(), &key, store.synced());
        store.close().await;
    }
}
