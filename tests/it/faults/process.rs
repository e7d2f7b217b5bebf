//! The process: stopped for a while, started twice, out of descriptors, held by idle connections.

use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use super::authority::{Authority, Mood};
use super::{Portal, Watch, until};
use crate::child::{Gateway, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_for_longer_than_its_claims_it_goes_on_where_it_was() {
    let setup = Setup::new(|config| config);
    let (authority, task) = Authority::serve(&setup, "authority-push", Mood::Hangs).await;
    let gateway = Gateway::start(&setup).await;
    let mut portal = Portal::new(&setup);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(portal.submit(setup.signed_application(1)).await.unwrap());
    }
    until("an attempt is under way", async || {
        authority.requests.load(std::sync::atomic::Ordering::SeqCst) > 0
    })
    .await;
    gateway.signal("STOP");
    // A claim lasts for the attempt's two seconds and five more.
    tokio::time::sleep(Duration::from_secs(8)).await;
    authority.turn(Mood::Takes);
    gateway.signal("CONT");
    portal.until_all(&ids, &["Closed"]).await;
    assert_eq!(authority.taken(), ids.len());
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_the_same_folder_is_refused_and_disturbs_nothing() {
    let setup = Setup::new(|config| config);
    let _gateway = Gateway::start(&setup).await;
    let output = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
        .args(["serve", "--config"])
        .arg(setup.config())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is in use by another amtsweg process"), "{said}");
    assert!(Portal::new(&setup).submit(setup.signed_application(2)).await.is_ok());
}

async fn idle(setup: &Setup, connections: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(TcpStream::connect(("127.0.0.1", setup.port)).await.unwrap());
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_descriptors_it_neither_spins_nor_dies_nor_closes_its_store() {
    let setup = Setup::new(|config| config);
    let gateway = Gateway::start_with(&setup, Some(64)).await;
    let (mut portal, watch) = (Portal::new(&setup), Watch::new(&setup));
    let before = portal.submit(setup.signed_application(2)).await.unwrap();
    let connections = idle(&setup, 200).await;
    until("descriptors run out", async || setup.log().contains("connections can't be accepted")).await;
    let (worked, span) = (gateway.worked(), Duration::from_secs(1));
    tokio::time::sleep(span).await;
    let worked = gateway.worked() - worked;
    assert!(worked < span / 2, "{worked:?} of work in {span:?}");
    let lines = setup.log().matches("connections can't be accepted").count();
    assert!(lines < 20, "{lines} lines in the log");
    // The connection that is open still works, or says why not.
    for _ in 0..5 {
        if let Err(why) = portal.submit(setup.signed_application(2)).await {
            assert!(why.starts_with("AW-"), "{why}");
        }
    }
    drop(connections);
    until("it takes connections again", async || {
        Portal::new(&setup).submit(setup.signed_application(2)).await.is_ok()
    })
    .await;
    assert_eq!(watch.get("/health/ready").await, (200, "ready\n".to_owned()));
    assert_eq!(watch.metric("amtsweg_corrupt_total{what=\"index\"}").await.unwrap_or(0.0), 0.0);
    portal.until_all(&[before], &["Available"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_do_not_hold_up_a_request() {
    let setup = Setup::new(|config| config);
    let _gateway = Gateway::start(&setup).await;
    let _connections = idle(&setup, 900).await;
    let began = std::time::Instant::now();
    Portal::new(&setup).submit(setup.signed_application(2)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
