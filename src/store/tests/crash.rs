//! What is left after stops and damage of every kind.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::{Action, Timestamp};
use crate::observe::Metrics;
use crate::store::{ChangePort, OpenError, Settings, Stopped, Store, ledger};

/// A store with some history.
async fn fill(store: &Store, from: u64, to: u64) {
    for n in from..to {
        let record = accepted(store, n).await;
        let next = step(&record, Action::Claim(claim(n, 9000)), Timestamp(2000)).unwrap();
        store.commit(next).await.unwrap();
    }
}

/// What a killed process leaves of a running store.
async fn killed(folder: &Path) -> (tempfile::TempDir, String) {
    let store = open(folder).store;
    fill(&store, 0, 40).await;
    let image = tempfile::tempdir().unwrap();
    copy(folder, image.path());
    (image, state(&store).await)
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (image, before) = killed(folder.path()).await;
    let opened = open(image.path());
    assert_eq!((opened.recovery.stopped, opened.recovery.frames), (Stopped::Killed, 80));
    assert_eq!(state(&opened.store).await, before);
    // It goes on from there, and the next number follows.
    assert_eq!(accepted(&opened.store, 100).await.sequence, 41);
}

#[tokio::test]
async fn a_dropped_store_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 5).await;
    let before = state(&store).await;
    drop(store);
    let opened = open(folder.path());
    assert_eq!(opened.recovery.stopped, Stopped::Killed);
    assert_eq!(state(&opened.store).await, before);
}

#[tokio::test]
async fn a_clean_stop_needs_no_work_and_a_new_boot_rebuilds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 5).await;
    let before = state(&store).await;
    store.close().await;
    let opened = open(folder.path());
    assert_eq!((opened.recovery.stopped, opened.recovery.applied), (Stopped::Cleanly, 0));
    assert_eq!((opened.recovery.rebuilt, opened.recovery.checked), (None, true));
    drop(opened.store);
    let marker = folder.path().join("state.json");
    // The threads of the dropped store let go of the folder when they are done.
    eventually(|| std::fs::File::open(folder.path().join("lock")).unwrap().try_lock().is_ok()).await;
    let text = std::fs::read_to_string(&marker).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(&marker, signed(&text.replace(boot.trim(), "another-boot"))).unwrap();
    let opened = open(folder.path());
    assert_eq!((opened.recovery.stopped, opened.recovery.applied), (Stopped::Booted, 10));
    assert!(opened.recovery.rebuilt.is_some());
    assert_eq!(state(&opened.store).await, before);
}

#[tokio::test]
async fn the_same_state_comes_back_without_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (image, before) = killed(folder.path()).await;
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    let opened = open(image.path());
    assert_eq!(opened.recovery.applied, 80);
    assert_eq!(state(&opened.store).await, before);
}

