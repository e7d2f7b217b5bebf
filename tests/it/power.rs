//! Power cuts. A child process works with a store; a shim records every change of its files and every
//! sync. From the records the disk is rebuilt as a cut could have left it, at each sync and between
//! them, and the store is opened on it: what was acknowledged before the cut must be there, unchanged,
//! under its id, and nobody may have to lend a hand. Some images are cut again while they recover. The
//! child itself is killed now and then, so that a cut also meets what a killed process left unsynced. In
//! every other run what is stored is encrypted and messages are erased, which must last like all else.
//!
//! `AMTSWEG_CUTS` says how many images (300 unless told; 10000 is the long form), `AMTSWEG_SEED` repeats
//! a run's choices. How threads take turns is not repeated: `AMTSWEG_KEEP` names a folder that the records
//! of each run are copied to.

mod disk;
mod drive;
mod failing;
mod gateway;
mod judge;
mod log;
pub mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use disk::Disk;
use drive::{End, Phase, Place};
use judge::{Faults, Kind, Known};
use log::Log;
use world::World;

/// Images of one run of the child.
const PER_RUN: usize = 250;
/// Messages in one life of the child.
const MESSAGES: usize = 20;
/// Messages of a recovery that is cut itself.
const RECOVERING: usize = 3;
/// One image in so many is cut again, at so many moments.
const AGAIN: (usize, usize) = (20, 5);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Builds the shim; `None`, with a line that says so, where that can't be done.
fn shim(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/shim.c");
    let shim = folder.join("shim.so");
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&shim, &source])
        .arg("-lpthread")
        .output();
    match built {
        Ok(built) => {
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            Some(shim)
        }
        Err(_) => {
            println!("skipped: there is no C compiler to build the shim with");
            None
        }
    }
}

/// What came of it.
#[derive(Default)]
struct Tally {
    images: usize,
    again: usize,
    acknowledged: usize,
    faults: BTreeMap<Kind, usize>,
    /// The first few, in words.
    told: Vec<String>,
}

impl Tally {
    fn add(&mut self, faults: Faults, place: &str) {
        self.images += 1;
        let mut kinds: Vec<Kind> = faults.iter().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        kinds.into_iter().for_each(|kind| *self.faults.entry(kind).or_default() += 1);
        if !faults.is_empty() && self.told.len() < 12 {
            let words: Vec<String> = faults.iter().take(4).map(|(k, why)| format!("{k:?}: {why}")).collect();
            self.told.push(format!("{place}: {}", words.join("; ")));
        }
    }

    fn of(&self, kind: Kind) -> usize {
        self.faults.get(&kind).copied().unwrap_or_default()
    }

    fn report(&self, began: Instant) {
        println!(
            "{} images ({} of them cut again while they recovered), {} acknowledged: {} lost, {} corrupt, {} \
             under another id, {} needed a hand, {} erased and readable again; {:.1} s",
            self.images,
            self.again,
            self.acknowledged,
            self.of(Kind::Lost),
            self.of(Kind::Corrupt),
            self.of(Kind::Duplicate),
            self.of(Kind::Hand),
            self.of(Kind::Back),
            began.elapsed().as_secs_f32()
        );
        self.told.iter().for_each(|told| println!("  {told}"));
    }
}

/// One run of the child, through several lives, and what it takes to judge its images.
struct Run {
    folder: PathBuf,
    seed: u64,
    shim: PathBuf,
    world: World,
    log: Log,
    base: Disk,
    /// Behind the last message that any life may have used.
    next: usize,
}

/// The first message from `n` on that goes to files of its own.
fn large(n: usize) -> usize {
    (n..).find(|n| n % 8 == 3).unwrap_or(n)
}

