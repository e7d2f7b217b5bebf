//! The child: opens a store below the shim, changes it as a gateway does, and marks what it asked for
//! and what was acknowledged.
//!
//! Marks: `T n digest` message n is about to be submitted, `A n id version record` it was
//! acknowledged; `W n version record state` a change is about to be made, `K n version` it was
//! acknowledged; `e n where` the content of message n is about to be erased, `E n where` that was acknowledged;
//! `c e at` a setting of endpoint e is about to be made, `C e at` it was acknowledged;
//! `R 0` records of closed messages may go from now on, `U 0` not any more.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use amtsweg::domain::delivery::step;
use amtsweg::domain::{Action, Claim, Digest, EndpointControl, MessageId, Record, Timestamp};
use amtsweg::store::{Acceptance, ChangePort, ReadPort, Store, StoreError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::world::{ENDPOINTS, ERASE, FORGET, World, endpoint};

/// How a phase ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The store is closed.
    Clean,
    /// The process just ends.
    Abrupt,
    /// It is killed after so many records, wherever it is then.
    Killed(u64),
    /// It is killed when so many syncs have begun.
    KilledSyncing(u64),
    /// An operation on its files fails, as the shim's `POWER_FAIL` says: it goes on as far as it can,
    /// then the store is closed.
    Failing(Failure),
}

/// The `at`th operation `op` on a file with `text` in its path fails; with `on` all from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub op: &'static str,
    pub text: &'static str,
    pub at: u64,
    pub on: bool,
}

/// One life of the child.
#[derive(Clone, Debug)]
pub struct Phase {
    pub seed: u64,
    /// The first new message.
    pub from: usize,
    /// Messages in it.
    pub count: usize,
    /// Messages without an answer in earlier lives: submitted again first.
    pub again: Vec<usize>,
    pub end: End,
    /// The housekeeper works beside: content goes, segments are emptied, records go.
    pub house: bool,
}

/// Where things lie.
pub struct Place {
    pub folder: PathBuf,
    /// The disk; the store lies in a folder on it.
    pub root: PathBuf,
    pub log: PathBuf,
    pub shim: PathBuf,
    /// Syncs to leave out; see the shim.
    pub drop: Option<&'static str>,
}

/// The store's folder on a disk.
pub fn store(root: &Path) -> PathBuf {
    root.join("data")
}

/// Runs a phase in a process of its own; what it said, if it failed otherwise than told to.
pub fn run(place: &Place, phase: &Phase) -> Result<(), String> {
    let again: Vec<String> = phase.again.iter().map(usize::to_string).collect();
    let closed = matches!(phase.end, End::Clean | End::Failing(_));
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["power::drive::phase", "--exact", "--nocapture", "--test-threads=1"])
        .env("AMTSWEG_POWER_WORK", &place.folder)
        .env("AMTSWEG_POWER_DATA", store(&place.root))
        .env("AMTSWEG_POWER_PHASE", format!("{} {} {}", phase.seed, phase.from, phase.count))
        .env("AMTSWEG_POWER_AGAIN", again.join(" "))
        .env("AMTSWEG_POWER_END", if closed { "clean" } else { "abrupt" })
        .env("AMTSWEG_POWER_HOUSE", if phase.house { "1" } else { "0" })
        .env("POWER_ROOT", &place.root)
        .env("POWER_LOG", &place.log)
        .env("POWER_MARK", place.folder.join("marks"))
        .env("POWER_PAUSE", "200")
        .env("LD_PRELOAD", &place.shim)
        .stdin(Stdio::null());
    if let Some(drop) = place.drop {
        child.env("POWER_DROP", drop);
    }
    let kill = match phase.end {
        End::Killed(after) => Some(after.to_string()),
        End::KilledSyncing(at) => Some(format!("sync:{at}")),
        End::Clean | End::Abrupt | End::Failing(_) => None,
    };
    if let End::Failing(Failure { op, text, at, on }) = phase.end {
        let on = if on { "+" } else { "" };
        child.env("POWER_FAIL", format!("{op}:{text}:{at}{on}")).env("AMTSWEG_POWER_FAULTS", "1");
    }
    if let Some(kill) = &kill {
        child.env("POWER_KILL", kill);
    }
    let output = child.output().unwrap();
    let killed = kill.is_some() && output.status.code() == Some(137);
    if output.status.success() || killed {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Err(format!("{phase:?}: {}\n{said}", output.status))
}

