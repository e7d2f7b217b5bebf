//! The gateway is killed at random moments under load: 8 clients submit, an authority is pushed to
//! (and fails now and then), another one pulls (and sometimes never closes what it fetched).
//! Nothing that was acknowledged is lost, nothing arrives under another id or changed, nothing is
//! stuck. Every fifth time the index is damaged or deleted as well.
//!
//! `AMTSWEG_KILLS` says how often (12 unless told); `AMTSWEG_SEED` repeats a run's choices.

mod authority;
mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::child::{Gateway, Setup};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_often_it_is_killed() {
    let kills = number("AMTSWEG_KILLS", 12);
    let seed = number("AMTSWEG_SEED", rand::rng().random());
    println!("AMTSWEG_KILLS={kills} AMTSWEG_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let setup = Arc::new(Setup::new(|config| config));
    let seen = Arc::new(authority::Seen::default());
    let pushed_to = authority::serve(&setup, Arc::clone(&seen), seed).await;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(load::Acknowledged::default());
    let mut gateway = Gateway::start(&setup).await;
    let mut work = Vec::new();
    for n in 0..8 {
        work.push(tokio::spawn(load::submit(
            Arc::clone(&setup),
            Arc::clone(&acknowledged),
            Arc::clone(&stop),
            n,
        )));
    }
    let puller = tokio::spawn(load::pull(Arc::clone(&setup), Arc::clone(&seen), seed));
    let mut starts = Vec::new();
    let mut damaged = 0;
    for n in 1..=kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(5..700))).await;
        gateway.kill();
        if n % 5 == 0 {
            damage(&setup, &mut rng);
            damaged += 1;
        }
        gateway = Gateway::start(&setup).await;
        starts.push(gateway.ready_after);
    }
    stop.store(true, Ordering::SeqCst);
    for task in work {
        task.await.unwrap();
    }
    let acknowledged = acknowledged.take();
    let stuck = load::wait_until_closed(&setup, &acknowledged, Duration::from_secs(60)).await;
    puller.abort();
    pushed_to.abort();
    starts.sort();
    println!(
        "{kills} kills, {damaged} of them with a damaged index: {} acknowledged, {} handed over ({} more than once, under the same id), {} stuck or lost; ready after {:?} (median), {:?} (most)",
        acknowledged.len(),
        seen.messages(),
        seen.repeated(),
        stuck.len(),
        starts.get(starts.len() / 2).copied().unwrap_or_default(),
        starts.last().copied().unwrap_or_default(),
    );
    slowest(&setup);
    assert!(stuck.is_empty(), "lost or stuck: {stuck:?}");
    seen.check(&acknowledged);
    drop(gateway);
}

/// Prints what the stores' own logs say of the three that took longest to open.
fn slowest(setup: &Setup) {
    let log = setup.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut opened: Vec<_> = lines.filter(|line| line["message"] == "the store is open").collect();
    opened.sort_by_key(|line| std::cmp::Reverse(line["milliseconds"].as_u64()));
    for line in opened.iter().take(3) {
        println!(
            "the store took {} ms to open, {} messages, {} frames, {} applied, rebuilt: {}",
            line["milliseconds"], line["messages"], line["frames"], line["applied"], line["rebuilt"]
        );
    }
}

/// Deletes the index, or truncates or overwrites one of its files at a random place.
fn damage(setup: &Setup, rng: &mut StdRng) {
    let index = setup.data().join("index");
    if rng.random_ratio(1, 3) {
        std::fs::remove_dir_all(&index).unwrap();
        return;
    }
    let mut files = Vec::new();
    let mut folders = vec![index];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let file = &files[rng.random_range(0..files.len())];
    let mut octets = std::fs::read(file).unwrap();
    if rng.random() {
        octets.truncate(rng.random_range(0..=octets.len()));
    } else if !octets.is_empty() {
        let from = rng.random_range(0..octets.len());
        let to = (from + rng.random_range(1..4096)).min(octets.len());
        rng.fill(&mut octets[from..to]);
    }
    std::fs::write(file, octets).unwrap();
}
