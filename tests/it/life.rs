//! Long life: rounds of messages in and out leave neither disk nor memory behind, and what one message
//! costs does not depend on how many there are.
//!
//! `AMTSWEG_MESSAGES` and `AMTSWEG_LIVES` set the size (250 messages, 4 rounds unless told; 100000 and 20 are
//! the long form), `AMTSWEG_MANY` how many messages lie there when the costs are compared and the store is
//! started again (2000 unless told; 1000000 is the long form, its figures are worth something in a release
//! build alone). `AMTSWEG_STORE` names a folder for them that is kept: the next run goes on with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amtsweg::domain::delivery::step;
use amtsweg::domain::{
    Account, Action, Claim, EndpointControl, MessageId, Placement, Quota, Record, Role, Timestamp, Way,
};
use amtsweg::mailbox::Mailbox;
use amtsweg::observe::Metrics;
use amtsweg::route::Directory;
use amtsweg::store::{Acceptance, ChangePort, Filter, ReadPort, Retention, Settings, Store};
use arc_swap::ArcSwap;

use crate::child::{PULL_ENDPOINT, PUSH_ENDPOINT, directory};
use crate::power::world::{ERASE, FORGET, World, scratch};

/// Clients at once.
const CLIENTS: usize = 8;
/// Names the store that a child opens.
const OPENED: &str = "AMTSWEG_LIFE_OPENED";

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

/// A line of this process's `/proc/self/status`, in MiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next());
    line.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() >> 10
}

/// Every other message is pushed, the rest waits in a mailbox.
fn placement(n: usize) -> Placement {
    let (authority, reader, endpoint, way) = match n % 2 {
        0 => ("marburg", "kop:06534014", PULL_ENDPOINT, Way::Pull),
        _ => ("darmstadt", "kop:06411000", PUSH_ENDPOINT, Way::Push),
    };
    Placement {
        authority: authority.parse().unwrap(),
        reader: reader.parse().unwrap(),
        endpoint: endpoint.parse().unwrap(),
        way,
        rule: "test".to_owned(),
    }
}

/// Accepts a new message, named as the intake names it.
async fn accept(world: &World, store: &Store, n: usize, placement: Placement) -> Arc<Record> {
    let id = MessageId::new("life", uuid::Uuid::now_v7()).unwrap();
    let document = world.write(n, uuid::Uuid::new_v4());
    match world.offer(store, n, &id, document, placement).await.unwrap() {
        Acceptance::New(record) => record,
        Acceptance::Again(record) => panic!("{} is there already", record.id),
    }
}

async fn close(store: &Store, record: &Record) {
    let token = uuid::Uuid::new_v4();
    let now = Timestamp::now();
    let claim = Claim { owner: "life".to_owned(), token, until: now.plus(Duration::from_secs(60)) };
    let record = store.commit(step(record, Action::Claim(claim), now).unwrap()).await.unwrap();
    let done = Action::Succeeded { token, taken_over: true, detail: "HTTP 200".to_owned() };
    store.commit(step(&record, done, Timestamp::now()).unwrap()).await.unwrap();
}