impl Run {
    fn record(folder: &Path, shim: &Path, seed: u64, drop: Option<&'static str>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let root = folder.join("disk");
        std::fs::create_dir_all(&root).unwrap();
        let killed = |rng: &mut StdRng| match rng.random_range(0..5) {
            0 => End::KilledSyncing(rng.random_range(1..9)),
            1 => End::Killed(rng.random_range(1..400)),
            _ => End::KilledSyncing(rng.random_range(6..60)),
        };
        let mut ends = vec![End::Clean, End::Abrupt];
        ends.extend((0..4).map(|_| killed(&mut rng)));
        ends.shuffle(&mut rng);
        ends.push(End::Abrupt);
        let next = ends.len() * MESSAGES;
        // Every other run is encrypted.
        let sealed = !seed.is_multiple_of(2) || drop.is_some_and(|drop| drop.contains("vault"));
        let world = World::make(folder, large(next + RECOVERING) + 2, sealed);
        let base = Disk::of(&root);
        let log = folder.join("log");
        let place = Place { folder: folder.to_owned(), root, log: log.clone(), shim: shim.to_owned(), drop };
        let mut known = Known::default();
        for (n, end) in ends.into_iter().enumerate() {
            let again = known.unanswered();
            let phase = Phase {
                seed: rng.random(),
                from: n * MESSAGES,
                count: MESSAGES,
                again,
                end,
                house: n % 3 > 0,
            };
            drive::run(&place, &phase).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            known = Known::default().and(&Log::read(&log), usize::MAX);
        }
        if let Some(to) = std::env::var_os("AMTSWEG_KEEP") {
            std::fs::copy(&log, Path::new(&to).join(format!("{seed}.records"))).unwrap();
        }
        let log = Log::read(&log);
        Self { folder: folder.to_owned(), seed, shim: shim.to_owned(), world, log, base, next }
    }

    /// Moments to cut at: a third of them at syncs, a third behind acknowledgements, a third anywhere.
    fn moments(&self, count: usize, rng: &mut StdRng) -> Vec<usize> {
        let kinds = [
            self.log.boundaries(),
            self.log.acknowledgements(),
            (1..=self.log.entries.len()).collect::<Vec<_>>(),
        ];
        let mut out: Vec<usize> =
            kinds.iter().cycle().take(count).filter_map(|k| k.choose(rng).copied()).collect();
        out.sort_unstable();
        out
    }

    /// Judges `count` images, two at a time.
    fn cut(&self, count: usize, tally: &Mutex<Tally>) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0xc07);
        let moments = self.moments(count, &mut rng);
        tally.lock().unwrap().acknowledged += Known::default().and(&self.log, usize::MAX).acknowledged();
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let moments: Vec<_> = moments.iter().copied().enumerate().skip(worker).step_by(2).collect();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let mut disk = self.base.clone();
                    for (n, moment) in moments {
                        disk.advance(&self.log, moment);
                        runtime.block_on(self.one(&disk, moment, n, tally));
                    }
                });
            }
        });
    }

    async fn one(&self, disk: &Disk, moment: usize, n: usize, tally: &Mutex<Tally>) {
        let seed = self.seed ^ (n as u64) << 20;
        let known = Known::default().and(&self.log, moment);
        let image = self.folder.join(format!("image-{n}"));
        let rng = || StdRng::seed_from_u64(seed);
        disk.image(&self.log, &image, &mut rng());
        let fresh = large(self.next + RECOVERING);
        let faults = judge::judge(&self.world, &known, &image, fresh, n.is_multiple_of(6)).await;
        let name = format!("seed {} cut {n} at record {moment}", self.seed);
        tally.lock().unwrap().add(faults, &name);
        std::fs::remove_dir_all(&image).unwrap();
        if n % AGAIN.0 == 7 {
            disk.image(&self.log, &image, &mut rng());
            self.again(&image, &known, seed, &name, tally).await;
            std::fs::remove_dir_all(&image).unwrap();
        }
    }

    /// Lets an image recover below the shim and cuts it again, early on for the most part.
    async fn again(&self, image: &Path, known: &Known, seed: u64, name: &str, tally: &Mutex<Tally>) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xa6a1);
        let base = Disk::of(image);
        let log = image.with_extension("log");
        let place = Place {
            folder: self.folder.clone(),
            root: image.to_owned(),
            log: log.clone(),
            shim: self.shim.clone(),
            drop: None,
        };
        let again = known.unanswered().into_iter().take(3).collect();
        let phase = Phase { seed, from: self.next, count: RECOVERING, again, end: End::Abrupt, house: true };
        if let Err(why) = drive::run(&place, &phase) {
            tally.lock().unwrap().add(vec![(Kind::Hand, why)], name);
            return;
        }
        let log = Log::read(&log);
        std::fs::remove_file(place.log).unwrap();
        let mut moments: Vec<usize> = (0..AGAIN.1).map(|_| rng.random_range(1..=log.entries.len())).collect();
        moments.sort_unstable();
        let mut disk = base;
        for moment in moments {
            disk.advance(&log, moment);
            let known = known.and(&log, moment);
            let second = image.with_extension("second");
            disk.image(&log, &second, &mut rng);
            let fresh = large(self.next + RECOVERING);
            let faults = judge::judge(&self.world, &known, &second, fresh, false).await;
            let mut tally = tally.lock().unwrap();
            tally.again += 1;
            tally.add(faults, &format!("{name}, cut again at {moment}"));
            std::fs::remove_dir_all(&second).unwrap();
        }
    }
}

