//! Hostile and careless callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amtsweg::domain::Quota;
use amtsweg::front::Limits;
use amtsweg::proto::{ListRequest, StatusRequest};
use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use hyper::client::conn::http2;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::client::{problem, related, tls};
use crate::support::{Client, Draft, Gateway, Options};

const SOON: Duration = Duration::from_secs(20);

/// A raw HTTP/1.1 connection.
pub async fn connect(
    gateway: &Gateway,
    name: Option<&str>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(&gateway.pki, name)));
    let stream = TcpStream::connect(gateway.addr).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// All that comes until the other end closes.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = timeout(SOON, stream.read_to_end(&mut all)).await.expect("is not kept open");
    String::from_utf8_lossy(&all).into_owned()
}

/// Whether the handshake fails.
async fn turned_away(gateway: &Gateway, name: Option<&str>) -> bool {
    match connect(gateway, name).await {
        Err(_) => true,
        // TLS 1.3 clients learn of it with the first read.
        Ok(mut stream) => {
            let _ = stream.write_all(b"GET /v1/mailbox HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            let mut one = [0];
            !matches!(timeout(SOON, stream.read(&mut one)).await.unwrap(), Ok(1..))
        }
    }
}

#[tokio::test]
async fn without_a_good_certificate_there_is_no_connection() {
    let options = Options { client_crl: Some("client-crl.pem"), ..Options::default() };
    let gateway = Gateway::start(options).await;
    assert!(!turned_away(&gateway, Some("portal")).await, "a good one connects");
    for name in [None, Some("revoked"), Some("expired"), Some("signer"), Some("signer-untrusted")] {
        assert!(turned_away(&gateway, name).await, "{name:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_newest_revocation_list_counts() {
    let options = Options { client_crl: Some("client-crls"), ..Options::default() };
    let gateway = Gateway::start(options).await;
    assert!(!turned_away(&gateway, Some("portal")).await, "a good one connects");
    assert!(turned_away(&gateway, Some("revoked")).await);
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_without_an_account_is_told_its_fingerprint() {
    let gateway = Gateway::start(Options::default()).await;
    let nobody = Client::new(&gateway.pki, gateway.addr, Some("nobody"));
    let answer = nobody.get("/v1/mailbox").await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "AW-0140"));
    let fingerprint = gateway.pki.fingerprint("nobody").to_string();
    assert!(String::from_utf8_lossy(&answer.body).contains(&fingerprint));
    let status = nobody.submit(b"<a/>", &[]).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    assert!(problem(&status).reason.contains(&fingerprint));
    gateway.stop().await;
}

#[tokio::test]
async fn a_role_is_needed_for_each_side() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    assert_eq!(portal.get("/v1/mailbox").await.code(), "AW-0140");
    let authority = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    assert_eq!(authority.post_message(b"<a/>", &[]).await.code(), "AW-0140");
    gateway.stop().await;
}

#[tokio::test]
async fn ten_thousand_parts_are_refused_early() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let none: Vec<&[u8]> = vec![b""; 10_000];
    let (content_type, body) = related(&document, &none);
    let answer = portal.post("/v1/messages", &[("content-type", &content_type)], body).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (413, "AW-0103"));
    let status = portal.submit(&document, &none).await.unwrap_err();
    assert_eq!(problem(&status).code, "AW-0103");
    gateway.stop().await;
}

#[tokio::test]
async fn a_declared_gigabyte_is_refused_before_it_is_read() {
    let gateway = Gateway::start(Options::default()).await;
    let mut stream = connect(&gateway, Some("portal")).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n\
                Content-Length: 1073741824\r\n\r\n";
    let began = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("AW-0103"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // gRPC declares the length in front of each message.
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let request = portal
        .request(Method::POST, "/amtsweg.v1.Submission/Submit")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(Body::from(&b"\x00\x40\x00\x00\x00"[..])))
        .unwrap();
    let answer = portal.pool().request(request).await.unwrap();
    let status = tonic::Status::from_header_map(answer.headers()).unwrap();
    assert_eq!((status.code(), &*problem(&status).code), (tonic::Code::ResourceExhausted, "AW-0103"));
    gateway.stop().await;
}

