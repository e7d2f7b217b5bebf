//! Push over XTA: two gateways in a row. What the first accepts it brings to the second, whose
//! authority fetches it there.

mod line;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use amtsweg::domain::{Demand, FactKind, Record};
use amtsweg::front::xta::{PayloadPolicy, Settings};
use amtsweg::proto::{FetchRequest, fetch_chunk::Part};
use amtsweg::store::{Filter, ReadPort as _};

use super::wire::{Order, Party};
use crate::front::large::{ALLOWED, LARGE, Process, digest, draft};
use crate::support::gateway::hesse_in;
use crate::support::{Client, Draft, Gateway, Options, pki::Pki};
use line::{Line, Mood};

const FREE: &[u8] = b"<p:antrag xmlns:p=\"urn:frei\"/>";

/// Message type `frei` may come unsigned from this account.
fn policy(account: &str) -> Settings {
    let policy = PayloadPolicy {
        accounts: vec![account.parse().unwrap()],
        types: vec!["frei".to_owned()],
        signature: Demand::IfPresent,
        schema: Demand::IfPresent,
    };
    Settings { policies: vec![policy], ..Settings::default() }
}

/// The directory of Hesse with Marburg behind another gateway at `port`, whose XTA has its usual paths.
fn directory(folder: &Path, port: u16) -> PathBuf {
    directory_with(folder, &format!("url = \"https://localhost:{port}\""))
}

