//! The gateway as a whole, in one run: durable accepts per second over mutual-TLS gRPC with 64 in
//! flight, against an echo of the same sizes on the same stack; then end to end, from the first
//! submission until every message is closed by push.
//!
//! The gateway is the real program in a process of its own; clients, echo and authority share the
//! other process, and both processes share the machine.
//!
//! `cargo bench --bench gateway -- [messages]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on stops, as a test"
)]

#[path = "../it/child.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod child;
#[path = "gateway/echo.rs"]
mod echo;
#[path = "gateway/taker.rs"]
mod taker;
#[path = "../it/wire.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amtsweg::proto::SubmitRequest;
use amtsweg::proto::submission_client::SubmissionClient;
use bytes::Bytes;
use child::{Gateway, Setup};

const IN_FLIGHT: usize = 64;
/// Octets of a message, as in the published figures of other systems.
const SIZE: usize = 4096;

fn main() {
    let messages = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(6_400);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(messages));
}

async fn run(messages: usize) {
    let setup = Setup::new(|config| config);
    println!("signing {messages} messages of {SIZE} octets …");
    let pulled = documents(&setup, messages, 0);
    let pushed = documents(&setup, messages / 2, 1);
    let size = pulled.first().map_or(0, Bytes::len);

    let echo = echo::serve(&setup).await;
    let _ = submit_all(&setup, echo.port, &pulled[..messages / 4]).await;
    let floor = submit_all(&setup, echo.port, &pulled).await;
    echo.stop();

    let gateway = Gateway::start(&setup).await;
    let accepts = submit_all(&setup, setup.port, &pulled).await;
    println!(
        "\n| {IN_FLIGHT} in flight, {size} octets, mutual-TLS gRPC | messages/s | of the echo |\n|---|---|---|"
    );
    println!("| echo of the same sizes, nothing done | {:.0} | 1.00 |", floor.rate());
    println!("| durable accepts (mailbox) | {:.0} | {:.2} |", accepts.rate(), accepts.rate() / floor.rate());
    println!(
        "\naccept latency: median {:?}, 99th percentile {:?}",
        accepts.quantile(0.5),
        accepts.quantile(0.99)
    );

    let taken = taker::serve(&setup).await;
    let began = Instant::now();
    let accepted = submit_all(&setup, setup.port, &pushed).await;
    let bound = Duration::from_secs(300);
    while taken.count() < pushed.len() && began.elapsed() < bound {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    let closed = closed_by_push(&setup).await;
    println!(
        "\nend to end: {} accepted at {:.0}/s, {} taken over by one authority, all within {took:?}: {:.0}/s ({closed} closed)",
        pushed.len(),
        accepted.rate(),
        taken.count(),
        taken.count() as f64 / took.as_secs_f64(),
    );
    drop(gateway);
}

/// Signed applications of about [`SIZE`] octets; odd ones are pushed.
fn documents(setup: &Setup, count: usize, parity: usize) -> Vec<Bytes> {
    (0..count).map(|_| Bytes::from(setup.sized_application(uuid::Uuid::new_v4(), parity, SIZE))).collect()
}

/// What a run of submissions took.
struct Run {
    took: Duration,
    each: Vec<Duration>,
}

impl Run {
    fn rate(&self) -> f64 {
        self.each.len() as f64 / self.took.as_secs_f64()
    }

    fn quantile(&self, q: f64) -> Duration {
        self.each[((self.each.len() - 1) as f64 * q) as usize]
    }
}

async fn submit_all(setup: &Setup, port: u16, documents: &[Bytes]) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let documents: Arc<[Bytes]> = documents.into();
    let origin: http::Uri = format!("https://localhost:{port}").parse().unwrap();
    let transport = wire::grpc(&setup.pki(), "portal");
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..IN_FLIGHT {
        let (next, documents) = (Arc::clone(&next), Arc::clone(&documents));
        let mut client = SubmissionClient::with_origin(transport.clone(), origin.clone());
        tasks.push(tokio::spawn(async move {
            let mut each = Vec::new();
            while let Some(document) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                let request = SubmitRequest { document: document.clone(), attachments: Vec::new() };
                client.submit(request).await.expect("accepted");
                each.push(began.elapsed());
            }
            each
        }));
    }
    let mut each = Vec::new();
    for task in tasks {
        each.extend(task.await.unwrap());
    }
    let took = began.elapsed();
    each.sort();
    Run { took, each }
}

/// Closed messages of the pushed-to endpoint, by the operators' metrics.
async fn closed_by_push(setup: &Setup) -> String {
    let http = wire::Http::new(&setup.pki(), None);
    let answer = http.get(&format!("https://localhost:{}/metrics", setup.operators)).await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let line = text.lines().find(|l| l.contains(child::PUSH_ENDPOINT) && l.contains("Closed"));
    line.and_then(|l| l.rsplit(' ').next()).unwrap_or("?").to_owned()
}
