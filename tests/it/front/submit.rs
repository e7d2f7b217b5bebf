//! Handing in, and asking what became of it.

use amtsweg::proto::{self, StatusRequest, SubmitChunk, submit_chunk::Part};
use axum::http::Method;
use bytes::Bytes;

use crate::support::{Client, Draft, Gateway, Options, client::problem};

#[tokio::test]
async fn the_same_message_gets_the_first_receipt_again_over_either_front() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let pdf = b"%PDF an attachment".to_vec();
    let document = Draft::default().attach("a.pdf", &pdf).signed(&gateway.pki.signer("signer"));
    let first = portal.submit(&document, &[&pdf]).await.unwrap();
    assert!(!first.repeated);
    assert_eq!(first.state, "Available");
    let again = portal.post_message(&document, &[&pdf]).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, first.receipt, "the first receipt, octet by octet");
    assert_eq!(again.headers["amtsweg-message-id"], first.message_id);
    assert_eq!(again.headers["amtsweg-repeated"], "true");
    let other = Draft::default().signed(&gateway.pki.signer("signer"));
    let new = portal.post_message(&other, &[]).await;
    assert_eq!(new.status, 201);
    assert_eq!(new.headers["amtsweg-repeated"], "false");
    assert_eq!(new.headers["content-type"], "application/xml");
    gateway.stop().await;
}

#[tokio::test]
async fn the_receipt_is_signed_and_valid_by_our_own_schema() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let receipt = portal.submit(&document, &[]).await.unwrap();
    let text = std::str::from_utf8(&receipt.receipt).unwrap();
    assert!(text.contains("antrag.quittung.0110") && text.contains(&receipt.message_id), "{text}");
    let trust = amtsweg::verify::trust::Trust::load(&gateway.pki.file("signing-ca.pem"), None).unwrap();
    let verifier = amtsweg::verify::Verifier::new(amtsweg::verify::Settings {
        limits: amtsweg::verify::Limits::default(),
        rules: std::sync::Arc::new(amtsweg::verify::header::Rules::built_in()),
        schemas: std::sync::Arc::new(amtsweg::verify::schema::Schemas::load(&[]).unwrap()),
        trust: std::sync::Arc::new(trust),
    });
    verifier.verify(receipt.receipt, &[], amtsweg::domain::Timestamp::now()).unwrap();
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_of_chunks_is_one_message() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let (a, b) = (vec![1u8; 200_000], vec![2u8; 70_000]);
    let draft = Draft::default().attach("a.pdf", &a).attach("b.pdf", &b);
    let document = draft.signed(&gateway.pki.signer("signer"));
    let mut parts: Vec<Part> =
        document.chunks(500).map(|chunk| Part::Document(Bytes::copy_from_slice(chunk))).collect();
    for content in [&a, &b] {
        let size = content.len() as u64;
        parts.push(Part::Attachment(proto::AttachmentStart { size, ..Default::default() }));
        parts.extend(content.chunks(64 * 1024).map(|chunk| Part::Content(Bytes::copy_from_slice(chunk))));
    }
    let stream = |parts: Vec<Part>| {
        futures_util::stream::iter(parts.into_iter().map(|p| SubmitChunk { part: Some(p) }))
    };
    let accepted = portal.submission().submit_stream(stream(parts.clone())).await.unwrap().into_inner();
    let request = StatusRequest { message_id: accepted.message_id };
    let report = portal.submission().get_status(request).await.unwrap().into_inner();
    assert_eq!(report.attachments.iter().map(|a| a.size).collect::<Vec<_>>(), [200_000, 70_000]);
    // Out of order, or without a document: refused with a sentence.
    let turned: Vec<_> = parts.iter().rev().cloned().collect();
    for wrong in [turned, vec![], parts.iter().skip(parts.len() - 1).cloned().collect()] {
        let status = portal.submission().submit_stream(stream(wrong)).await.unwrap_err();
        assert_eq!(problem(&status).code, "AW-0101");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_report_is_the_same_over_either_front_and_ids_may_be_percent_encoded() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let id = portal.submit(&document, &[]).await.unwrap().message_id;
    let raw = portal.get(&format!("/v1/messages/{id}")).await;
    let encoded = portal.get(&format!("/v1/messages/{}", id.replace(':', "%3A"))).await;
    assert_eq!((raw.status, &raw.body), (encoded.status, &encoded.body));
    let text = String::from_utf8(raw.body.to_vec()).unwrap();
    for piece in [
        &*format!("<messageId>{id}</messageId>"),
        "<state>Available</state>",
        "<reader>kop:06534014</reader>",
    ] {
        assert!(text.contains(piece), "{piece} in {text}");
    }
    assert!(!text.contains("account"), "the account is for operators");
    gateway.stop().await;
}

