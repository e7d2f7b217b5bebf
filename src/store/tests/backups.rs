//! Backups beside a store that accepts, erases, moves and forgets all the while: every generation is whole.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::fixture::*;
use super::secret::{accepted_whole_small, closed, master, with};
use crate::backup::{self, BackupFault, Keeper, Watch};
use crate::domain::Timestamp;
use crate::domain::record::ContentPlace;
use crate::observe::Metrics;
use crate::store::{LedgerPort, ReadingKeys, Retention, Settings, Store, ledger, read_all};

/// Linux's number: opening doesn't wait for the other end of a pipe.
const O_NONBLOCK: i32 = 0o4000;

/// With small segments, and most contents in files of their own.
fn small(folder: &Path, sealed: bool) -> Settings {
    let retention = Retention {
        closed: Duration::from_secs(10),
        returned: Duration::from_secs(10),
        metadata: Duration::from_secs(100),
        ledger: Duration::ZERO,
    };
    let segment = 16 << 10;
    let masters = if sealed { &[1][..] } else { &[] };
    Settings {
        inline_max: 600,
        ledger_segment: segment,
        content_segment: segment,
        retention,
        ..with(folder, masters, sealed)
    }
}

/// Accepts and ends messages, and keeps house: what has ended loses its content, and later its record.
async fn busy(store: Arc<Store>, over: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let mut n = 0;
    while !over.load(Ordering::Acquire) {
        for _ in 0..40 {
            let record = accepted_whole_small(&store, n).await;
            if n % 4 > 0 {
                closed(&store, record, n).await;
            }
            n += 1;
        }
        // Content at once; records some rounds later; and the ledger as soon as a snapshot covers it.
        store.keep_house(Timestamp(20_000)).await.unwrap();
        if n % 200 == 0 {
            store.keep_house(Timestamp::now()).await.unwrap();
        }
        done.store(n, Ordering::Release);
    }
}

/// Opens a generation that was put back, and reads all that its records name.
async fn is_whole(folder: &Path, sealed: bool) -> (usize, usize) {
    ledger::verify(&folder.join("ledger")).unwrap();
    let store = Store::open(small(folder, sealed), Metrics::default()).unwrap().store;
    if sealed {
        // What was erased between the ledger's end and the copy of the keys has no key any more; its time has
        // come in the copy as well.
        store.keep_house(Timestamp(20_000)).await.unwrap();
    }
    let records = all(&store).await;
    let mut living = 0;
    for record in &records {
        for content in record.contents().filter(|content| content.place != ContentPlace::Dropped) {
            let read = read_all(&*store, content, 1 << 20).await;
            assert!(read.is_ok(), "{}, {}: {read:?}", record.id, record.state.name());
        }
        living += usize::from(!record.erased());
    }
    store.close().await;
    (records.len(), living)
}

async fn generations(sealed: bool, with_keys: bool) {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("to"));
    let store = Store::open(small(&data, sealed), Metrics::default()).unwrap().store;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let working = tokio::spawn(busy(Arc::clone(&store), Arc::clone(&over), Arc::clone(&done)));
    let masters = [master(1)];
    let mut made = Vec::new();
    let mut seen = 0;
    for round in 0..8 {
        eventually(|| done.load(Ordering::Acquire) >= seen + 40).await;
        seen = done.load(Ordering::Acquire);
        let (data, to, full) = (data.clone(), to.clone(), round % 3 == 2);
        let keys = with_keys.then(|| ReadingKeys::open(&data, &masters[..usize::from(sealed)]).unwrap());
        let copy = move || backup::backup(&data, keys.as_ref(), &to, full, &Watch::default());
        made.push(tokio::task::spawn_blocking(copy).await.unwrap().unwrap());
    }
    over.store(true, Ordering::Release);
    working.await.unwrap();
    store.close().await;
    assert!(seen > 300, "only {seen} messages came meanwhile");
    let mut all_living = 0;
    for made in &made {
        let back = dir.path().join(format!("back-{}", made.generation));
        backup::restore(&to, Some(made.generation), &back).unwrap();
        // Keys are kept once, as they are now: what was erased since can't be read from an older generation.
        if !sealed || made.generation == 8 {
            let (_, living) = is_whole(&back, sealed).await;
            all_living += living;
        }
    }
    assert!(all_living > 80, "{all_living}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_made_while_messages_come_and_go_are_whole() {
    generations(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_of_an_encrypted_store_are_whole_with_its_keys_and_without() {
    generations(true, true).await;
    generations(true, false).await;
}

#[tokio::test]
async fn a_backup_that_is_told_to_stop_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("to"));
    std::fs::create_dir(&to).unwrap();
    let store = open(&data).store;
    accepted(&store, 1).await;
    // A pipe holds it up in the middle of its work.
    let pipe = data.join("content/files/00/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let keeper = Arc::new(Keeper::new(data, to.clone(), Arc::clone(&store) as Arc<dyn LedgerPort>));
    keeper.begin("somebody", true).unwrap();
    assert!(matches!(keeper.begin("somebody else", true), Err(BackupFault::Busy(_))));
    // Without waiting, the other end can be opened once somebody reads.
    let mut writing = std::fs::File::options();
    writing.write(true).custom_flags(O_NONBLOCK);
    let mut other_end = None;
    eventually(|| {
        other_end = writing.open(&pipe).ok();
        other_end.is_some()
    })
    .await;
    assert!(keeper.state().running.is_some_and(|(.., progress)| progress.files >= 2));
    assert!(!keeper.stop(), "it is held up");
    // The other end is gone: it goes on, and finds that it is to stop.
    drop(other_end);
    eventually(|| keeper.stop()).await;
    let last = keeper.state().last.unwrap();
    assert!(last.made.unwrap_err().contains("stopped") && last.by == "somebody");
    assert!(matches!(keeper.begin("somebody", true), Err(BackupFault::Stopped)));
    let left: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
    store.close().await;
}