/// Judges so many images; `None` where the shim can't be built.
fn cut(cuts: usize, drop: Option<&'static str>) -> Option<Tally> {
    let seed = number("AMTSWEG_SEED", u64::from(rand::rng().random::<u32>()));
    println!("AMTSWEG_CUTS={cuts} AMTSWEG_SEED={seed}");
    let tools = world::scratch();
    let shim = shim(tools.path())?;
    let began = Instant::now();
    let tally = Mutex::new(Tally::default());
    let runs = cuts.div_ceil(PER_RUN).max(1);
    for n in 0..runs {
        let folder = world::scratch();
        let path = folder.path().canonicalize().unwrap();
        let run = Run::record(&path, &shim, seed.wrapping_add(n as u64), drop);
        run.cut(cuts / runs, &tally);
        if runs > 4 && n % 4 == 3 {
            tally.lock().unwrap().report(began);
        }
    }
    let tally = tally.into_inner().unwrap();
    tally.report(began);
    Some(tally)
}

#[test]
fn nothing_acknowledged_is_lost_however_the_power_is_cut() {
    let Some(tally) = cut(number("AMTSWEG_CUTS", 300) as usize, None) else { return };
    assert!(tally.acknowledged > 0);
    assert!(tally.faults.is_empty(), "{:?}: {:#?}", tally.faults, tally.told);
}

#[test]
fn a_ledger_that_is_not_synced_is_found_out() {
    let Some(tally) = cut(60, Some("fdatasync:/ledger/")) else { return };
    assert!(tally.of(Kind::Lost) > 0, "the harness has no teeth");
}

#[test]
fn keys_that_are_not_synced_are_found_out() {
    let Some(tally) = cut(120, Some("fdatasync:/vault/")) else { return };
    assert!(tally.of(Kind::Corrupt) + tally.of(Kind::Back) > 0, "the harness has no teeth");
}

#[test]
fn content_that_is_not_synced_is_found_out() {
    let Some(tally) = cut(60, Some("fdatasync:/content/")) else { return };
    assert!(tally.of(Kind::Corrupt) > 0, "the harness has no teeth");
}

