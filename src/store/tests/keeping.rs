//! The end of retention, and what it gives back to the disk.

use std::path::Path;
use std::time::Duration;

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::{Action, FactKind, Record, Timestamp};
use crate::observe::Metrics;
use crate::store::{
    AcceptPort, Acceptance, ChangePort, ReadPort, Retention, Settings, Store, StoreError, read_all,
};

/// Small segments, so that many begin and end.
fn small(folder: &Path) -> Settings {
    let retention = Retention {
        closed: Duration::from_secs(10),
        returned: Duration::from_secs(20),
        metadata: Duration::from_secs(100),
        ledger: Duration::from_secs(1000),
    };
    Settings { ledger_segment: 16 << 10, content_segment: 16 << 10, retention, ..settings(folder) }
}

fn open_small(folder: &Path) -> Store {
    let opened = Store::open(small(folder), Metrics::default()).unwrap();
    std::sync::Arc::into_inner(opened.store).unwrap()
}

/// Seconds after the times at which the fixture's messages end.
fn at(seconds: u64) -> Timestamp {
    Timestamp(5000 + seconds * 1000)
}

async fn end(store: &Store, record: &Record, closed: bool) -> Record {
    let taken = step(record, Action::Claim(claim(7, 9000)), Timestamp(2000)).unwrap();
    let taken = store.commit(taken).await.unwrap();
    let token = Some(claim(7, 9000).token);
    let detail = "not ours".to_owned();
    let action = match (&taken.state, closed) {
        (crate::domain::State::Sending { claim }, true) => {
            Action::Succeeded { token: claim.token, taken_over: true, detail: String::new() }
        }
        (_, true) => Action::Close { token },
        _ => Action::Reject { token, detail },
    };
    let next = step(&taken, action, Timestamp(5000)).unwrap();
    Record::clone(&*store.commit(next).await.unwrap())
}

/// A message in a mailbox: the fixture's odd ones are pulled.
async fn ended(store: &Store, n: u64, closed: bool) -> Record {
    let record = accepted(store, n).await;
    end(store, &record, closed).await
}

fn octets_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| if p.is_dir() { octets_in(&p) } else { std::fs::metadata(p).unwrap().len() }).sum()
}

