//! A client that sends a large body and is refused before it has sent it all reads the refusal.

use std::process::Command;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::bounds::connect;
use crate::support::client::tls;
use crate::support::{Gateway, Options};

const LARGE: usize = 12 << 20;

/// Sends all of it before it looks at an answer, as simple clients do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_1_a_client_that_writes_first_and_reads_then_gets_its_refusal() {
    let gateway = Gateway::start(Options::default()).await;
    for (name, code) in [("nobody", "AW-0140"), ("authority", "AW-0140")] {
        let mut stream = connect(&gateway, Some(name)).await.unwrap();
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\n\
             Content-Length: {LARGE}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..LARGE / piece.len() {
            stream.write_all(&piece).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(code), "{name}: {answer}");
    }
    gateway.stop().await;
}

/// HTTP/2: the answer, and no reset that a client may take for a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_2_the_refusal_comes_without_a_reset() {
    use http_body_util::BodyExt as _;
    let gateway = Gateway::start(Options::default()).await;
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let mut config = tls(&gateway.pki, Some("nobody"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // The body goes on only after the answer has come.
    let (more, pieces) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let body = axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(pieces));
    let request = axum::http::Request::post("https://localhost/v1/messages")
        .header("content-type", "application/xml")
        .body(body)
        .unwrap();
    let answer = send.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 403);
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("AW-0140"));
    for _ in 0..LARGE / (64 * 1024) {
        more.send(Ok(bytes::Bytes::from(vec![b'x'; 64 * 1024]))).await.expect("the stream was reset");
    }
    drop(more);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_reads_an_early_refusal_over_both_versions() {
    let version = Command::new("curl").arg("--version").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("HTTP2")) {
        println!("skipped: no curl with HTTP/2");
        return;
    }
    let gateway = Gateway::start(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.xml");
    std::fs::write(&file, vec![b'x'; LARGE]).unwrap();
    for version in ["--http1.1", "--http2"] {
        for _ in 0..5 {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--noproxy", "*", version, "--cacert"])
                .arg(gateway.pki.file("ca.pem"))
                .arg("--cert")
                .arg(gateway.pki.file("nobody.pem"))
                .arg("--key")
                .arg(gateway.pki.file("nobody.key"))
                .args(["--header", "Content-Type: application/xml", "--header", "Expect:", "--data-binary"])
                .arg(format!("@{}", file.display()))
                .arg(format!("https://{}/v1/messages", gateway.addr));
            let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
            let (said, why) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.contains("AW-0140"), "{version}: {said} {why}");
        }
    }
    gateway.stop().await;
}
