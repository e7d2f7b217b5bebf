//! Fetching, and finishing.

use std::time::Duration;

use amtsweg::proto::{self, FetchRequest, ListRequest, StatusRequest, fetch_chunk::Part};
use axum::body::Body;
use axum::http::Method;
use base64::Engine as _;
use tokio::time::timeout;

use crate::support::{Client, Draft, Gateway, Options, client::problem};

const SOON: Duration = Duration::from_secs(20);

struct Three {
    gateway: Gateway,
    portal: Client,
    authority: Client,
}

async fn three() -> Three {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let authority = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    Three { gateway, portal, authority }
}

#[tokio::test]
async fn over_grpc_what_is_fetched_is_what_was_sent() {
    let Three { gateway, portal, authority } = three().await;
    let pdf: Vec<u8> = (0..150_000u32).flat_map(u32::to_le_bytes).collect();
    let document = Draft::default().attach("a.pdf", &pdf).signed(&gateway.pki.signer("signer"));
    let sent = portal.submit(&document, &[&pdf]).await.unwrap();
    let listed = authority.mailbox().list(ListRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.entries.iter().map(|e| &e.message_id).collect::<Vec<_>>(), [&sent.message_id]);
    let fetch = FetchRequest { message_id: sent.message_id.clone(), lease_seconds: 60 };
    let mut stream = authority.mailbox().fetch(fetch.clone()).await.unwrap().into_inner();
    let (mut lease, mut octets, mut attached) = (None, Vec::new(), Vec::new());
    while let Some(chunk) = stream.message().await.unwrap() {
        match chunk.part.unwrap() {
            Part::Lease(came) => lease = Some(came),
            Part::Document(chunk) => octets.extend_from_slice(&chunk),
            Part::Attachment(start) => assert_eq!((&*start.name, start.size), ("a.pdf", pdf.len() as u64)),
            Part::Content(chunk) => {
                assert!(chunk.len() <= 64 * 1024);
                attached.extend_from_slice(&chunk);
            }
        }
    }
    let lease = lease.unwrap();
    assert!(octets == document && attached == pdf, "the same octets");
    assert_eq!(lease.receipt, sent.receipt);
    let second = authority.mailbox().fetch(fetch).await.err().unwrap();
    assert_eq!(problem(&second).code, "AW-0402", "a lease excludes others");
    let token = lease.token;
    let message_id = sent.message_id;
    let extend =
        proto::ExtendRequest { message_id: message_id.clone(), token: token.clone(), lease_seconds: 600 };
    let extended = authority.mailbox().extend(extend).await.unwrap().into_inner();
    assert!(extended.until > lease.until);
    let close = |token: String| proto::CloseRequest { message_id: message_id.clone(), token };
    let wrong = authority.mailbox().close(close(uuid::Uuid::new_v4().to_string())).await.unwrap_err();
    assert_eq!(problem(&wrong).code, "AW-0402");
    for _ in 0..2 {
        let closed = authority.mailbox().close(close(token.clone())).await.unwrap().into_inner();
        assert_eq!(closed.state, "Closed", "repeating it is harmless");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn over_https_what_is_fetched_is_what_was_sent() {
    let Three { gateway, portal, authority } = three().await;
    let pdf = b"with a line end\r\n--and dashes".repeat(5000);
    let signer = gateway.pki.signer("signer");
    let document = Draft::default().attach("a ä.pdf", &pdf).signed(&signer);
    let sent = portal.post_message(&document, &[&pdf]).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let id = sent.headers["amtsweg-message-id"].to_str().unwrap().to_owned();
    let listed = authority.get("/v1/mailbox?limit=10").await;
    assert!(String::from_utf8_lossy(&listed.body).contains(&id));
    let fetched = authority.get(&format!("/v1/mailbox/{id}?lease=60")).await;
    assert_eq!(fetched.status, 200, "{fetched:?}");
    let receipt =
        base64::engine::general_purpose::STANDARD.decode(&fetched.headers["amtsweg-receipt"]).unwrap();
    assert_eq!(receipt, sent.body);
    assert_eq!(fetched.headers["content-length"], fetched.body.len().to_string());
    let body = &fetched.body;
    let holds = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    assert!(holds(&document) && holds(&pdf), "the same octets");
    assert!(holds(b"filename*=UTF-8''a%20%C3%A4.pdf"));
    let lease = fetched.headers["amtsweg-lease"].to_str().unwrap();
    let extended = authority
        .post(&format!("/v1/mailbox/{id}/extend?lease=600"), &[("amtsweg-lease", lease)], Body::empty())
        .await;
    assert_eq!(extended.status, 204);
    assert!(extended.headers["amtsweg-lease-until"] > fetched.headers["amtsweg-lease-until"]);
    let lost = authority.post(&format!("/v1/mailbox/{id}/close"), &[], Body::empty()).await;
    assert_eq!(lost.code(), "AW-0402", "nothing is closed without its lease");
    let rejected = authority
        .post(&format!("/v1/mailbox/{id}/reject"), &[("amtsweg-lease", lease)], "falsche Gemeinde")
        .await;
    assert_eq!(
        (rejected.status, &rejected.headers["amtsweg-state"]),
        (200.try_into().unwrap(), &"Returned".parse().unwrap())
    );
    let told = portal.get(&format!("/v1/messages/{id}")).await;
    assert!(String::from_utf8_lossy(&told.body).contains("falsche Gemeinde"), "the author is told why");
    let refusal = portal.get(&format!("/v1/messages/{id}/refusal")).await;
    assert_eq!(refusal.status, 200, "{refusal:?}");
    assert!(String::from_utf8_lossy(&refusal.body).contains("antrag.rueckweisung.0120"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_document_alone_comes_as_it_is_and_there_is_no_refusal_of_a_good_message() {
    let Three { gateway, portal, authority } = three().await;
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let id = portal.submit(&document, &[]).await.unwrap().message_id;
    let early = portal.get(&format!("/v1/messages/{id}/refusal")).await;
    assert_eq!(early.code(), "AW-0402");
    let head = authority.request(Method::HEAD, &format!("/v1/mailbox/{id}")).body(Body::empty()).unwrap();
    assert_eq!(authority.try_send(head).await.unwrap().status, 405, "a HEAD takes no lease");
    let fetched = authority.get(&format!("/v1/mailbox/{}", id.replace(':', "%3a"))).await;
    assert_eq!(fetched.headers["content-type"], "application/xml");
    assert!(fetched.body == document, "the same octets");
    let lease = fetched.headers["amtsweg-lease"].to_str().unwrap();
    let closed =
        authority.post(&format!("/v1/mailbox/{id}/close"), &[("amtsweg-lease", lease)], Body::empty()).await;
    assert_eq!(closed.headers["amtsweg-state"], "Closed");
    let request = authority.request(Method::GET, "/v1/mailbox").body(Body::empty()).unwrap();
    let listed = authority.try_send(request).await.unwrap();
    assert!(!String::from_utf8_lossy(&listed.body).contains(&id));
    gateway.stop().await;
}

#[tokio::test]
async fn watchers_see_each_change_until_the_end() {
    let Three { gateway, portal, authority } = three().await;
    let mut mail = authority.mailbox().watch(ListRequest::default()).await.unwrap().into_inner();
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let id = portal.submit(&document, &[]).await.unwrap().message_id;
    let came = timeout(SOON, mail.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(came.message_id, id);
    let request = StatusRequest { message_id: id.clone() };
    let mut reports = portal.submission().watch(request).await.unwrap().into_inner();
    let first = timeout(SOON, reports.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.state, "Available");
    let fetched = authority.get(&format!("/v1/mailbox/{id}")).await;
    let next = timeout(SOON, reports.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.state, "Leased");
    let lease = fetched.headers["amtsweg-lease"].to_str().unwrap();
    authority.post(&format!("/v1/mailbox/{id}/close"), &[("amtsweg-lease", lease)], Body::empty()).await;
    let last = timeout(SOON, reports.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(last.state, "Closed");
    assert!(timeout(SOON, reports.message()).await.unwrap().unwrap().is_none(), "and then it ends");
    // A stop ends the watch that is still open, with a word on what to do.
    timeout(SOON, gateway.stop()).await.unwrap();
    let ended = timeout(SOON, mail.message()).await.unwrap();
    assert_eq!(problem(&ended.unwrap_err()).code, "AW-0301");
}

#[tokio::test]
async fn a_reader_that_goes_away_gives_its_lease_back() {
    let Three { gateway, portal, authority } = three().await;
    let pdf = vec![3u8; 20 << 20];
    let document = Draft::default().attach("a.pdf", &pdf).signed(&gateway.pki.signer("signer"));
    let sent = portal.post_message(&document, &[&pdf]).await;
    let id = sent.headers["amtsweg-message-id"].to_str().unwrap().to_owned();
    let fetch = FetchRequest { message_id: id.clone(), lease_seconds: 600 };
    let mut stream = authority.mailbox().fetch(fetch).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    drop(stream);
    let again = async {
        loop {
            let fetched = authority.get(&format!("/v1/mailbox/{id}")).await;
            if fetched.status == 200 {
                return fetched;
            }
            assert_eq!(fetched.code(), "AW-0402");
        }
    };
    let fetched = timeout(SOON, again).await.unwrap();
    let lease = [("amtsweg-lease", fetched.headers["amtsweg-lease"].to_str().unwrap())];
    let released = authority.post(&format!("/v1/mailbox/{id}/release"), &lease, Body::empty()).await;
    assert_eq!(released.headers["amtsweg-state"], "Available");
    gateway.stop().await;
}
