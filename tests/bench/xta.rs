//! XTA beside gRPC in the same run: messages of 4 KB sent and pulled per second, and 10 MB in and out.
//! Both carry the same signed documents into the same gateway, and pull from the same mailbox.
//!
//! The gateway is the real program in a process of its own; the clients are the other process, and both
//! share the machine.
//!
//! `cargo bench --bench xta -- [messages]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on stops, as a test"
)]

#[path = "../it/child.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod child;
#[path = "xta/grpc.rs"]
mod grpc;
#[path = "../it/xta/soap.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod soap;
#[path = "../it/wire.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod wire;
#[path = "xta/wired.rs"]
mod wired;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amtsweg::antrag::{Application, Attachment, Content, Party, Product};
use amtsweg::domain::Timestamp;
use bytes::Bytes;
use child::{Gateway, Setup};

const IN_FLIGHT: usize = 64;
/// Octets of a small message.
const SMALL: usize = 4096;
/// Octets of a large attachment, and how many of them go at once.
const LARGE: usize = 10 << 20;
const LARGE_IN_FLIGHT: usize = 4;
const ROUNDS: usize = 3;

/// A document with its attachments.
#[derive(Clone)]
pub struct Message {
    document: Bytes,
    attachment: Option<Bytes>,
}

fn main() {
    let messages = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(1_600);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(messages));
}

/// Both sides' figures of each round.
#[derive(Default)]
struct Row {
    grpc: Vec<f64>,
    xta: Vec<f64>,
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

impl Row {
    fn print(&self, what: &str) {
        let (grpc, xta) = (median(&self.grpc), median(&self.xta));
        let ratios: Vec<f64> = self.grpc.iter().zip(&self.xta).map(|(grpc, xta)| xta / grpc).collect();
        let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        println!("| {what} | {grpc:.0} | {xta:.0} | {:.2} ({}) |", median(&ratios), each.join(", "));
    }
}

async fn run(messages: usize) {
    let setup = Setup::new(|config| config);
    println!("signing {} messages of {SMALL} octets …", 2 * ROUNDS * messages);
    let gateway = Gateway::start(&setup).await;
    let (grpc, xta) = (grpc::Side::new(&setup), wired::Side::new(&setup));
    let [mut sends, mut pulls, mut ins, mut outs] = [(); 4].map(|()| Row::default());
    for _ in 0..ROUNDS {
        let documents = || (0..messages).map(|_| small(&setup)).collect::<Vec<_>>();
        let large = || (0..3 * LARGE_IN_FLIGHT).map(|_| large(&setup)).collect::<Vec<_>>();
        let sides = (documents(), documents());
        sends.grpc.push(rate(sides.0.len(), each(IN_FLIGHT, sides.0, |m| grpc.send(m)).await));
        pulls.grpc.push(rate(messages, each(IN_FLIGHT, grpc.list(messages).await, |id| grpc.pull(id)).await));
        sends.xta.push(rate(sides.1.len(), each(IN_FLIGHT, sides.1, |m| xta.send(m)).await));
        pulls.xta.push(rate(messages, each(IN_FLIGHT, xta.list(messages).await, |id| xta.pull(id)).await));
        let sides = (large(), large());
        let octets = sides.0.len() * LARGE / 1_000_000;
        ins.grpc.push(rate(octets, each(LARGE_IN_FLIGHT, sides.0, |m| grpc.send(m)).await));
        let ids = grpc.list(sides.1.len()).await;
        outs.grpc.push(rate(octets, each(LARGE_IN_FLIGHT, ids, |id| grpc.pull(id)).await));
        ins.xta.push(rate(octets, each(LARGE_IN_FLIGHT, sides.1, |m| xta.send(m)).await));
        let ids = xta.list(3 * LARGE_IN_FLIGHT).await;
        outs.xta.push(rate(octets, each(LARGE_IN_FLIGHT, ids, |id| xta.pull(id)).await));
    }
    println!("\n| | gRPC | XTA | XTA / gRPC, median (each round) |\n|---|---|---|---|");
    sends.print("sends/s at 4 KB (XTA: createMessageId and sendMessage)");
    pulls.print("pulls/s at 4 KB (fetched and closed)");
    ins.print("MB/s in, 10 MB attachments");
    outs.print("MB/s out, 10 MB attachments, closed");
    drop(gateway);
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Does `work` with each of `items`, so many at once.
async fn each<T, F>(at_once: usize, items: Vec<T>, work: impl Fn(T) -> F) -> Duration
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (items, next) = (Arc::new(items), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    // All calls are prepared here; a task drives every so many-th of them.
    let calls: Vec<_> = items.iter().cloned().map(work).collect();
    let calls = Arc::new(calls.into_iter().map(|call| std::sync::Mutex::new(Some(call))).collect::<Vec<_>>());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (calls, next) = (calls.clone(), next.clone());
        tasks.spawn(async move {
            while let Some(slot) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                let call = slot.lock().unwrap().take();
                if let Some(call) = call {
                    call.await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    began.elapsed()
}

fn small(setup: &Setup) -> Message {
    Message { document: setup.sized_application(uuid::Uuid::new_v4(), 0, SMALL).into(), attachment: None }
}

/// A signed application with one large attachment.
fn large(setup: &Setup) -> Message {
    let mut octets = vec![0x5a; LARGE];
    octets[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    let octets = Bytes::from(octets);
    let application = Application {
        uuid: uuid::Uuid::new_v4(),
        created: Timestamp::now(),
        author: Party { identifier: child::AUTHOR.parse().unwrap(), name: "Portal".to_owned() },
        reader: None,
        service: Some((child::SERVICE.parse().unwrap(), child::PULL_AREA.parse().unwrap())),
        date: None,
        product: Product::gateway(),
        test: false,
        content: Content::Element("<f:x xmlns:f=\"urn:f\"/>".to_owned()),
        attachments: vec![Attachment {
            name: "a.bin".to_owned(),
            media_type: "application/octet-stream".to_owned(),
            octets: octets.clone(),
        }],
    };
    Message { document: setup.sign(&application).into(), attachment: Some(octets) }
}
