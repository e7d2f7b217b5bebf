//! Long life: rounds of messages in and out leave neither disk nor memory behind, and what one message
//! costs does not depend on how many there are.
//!
//! `AMTSWEG_MESSAGES` and `AMTSWEG_LIVES` set the size (250 messages, 4 rounds unless told; 100000 and 20 are
//! the long form), `AMTSWEG_MANY` how many messages lie there when the costs are compared (2000 unless
//! told; 1000000 is the long form, its ratios are worth something in a release build alone).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amtsweg::domain::delivery::step;
use amtsweg::domain::{Action, Claim, MessageId, Record, Timestamp};
use amtsweg::observe::Metrics;
use amtsweg::store::{Acceptance, ChangePort, Filter, ReadPort, Retention, Settings, Store};

use crate::power::world::{ERASE, FORGET, World, endpoint, scratch};

/// Clients at once.
const CLIENTS: usize = 8;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn settings(data: &Path, small: bool) -> Settings {
    let retention = Retention { closed: ERASE, returned: ERASE, metadata: FORGET, ledger: FORGET };
    let settings = Settings { min_free: 0, retention, ..Settings::new(data) };
    if !small {
        return settings;
    }
    // Room ahead of an end is as large as a segment at most.
    Settings { ledger_segment: 64 << 10, content_segment: 96 << 10, index_slack: 2 << 20, ..settings }
}

fn octets_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let octets = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => octets_in(&path),
        path => std::fs::metadata(path).map_or(0, |about| about.len()),
    };
    entries.map(octets).sum()
}

/// Resident memory of this process, MiB.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096 / (1 << 20)
}

async fn accept(world: &World, store: &Store, n: usize) -> Arc<Record> {
    let id = MessageId::new("life", uuid::Uuid::new_v4()).unwrap();
    match world.accept(store, n, &id).await.unwrap() {
        Acceptance::New(record) => record,
        Acceptance::Again(record) => panic!("{} is there already", record.id),
    }
}

async fn close(store: &Store, record: &Record) -> Arc<Record> {
    let token = uuid::Uuid::new_v4();
    let now = Timestamp::now();
    let claim = Claim { owner: "life".to_owned(), token, until: now.plus(Duration::from_secs(60)) };
    let record = store.commit(step(record, Action::Claim(claim), now).unwrap()).await.unwrap();
    let done = Action::Succeeded { token, taken_over: true, detail: "HTTP 200".to_owned() };
    store.commit(step(&record, done, Timestamp::now()).unwrap()).await.unwrap()
}

/// Accepts messages `from..to`; with `out` they are closed, too.
async fn take_in(world: &Arc<World>, store: &Arc<Store>, from: usize, to: usize, out: bool) {
    let work: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (world, store) = (Arc::clone(world), Arc::clone(store));
            tokio::spawn(async move {
                for n in (from + client..to).step_by(CLIENTS) {
                    let record = accept(&world, &store, n).await;
                    if out {
                        close(&store, &record).await;
                    }
                }
            })
        })
        .collect();
    for task in work {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_messages_in_and_out_leave_nothing_behind() {
    let (messages, rounds) = (number("AMTSWEG_MESSAGES", 250), number("AMTSWEG_LIVES", 4));
    let folder = scratch();
    let world = Arc::new(World::make(folder.path(), messages, false));
    let small = messages < 10_000;
    let disk = if small { scratch() } else { tempfile::tempdir().unwrap() };
    let data = disk.path().join("data");
    let store = Store::open(settings(&data, small), Metrics::default()).unwrap().store;
    let mut after = Vec::new();
    for round in 1..=rounds {
        take_in(&world, &store, 0, messages, true).await;
        let full = octets_in(&data);
        let kept = store.keep_house(Timestamp::now().plus(ERASE * 2)).await.unwrap();
        assert_eq!(kept.erased, messages as u64);
        let later = Timestamp::now().plus(FORGET * 2);
        let kept = store.keep_house(later).await.unwrap();
        assert_eq!(kept.forgotten, messages as u64);
        let more = store.keep_house(later).await.unwrap();
        let left = octets_in(&data);
        println!(
            "round {round}: {} KiB, afterwards {} KiB (index {} KiB, ledger {} KiB), {} MiB of memory; {more:?}",
            full >> 10,
            left >> 10,
            octets_in(&data.join("index")) >> 10,
            octets_in(&data.join("ledger")) >> 10,
            memory()
        );
        after.push(left);
    }
    assert!(store.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap().is_empty());
    // Nothing lives: what is left are beginnings and ends of files, and an index within its slack.
    let bound = if small { 12 << 20 } else { 256 << 20 };
    assert!(after.iter().all(|left| *left < bound), "{after:?}");
    store.close().await;
}

/// Microseconds of the middle one of many.
async fn middle(times: usize, mut one: impl AsyncFnMut(usize)) -> f64 {
    let mut took = Vec::with_capacity(times);
    for n in 0..times {
        let began = Instant::now();
        one(n).await;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    took[times / 2]
}

async fn costs(store: &Store) -> [f64; 3] {
    let endpoint: amtsweg::domain::EndpointId = endpoint(1).parse().unwrap();
    let filter = Filter { endpoint: Some(endpoint.clone()), limit: 20, ..Filter::default() };
    let list = middle(40, async |_| drop(store.list(&filter).await.unwrap())).await;
    let due = store.due(&endpoint, Timestamp::now(), 40).await.unwrap();
    assert_eq!(due.len(), 40);
    let mut records = Vec::new();
    for due in &due {
        records.push(store.get(&due.id).await.unwrap().unwrap());
    }
    let claim = middle(40, async |_| drop(store.due(&endpoint, Timestamp::now(), 20).await.unwrap())).await;
    let close = middle(40, async |n| drop(close(store, &records[n]).await)).await;
    [claim, list, close]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_message_costs_does_not_depend_on_how_many_there_are() {
    let many = number("AMTSWEG_MANY", 2000);
    let few = (many / 100).max(400);
    let folder = scratch();
    let world = Arc::new(World::make(folder.path(), many, false));
    let disk = tempfile::tempdir().unwrap();
    let data = disk.path().join("data");
    let store = Store::open(settings(&data, false), Metrics::default()).unwrap().store;
    take_in(&world, &store, 0, few, false).await;
    let at_few = costs(&store).await;
    take_in(&world, &store, few, many, false).await;
    let at_many = costs(&store).await;
    for (what, (few_took, many_took)) in ["claim", "list", "close"].iter().zip(at_few.iter().zip(at_many)) {
        println!(
            "{what}: {few_took:.0} us among {few}, {many_took:.0} us among {many}, {:.2}",
            many_took / few_took
        );
    }
    println!("{} MiB of memory, index {} KiB", memory(), octets_in(&data.join("index")) >> 10);
    store.close().await;
    drop(store);
    let began = Instant::now();
    let opened = Store::open(settings(&data, false), Metrics::default()).unwrap();
    println!("a start after a clean stop: {:.2} s, {} MiB", began.elapsed().as_secs_f64(), memory());
    assert_eq!((opened.recovery.messages, &opened.recovery.rebuilt), (many as u64, &None));
    opened.store.close().await;
    drop(opened);
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let began = Instant::now();
    let opened = Store::open(settings(&data, false), Metrics::default()).unwrap();
    println!("a start without an index: {:.2} s, {} MiB", began.elapsed().as_secs_f64(), memory());
    assert_eq!(opened.recovery.messages, many as u64);
}
