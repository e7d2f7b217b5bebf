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

/// Frames of the ledger's first segment on.
fn first_frame(folder: &Path) -> u64 {
    let mut names: Vec<_> =
        std::fs::read_dir(folder.join("ledger")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names[0].to_str().unwrap().trim_end_matches(".ledger").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_begins_with_the_snapshot_and_a_broken_one_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    for n in 0..200 {
        ended(&store, n, n % 3 > 0).await;
    }
    let kept = store.keep_house(at(15)).await.unwrap();
    assert_eq!(kept.snapshots, 1);
    for n in 200..260 {
        ended(&store, n, true).await;
    }
    store
        .control(crate::domain::EndpointControl {
            endpoint: "m".parse().unwrap(),
            suspended: true,
            reason: "maintenance".to_owned(),
            by: "operator".to_owned(),
            at: Timestamp(1),
        })
        .await
        .unwrap();
    store.keep_house(at(101)).await.unwrap();
    for n in 260..290 {
        accepted(&store, n).await;
    }
    let before = state(&store).await;
    let snapshots = || {
        let entries = std::fs::read_dir(folder.path().join("snapshot")).unwrap();
        let mut out: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
        out.sort();
        out
    };
    assert_eq!(snapshots().len(), 2, "{:?}", snapshots());
    let open_again = async |spoil: &dyn Fn(&Path)| {
        let image = tempfile::tempdir().unwrap();
        copy(folder.path(), image.path());
        std::fs::remove_dir_all(image.path().join("index")).unwrap();
        spoil(image.path());
        let metrics = Metrics::default();
        let opened = Store::open(small(image.path()), metrics.clone()).unwrap();
        assert_eq!(state(&opened.store).await, before);
        assert_eq!(accepted(&opened.store, 999).await.sequence, 291);
        (opened.recovery, metrics.render(), image)
    };
    let (whole, ..) = open_again(&|_| {}).await;
    assert!(whole.applied < whole.frames / 2, "{whole:?}");
    let newest = snapshots()[1].file_name().unwrap().to_owned();
    let len = std::fs::metadata(&snapshots()[1]).unwrap().len() as usize;
    for at in [3, 30, len / 2, len - 3] {
        let (second, text, image) = open_again(&|root| {
            let path = root.join("snapshot").join(&newest);
            let mut octets = std::fs::read(&path).unwrap();
            octets[at] ^= 4;
            std::fs::write(path, octets).unwrap();
        })
        .await;
        assert!(second.applied > whole.applied && second.applied < second.frames, "{second:?}");
        assert!(text.contains("amtsweg_corrupt_total{what=\"snapshot\"} 1"), "{text}");
        assert!(!image.path().join("snapshot").join(&newest).exists(), "it is set aside");
    }
    let (without, ..) = open_again(&|root| std::fs::remove_dir_all(root.join("snapshot")).unwrap()).await;
    assert_eq!(without.applied, without.frames);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_gives_up_its_beginning_and_nothing_that_is_needed() {
    use crate::store::ledger;
    let folder = tempfile::tempdir().unwrap();
    let store = open_small(folder.path());
    let waiting = accepted(&store, 1).await;
    let control = crate::domain::EndpointControl {
        endpoint: "m".parse().unwrap(),
        suspended: true,
        reason: "maintenance".to_owned(),
        by: "operator".to_owned(),
        at: Timestamp(1),
    };
    store.control(control.clone()).await.unwrap();
    for n in 2..150 {
        ended(&store, n, true).await;
    }
    // Frames carry the system's time.
    let later = Timestamp::now().plus(Duration::from_secs(500));
    assert_eq!(store.keep_house(later).await.unwrap().trimmed, 0, "they are too young");
    let later = Timestamp::now().plus(Duration::from_secs(2000));
    let kept = store.keep_house(later).await.unwrap();
    assert!(kept.trimmed > 5, "{kept:?}");
    assert!(first_frame(folder.path()) > 100);
    let now = store.get(&waiting.id).await.unwrap().unwrap();
    assert_eq!(now.facts, waiting.facts);
    assert_eq!(read_all(&store, &now.document, 1000).await.unwrap(), document(1));
    assert!(ledger::verify(&folder.path().join("ledger")).unwrap().last > 400);
    let before = state(&store).await;
    for without in ["index", "snapshot"] {
        let image = tempfile::tempdir().unwrap();
        copy(folder.path(), image.path());
        std::fs::remove_dir_all(image.path().join("index")).unwrap();
        if without == "snapshot" {
            std::fs::remove_dir_all(image.path().join("snapshot")).unwrap();
        }
        let again = open_small(image.path());
        assert_eq!(state(&again).await, before);
        assert_eq!(again.controls().await.unwrap(), vec![control.clone()]);
        assert_eq!(accepted(&again, 150).await.sequence, 150);
    }
    // A beginning that is missing without anybody having dropped it is damage.
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    let first = image.path().join("ledger").join(format!("{:020}.ledger", first_frame(image.path())));
    std::fs::remove_file(first).unwrap();
    let fault = Store::open(small(image.path()), Metrics::default()).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("nobody dropped them"), "{fault}");
}

/// Whether the index has a note of what its log amounts to.
fn noted(folder: &Path) -> bool {
    let indexes = std::fs::read_dir(folder.join("index")).unwrap().map(|entry| entry.unwrap().path());
    let mut files = indexes.filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path).unwrap());
    files.any(|file| file.unwrap().file_name().to_string_lossy().starts_with("snap."))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fresh_index_takes_the_place_of_one_that_has_grown_while_messages_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { index_slack: 0, ..small(folder.path()) };
    let store = Store::open(settings.clone(), Metrics::default()).unwrap().store;
    let mut n = 1;
    let mut made = 0;
    while made == 0 {
        for _ in 0..100 {
            ended(&store, n, true).await;
            n += 2;
        }
        let (keeper, other) = (std::sync::Arc::clone(&store), std::sync::Arc::clone(&store));
        let from = n;
        let coming = tokio::spawn(async move {
            for at in 0..60 {
                ended(&other, from + 2 * at, true).await;
            }
        });
        made += keeper.keep_house(at(101)).await.unwrap().reindexed;
        coming.await.unwrap();
        n += 120;
        assert!(n < 40_000, "it never grows");
    }
    let indexes = || std::fs::read_dir(folder.path().join("index")).unwrap().count();
    eventually(|| indexes() == 1).await;
    assert!(noted(folder.path()), "the next start would read all that was filled in");
    let waiting = accepted(&store, n).await;
    let before = state(&store).await;
    assert!(before.contains(waiting.id.as_str()));
    let (_image, again) = rebuilt(folder.path()).await;
    assert_eq!(state(&again).await, before);
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    let opened = Store::open(Settings { index_slack: 0, ..small(image.path()) }, Metrics::default()).unwrap();
    assert_eq!(state(&opened.store).await, before);
    assert!(noted(image.path()), "so would one behind a rebuild");
    drop(opened);
    // After a kill the new one is taken as it is; one that was being filled is not.
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    let half = image.path().join("index/900000");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.with_extension("building"), b"").unwrap();
    let opened = Store::open(small(image.path()), Metrics::default()).unwrap();
    assert_eq!(opened.recovery.rebuilt, None);
    assert_eq!(state(&opened.store).await, before);
    assert!(!half.exists());
    store.close().await;
    let opened = Store::open(settings, Metrics::default()).unwrap();
    assert_eq!(opened.recovery.rebuilt, None);
    assert_eq!(state(&opened.store).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_right_behind_a_rebuild_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(open_small(folder.path()));
    let coming = (1..=2000).map(|n| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { drop(accepted(&store, n).await) })
    });
    for task in coming.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(store.keep_house(at(0)).await.unwrap().snapshots > 0);
    store.close().await;
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let opened = Store::open(small(folder.path()), Metrics::default()).unwrap();
    assert!(opened.recovery.rebuilt.is_some());
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    let killed = Store::open(small(image.path()), Metrics::default()).unwrap();
    assert_eq!((killed.recovery.messages, killed.recovery.rebuilt), (2000, None));
    assert_eq!(state(&killed.store).await, state(&opened.store).await);
}
