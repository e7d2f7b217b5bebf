//! Metrics and health on the operators' port.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::site::{DARMSTADT, Site, until};
use crate::deploy::SCRAPED;

/// Asks over HTTPS without a client certificate, each time on a new connection.
pub struct Client {
    addr: SocketAddr,
    http: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

fn tls(site: &Site) -> rustls::ClientConfig {
    crate::wire::tls(&site.path("pki"), None)
}

pub fn client(site: &Site, addr: SocketAddr) -> Client {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls(site)).https_only().enable_http1().build();
    let http = legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    Client { addr, http }
}

impl Client {
    /// Status and text; `None` when there is no answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let request = Request::get(format!("https://{}{path}", self.addr)).body(Body::empty()).unwrap();
        let response = self.http.request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8(body.to_vec()).unwrap()))
    }
}

/// The certificate that a port shows.
pub async fn server_certificate(site: &Site, addr: SocketAddr) -> Vec<u8> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(site)));
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_are_told_on_loopback_without_a_certificate() {
    let site = Site::new();
    let app = site.start().await;
    site.submit(&app).await;
    let client = client(&site, app.operators_addr());
    assert_eq!(client.get("/health/live").await, Some((200, "live\n".to_owned())));
    assert_eq!(client.get("/health/ready").await, Some((200, "ready\n".to_owned())));
    let (status, text) = client.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    for line in [
        "amtsweg_accepted_total 1",
        "amtsweg_store_up 1",
        "amtsweg_queue_messages{endpoint=\"marburg-mailbox\",state=\"Available\"} 1",
        "amtsweg_endpoint_suspended{endpoint=\"marburg-mailbox\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    // Two of them need a push endpoint with messages; see below. One needs a folder for backups; see `proof::backup`.
    let others = [
        "amtsweg_breaker_open",
        "amtsweg_attempts_in_flight",
        "amtsweg_backup_last_success_timestamp_seconds",
    ];
    for name in SCRAPED.iter().filter(|name| !others.contains(name)) {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is missing in\n{text}");
    }
    assert!(text.contains("amtsweg_certificate_expiry_days{certificate=\"signing\"} 39"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_not_told_on_the_main_port() {
    let site = Site::new();
    let app = site.start().await;
    assert_eq!(client(&site, app.addr()).get("/metrics").await, None, "without a certificate nobody gets in");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_can_not_be_reached_shows_in_the_metrics() {
    let site = Site::new();
    // Nobody listens on port 1.
    site.edit("directory/endpoints.toml", amtsweg::route::PUSH_BASE, "https://127.0.0.1:1/amtsweg");
    let app = site.start().await;
    let document = site.message_to(uuid::Uuid::new_v4(), DARMSTADT);
    let request = amtsweg::proto::SubmitRequest { document, attachments: Vec::new() };
    site.portal(&app).await.submit(request).await.unwrap();
    let watched = client(&site, app.operators_addr());
    until("the attempt is counted", || async {
        let (_, text) = watched.get("/metrics").await.unwrap();
        [
            "amtsweg_attempts_total{endpoint=\"darmstadt-push\",outcome=\"failed\"} 1",
            "amtsweg_queue_messages{endpoint=\"darmstadt-push\",state=\"Queued\"} 1",
            "amtsweg_breaker_open{endpoint=\"darmstadt-push\"} 0",
            "amtsweg_attempts_in_flight{endpoint=\"darmstadt-push\"} 0",
        ]
        .iter()
        .all(|line| text.lines().any(|found| found.starts_with(line)))
    })
    .await;
    app.shutdown().await;
}