/// The same store after a kill without its index.
async fn rebuilt(folder: &Path) -> (tempfile::TempDir, Store) {
    let image = tempfile::tempdir().unwrap();
    copy(folder, image.path());
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    let store = open_small(image.path());
    (image, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_goes_when_its_retention_has_ended_and_the_record_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    let closed = ended(&store, 1, true).await;
    let returned = ended(&store, 3, false).await;
    let waiting = accepted(&store, 5).await;
    let large = new_message(7, &vec![b'd'; 200_000], vec![memory(b"one"), memory(&vec![b'a'; 90_000])]);
    let Acceptance::New(large) = store.accept(large).await.unwrap() else { panic!("it is new") };
    let large = end(&store, &large, true).await;
    assert_eq!(store.keep_house(at(9)).await.unwrap().erased, 0, "nothing is due");
    assert_eq!(store.keep_house(at(11)).await.unwrap().erased, 2);
    for before in [&closed, &large] {
        let now = store.get(&before.id).await.unwrap().unwrap();
        assert!(now.erased() && now.state == before.state && now.version == before.version + 1);
        assert_eq!(now.facts.last().unwrap().kind, FactKind::Erased);
        assert_eq!((now.document.sha256, now.document.len), (before.document.sha256, before.document.len));
        assert!(matches!(store.open(&now.document).await.map(|_| ()), Err(StoreError::Dropped)));
        for attachment in &now.attachments {
            let read = read_all(&store, &attachment.content, 1 << 20).await;
            assert!(matches!(read, Err(StoreError::Dropped)), "{read:?}");
        }
        assert!(read_all(&store, &now.receipt, 1000).await.unwrap().starts_with(b"<receipt"));
    }
    assert_eq!(octets_in(&folder.path().join("content/files")), 0);
    assert_eq!(store.keep_house(at(21)).await.unwrap().erased, 1);
    assert!(store.get(&returned.id).await.unwrap().unwrap().erased());
    assert!(read_all(&store, &waiting.document, 1000).await.is_ok());
    // A repeat is still the same message.
    assert_eq!(accepted(&store, 1).await.id, closed.id);
    let before = state(&store).await;
    let (_image, again) = rebuilt(folder.path()).await;
    assert_eq!(state(&again).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_go_when_their_retention_has_ended_and_repeats_are_new_messages_then() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    for n in [1, 3, 5] {
        ended(&store, n, n != 3).await;
    }
    let waiting = accepted(&store, 9).await;
    assert_eq!(store.keep_house(at(99)).await.unwrap().forgotten, 0);
    let kept = store.keep_house(at(101)).await.unwrap();
    assert_eq!((kept.erased, kept.forgotten), (0, 3));
    assert_eq!(all(&store).await, vec![Record::clone(&waiting)]);
    assert!(store.get(&id(1)).await.unwrap().is_none());
    let depths = store.depths().await.unwrap();
    assert_eq!(depths.iter().map(|d| d.by_state.values().sum::<u64>()).sum::<u64>(), 1);
    let before = state(&store).await;
    let (_image, again) = rebuilt(folder.path()).await;
    assert_eq!(state(&again).await, before);
    for store in [&store, &again] {
        let record = accepted(store, 1).await;
        assert_eq!((record.sequence, record.version), (5, 1), "its number was never used again");
    }
    // And once more by way of an index that knows what came before.
    let before = state(&store).await;
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    assert_eq!(state(&open_small(image.path())).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_in_which_little_lives_are_emptied_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    let segments = || octets_in(&folder.path().join("content/segments"));
    for n in 0..600 {
        let record = accepted(&store, n).await;
        if n % 20 != 1 {
            end(&store, &record, true).await;
        }
    }
    let full = segments();
    let kept = store.keep_house(at(15)).await.unwrap();
    assert!(kept.erased == 570 && kept.moved > 0 && kept.segments > 5, "{kept:?}");
    assert!(segments() < full * 3 / 4, "{full} octets became {}", segments());
    let read = async |store: &Store| {
        for n in (1..600).step_by(20) {
            let record = store.get(&id(n)).await.unwrap().unwrap();
            assert_eq!(read_all(store, &record.document, 1000).await.unwrap(), document(n));
            assert_eq!(read_all(store, &record.receipt, 1000).await.unwrap(), format!("<receipt n='{n}'/>"));
        }
    };
    read(&store).await;
    let before = state(&store).await;
    let (image, again) = rebuilt(folder.path()).await;
    assert_eq!(state(&again).await, before);
    read(&again).await;
    // What lives is known after a rebuild, too: the next round empties what is left.
    let kept = again.keep_house(at(101)).await.unwrap();
    assert!(kept.forgotten == 570 && kept.segments > 0, "{kept:?}");
    read(&again).await;
    let left = octets_in(&image.path().join("content/segments"));
    assert!(left < full / 2, "{full} octets became {left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_an_old_record_is_told_to_read_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    let old = accepted(&store, 1).await;
    for n in 2..300 {
        ended(&store, n, true).await;
    }
    assert!(store.keep_house(at(15)).await.unwrap().moved >= 1);
    let now = store.get(&old.id).await.unwrap().unwrap();
    assert_ne!(now.document.place, old.document.place);
    assert!(matches!(store.open(&old.document).await.map(|_| ()), Err(StoreError::Conflict)));
    assert_eq!(read_all(&store, &now.document, 1000).await.unwrap(), document(1));
    // A change made from the record before the copy is refused like any other that comes too late.
    let late = step(&old, Action::Warn { detail: String::new() }, Timestamp(6000)).unwrap();
    assert!(matches!(store.commit(late).await, Err(StoreError::Conflict)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stray_files_go_and_staged_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    // The search at the start is over after this.
    store.keep_house(at(0)).await.unwrap();
    let mut stage = store.stage(1 << 20).await.unwrap();
    stage.write(vec![1; 100_000].into()).await.unwrap();
    let staged = stage.finish().await.unwrap();
    let (stray, tmp) = (uuid::Uuid::new_v4(), folder.path().join("content/tmp"));
    std::fs::write(crate::store::content::file_path(folder.path(), stray), b"x").unwrap();
    std::fs::write(tmp.join(uuid::Uuid::new_v4().to_string()), b"x").unwrap();
    std::fs::write(tmp.join("somebody's notes"), b"x").unwrap();
    assert_eq!(store.keep_house(at(0)).await.unwrap().strays, 2);
    let Acceptance::New(record) = store.accept(new_message(1, b"<a/>", vec![staged])).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(store.keep_house(at(0)).await.unwrap().strays, 0);
    assert_eq!(read_all(&store, &record.attachments[0].content, 1 << 20).await.unwrap(), vec![1; 100_000]);
    assert!(tmp.join("somebody's notes").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_content_is_reported_and_hinders_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::default();
    let opened = Store::open(small(folder.path()), metrics.clone()).unwrap();
    let store = opened.store;
    let first = accepted(&store, 1).await;
    for n in 2..200 {
        ended(&store, n, true).await;
    }
    let crate::domain::record::ContentPlace::Segment { segment, offset } = first.document.place else {
        panic!("it is small")
    };
    let path = folder.path().join(format!("content/segments/{segment:010}.content"));
    let mut octets = std::fs::read(&path).unwrap();
    octets[offset as usize + 80] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    let kept = store.keep_house(at(15)).await.unwrap();
    assert!(kept.erased == 198 && kept.segments > 0, "{kept:?}");
    assert!(path.exists(), "what can't be copied stays where it is");
    assert!(metrics.render().contains("amtsweg_corrupt_total{what=\"content\"} 1"), "{}", metrics.render());
    store.keep_house(at(16)).await.unwrap();
    assert!(metrics.render().contains("amtsweg_corrupt_total{what=\"content\"} 1"), "it is told once");
}