fn impatient() -> Options {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        headers: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        idle: Duration::from_millis(400),
        ..Limits::default()
    };
    Options { limits, ..Options::default() }
}

#[tokio::test]
async fn a_sender_that_stops_is_cut() {
    let gateway = Gateway::start(impatient()).await;
    // In the handshake.
    let mut silent = TcpStream::connect(gateway.addr).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    // After the handshake.
    let mut quiet = connect(&gateway, Some("portal")).await.unwrap();
    let answer = rest(&mut quiet).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    // In the head.
    let mut stream = connect(&gateway, Some("portal")).await.unwrap();
    stream.write_all(b"POST /v1/mess").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    // In the body.
    let mut stream = connect(&gateway, Some("portal")).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n\
                Content-Length: 1000\r\n\r\n<a";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.contains("AW-0103") && answer.contains("too slowly"), "{answer}");
    // In a stream of chunks.
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let silent = futures_util::stream::pending();
    let status = timeout(SOON, portal.submission().submit_stream(silent)).await.unwrap().unwrap_err();
    assert_eq!(problem(&status).code, "AW-0103");
    gateway.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_others_to_end() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let gateway = Gateway::start(Options { limits, ..Options::default() }).await;
    let first = connect(&gateway, Some("portal")).await.unwrap();
    let mut second = Box::pin(connect(&gateway, Some("portal")));
    assert!(timeout(Duration::from_millis(200), &mut second).await.is_err(), "has to wait");
    drop(first);
    assert!(timeout(SOON, second).await.unwrap().is_ok());
    gateway.stop().await;
}