/// Truncates, overwrites or removes one of the index's files at random.
fn vandalise(index: &Path, rng: &mut StdRng) {
    let mut files = Vec::new();
    let mut folders = vec![index.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for _ in 0..rng.random_range(1..3) {
        let path = &files[rng.random_range(0..files.len())];
        let Ok(mut octets) = std::fs::read(path) else { continue };
        match rng.random_range(0..4) {
            0 => octets.truncate(rng.random_range(0..=octets.len())),
            1 => {
                std::fs::remove_file(path).unwrap();
                continue;
            }
            kind if !octets.is_empty() => {
                let len = if kind == 2 { 1 } else { rng.random_range(1..5000) };
                let at = rng.random_range(0..octets.len());
                octets.iter_mut().skip(at).take(len).for_each(|octet| *octet = rng.random());
            }
            _ => {}
        }
        std::fs::write(path, octets).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_state_comes_back_from_vandalised_index_files() {
    let rounds: u64 = std::env::var("AMTSWEG_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 400).await;
    let before = state(&store).await;
    let (killed, clean) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(folder.path(), killed.path());
    store.close().await;
    copy(folder.path(), clean.path());
    let mut rebuilt = 0;
    for seed in 0..rounds {
        let image = tempfile::tempdir().unwrap();
        copy(if seed % 2 == 0 { killed.path() } else { clean.path() }, image.path());
        vandalise(&image.path().join("index"), &mut StdRng::seed_from_u64(seed));
        let opened = open(image.path());
        rebuilt += usize::from(opened.recovery.rebuilt.is_some());
        assert_eq!(state(&opened.store).await, before, "seed {seed}: {:?}", opened.recovery);
        assert_eq!(accepted(&opened.store, 5000).await.sequence, 401, "seed {seed}");
    }
    println!("{rounds} rounds, {rebuilt} rebuilt");
    assert!(rebuilt > 0);
}

#[tokio::test]
async fn a_cut_ledger_gives_the_state_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    let mut states = vec![state(&store).await];
    let segment = folder.path().join("ledger/00000000000000000001.ledger");
    // Of the frames: the file reaches further, with room for the next ones.
    let end = || ledger::verify(&folder.path().join("ledger")).unwrap().octets;
    let mut ends = vec![end()];
    for n in 0..6 {
        accepted(&store, n).await;
        states.push(state(&store).await);
        ends.push(end());
    }
    assert!(std::fs::metadata(&segment).unwrap().len() > end(), "there is room ahead");
    // As if killed right after the index had written everything out.
    store.close().await;
    assert_eq!(std::fs::metadata(&segment).unwrap().len(), end(), "a clean stop gives it back");
    let marker = folder.path().join("state.json");
    let text = std::fs::read_to_string(&marker).unwrap();
    std::fs::write(&marker, signed(&text.replace("\"clean\": true", "\"clean\": false"))).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let last = *ends.last().unwrap();
    let mut cuts: Vec<u64> = (0..40).map(|_| rng.random_range(0..last)).collect();
    cuts.extend(ends.iter().flat_map(|end| [end - 1, *end]));
    for (round, cut) in cuts.into_iter().enumerate() {
        let image = tempfile::tempdir().unwrap();
        copy(folder.path(), image.path());
        if round % 2 == 0 {
            std::fs::remove_dir_all(image.path().join("index")).unwrap();
        }
        let path = image.path().join("ledger/00000000000000000001.ledger");
        std::fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count().max(1) - 1;
        let opened = open(image.path());
        assert_eq!(opened.recovery.frames, whole as u64, "cut at {cut}");
        assert_eq!(state(&opened.store).await, states[whole], "cut at {cut}");
        if round % 2 == 1 {
            assert_eq!(opened.recovery.missing, 6 - whole as u64);
        }
        accepted(&opened.store, 50).await;
        let again = ledger::verify(&image.path().join("ledger")).unwrap();
        assert_eq!((again.last, again.torn), (whole as u64 + 1, 0));
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_but_damage_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (image, before) = killed(folder.path()).await;
    let path = image.path().join("ledger/00000000000000000001.ledger");
    let room = std::fs::read(&path).unwrap();
    let end = usize::try_from(ledger::verify(&image.path().join("ledger")).unwrap().octets).unwrap();
    let good = room[..end].to_vec();
    assert!(room.len() > end && room[end..].iter().all(|octet| *octet == 0));
    // A write that was never finished lies in the room ahead.
    let mut torn = room;
    torn[end..end + 500].fill(9);
    std::fs::write(&path, &torn).unwrap();
    let opened = open(image.path());
    assert_eq!(opened.recovery.torn, 500);
    assert_eq!(state(&opened.store).await, before);
    opened.store.close().await;

    let mut rng = StdRng::seed_from_u64(2);
    // Behind each of the first 70 frames there is another that says it had been on disk.
    let bound = good.len() * 7 / 8;
    for _ in 0..30 {
        let mut bad = good.clone();
        let at = rng.random_range(0..bound);
        bad[at] ^= 1 << rng.random_range(0..8);
        std::fs::write(&path, &bad).unwrap();
        let opened = Store::open(settings(image.path()), Metrics::default()).map(|_| ());
        let fault = opened.unwrap_err().to_string();
        assert!(fault.contains("damaged") || fault.contains("newer"), "octet {at}: {fault}");
        assert_eq!(std::fs::read(&path).unwrap(), bad, "nothing was changed");
    }
    // After a clean stop a missing end is damage, too.
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let fault = Store::open(settings(image.path()), Metrics::default()).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("state.json"), "{fault}");
}

#[tokio::test]
async fn many_segments_make_one_ledger_and_a_missing_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let small = Settings { ledger_segment: 4096, content_segment: 2048, ..settings(folder.path()) };
    let store = Store::open(small.clone(), Metrics::default()).unwrap().store;
    fill(&store, 0, 40).await;
    let before = state(&store).await;
    store.close().await;
    let summary = ledger::verify(&folder.path().join("ledger")).unwrap();
    assert!(summary.segments > 5, "{summary:?}");
    assert_eq!((summary.frames, summary.last, summary.torn), (80, 80, 0));
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let opened = Store::open(small.clone(), Metrics::default()).unwrap();
    assert_eq!(state(&opened.store).await, before);
    for n in 0..40 {
        let record = accepted(&opened.store, n).await;
        let read = crate::store::read_all(&*opened.store, &record.document, 1000).await.unwrap();
        assert_eq!(read, document(n));
    }
    opened.store.close().await;
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path().join("ledger")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    std::fs::remove_file(&names[2]).unwrap();
    let fault = Store::open(small, Metrics::default()).map(|_| ()).unwrap_err();
    assert!(matches!(fault, OpenError::Ledger(ledger::LedgerFault::Damaged { .. })), "{fault}");
}

#[tokio::test]
async fn newer_layouts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 2).await;
    store.close().await;
    let path = folder.path().join("ledger/00000000000000000001.ledger");
    let good = std::fs::read(&path).unwrap();
    let mut newer = good.clone();
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..60]).to_le_bytes();
    newer[60..64].copy_from_slice(&crc);
    std::fs::write(&path, newer).unwrap();
    let fault = Store::open(settings(folder.path()), Metrics::default()).map(|_| ()).unwrap_err();
    assert!(matches!(fault, OpenError::Ledger(ledger::LedgerFault::Newer { .. })), "{fault}");
    std::fs::write(&path, good).unwrap();
    // A folder that does not say its layout but in the marker.
    std::fs::remove_file(folder.path().join("layout.json")).unwrap();
    let marker = folder.path().join("state.json");
    let text = std::fs::read_to_string(&marker).unwrap().replace("\"format\": 2", "\"format\": 3");
    std::fs::write(&marker, text).unwrap();
    let fault = Store::open(settings(folder.path()), Metrics::default()).map(|_| ()).unwrap_err();
    assert!(matches!(fault, OpenError::Newer { format: 3, .. }), "{fault}");
}