/// The child's side; nothing when called as a test like others.
#[test]
fn phase() {
    let Some(folder) = std::env::var_os("AMTSWEG_POWER_WORK").map(PathBuf::from) else { return };
    let text = |name: &str| std::env::var(name).unwrap();
    let numbers =
        |name: &str| -> Vec<u64> { text(name).split_whitespace().map(|n| n.parse().unwrap()).collect() };
    let of = numbers("AMTSWEG_POWER_PHASE");
    let again = numbers("AMTSWEG_POWER_AGAIN").into_iter().map(|n| n as usize).collect();
    let end = if text("AMTSWEG_POWER_END") == "clean" { End::Clean } else { End::Abrupt };
    let house = text("AMTSWEG_POWER_HOUSE") == "1";
    let phase = Phase { seed: of[0], from: of[1] as usize, count: of[2] as usize, again, end, house };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(&folder, Path::new(&text("AMTSWEG_POWER_DATA")), phase));
    // Whatever threads still work goes with the process, as when it is killed.
    std::process::exit(0);
}

/// Writes marks.
struct Marks(File);

impl Marks {
    fn put(&self, text: String) {
        (&self.0).write_all(text.as_bytes()).unwrap();
    }
}

struct Driver {
    world: World,
    store: Arc<Store>,
    marks: Marks,
    next: AtomicUsize,
    over: AtomicBool,
    /// Its files fail now and then: then it may say no, but must not hang or lie.
    faulty: bool,
}

/// A store that neither does what it is asked for nor says no is a fault of its own.
fn end_if_it_hangs() {
    std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_secs(60));
        eprintln!("the store hangs");
        std::process::exit(99);
    });
}