#[tokio::test]
async fn a_stop_lets_requests_in_work_end_and_takes_no_new_ones() {
    let usual = Options::default();
    let quota = Quota { in_flight: 1, ..usual.quota };
    let gateway = Gateway::start(Options { quota, ..usual }).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let request = portal.request(Method::POST, "/v1/messages").header("content-type", "application/xml");
    let request = request.body(body).unwrap();
    let (half, other) = document.split_at(100);
    let (half, other) = (Bytes::copy_from_slice(half), Bytes::copy_from_slice(other));
    let sender_of = portal.clone();
    let sending = tokio::spawn(async move { sender_of.try_send(request).await.unwrap() });
    sender.send(Ok(half)).await.unwrap();
    // The one request that the account may have in work is in work once another one is refused.
    timeout(SOON, async { while portal.get("/v1/messages/x").await.code() != "AW-0303" {} }).await.unwrap();
    let addr = gateway.addr;
    let stopping = tokio::spawn(gateway.stop());
    // Once nothing listens any more, the stop has begun.
    timeout(SOON, async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    sender.send(Ok(other)).await.unwrap();
    drop(sender);
    assert_eq!(timeout(SOON, sending).await.unwrap().unwrap().status, 201);
    timeout(SOON, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reload_of_the_accounts_counts_for_open_connections_too() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    assert_eq!(portal.get("/v1/messages/x").await.code(), "AW-0401");
    let none = gateway.accounts.load().renewed([]);
    gateway.accounts.store(Arc::new(none));
    assert_eq!(portal.get("/v1/messages/x").await.code(), "AW-0140");
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_only_promises_http2_is_cut() {
    let gateway = Gateway::start(impatient()).await;
    let mut config = tls(&gateway.pki, Some("portal"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let mut quiet = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    rest(&mut quiet).await;
    // With half of the preface.
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let mut half = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    rest(&mut half).await;
    gateway.stop().await;
}

/// A connection over which no answer's body may be sent.
async fn taking_nothing(
    gateway: &Gateway,
    name: &str,
) -> (http2::SendRequest<Body>, impl Future<Output = hyper::Result<()>> + Send + 'static) {
    let mut config = tls(&gateway.pki, Some(name));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let mut builder = http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    builder.initial_stream_window_size(0);
    builder.handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap()
}

#[tokio::test]
async fn answers_that_nobody_takes_keep_no_connection_open() {
    let gateway = Gateway::start(impatient()).await;
    let (mut sender, connection) = taking_nothing(&gateway, "nobody").await;
    let connection = tokio::spawn(connection);
    let request = axum::http::Request::get("https://localhost/v1/mailbox").body(Body::empty()).unwrap();
    let stuck = timeout(SOON, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(stuck.status(), 403);
    let _ended = timeout(SOON, connection).await.expect("is not kept open");
    gateway.stop().await;
}

#[tokio::test]
async fn answers_that_nobody_takes_hold_no_memory_for_documents() {
    // Room for one document, not for two.
    let limits = Limits { memory_octets: 64 * 1024, ..Limits::default() };
    let gateway = Gateway::start(Options { limits, ..Options::default() }).await;
    let draft = Draft { content: "x".repeat(40_000), ..Draft::default() };
    let document = draft.signed(&gateway.pki.signer("signer"));
    let (mut sender, connection) = taking_nothing(&gateway, "portal").await;
    tokio::spawn(connection);
    let request = axum::http::Request::post("https://localhost/v1/messages")
        .header("content-type", "application/xml")
        .body(Body::from(document.clone()))
        .unwrap();
    let stuck = timeout(SOON, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(stuck.status(), 201);
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let again = portal.post_message(&document, &[]).await;
    assert_eq!(again.status, 200, "{}", again.code());
    drop(stuck);
    gateway.stop().await;
}

#[tokio::test]
async fn each_connection_shows_its_certificate_anew() {
    let gateway = Gateway::start(Options::default()).await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(&gateway.pki, Some("portal"))));
    for _ in 0..3 {
        let stream = TcpStream::connect(gateway.addr).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let request = b"GET /v1/messages/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // Tickets, if there are any, come before the answer.
        assert!(rest(&mut stream).await.contains("AW-0401"));
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_report_is_not_told_to_an_account_that_has_gone() {
    let gateway = Gateway::start(Options::default()).await;
    let client = |name| Client::new(&gateway.pki, gateway.addr, Some(name));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let (portal, authority) = (client("portal"), client("authority"));
    let message_id = portal.submit(&document, &[]).await.unwrap().message_id;
    let request = StatusRequest { message_id: message_id.clone() };
    let mut watch = portal.submission().watch(request).await.unwrap().into_inner();
    assert_eq!(timeout(SOON, watch.message()).await.unwrap().unwrap().unwrap().state, "Available");
    let reader = gateway.pki.fingerprint("authority");
    let accounts = gateway.accounts.load_full();
    let kept = accounts.of(&reader).unwrap().account.as_ref().clone();
    gateway.accounts.store(Arc::new(accounts.renewed([(reader, kept)])));
    assert_eq!(authority.get(&format!("/v1/mailbox/{message_id}")).await.status, 200);
    let status = timeout(SOON, watch.message()).await.unwrap().unwrap_err();
    assert_eq!(problem(&status).code, "AW-0140");
    gateway.stop().await;
}

#[tokio::test]
async fn a_watch_ends_with_its_account() {
    let gateway = Gateway::start(Options::default()).await;
    let authority = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    let mut watch = authority.mailbox().watch(ListRequest::default()).await.unwrap().into_inner();
    let portal = gateway.pki.fingerprint("portal");
    let accounts = gateway.accounts.load_full();
    let kept = accounts.of(&portal).unwrap().account.as_ref().clone();
    gateway.accounts.store(Arc::new(accounts.renewed([(portal, kept)])));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    assert_eq!(portal.post_message(&document, &[]).await.status, 201);
    let status = timeout(SOON, watch.message()).await.unwrap().unwrap_err();
    assert_eq!(problem(&status).code, "AW-0140");
    gateway.stop().await;
}