#[tokio::test]
async fn a_check_says_where_a_message_would_go_and_keeps_nothing() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let request = proto::ValidateRequest { document: document.clone().into() };
    let answer = portal.submission().validate(request).await.unwrap().into_inner();
    assert!(answer.accepted, "{answer:?}");
    assert_eq!(answer.route.unwrap().endpoint, "marburg-mailbox");
    let checked = portal.post("/v1/validate", &[("content-type", "text/xml")], document.clone()).await;
    assert_eq!(checked.status, 200);
    assert!(!portal.submit(&document, &[]).await.unwrap().repeated, "nothing was kept");
    let broken = proto::ValidateRequest { document: b"<a".as_slice().into() };
    let answer = portal.submission().validate(broken).await.unwrap().into_inner();
    assert_eq!(answer.problem.unwrap().code, "AW-0101");
    gateway.stop().await;
}

#[tokio::test]
async fn somebody_elses_message_is_unknown_not_forbidden() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let id = portal.submit(&document, &[]).await.unwrap().message_id;
    let absent = "urn:de:xta:messageid:probe:01900000-0000-7000-8000-000000000000";
    for name in ["portal2", "authority2", "operator"] {
        let other = Client::new(&gateway.pki, gateway.addr, Some(name));
        let theirs = other.get(&format!("/v1/messages/{id}")).await;
        let none = other.get(&format!("/v1/messages/{absent}")).await;
        assert_eq!(theirs.status, 404);
        assert_eq!(theirs.body, none.body, "nothing tells the two apart");
        let request = StatusRequest { message_id: id.clone() };
        let watched = other.submission().watch(request.clone()).await.unwrap_err();
        assert_eq!(problem(&watched).code, "AW-0401");
        let asked = other.submission().get_status(request).await.unwrap_err();
        assert_eq!(problem(&asked).code, "AW-0401");
    }
    let other = Client::new(&gateway.pki, gateway.addr, Some("authority2"));
    let fetched = other.get(&format!("/v1/mailbox/{id}")).await;
    assert_eq!(fetched.code(), "AW-0401");
    let reader = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    assert_eq!(reader.get(&format!("/v1/messages/{id}")).await.status, 200, "its reader may ask");
    gateway.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_the_problem_format() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let missing = portal.get("/v2/anything").await;
    assert_eq!(missing.status, 404);
    let request = portal.request(Method::DELETE, "/v1/messages").body(axum::body::Body::empty()).unwrap();
    let wrong = portal.try_send(request).await.unwrap();
    assert_eq!(wrong.status, 405);
    for answer in [missing, wrong] {
        assert_eq!(answer.headers["content-type"], "application/problem+xml");
        assert!(answer.body.starts_with(b"<?xml"));
    }
    let arguments =
        Client::new(&gateway.pki, gateway.addr, Some("authority")).get("/v1/mailbox?limit=x").await;
    assert_eq!(arguments.code(), "AW-0101");
    // A service that lives on the other port does not exist here.
    let operator = Client::new(&gateway.pki, gateway.addr, Some("operator"));
    let status = operator.operator().queues(proto::QueuesRequest {}).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    gateway.stop().await;
}
