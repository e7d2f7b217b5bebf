//! The same with the whole gateway: the real program takes messages in, pushes some and keeps others
//! in a mailbox below the shim; then it starts on the images.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::disk::Disk;
use super::log::Log;
use super::number;
use crate::child::{Gateway, Setup};
use crate::faults::Portal;
use crate::faults::authority::{Authority, Mood};

/// Clients that submit at the same time, and messages of each.
const CLIENTS: usize = 4;
const EACH: usize = 8;

struct Sent {
    document: bytes::Bytes,
    id: String,
}

/// Submits, marks what was answered, and what was seen closed. Even numbers go to the mailbox.
async fn submit(setup: Arc<Setup>, log: Arc<std::path::PathBuf>, client: usize) -> Vec<Sent> {
    let mut portal = Portal::new(&setup);
    let mut sent = Vec::new();
    for n in client * EACH..(client + 1) * EACH {
        let octets = if n % 5 == 0 { 70_000 } else { 0 };
        let document: bytes::Bytes = setup.sized_application(uuid::Uuid::new_v4(), n, octets).into();
        let id = portal.submit(document.clone()).await.unwrap();
        Log::add_mark(&log, &format!("A {id}"));
        if n % 4 == 1 {
            let began = Instant::now();
            while portal.state(&id).await != "Closed" {
                assert!(began.elapsed() < Duration::from_secs(20), "{id} is never closed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Log::add_mark(&log, &format!("S {id}"));
        }
        sent.push(Sent { document, id });
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_gateway_starts_on_what_a_cut_leaves_and_brings_everything_there() {
    let cuts = number("AMTSWEG_CUTS", 300).div_ceil(75);
    let seed = number("AMTSWEG_SEED", u64::from(rand::rng().random::<u32>()));
    println!("AMTSWEG_SEED={seed}");
    let tools = super::world::scratch();
    let Some(shim) = super::shim(tools.path()) else { return };
    let setup = Arc::new(Setup::new(|config| config));
    let data = setup.data();
    std::fs::create_dir_all(&data).unwrap();
    let base = Disk::of(&data.canonicalize().unwrap());
    let (_authority, task) = Authority::serve(&setup, "authority-push", Mood::Takes).await;
    let log = Arc::new(tools.path().join("log"));
    let gateway =
        Gateway::start_under(&setup, &[("LD_PRELOAD", &shim), ("POWER_ROOT", &data), ("POWER_LOG", &log)])
            .await;
    let clients = (0..CLIENTS).map(|n| tokio::spawn(submit(setup.clone(), log.clone(), n)));
    let mut sent = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        sent.extend(client.await.unwrap());
    }
    gateway.kill();
    let log = Log::read(&log);
    let mut rng = StdRng::seed_from_u64(seed);
    let (syncs, all) = (log.boundaries(), log.entries.len());
    let mut moments: Vec<usize> = (0..cuts)
        .map(|n| if n % 2 == 0 { *syncs.choose(&mut rng).unwrap() } else { rng.random_range(1..=all) })
        .collect();
    moments.sort_unstable();
    let mut disk = base;
    let mut expected = 0;
    for moment in moments {
        disk.advance(&log, moment);
        std::fs::remove_dir_all(&data).unwrap();
        disk.image(&log, &data, &mut rng);
        expected += check(&setup, &log, moment, &sent).await;
    }
    task.abort();
    println!("{cuts} images of the whole gateway, {expected} messages expected in them and found");
}

/// Starts the gateway on the image in its folder; gives how many messages had to be there.
async fn check(setup: &Setup, log: &Log, moment: usize, sent: &[Sent]) -> usize {
    let gateway = Gateway::start(setup).await;
    let mut portal = Portal::new(setup);
    let marked = |kind: &str| -> Vec<String> {
        log.marks(moment).filter_map(|mark| mark.strip_prefix(kind)).map(str::to_owned).collect()
    };
    let (accepted, closed) = (marked("A "), marked("S "));
    for id in &closed {
        assert_eq!(portal.state(id).await, "Closed", "{id} was closed before the cut at {moment}");
    }
    portal.until_all(&accepted, &["Closed", "Available"]).await;
    for Sent { document, id } in sent {
        let again = portal.submit(document.clone()).await.unwrap();
        assert!(!accepted.contains(id) || again == *id, "{id} is {again} after the cut at {moment}");
    }
    gateway.kill();
    accepted.len()
}
