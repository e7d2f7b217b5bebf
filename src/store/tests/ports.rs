//! What the ports answer.

use bytes::Bytes;

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::record::ContentPlace;
use crate::domain::{Action, EndpointControl, State, Timestamp};
use crate::observe::Metrics;
use crate::store::{
    AcceptPort, Acceptance, ChangePort, Filter, OpenError, ReadPort, StagedBody, Store, StoreError, read_all,
};

#[tokio::test]
async fn keeps_what_it_accepted_and_knows_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let Acceptance::New(record) = accept(&store, 7).await.unwrap() else { panic!("it is new") };
    assert_eq!((record.version, record.sequence, record.facts.len()), (1, 1, 1));
    assert_eq!(store.get(&id(7)).await.unwrap().unwrap(), record);
    assert_eq!(store.find(&header(7).author, header(7).uuid).await.unwrap().unwrap(), record);
    assert_eq!(read_all(&*store, &record.document, 1000).await.unwrap(), document(7));
    assert_eq!(read_all(&*store, &record.receipt, 1000).await.unwrap(), "<receipt n='7'/>");
    assert!(matches!(read_all(&*store, &record.document, 3).await, Err(StoreError::TooLarge(3))));

    let Acceptance::Again(again) = accept(&store, 7).await.unwrap() else { panic!("it is known") };
    assert_eq!(again, record);
    let mut other = new_message(7, b"<other/>", Vec::new());
    other.id = id(8);
    assert!(matches!(store.accept(other).await, Err(StoreError::IdUsed(used)) if used == id(7)));
    assert_eq!(store.get(&id(8)).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_equal_messages_at_once_one_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { accept(&store, 1).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(matches!(task.await.unwrap(), Acceptance::New(_)));
    }
    assert_eq!((new, all(&store).await.len()), (1, 1));
}

#[tokio::test]
async fn a_change_names_the_version_it_was_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let mut events = store.events();
    let record = accepted(&store, 2).await;
    // Told after the answer, so it may still be on its way.
    assert!(matches!(events.recv().await.unwrap().state, State::Queued { .. } | State::Available));
    let next = step(&record, Action::Claim(claim(1, 9000)), Timestamp(2000)).unwrap();
    store.commit(next.clone()).await.unwrap();
    assert!(matches!(store.commit(next.clone()).await, Err(StoreError::Conflict)));
    let mut event = events.recv().await.unwrap();
    // The acceptance may be told only now.
    if event.facts.iter().any(|f| f.kind == crate::domain::FactKind::Accepted) {
        event = events.recv().await.unwrap();
    }
    assert_eq!((event.id.clone(), event.facts.len()), (id(2), 1));
    assert!(matches!(event.state, State::Sending { .. }));

    let mut forged = step(&next, Action::Warn { detail: String::new() }, Timestamp(2001)).unwrap();
    forged.document.len += 1;
    assert!(matches!(store.commit(forged).await, Err(StoreError::Io { .. })));
    let mut stranger = next.clone();
    stranger.id = id(99);
    assert!(matches!(store.commit(stranger).await, Err(StoreError::Unknown)));
    assert_eq!(*store.get(&id(2)).await.unwrap().unwrap(), next);
}

