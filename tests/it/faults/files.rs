//! Damaged ledger and content, a store that closes itself.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use amtsweg::proto::operator_client::OperatorClient;
use amtsweg::proto::{EndpointRequest, MessagesRequest};

use super::authority::{Authority, Mood};
use super::{Portal, Watch, until};
use crate::child::{Gateway, PUSH_ENDPOINT, Setup};
use crate::wire;

fn operator(setup: &Setup) -> OperatorClient<wire::Grpc> {
    let origin = format!("https://localhost:{}", setup.operators).parse().unwrap();
    OperatorClient::with_origin(wire::grpc(&setup.pki(), "operator"), origin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_closed_itself_is_told_everywhere_and_a_restart_mends_it() {
    let setup = Setup::new(|config| config.replace("min_free = 0", "min_free = 0\nsegment = \"1 MiB\""));
    let gateway = Gateway::start(&setup).await;
    let (mut portal, watch) = (Portal::new(&setup), Watch::new(&setup));
    let accepted = portal.submit(setup.signed_application(2)).await.unwrap();
    assert_eq!(watch.metric("amtsweg_store_up").await, Some(1.0));
    // Wherever the next segment begins: a device that can't be synced.
    let ledger = setup.data().join("ledger");
    for number in 2..8000 {
        std::os::unix::fs::symlink("/dev/null", ledger.join(format!("{number:020}.ledger"))).unwrap();
    }
    // Operators' settings are the quickest way to fill a segment.
    let mut work = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut operator = operator(&setup);
        work.spawn(async move {
            let reason = "x".repeat(500);
            let request = || EndpointRequest { endpoint: PUSH_ENDPOINT.to_owned(), reason: reason.clone() };
            while operator.suspend(request()).await.is_ok() {}
        });
    }
    until("the store has closed itself", async || watch.get("/health/ready").await.0 == 503).await;
    work.join_all().await;
    let (status, text) = watch.get("/health/ready").await;
    assert!(status == 503 && text.contains("store: closed") && text.contains("restart"), "{status} {text}");
    assert_eq!(watch.get("/health/live").await.0, 200);
    assert_eq!(watch.metric("amtsweg_store_up").await, Some(0.0));
    assert!(portal.submit(setup.signed_application(2)).await.unwrap_err().starts_with("AW-0500"));
    assert!(setup.log().contains("the store closes itself"), "{}", setup.log());
    drop(gateway);
    for entry in std::fs::read_dir(&ledger).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let _gateway = Gateway::start(&setup).await;
    assert_eq!(watch.metric("amtsweg_store_up").await, Some(1.0));
    portal.until_all(&[accepted], &["Available"]).await;
    assert!(portal.submit(setup.signed_application(2)).await.is_ok());
}

/// What `serve` says when it doesn't start.
fn does_not_start(setup: &Setup) -> String {
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_amtsweg"), "serve", "--config"])
        .arg(setup.config())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn only_file(folder: PathBuf) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_ledger_stops_the_start_with_a_sentence_and_changes_nothing() {
    let setup = Setup::new(|config| config);
    let gateway = Gateway::start(&setup).await;
    let mut portal = Portal::new(&setup);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(portal.submit(setup.signed_application(2)).await.unwrap());
    }
    gateway.kill();
    let path = only_file(setup.data().join("ledger"));
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    // In the middle of the frames: behind them the file has room for the next ones.
    let end = amtsweg::store::ledger::verify(&setup.data().join("ledger")).unwrap().octets;
    bad[usize::try_from(end).unwrap() / 2] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let said = does_not_start(&setup);
    for word in ["is damaged at octet", "bring the ledger folder back from the backup"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), bad, "nothing was changed");
    std::fs::write(&path, &good).unwrap();
    let _gateway = Gateway::start(&setup).await;
    portal.until_all(&ids, &["Available"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_whose_content_is_cut_off_are_parked_and_the_others_go_out() {
    let setup = Setup::new(|config| config);
    let gateway = Gateway::start(&setup).await;
    let (mut portal, watch) = (Portal::new(&setup), Watch::new(&setup));
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(portal.submit(setup.signed_application(1)).await.unwrap());
    }
    let path = only_file(setup.data().join("content").join("segments"));
    // Behind the entries the file has room for the next ones, all zero.
    let octets = std::fs::read(&path).unwrap();
    let whole = octets.iter().rposition(|octet| *octet != 0).unwrap() as u64;
    // Nobody listens, so all four wait; the last one loses its end.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(whole - 10).unwrap();
    let (authority, task) = Authority::serve(&setup, "authority-push", Mood::Takes).await;
    portal.until_all(&ids[..3], &["Closed"]).await;
    portal.until_all(&ids[3..], &["Parked"]).await;
    assert_eq!(authority.taken(), 3);
    assert!(watch.metric("amtsweg_corrupt_total{what=\"content\"}").await.unwrap() >= 1.0);
    let request = MessagesRequest { state: "Parked".to_owned(), limit: 10, ..MessagesRequest::default() };
    let parked = format!("{:?}", operator(&setup).messages(request).await.unwrap().into_inner());
    assert!(parked.contains("restore it from a backup, then retry"), "{parked}");
    // What comes now is not laid where the lost octets were.
    let later = portal.submit(setup.signed_application(1)).await.unwrap();
    portal.until_all(&[later], &["Closed"]).await;
    drop(gateway);
    let _gateway = Gateway::start(&setup).await;
    portal.until_all(&ids[3..], &["Parked"]).await;
    task.abort();
}