async fn work(folder: &Path, data: &Path, phase: Phase) {
    let marks = File::options().create(true).append(true).open(folder.join("marks")).unwrap();
    let world = World::at(folder);
    let faulty = std::env::var_os("AMTSWEG_POWER_FAULTS").is_some();
    if faulty {
        end_if_it_hangs();
    }
    let store = match world.open(data) {
        Ok(opened) => opened.store,
        Err(fault) if faulty => return println!("the store does not open: {fault}"),
        Err(fault) => panic!("the store does not open: {fault}"),
    };
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let driver = Arc::new(Driver { world, store: store.clone(), marks: Marks(marks), next, over, faulty });
    driver.marks.put("U 0".to_owned());
    let keeping = tokio::spawn(house(driver.clone(), phase.house, StdRng::seed_from_u64(phase.seed)));
    let mut numbers = phase.again.clone();
    numbers.extend(phase.from..phase.from + phase.count);
    let numbers = Arc::new(numbers);
    let tasks: Vec<_> = (0..ENDPOINTS * 2)
        .map(|task| {
            let rng = StdRng::seed_from_u64(phase.seed ^ (task as u64) << 32 ^ (phase.from as u64));
            tokio::spawn(client(driver.clone(), numbers.clone(), task, rng))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    driver.over.store(true, Ordering::SeqCst);
    keeping.await.unwrap();
    if phase.end == End::Clean {
        store.close().await;
    }
}

async fn client(driver: Arc<Driver>, numbers: Arc<Vec<usize>>, task: usize, mut rng: StdRng) {
    while let Some(n) = numbers.get(driver.next.fetch_add(1, Ordering::SeqCst)) {
        if let Some(record) = driver.submit(*n).await {
            driver.change(*n, record, &mut rng).await;
        }
        // One task for each endpoint, so that it is known which setting is the later one.
        if task < ENDPOINTS && rng.random_ratio(1, 6) {
            driver.control(task).await;
        }
    }
}

/// Has the housekeeper work as if it were later, for as long as the others work and once afterwards.
async fn house(driver: Arc<Driver>, works: bool, mut rng: StdRng) {
    let mut over = !works;
    while !over {
        over = driver.over.load(Ordering::SeqCst);
        let forgets = rng.random_ratio(1, 5);
        let later = if forgets { FORGET * 2 } else { ERASE * 2 };
        if forgets {
            driver.marks.put("R 0".to_owned());
        }
        driver.store.keep_house(Timestamp::now().plus(later)).await.unwrap();
        if forgets {
            driver.marks.put("U 0".to_owned());
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

impl Driver {
    /// Submits a message; its record if it was new.
    async fn submit(&self, n: usize) -> Option<Arc<Record>> {
        let id = MessageId::new("power", uuid::Uuid::new_v4()).unwrap();
        self.marks.put(format!("T {n} {}", Digest::of(&self.world.document(n))));
        let (record, new) = match self.done(self.world.accept(&self.store, n, &id).await)? {
            Acceptance::New(record) => (record, true),
            Acceptance::Again(record) => (record, false),
        };
        self.marks.put(format!("A {n} {} {} {}", record.id, record.version, super::world::told(&record)));
        new.then_some(record)
    }

    /// Attempts, as far as chance will have it.
    async fn change(&self, n: usize, mut record: Arc<Record>, rng: &mut StdRng) {
        'attempts: for _ in 0..rng.random_range(0..3) {
            let token = uuid::Uuid::new_v4();
            let claim = Claim { owner: "power".to_owned(), token, until: Timestamp(u64::MAX / 2) };
            let detail = "HTTP 503".to_owned();
            let outcome = match rng.random_range(0..3) {
                0 => Action::Succeeded { token, taken_over: true, detail: "HTTP 200".to_owned() },
                _ => Action::Failed { token, due: Timestamp(5), detail },
            };
            for action in [Action::Claim(claim), outcome] {
                loop {
                    let Ok(next) = step(&record, action.clone(), Timestamp::now()) else { break 'attempts };
                    let (told, state) = (super::world::told(&next), next.state.name());
                    self.marks.put(format!("W {n} {} {told} {state}", next.version));
                    let committed = match self.store.commit(next).await {
                        // The housekeeper has moved its content.
                        Err(StoreError::Conflict) => {
                            let Some(Some(again)) = self.done(self.store.get(&record.id).await) else {
                                return;
                            };
                            record = again;
                            continue;
                        }
                        committed => self.done(committed),
                    };
                    let Some(committed) = committed else { return };
                    record = committed;
                    break;
                }
                self.marks.put(format!("K {n} {}", record.version));
            }
        }
        if self.world.sealed && record.state.is_final() && rng.random_ratio(2, 3) {
            self.erase(n, &record).await;
        }
    }

    async fn erase(&self, n: usize, record: &Record) {
        let next = record.without_content(Timestamp::now());
        let (told, state) = (super::world::told(&next), next.state.name());
        self.marks.put(format!("W {n} {} {told} {state}", next.version));
        let lay = serde_json::to_string(&record.document).unwrap();
        self.marks.put(format!("e {n} {lay}"));
        let erased = match self.store.erase(&record.id).await {
            // The housekeeper has removed its record.
            Err(StoreError::Unknown) => return,
            erased => self.done(erased),
        };
        let Some(erased) = erased else { return };
        self.marks.put(format!("K {n} {}", erased.version));
        self.marks.put(format!("E {n} {lay}"));
    }

    async fn control(&self, e: usize) {
        let at =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        self.marks.put(format!("c {e} {at}"));
        let control = EndpointControl {
            endpoint: endpoint(e).parse().unwrap(),
            suspended: at.is_multiple_of(2),
            reason: "power".to_owned(),
            by: "operator".to_owned(),
            at: Timestamp(at),
        };
        if self.done(self.store.control(control).await).is_some() {
            self.marks.put(format!("C {e} {at}"));
        }
    }

    /// What came of it; a no counts only where the disk fails.
    fn done<T>(&self, outcome: Result<T, amtsweg::store::StoreError>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(fault) if self.faulty => {
                println!("{fault}");
                None
            }
            Err(fault) => panic!("{fault}"),
        }
    }
}
