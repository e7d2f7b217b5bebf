//! Disks that fail: one write, sync, name, length or read below a working store answers with an error (EIO),
//! each kind on each kind of file, early and late, once or from then on. The store may say no, or close
//! itself; it must not hang, and what it has acknowledged must be there at the next start, on a disk that
//! works again: with what the process left behind, and with what a power cut leaves of that.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::Disk;
use super::drive::{self, End, Failure, Phase, Place};
use super::judge::{self, Kind, Known};
use super::log::Log;
use super::world::{self, World};
use super::{Tally, large, number};

/// What may fail on which files, and how often a life does it at least, most of the time.
const PLACES: [(&str, &str, u64); 24] = [
    ("write", "/ledger/", 12),
    ("write", "/content/segments", 8),
    ("write", "/content/tmp", 3),
    ("write", "/index/", 3),
    ("write", "/state", 1),
    ("sync", "/ledger/", 8),
    ("sync", "/content/segments", 6),
    ("sync", "/content/tmp", 2),
    ("sync", "/content/files", 3),
    ("sync", "/state", 1),
    ("size", "/ledger/", 1),
    ("size", "/content/segments", 1),
    ("name", "/content/files", 2),
    ("name", "/state", 1),
    ("name", "/index", 2),
    ("open", "/ledger/", 1),
    ("open", "/content/segments", 1),
    ("open", "/content/tmp", 2),
    ("open", "/index/", 2),
    ("read", "/ledger/", 6),
    ("write", "/vault/", 3),
    ("sync", "/vault/", 4),
    ("read", "/vault/", 6),
    ("read", "/index/", 2),
];
/// Messages of the life in which the disk fails, and of the one before.
const MESSAGES: usize = 12;
/// Images of each life.
const IMAGES: usize = 3;

/// What fails in run `n`: places take turns, the moment is chance's.
fn failure(n: usize, rng: &mut StdRng) -> Failure {
    let (op, text, most) = PLACES[n % PLACES.len()];
    Failure { op, text, at: rng.random_range(1..=most), on: rng.random_ratio(1, 3) }
}

/// `AMTSWEG_FAILURES` runs (72 unless told: each place three times), on an encrypted store.
#[test]
fn a_failing_disk_loses_nothing_that_was_acknowledged() {
    let runs = number("AMTSWEG_FAILURES", 72) as usize;
    let seed = number("AMTSWEG_SEED", u64::from(rand::rng().random::<u32>()));
    println!("AMTSWEG_FAILURES={runs} AMTSWEG_SEED={seed}");
    let tools = world::scratch();
    let Some(shim) = super::shim(tools.path()) else { return };
    let (tally, began) = (Mutex::new(Tally::default()), Instant::now());
    let failed: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let world_folder = world::scratch();
    let folder = world_folder.path().canonicalize().unwrap();
    let world = World::make(&folder, large(2 * MESSAGES) + 2, true);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (folder, shim, world, tally, failed) = (&folder, &shim, &world, &tally, &failed);
            scope.spawn(move || {
                for n in (worker..runs).step_by(2) {
                    if let Some(what) = run(folder, shim, world, n, seed, tally) {
                        *failed.lock().unwrap().entry(what).or_default() += 1;
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    tally.report(began);
    let failed = failed.into_inner().unwrap();
    println!("the disk failed in {} of {runs} runs: {failed:?}", failed.values().sum::<usize>());
    // Some moments never come: a life is as long as chance has it.
    assert!(runs < 24 || failed.values().sum::<usize>() > runs / 2, "the shim let little fail");
    assert!(tally.acknowledged > 0, "nothing was acknowledged at all");
    assert!(tally.faults.is_empty(), "{:?}: {:#?}", tally.faults, tally.told);
}

/// Half the runs fail in the first life of a store, half in its second. Gives what failed, if anything did.
fn run(
    folder: &Path,
    shim: &Path,
    world: &World,
    n: usize,
    seed: u64,
    tally: &Mutex<Tally>,
) -> Option<String> {
    let mut rng = StdRng::seed_from_u64(seed ^ (n as u64) << 24);
    let root = folder.join(format!("disk-{n}"));
    std::fs::create_dir_all(&root).unwrap();
    let base = Disk::of(&root);
    let log = folder.join(format!("log-{n}"));
    let place = Place {
        folder: folder.to_owned(),
        root: root.clone(),
        log: log.clone(),
        shim: shim.to_owned(),
        drop: None,
    };
    let failure = failure(n, &mut rng);
    let name = format!("seed {seed} run {n}, {failure:?}");
    let ends =
        if rng.random() { vec![End::Abrupt, End::Failing(failure)] } else { vec![End::Failing(failure)] };
    for (life, end) in ends.into_iter().enumerate() {
        let again = Known::default().and(&Log::read(&log), usize::MAX).unanswered();
        let phase =
            Phase { seed: rng.random(), from: life * MESSAGES, count: MESSAGES, again, end, house: false };
        if let Err(why) = drive::run(&place, &phase) {
            tally.lock().unwrap().add(vec![(Kind::Hand, why)], &name);
        }
    }
    let log = Log::read(&log);
    let known = Known::default().and(&log, usize::MAX);
    tally.lock().unwrap().acknowledged += known.acknowledged();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = large(2 * MESSAGES);
    let mut moments: Vec<usize> = (1..IMAGES).map(|_| rng.random_range(1..=log.entries.len())).collect();
    moments.push(log.entries.len());
    moments.sort_unstable();
    let mut disk = base;
    for moment in moments {
        disk.advance(&log, moment);
        let image = folder.join(format!("image-{n}"));
        disk.image(&log, &image, &mut rng);
        let known = Known::default().and(&log, moment);
        let faults = runtime.block_on(judge::judge(world, &known, &image, fresh, true));
        tally.lock().unwrap().add(faults, &format!("{name}, cut at record {moment}"));
        std::fs::remove_dir_all(&image).unwrap();
    }
    let faults = runtime.block_on(judge::judge(world, &known, &root, fresh, true));
    tally.lock().unwrap().add(faults, &format!("{name}, as the process left it"));
    std::fs::remove_dir_all(&root).unwrap();
    log.marks(usize::MAX)
        .any(|mark| mark.starts_with("F "))
        .then(|| format!("{} {}", failure.op, failure.text))
}