/// Messages come in and most of them are closed; then, in a life in which nothing else happens, the housekeeper
/// copies what lives forward. Without the sync of those copies a cut finds records that lead nowhere.
fn copied(drop: Option<&'static str>) -> Option<Tally> {
    let tools = world::scratch();
    let shim = shim(tools.path())?;
    let folder = world::scratch();
    let path = folder.path().canonicalize().unwrap();
    let (count, root, log) = (100, path.join("disk"), path.join("log"));
    std::fs::create_dir_all(&root).unwrap();
    let world = World::make(&path, large(count) + 2, true);
    let mut disk = Disk::of(&root);
    let mut place = Place { folder: path.clone(), root, log: log.clone(), shim, drop: None };
    let phase = |count, house| Phase { seed: 1, from: 0, count, again: Vec::new(), end: End::Clean, house };
    drive::run(&place, &phase(count, false)).unwrap();
    let before = Log::read(&log).entries.len();
    place.drop = drop;
    drive::run(&place, &phase(0, true)).unwrap();
    let log = Log::read(&log);
    let mut rng = StdRng::seed_from_u64(7);
    let mut moments: Vec<usize> = (0..40).map(|_| rng.random_range(before..=log.entries.len())).collect();
    moments.sort_unstable();
    let mut tally = Tally::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    for (n, moment) in moments.into_iter().enumerate() {
        disk.advance(&log, moment);
        let image = path.join(format!("image-{moment}"));
        if n % 2 == 0 {
            disk.worst(&log, &image)
        } else {
            disk.image(&log, &image, &mut rng)
        }
        let known = Known::default().and(&log, moment);
        let faults = runtime.block_on(judge::judge(&world, &known, &image, large(count), false));
        tally.add(faults, &format!("cut at record {moment}"));
        std::fs::remove_dir_all(&image).unwrap();
    }
    tally.report(began);
    Some(tally)
}

#[test]
fn what_the_housekeeper_copies_is_on_disk_before_the_old_copy_goes() {
    let Some(tally) = copied(None) else { return };
    assert!(tally.faults.is_empty(), "{:?}: {:#?}", tally.faults, tally.told);
}

#[test]
fn a_copy_that_is_not_synced_is_found_out() {
    let Some(tally) = copied(Some("fdatasync:/content/")) else { return };
    assert!(tally.of(Kind::Corrupt) > 0, "the harness has no teeth");
}

/// The first life is killed at each of its first syncs in turn; the second one is asked again for what
/// was not answered, and loses its power at each answer, with all that was not synced.
#[test]
fn what_a_killed_process_left_unsynced_is_durable_before_it_is_acknowledged() {
    let tools = world::scratch();
    let Some(shim) = shim(tools.path()) else { return };
    let folder = world::scratch();
    let path = folder.path().canonicalize().unwrap();
    let fresh = large(MESSAGES);
    let world = World::make(&path, fresh + 2, true);
    let tally = Mutex::new(Tally::default());
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for at in 1..=24 {
        let root = path.join(format!("disk-{at}"));
        std::fs::create_dir_all(&root).unwrap();
        let base = Disk::of(&root);
        let log = path.join(format!("log-{at}"));
        let place = Place { folder: path.clone(), root, log: log.clone(), shim: shim.clone(), drop: None };
        let first = Phase {
            seed: at,
            from: 0,
            count: 4,
            again: Vec::new(),
            end: End::KilledSyncing(at),
            house: false,
        };
        drive::run(&place, &first).unwrap();
        let recorded = Log::read(&log);
        let again = Known::default().and(&recorded, usize::MAX).unanswered();
        let second = Phase { seed: at, from: 4, count: 1, again, end: End::Abrupt, house: false };
        drive::run(&place, &second).unwrap();
        let (before, log) = (recorded.entries.len(), Log::read(&log));
        let mut disk = base;
        for moment in log.acknowledgements().into_iter().filter(|moment| *moment > before) {
            disk.advance(&log, moment);
            let image = path.join(format!("image-{at}-{moment}"));
            disk.worst(&log, &image);
            let known = Known::default().and(&log, moment);
            let faults = runtime.block_on(judge::judge(&world, &known, &image, fresh, false));
            tally.lock().unwrap().add(faults, &format!("killed at sync {at}, cut at record {moment}"));
            std::fs::remove_dir_all(&image).unwrap();
        }
    }
    let tally = tally.into_inner().unwrap();
    tally.report(began);
    assert!(tally.images > 24 && tally.faults.is_empty(), "{:?}: {:#?}", tally.faults, tally.told);
}