/// The same with these lines about the other gateway.
fn directory_with(folder: &Path, server: &str) -> PathBuf {
    let mailbox = "id = \"marburg-mailbox\"\nkind = \"mailbox\"\nlease = \"10m\"\n";
    let push = format!(
        "id = \"marburg-mailbox\"\nkind = \"push\"\nprotocol = \"xta\"\n{server}\n\
         backoff_min = \"10ms\"\nbackoff_max = \"50ms\"\n"
    );
    hesse_in(&folder.join("directory"), |text| {
        assert!(text.contains(mailbox));
        text.replace(mailbox, &push)
    })
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let waited = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn all(gateway: &Gateway) -> Vec<std::sync::Arc<Record>> {
    gateway.store.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap()
}

async fn record(gateway: &Gateway, id: &str) -> std::sync::Arc<Record> {
    gateway.store.get(&id.parse().unwrap()).await.unwrap().unwrap()
}

async fn until_state(gateway: &Gateway, id: &str, state: &str) {
    until(&format!("it becomes {state}"), async || record(gateway, id).await.state.name() == state).await;
}

/// Two gateways with a line between them.
struct Pair {
    near: Gateway,
    far: Gateway,
    line: std::sync::Arc<Line>,
    portal: Party,
    folder: tempfile::TempDir,
    pki: Pki,
}

impl Pair {
    /// `policy` is the far one's.
    async fn start(mood: Mood, policy: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::make(&folder.path().join("pki"));
        let far = Options { name: "far", xta: policy, ..Options::default() };
        let far = Gateway::start_in(&folder.path().join("far"), pki.clone(), far).await;
        let line = Line::to(&far, mood).await;
        let near = near(folder.path(), &pki, &line).await;
        let portal = Party::new(&near, "portal", "psw:portal");
        Self { near, far, line, portal, folder, pki }
    }

    /// Stops the near gateway and starts it anew.
    async fn restart(mut self) -> Self {
        self.near.stop().await;
        self.near = near(self.folder.path(), &self.pki, &self.line).await;
        self.portal = Party::new(&self.near, "portal", "psw:portal");
        self
    }

    async fn stop(self) {
        self.near.stop().await;
        self.far.stop().await;
    }
}

async fn near(folder: &Path, pki: &Pki, line: &Line) -> Gateway {
    let directory = Some(directory(folder, line.addr.port()));
    let options = Options { xta: policy("portal"), directory, pushes: true, ..Options::default() };
    Gateway::start_in(&folder.join("near"), pki.clone(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_in_a_row_carry_a_message_octet_by_octet() {
    let pair = Pair::start(Mood::Up, policy("server")).await;
    let authority = Party::new(&pair.far, "authority", "kop:06534014");
    // By XTA, unsigned by policy on both, with its author's own metadata.
    let pdf = b"\r\n--uuid:11111111-222\r\n".repeat(9000);
    let order = Order {
        attributes:
            "<m:Origin>2026-05-04T10:00:00+02:00</m:Origin><m:ServiceQuality>eilig</m:ServiceQuality>"
                .to_owned(),
        relates: "<m:In-Reply-To>urn:other</m:In-Reply-To>".to_owned(),
        ..Order::default()
    };
    let id = pair.portal.send(&order, &[("antrag.xml", FREE), ("Ma\u{df} \u{e4}.pdf", &pdf)]).await;
    until_state(&pair.near, &id, "Closed").await;
    let near = record(&pair.near, &id).await;
    let far_id = near.remote.as_ref().unwrap().id.clone();
    assert!(far_id.starts_with("urn:de:xta:messageid:far:"), "{far_id}");
    assert!(near.facts.iter().any(|fact| fact.kind == FactKind::Named && fact.detail.contains(&far_id)));
    let fetched = authority.fetch(&far_id).await;
    assert_eq!(fetched.good().parts, [FREE.to_vec(), pdf]);
    for kept in [
        "<m:Origin>2026-05-04T10:00:00+02:00</m:Origin><m:InitialSend>",
        "<m:ServiceQuality>eilig<",
        "name=\"Stra\u{df}e &amp; Co\"",
        "<m:In-Reply-To>urn:other<",
        "<m:Sender><m:Identifier type=\"xoev\">gw:probe<",
        "filename=\"Ma\u{df} \u{e4}.pdf\"",
        &far_id,
    ] {
        assert!(fetched.has(kept), "{kept}: {}", fetched.envelope);
    }
    assert!(!fetched.has(&id), "the first gateway's name means nothing here");
    // By gRPC, signed, with metadata made from its header; fetched by gRPC.
    let document = Draft::default().attach("a.pdf", b"%PDF").signed(&pair.far.pki.signer("signer"));
    let id = pair.portal.client.submit(&document, &[b"%PDF"]).await.unwrap().message_id;
    until_state(&pair.near, &id, "Closed").await;
    let far_id = record(&pair.near, &id).await.remote.clone().unwrap().id;
    let far = record(&pair.far, &far_id).await;
    assert_eq!(
        (far.header.author.as_str(), far.order.as_ref().unwrap().waiver.is_none()),
        ("psw:portal", true)
    );
    let fetch = FetchRequest { message_id: far_id.clone(), lease_seconds: 60 };
    let mut stream = authority.client.mailbox().fetch(fetch).await.unwrap().into_inner();
    let (mut octets, mut attached) = (Vec::new(), Vec::new());
    while let Some(chunk) = stream.message().await.unwrap() {
        match chunk.part.unwrap() {
            Part::Document(chunk) => octets.extend_from_slice(&chunk),
            Part::Content(chunk) => attached.extend_from_slice(&chunk),
            Part::Lease(_) | Part::Attachment(_) => {}
        }
    }
    assert!(octets == document && attached == b"%PDF", "the same octets");
    authority.close(&far_id).await.good();
    // A placeholder for a reader becomes the one that the route found; fetched over HTTPS.
    let signed = Draft::default().signed(&pair.far.pki.signer("signer"));
    let order = Order { kind: "0100".to_owned(), reader: "ars:065340014014".to_owned(), ..Order::default() };
    let order = Order { service: "urn:de:fim:leika:leistung:99102013104000".to_owned(), ..order };
    let id = pair.portal.send(&order, &[("antrag.xml", &signed)]).await;
    until_state(&pair.near, &id, "Closed").await;
    let far_id = record(&pair.near, &id).await.remote.clone().unwrap().id;
    let fetched = authority.client.get(&format!("/v1/mailbox/{far_id}")).await;
    assert!(fetched.status == 200 && fetched.body == signed);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_may_name_ports_author_and_reader() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let paths = Settings {
        management: vec!["/x/verwaltung".to_owned()],
        send: vec!["/x/versand".to_owned()],
        ..policy("server")
    };
    let far = Options { name: "far", xta: paths, ..Options::default() };
    let far = Gateway::start_in(&folder.path().join("far"), pki.clone(), far).await;
    let base = format!("https://localhost:{}/x", far.addr.port());
    let server = format!(
        "send_url = \"{base}/versand\"\nmanagement_url = \"{base}/verwaltung\"\nauthor = \"psw:portal2\"\n\
         reader = \"psw:06534014\""
    );
    let directory = Some(directory_with(folder.path(), &server));
    let options = Options { xta: policy("portal"), directory, pushes: true, ..Options::default() };
    let near = Gateway::start_in(&folder.path().join("near"), pki, options).await;
    let portal = Party::new(&near, "portal", "psw:portal");
    let id = portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    until_state(&near, &id, "Closed").await;
    let there = all(&far).await;
    let (author, reader) = (&there[0].header.author, &there[0].placement.reader);
    assert_eq!((author.as_str(), reader.as_str()), ("psw:portal2", "psw:06534014"));
    near.stop().await;
    far.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_message_even_across_a_restart() {
    let pair = Pair::start(Mood::Down, policy("server")).await;
    let id = pair.portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    until("attempts fail while it is down", async || record(&pair.near, &id).await.attempts > 1).await;
    assert_eq!(record(&pair.near, &id).await.remote, None, "nobody gave a name");
    pair.line.turn(Mood::LosesAnswers);
    until("an answer is lost", async || pair.line.lost.load(Ordering::SeqCst) > 0).await;
    pair.line.turn(Mood::Down);
    let before = record(&pair.near, &id).await.remote.clone().unwrap();
    let pair = pair.restart().await;
    assert_eq!(record(&pair.near, &id).await.remote.as_ref(), Some(&before), "the name is durable");
    pair.line.turn(Mood::Up);
    until_state(&pair.near, &id, "Closed").await;
    let closed = record(&pair.near, &id).await;
    let said = closed.facts.iter().rev().find(|fact| fact.kind == FactKind::Delivered).unwrap();
    assert!(said.detail.contains("9024 (it had the message already)"), "{}", said.detail);
    let far = all(&pair.far).await;
    assert_eq!(far.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), [before.id.as_str()]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_parked_with_its_words() {
    // The far gateway takes nothing unsigned.
    let pair = Pair::start(Mood::Up, Settings::default()).await;
    let id = pair.portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    until_state(&pair.near, &id, "Parked").await;
    let parked = record(&pair.near, &id).await;
    let detail = &parked.facts.last().unwrap().detail;
    assert!(detail.starts_with("sendMessage: XTA 9052: AW-01"), "{detail}");
    assert_eq!((parked.attempts, all(&pair.far).await.len()), (1, 0));
    // An author for whom the far gateway has no account.
    let accounts = pair.far.accounts.load_full();
    let changed = amtsweg::front::Accounts::new([]);
    pair.far.accounts.store(std::sync::Arc::new(changed));
    let id = pair.portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    until_state(&pair.near, &id, "Parked").await;
    let detail = record(&pair.near, &id).await.facts.last().unwrap().detail.clone();
    assert!(detail.starts_with("createMessageId: XTA 9012"), "{detail}");
    pair.far.accounts.store(accounts);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_are_pushed_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let far = Options { name: "far", ..Options::default() };
    let far = Gateway::start_in(&folder.path().join("far"), pki.clone(), far).await;
    directory(folder.path(), far.addr.port());
    let (process, addr) = Process::start(folder.path());
    let portal = Client::new(&pki, addr, Some("portal"));
    let document = draft(digest()).signed(&pki.signer("signer"));
    let before = process.reset_peak();
    let id = super::large::sent(&portal, &document).await;
    let path = format!("/v1/messages/{id}");
    let state = async || portal.get(&path).await.headers["amtsweg-state"].to_str().unwrap().to_owned();
    until("it is pushed", async || state().await == "Closed").await;
    let grown = process.memory("VmHWM").saturating_sub(before);
    println!("100 MB in by MTOM and pushed over XTA: resident memory grew by {} KiB", grown >> 10);
    assert!(grown < ALLOWED, "{grown}");
    let there = all(&far).await;
    let attachment = &there[0].attachments[0];
    assert_eq!((there.len(), attachment.content.len, attachment.content.sha256), (1, LARGE, digest()));
    far.stop().await;
}