#[tokio::test]
async fn of_many_claims_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let record = accepted(&store, 2).await;
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let next = step(&record, Action::Claim(claim(n, 9000)), Timestamp(2000)).unwrap();
            let store = store.clone();
            tokio::spawn(async move { store.commit(next).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn lists_and_counts_by_endpoint_state_and_account() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    for n in 0..30 {
        let record = accepted(&store, n).await;
        if n % 5 == 0 {
            let parked = Action::Park { reason: crate::domain::ParkReason::Operator, detail: String::new() };
            store.commit(step(&record, parked, Timestamp(5000)).unwrap()).await.unwrap();
        }
    }
    let count = async |filter: Filter| {
        let found = store.list(&Filter { limit: 100, ..filter }).await.unwrap();
        assert!(found.is_sorted_by_key(|r| r.sequence));
        found.len()
    };
    let endpoint = |name: &str| Some(name.parse().unwrap());
    assert_eq!(count(Filter::default()).await, 30);
    assert_eq!(count(Filter { state: Some("Parked".into()), ..Filter::default() }).await, 6);
    let any_of: &[&str] = &["Parked", "Nonsense"];
    assert_eq!(count(Filter { any_of, ..Filter::default() }).await, 6);
    assert_eq!(count(Filter { any_of, state: Some("Queued".into()), ..Filter::default() }).await, 0);
    assert_eq!(count(Filter { endpoint: endpoint("m"), ..Filter::default() }).await, 10);
    // Messages 0 and 15 of endpoint marburg are parked; of these the even one is portal's.
    let both = Filter { endpoint: endpoint("marburg"), state: Some("Parked".into()), ..Filter::default() };
    assert_eq!(count(both.clone()).await, 2);
    assert_eq!(count(Filter { account: "portal".parse().ok(), ..both }).await, 1);
    assert_eq!(count(Filter { account: "portal".parse().ok(), ..Filter::default() }).await, 15);
    assert_eq!(count(Filter { after: Some(28), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { state: Some("Nonsense".into()), ..Filter::default() }).await, 0);

    let depths = store.depths().await.unwrap();
    let marburg = depths.iter().find(|d| d.endpoint.as_str() == "marburg").unwrap();
    assert_eq!(
        (marburg.by_state["Parked"], marburg.by_state["Queued"], marburg.by_state["Available"]),
        (2, 4, 4)
    );
    assert_eq!(marburg.oldest, Some(Timestamp(1000)));
    let due = store.due(&"m".parse().unwrap(), Timestamp(1010), 100).await.unwrap();
    assert!(due.iter().all(|d| d.at <= Timestamp(1010)) && due.is_sorted_by_key(|d| (d.at, d.sequence)));
    assert_eq!(store.next_due(&"nowhere".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn an_operators_setting_survives_and_the_last_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let mut control = EndpointControl {
        endpoint: "m".parse().unwrap(),
        suspended: true,
        reason: "maintenance".to_owned(),
        by: "operator".to_owned(),
        at: Timestamp(1),
    };
    store.control(control.clone()).await.unwrap();
    control.suspended = false;
    store.control(control.clone()).await.unwrap();
    store.close().await;
    assert!(matches!(store.control(control.clone()).await, Err(StoreError::Closed(_))));
    assert!(matches!(store.get(&id(1)).await, Err(StoreError::Closed(_))));
    let opened = open(folder.path());
    assert_eq!(opened.recovery.rebuilt, None);
    assert_eq!(opened.store.controls().await.unwrap(), vec![control]);
}

#[tokio::test]
async fn large_content_streams_through_files_and_goes_when_nobody_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let tmp = folder.path().join("content/tmp");
    let in_tmp = || std::fs::read_dir(&tmp).unwrap().count();
    let octets: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let mut stage = store.stage(10 << 20).await.unwrap();
    for chunk in octets.chunks(100_000) {
        stage.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(in_tmp(), 1);
    let staged = stage.finish().await.unwrap();
    assert!(matches!(staged.body, StagedBody::File(..)));
    let document = vec![b'd'; 200_000];
    let message = new_message(1, &document, vec![staged, memory(b"small")]);
    let Acceptance::New(record) = store.accept(message).await.unwrap() else { panic!("it is new") };
    assert_eq!(in_tmp(), 0);
    assert!(matches!(record.document.place, ContentPlace::File { .. }));
    assert!(matches!(record.attachments[1].content.place, ContentPlace::Segment { .. }));
    assert_eq!(read_all(&*store, &record.document, 1 << 20).await.unwrap(), document);
    assert_eq!(read_all(&*store, &record.attachments[0].content, 4 << 20).await.unwrap(), octets);
    assert_eq!(read_all(&*store, &record.attachments[1].content, 10).await.unwrap(), "small");

    // A repeat with its own copy, and a stage that is given up, leave nothing behind.
    let mut stage = store.stage(10 << 20).await.unwrap();
    stage.write(Bytes::from(octets)).await.unwrap();
    let copy = stage.finish().await.unwrap();
    let again = store.accept(new_message(1, &document, vec![copy, memory(b"small")])).await.unwrap();
    assert!(matches!(again, Acceptance::Again(_)));
    let mut stage = store.stage(100_000).await.unwrap();
    stage.write(Bytes::from(vec![0; 90_000])).await.unwrap();
    assert!(matches!(stage.write(Bytes::from(vec![0; 20_000])).await, Err(StoreError::TooLarge(100_000))));
    drop(stage);
    let files = || walk(&folder.path().join("content/files"));
    eventually(|| in_tmp() == 0 && files() == 2).await;

    // What a killed process left is swept at the next start; what is named stays.
    store.close().await;
    std::fs::write(tmp.join(uuid::Uuid::new_v4().to_string()), b"x").unwrap();
    let stray = uuid::Uuid::new_v4();
    std::fs::write(crate::store::content::file_path(folder.path(), stray), b"x").unwrap();
    let store = open(folder.path()).store;
    eventually(|| in_tmp() == 0 && files() == 2).await;
    assert_eq!(read_all(&*store, &record.document, 1 << 20).await.unwrap(), document);
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn refuses_attachments_that_are_not_the_declared_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let mut message = new_message(1, b"<a/>", vec![memory(b"one"), memory(b"two")]);
    message.attachments.swap(0, 1);
    assert!(matches!(store.accept(message).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(all(&store).await.len(), 0);
}

#[tokio::test]
async fn a_nearly_full_disk_takes_nothing_new_but_lets_things_out() {
    let folder = tempfile::tempdir().unwrap();
    let record = {
        let store = open(folder.path()).store;
        let record = accepted(&store, 2).await;
        store.close().await;
        record
    };
    let settings = crate::store::Settings { min_free: u64::MAX, ..settings(folder.path()) };
    let store = Store::open(settings, Metrics::default()).unwrap().store;
    assert!(matches!(store.stage(10).await, Err(StoreError::Full)));
    assert!(matches!(accept(&store, 3).await, Err(StoreError::Full)));
    assert!(matches!(accept(&store, 2).await, Ok(Acceptance::Again(_))));
    let next = step(&record, Action::Claim(claim(1, 9000)), Timestamp(2000)).unwrap();
    store.commit(next).await.unwrap();
}

#[tokio::test]
async fn two_cannot_open_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let path = folder.path().to_owned();
    let second = tokio::task::spawn_blocking(move || Store::open(settings(&path), Metrics::default())).await;
    assert!(matches!(second.unwrap().map(|_| ()), Err(OpenError::InUse(_))));
    store.close().await;
    let _third = open(folder.path());
}

#[tokio::test]
async fn flipped_content_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let small = accepted(&store, 1).await;
    let message = new_message(2, &vec![b'd'; 200_000], Vec::new());
    let Acceptance::New(large) = store.accept(message).await.unwrap() else { panic!("it is new") };
    for record in [&small, &large] {
        let path = match record.document.place {
            ContentPlace::Segment { segment, .. } => {
                folder.path().join(format!("content/segments/{segment:010}.content"))
            }
            ContentPlace::File { name } => crate::store::content::file_path(folder.path(), name),
            ContentPlace::Dropped => unreachable!(),
        };
        let mut octets = std::fs::read(&path).unwrap();
        let at = match record.document.place {
            ContentPlace::Segment { offset, .. } => offset as usize,
            ContentPlace::File { .. } => 150_000,
            ContentPlace::Dropped => unreachable!(),
        };
        octets[at] ^= 1;
        std::fs::write(&path, octets).unwrap();
        let read = read_all(&*store, &record.document, 1 << 20).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    }
    assert_eq!(read_all(&*store, &small.receipt, 1000).await.unwrap(), "<receipt n='1'/>");
}