/// Accepts messages `from..to`; with `out` all of them are pushed, and closed, too.
async fn take_in(world: &Arc<World>, store: &Arc<Store>, from: usize, to: usize, out: bool) {
    let work: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (world, store) = (Arc::clone(world), Arc::clone(store));
            tokio::spawn(async move {
                for n in (from + client..to).step_by(CLIENTS) {
                    if out {
                        let record = accept(&world, &store, n, placement(1)).await;
                        close(&store, &record).await;
                    } else {
                        accept(&world, &store, n, placement(n)).await;
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
    let world = Arc::new(World::make(folder.path(), 0, false));
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
            memory("VmRSS:")
        );
        after.push(left);
    }
    assert!(store.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap().is_empty());
    // Nothing lives: what is left are beginnings and ends of files, and an index within its slack.
    let bound = if small { 12 << 20 } else { 256 << 20 };
    assert!(after.iter().all(|left| *left < bound), "{after:?}");
    store.close().await;
}

/// What is done with the messages of one store, and how long each took, in microseconds.
struct Measured {
    store: Arc<Store>,
    mailbox: Mailbox,
    account: Account,
    took: [Vec<f64>; 4],
}

/// What is measured.
const WORK: [&str; 4] = ["due", "list", "claim", "close"];

impl Measured {
    fn new(store: &Arc<Store>, folder: &Path) -> Self {
        directory(folder, 1);
        let directory = Arc::new(ArcSwap::from_pointee(Directory::load(folder).unwrap()));
        let account = Account {
            name: "authority".parse().unwrap(),
            roles: vec![Role::Authority],
            identifiers: vec!["kop:06534014".parse().unwrap()],
            quota: Quota { in_flight: 1, messages_per_minute: 1, message_octets: 1 },
            xades: false,
        };
        let mailbox = Mailbox::new(Arc::clone(store) as _, Arc::clone(store) as _, directory);
        Self { store: Arc::clone(store), mailbox, account, took: Default::default() }
    }

    /// Each once: what a lane asks for, what a reader of a mailbox does.
    async fn once(&mut self) {
        let now = Timestamp::now();
        let began = Instant::now();
        let due = self.store.due(&PUSH_ENDPOINT.parse().unwrap(), now, 20).await.unwrap();
        self.took[0].push(began.elapsed().as_secs_f64() * 1e6);
        assert_eq!(due.len(), 20);
        let began = Instant::now();
        let page = self.mailbox.list(&self.account, 0, 20, now).await.unwrap();
        self.took[1].push(began.elapsed().as_secs_f64() * 1e6);
        assert_eq!(page.len(), 20);
        let began = Instant::now();
        let (record, claim) = self.mailbox.lease(&self.account, &page[0].id, None, now).await.unwrap();
        self.took[2].push(began.elapsed().as_secs_f64() * 1e6);
        let began = Instant::now();
        self.mailbox.close(&self.account, &record.id, Some(claim.token), now).await.unwrap();
        self.took[3].push(began.elapsed().as_secs_f64() * 1e6);
    }

    /// The middle one of each, and the one that nine of ten stay below.
    fn usual(&mut self) -> [(f64, f64); 4] {
        self.took.each_mut().map(|took| {
            took.sort_by(f64::total_cmp);
            (took[took.len() / 2], took[took.len() * 9 / 10])
        })
    }
}

/// Compares what work costs in two stores, in turns, so that both meet what else the machine does.
async fn compare(few: &Arc<Store>, many: &Arc<Store>, folder: &Path, times: usize) {
    for store in [few, many] {
        store.keep_house(Timestamp::now()).await.unwrap();
    }
    let (mut few, mut many) = (Measured::new(few, folder), Measured::new(many, folder));
    for _ in 0..times {
        few.once().await;
        many.once().await;
    }
    for (what, (few, many)) in WORK.iter().zip(few.usual().iter().zip(many.usual())) {
        println!(
            "{what}: {:.0} us (90 %: {:.0}) among few, {:.0} us (90 %: {:.0}) among many, ratio {:.2}",
            few.0,
            few.1,
            many.0,
            many.1,
            many.0 / few.0
        );
    }
}

/// Opens a store of the parent's in a process of its own, tells what that took, and is gone as if killed.
#[tokio::test]
async fn opens_and_is_gone() {
    let Ok(data) = std::env::var(OPENED) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
    let began = Instant::now();
    let opened = Store::open(settings(Path::new(&data), false), Metrics::default()).unwrap();
    let control = EndpointControl {
        endpoint: PUSH_ENDPOINT.parse().unwrap(),
        suspended: false,
        reason: String::new(),
        by: "life".to_owned(),
        at: Timestamp::now(),
    };
    opened.store.control(control).await.unwrap();
    let found = &opened.recovery;
    println!(
        "\nopened {}",
        serde_json::json!({
            "seconds": began.elapsed().as_secs_f64(),
            "opening": found.took.as_secs_f64(),
            "peak": memory("VmHWM:"),
            "stopped": format!("{:?}", found.stopped),
            "messages": found.messages,
            "applied": found.applied,
            "rebuilt": found.rebuilt,
        })
    );
    if std::env::var_os("AMTSWEG_LIFE_CLEAN").is_some() {
        opened.store.close().await;
    }
    std::process::abort();
}

/// Starts a process on the store; what it told, and how many lines of progress it logged.
fn start(data: &Path, what: &str, clean: bool) -> serde_json::Value {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["life::opens_and_is_gone", "--exact", "--nocapture"])
        .env(OPENED, data)
        .stdout(Stdio::piped());
    if clean {
        child.env("AMTSWEG_LIFE_CLEAN", "1");
    }
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(!child.wait().unwrap().success(), "it is gone without a word");
    let progress = lines.iter().filter(|line| line.contains("opening the store: ")).count();
    let told = lines.iter().find_map(|line| line.strip_prefix("opened "));
    let told: serde_json::Value = serde_json::from_str(told.unwrap_or_else(|| panic!("{lines:?}"))).unwrap();
    println!(
        "a start {what}: {:.2} s, {} MiB at most, {progress} lines of progress; {} frames applied, rebuilt: {}",
        told["seconds"].as_f64().unwrap(),
        told["peak"],
        told["applied"],
        told["rebuilt"]
    );
    told
}

/// Waits until the last thread of a store that was dropped has given its folder and its index back: a killed
/// process has no threads.
fn gone(data: &Path) {
    let indexes =
        std::fs::read_dir(data.join("index")).unwrap().map(|entry| entry.unwrap().path().join("db"));
    for path in indexes.filter(|path| path.is_file()).chain([data.join("lock")]) {
        std::fs::File::options().write(true).open(path).unwrap().lock().unwrap();
    }
}

/// Makes the store look as if the machine had been booted since.
fn booted(data: &Path) {
    let path = data.join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    state["boot"] = "another".into();
    // Markers of earlier programs have none.
    state.as_object_mut().unwrap().remove("sum");
    std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
}

/// Fills a store up to `messages`.
async fn filled(world: &Arc<World>, data: &Path, messages: usize) -> Arc<Store> {
    let opened = Store::open(settings(data, false), Metrics::default()).unwrap();
    let there = usize::try_from(opened.recovery.messages).unwrap();
    let began = Instant::now();
    take_in(world, &opened.store, there, messages, false).await;
    println!(
        "{there} to {messages} messages in {:.0} s, {} MiB of memory, {} at most, index {} MiB",
        began.elapsed().as_secs_f64(),
        memory("VmRSS:"),
        memory("VmHWM:"),
        octets_in(&data.join("index")) >> 20
    );
    opened.store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_message_costs_does_not_depend_on_how_many_there_are() {
    let many = number("AMTSWEG_MANY", 2000);
    let few = (many / 100).max(400);
    let folder = scratch();
    let world = Arc::new(World::make(folder.path(), 0, false));
    let disk = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("AMTSWEG_STORE").map(PathBuf::from);
    let data = kept.unwrap_or_else(|| disk.path().join("many"));
    let little = filled(&world, &disk.path().join("few"), few).await;
    let store = filled(&world, &data, many).await;
    let times = (few / 4).min(500);
    compare(&little, &store, &folder.path().join("directory"), times).await;
    little.close().await;
    drop((little, store));
    gone(&data);
    let told = start(&data, "after a kill", false);
    let messages = told["messages"].as_u64().unwrap();
    assert_eq!((messages, told["rebuilt"].is_null()), (many as u64, true));
    start(&data, "after another", false);
    booted(&data);
    let told = start(&data, "after a power cut", false);
    assert_eq!((told["messages"].as_u64(), told["stopped"].as_str()), (Some(messages), Some("Booted")));
    assert!(!told["rebuilt"].is_null());
    start(&data, "after a kill behind that", true);
    let told = start(&data, "after a clean stop", false);
    assert_eq!((told["messages"].as_u64(), told["stopped"].as_str()), (Some(messages), Some("Cleanly")));
    assert!(told["rebuilt"].is_null());
}
