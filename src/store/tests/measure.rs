//! Measurements, not tests: `cargo test --release --lib store::tests::measure -- --ignored --nocapture --test-threads 1`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::{Action, Timestamp};
use crate::store::{ChangePort, Store};

const CLIENTS: u64 = 64;
const SPAN: Duration = Duration::from_secs(4);

fn raw(folder: &std::path::Path) -> (f64, f64) {
    let (to, from) = std::sync::mpsc::sync_channel::<std::sync::mpsc::SyncSender<()>>(1024);
    let mut file = std::fs::File::create(folder.join("raw")).unwrap();
    let record = vec![7_u8; 1200];
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let to = to.clone();
            std::thread::spawn(move || {
                let (tx, rx) = std::sync::mpsc::sync_channel(1);
                let mut n = 0_u64;
                while began.elapsed() < SPAN {
                    to.send(tx.clone()).unwrap();
                    rx.recv().unwrap();
                    n += 1;
                }
                n
            })
        })
        .collect();
    drop(to);
    let mut groups = 0_u64;
    while let Ok(first) = from.recv() {
        let mut group = vec![first];
        while let Ok(next) = from.try_recv() {
            group.push(next);
        }
        let buf = record.repeat(group.len());
        file.write_all(&buf).unwrap();
        file.sync_data().unwrap();
        groups += 1;
        group.into_iter().for_each(|tx| tx.send(()).unwrap());
    }
    let n: u64 = clients.into_iter().map(|c| c.join().unwrap()).sum();
    (n as f64 / began.elapsed().as_secs_f64(), n as f64 / groups as f64)
}

async fn accepts(store: &Arc<Store>, next: &Arc<AtomicU64>) -> f64 {
    let began = Instant::now();
    let first = next.load(Ordering::Relaxed);
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (store, next) = (store.clone(), next.clone());
            tokio::spawn(async move {
                while began.elapsed() < SPAN {
                    accepted(&store, next.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (next.load(Ordering::Relaxed) - first) as f64 / began.elapsed().as_secs_f64()
}

async fn changes(store: &Arc<Store>, from: u64, to: u64) -> f64 {
    let mut records = Vec::new();
    for n in from..to {
        records.push(accepted(store, n).await);
    }
    let began = Instant::now();
    let chunk = records.len().div_ceil(CLIENTS as usize);
    let tasks: Vec<_> = records
        .chunks(chunk)
        .map(|records| {
            let (store, records) = (store.clone(), records.to_vec());
            tokio::spawn(async move {
                let mut n = 0_u64;
                'all: loop {
                    for record in &records {
                        let mut record = record.clone();
                        for at in 1..5_u64 {
                            let now = Timestamp(record.changed_at.0 + 100_000);
                            let next = step(&record, Action::Claim(claim(at, now.0 + 10)), now).unwrap();
                            record = match store.commit(next).await {
                                Ok(record) => record,
                                Err(_) => break 'all,
                            };
                            n += 1;
                            if began.elapsed() > SPAN {
                                break 'all;
                            }
                        }
                    }
                    break;
                }
                n
            })
        })
        .collect();
    let mut n = 0;
    for task in tasks {
        n += task.await.unwrap();
    }
    n as f64 / began.elapsed().as_secs_f64()
}

fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| if p.is_dir() { size(&p) } else { p.metadata().unwrap().len() }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rates() {
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap().join("target")).unwrap();
    let store = open(folder.path()).store;
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..2 {
        println!("raw {:?}", raw(folder.path()));
        println!("accepts {:.0}/s", accepts(&store, &next).await);
        let to = next.load(Ordering::Relaxed);
        println!("changes {:.0}/s", changes(&store, to.saturating_sub(8000), to).await);
    }
    println!("raw {:?}", raw(folder.path()));
    println!(
        "ledger {} index {} messages {:?}",
        size(&folder.path().join("ledger")),
        size(&folder.path().join("index")),
        next
    );
    let image = tempfile::tempdir_in(std::env::current_dir().unwrap().join("target")).unwrap();
    copy(folder.path(), image.path());
    let began = Instant::now();
    store.close().await;
    println!("close {:?}", began.elapsed());
    let opened = open(folder.path());
    println!("clean {:?}", opened.recovery);
    opened.store.close().await;
    let opened = open(image.path());
    println!("killed {:?}", opened.recovery);
    opened.store.close().await;
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    println!("rebuild {:?}", open(image.path()).recovery);
}
