//! Authorities that can't be reached or misbehave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::authority::{Authority, Mood};
use super::{Portal, Watch, until};
use crate::child::{Gateway, Setup};

/// Messages waiting while the authority is down; `AMTSWEG_BACKLOG` asks for more.
fn backlog() -> usize {
    std::env::var("AMTSWEG_BACKLOG").ok().map_or(40, |text| text.parse().expect("a number"))
}

async fn failures(watch: &Watch) -> f64 {
    let name = "amtsweg_attempts_total{endpoint=\"darmstadt-push\",outcome=\"failed\"}";
    watch.metric(name).await.unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_misbehaves_costs_attempts_and_no_memory() {
    let setup = Setup::new(|config| config);
    let endpoints = setup.folder().join("directory").join("endpoints.toml");
    let good = std::fs::read_to_string(&endpoints).unwrap();
    std::fs::write(&endpoints, good.replace("https://localhost", "https://nobody.invalid")).unwrap();
    let gateway = Gateway::start(&setup).await;
    let (mut portal, watch) = (Portal::new(&setup), Watch::new(&setup));
    let id = portal.submit(setup.signed_application(1)).await.unwrap();
    let memory = gateway.reset_peak();
    let mut seen = 0.0;
    let mut fails = async |what: &str| {
        until(what, async || failures(&watch).await >= seen + 2.0).await;
        seen = failures(&watch).await;
    };
    fails("a name that nobody has fails").await;
    std::fs::write(&endpoints, good).unwrap();
    gateway.signal("HUP");
    until("it is reloaded", async || setup.log().contains("\"reloaded\"")).await;
    fails("a closed port fails").await;
    let (_, task) = Authority::serve(&setup, "portal", Mood::Takes).await;
    fails("a certificate for somebody else fails").await;
    task.abort();
    let _ = task.await;
    let (authority, task) = Authority::serve(&setup, "authority-push", Mood::Headers).await;
    fails("headers without end fail").await;
    authority.turn(Mood::Hangs);
    fails("no answer fails").await;
    assert_eq!(portal.state(&id).await, "Queued");
    authority.turn(Mood::Floods);
    portal.until_all(&[id], &["Closed"]).await;
    let grown = gateway.peak().saturating_sub(memory);
    assert!(grown < 32 << 20, "{grown} octets more");
    authority.turn(Mood::Takes);
    let id = portal.submit(setup.signed_application(1)).await.unwrap();
    portal.until_all(&[id], &["Closed"]).await;
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_neither_hammered_nor_held_in_memory_while_the_authority_is_down() {
    let setup = Setup::new(|config| config);
    let (authority, task) = Authority::serve(&setup, "authority-push", Mood::Refuses).await;
    let gateway = Gateway::start(&setup).await;
    let (mut portal, watch) = (Portal::new(&setup), Watch::new(&setup));
    let mut ids = Vec::new();
    for _ in 0..backlog() {
        ids.push(portal.submit(setup.signed_application(1)).await.unwrap());
    }
    let open = "amtsweg_breaker_open{endpoint=\"darmstadt-push\"}";
    until("only probes go there", async || watch.metric(open).await > Some(0.0)).await;
    let (memory, before) = (gateway.reset_peak(), authority.requests.load(Ordering::SeqCst));
    let down = Duration::from_secs(3);
    tokio::time::sleep(down).await;
    let probes = authority.requests.load(Ordering::SeqCst) - before;
    let grown = gateway.peak().saturating_sub(memory);
    println!("{} waiting: {probes} requests in {down:?}, {grown} octets more", ids.len());
    // Pauses are at least a tenth of a second at first and half a second in the end.
    assert!((1..=30).contains(&probes), "{probes} requests in {down:?}");
    assert!(grown < 16 << 20, "{grown} octets more");
    authority.turn(Mood::Takes);
    portal.until_all(&ids, &["Closed"]).await;
    assert_eq!(authority.taken(), ids.len());
    task.abort();
}