#[tokio::test]
async fn a_start_that_died_over_the_index_does_not_die_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (image, before) = killed(folder.path()).await;
    std::fs::write(image.path().join("index.opening"), b"").unwrap();
    let opened = open(image.path());
    assert!(opened.recovery.rebuilt.is_some());
    assert_eq!(state(&opened.store).await, before);
    opened.store.close().await;
    assert_eq!(open(image.path()).recovery.rebuilt, None);
}

#[tokio::test]
async fn a_broken_record_is_reported_and_mended_at_the_next_start() {
    use crate::store::{Filter, ReadPort, StoreError};
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 3).await;
    let before = state(&store).await;
    let index = store.shared.index().unwrap();
    crate::store::index::query::overwrite(&index, &id(1), b"nonsense");
    drop(index);
    assert!(matches!(store.get(&id(1)).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(store.list(&Filter { limit: 9, ..Filter::default() }).await.unwrap().len(), 2);
    store.close().await;
    let opened = open(folder.path());
    assert!(opened.recovery.rebuilt.is_some());
    assert_eq!(state(&opened.store).await, before);
}

#[tokio::test]
async fn a_full_disk_is_survived_and_a_failing_sync_closes_the_store() {
    use crate::store::StoreError;
    let folder = tempfile::tempdir().unwrap();
    // Every group makes a segment of its own, so the next file's name is known beforehand.
    let tiny = Settings { ledger_segment: 65, ..settings(folder.path()) };
    let store = Store::open(tiny.clone(), Metrics::default()).unwrap().store;
    fill(&store, 0, 3).await;
    let next = folder.path().join("ledger").join(format!("{:020}.ledger", 7));
    std::os::unix::fs::symlink("/dev/full", &next).unwrap();
    let record = accepted(&store, 0).await;
    let released = Action::Warn { detail: String::new() };
    let change = step(&record, released, Timestamp(3000)).unwrap();
    assert!(matches!(accept(&store, 10).await, Err(StoreError::Full)));
    assert!(matches!(store.commit(change.clone()).await, Err(StoreError::Full)));
    assert_eq!(store.closed(), None);
    std::fs::remove_file(&next).unwrap();
    // What was refused left no trace, neither in numbers nor in versions.
    assert_eq!(accepted(&store, 10).await.sequence, 4);
    store.commit(change).await.unwrap();
    let before = state(&store).await;

    let next = folder.path().join("ledger").join(format!("{:020}.ledger", 9));
    std::os::unix::fs::symlink("/dev/null", &next).unwrap();
    assert!(matches!(accept(&store, 11).await, Err(StoreError::Closed(_))));
    assert!(matches!(accept(&store, 12).await, Err(StoreError::Closed(_))));
    assert!(store.closed().is_some());
    std::fs::remove_file(&next).unwrap();
    drop(store);
    let opened = Store::open(tiny, Metrics::default()).unwrap();
    assert_eq!(opened.recovery.frames, 8);
    assert_eq!(state(&opened.store).await, before);
}

#[tokio::test]
async fn a_segment_that_was_begun_and_not_finished_is_no_damage_later() {
    use crate::store::StoreError;
    let folder = tempfile::tempdir().unwrap();
    let small = Settings { ledger_segment: 4096, ..settings(folder.path()) };
    let ledger = folder.path().join("ledger");
    let after = |last: u64| ledger.join(format!("{:020}.ledger", last + 1));
    // The disk was full when the next segment was made; then a smaller group fits into the old one.
    let store = Store::open(small.clone(), Metrics::default()).unwrap().store;
    let frames = || ledger::verify(&folder.path().join("ledger")).unwrap();
    fill(&store, 0, 1).await;
    let mut n = 0;
    loop {
        let next = after(frames().last);
        std::os::unix::fs::symlink("/dev/full", &next).unwrap();
        n += 1;
        let outcome = accept(&store, n).await;
        std::fs::remove_file(&next).unwrap();
        match outcome {
            Ok(_) => {}
            Err(StoreError::Full) => break std::fs::write(&next, b"").unwrap(),
            Err(other) => panic!("{other}"),
        }
    }
    let record = accepted(&store, 1).await;
    let change = step(&record, Action::Warn { detail: String::new() }, Timestamp(3000)).unwrap();
    store.commit(change).await.unwrap();
    fill(&store, 100, 120).await;
    // Killed while the next one is made: the same.
    drop(store);
    let opened = reopen(&small).await;
    let last = frames().last;
    std::fs::write(after(last), b"").unwrap();
    drop(opened);
    let opened = reopen(&small).await;
    fill(&opened.store, 200, 220).await;
    let before = state(&opened.store).await;
    opened.store.close().await;
    let opened = reopen(&small).await;
    assert_eq!(state(&opened.store).await, before);
}

async fn reopen(settings: &Settings) -> crate::store::Opened {
    Store::open(settings.clone(), Metrics::default()).unwrap()
}

#[tokio::test]
async fn exhausted_descriptors_neither_close_the_store_nor_make_its_records_corrupt() {
    use crate::store::index::IndexFault;
    use crate::store::{StoreError, ledger::exhausted};
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    for errno in [23, 24] {
        let fault = std::io::Error::from_raw_os_error(errno);
        assert!(exhausted(&fault), "{fault}");
    }
    assert!(!exhausted(&std::io::Error::from_raw_os_error(5)), "a disk fault is none");
    let fault = IndexFault::Unread("too many open files".to_owned());
    store.shared.suspect(&fault);
    assert!(!folder.path().join("index.suspect").exists());
    assert!(matches!(StoreError::from(fault), StoreError::Io { .. }));
}

/// A marker that says something else, with its checksum made good.
fn signed(text: &str) -> String {
    let mut marker: serde_json::Value = serde_json::from_str(text).unwrap();
    let word = |name: &str| marker[name].as_str().map_or_else(|| marker[name].to_string(), str::to_owned);
    let said = ["format", "boot", "clean", "last", "head"].map(word).join(" ");
    marker["sum"] = format!("{:08x}", crc32c::crc32c(said.as_bytes())).into();
    marker.to_string()
}

#[tokio::test]
async fn a_flipped_bit_in_the_marker_is_found_out_and_hinders_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).store;
    fill(&store, 0, 5).await;
    let before = state(&store).await;
    store.close().await;
    let good = std::fs::read(folder.path().join("state.json")).unwrap();
    let mut found = 0;
    for at in (0..good.len()).step_by(7) {
        let image = tempfile::tempdir().unwrap();
        copy(folder.path(), image.path());
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(image.path().join("state.json"), &bad).unwrap();
        let metrics = Metrics::default();
        let opened = Store::open(settings(image.path()), metrics.clone());
        let opened = opened.unwrap_or_else(|fault| panic!("octet {at}: {fault}"));
        assert_eq!(state(&opened.store).await, before, "octet {at}");
        if metrics.render().contains("amtsweg_corrupt_total{what=\"state\"} 1") {
            found += 1;
            assert_eq!(opened.recovery.stopped, Stopped::Booted);
            assert!(image.path().join("state.json.damaged").exists());
        }
    }
    assert!(found > good.len() / 7 / 2, "{found} of {}", good.len() / 7);
}
