//! A client with a certificate, for both fronts.

use std::net::SocketAddr;

use amtsweg::proto::mailbox_client::MailboxClient;
use amtsweg::proto::operator_client::OperatorClient;
use amtsweg::proto::routing_client::RoutingClient;
use amtsweg::proto::submission_client::SubmissionClient;
use amtsweg::proto::{Attachment, Problem, SubmitRequest, SubmitResponse};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message as _;

use super::pki::Pki;

/// The connections of gRPC clients.
pub type Pool = legacy::Client<HttpsConnector<HttpConnector>, tonic::body::Body>;

/// Talks to one port with one certificate.
#[derive(Clone)]
pub struct Client {
    pub base: Uri,
    pool: Pool,
    http: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

/// An answer over HTTPS.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The code of a problem, or what else it is.
    pub fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let code = text.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>"));
        code.map_or_else(|| format!("{} without a code: {text}", self.status), |(code, _)| code.to_owned())
    }
}

/// A client's TLS: `name`'s certificate, or none.
pub fn tls(pki: &Pki, name: Option<&str>) -> rustls::ClientConfig {
    crate::wire::tls(pki.folder(), name)
}

impl Client {
    pub fn new(pki: &Pki, addr: SocketAddr, name: Option<&str>) -> Self {
        let base: Uri = format!("https://{addr}").parse().unwrap();
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls(pki, name)).https_only();
        let mut client = legacy::Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new());
        Self {
            base,
            http: client.build(builder().enable_http1().wrap_connector(crate::wire::tcp())),
            pool: client.http2_only(true).build(builder().enable_http2().wrap_connector(crate::wire::tcp())),
        }
    }

    pub fn submission(&self) -> SubmissionClient<Pool> {
        SubmissionClient::with_origin(self.pool.clone(), self.base.clone())
    }

    pub fn mailbox(&self) -> MailboxClient<Pool> {
        MailboxClient::with_origin(self.pool.clone(), self.base.clone())
    }

    pub fn routing(&self) -> RoutingClient<Pool> {
        RoutingClient::with_origin(self.pool.clone(), self.base.clone())
    }

    pub fn operator(&self) -> OperatorClient<Pool> {
        OperatorClient::with_origin(self.pool.clone(), self.base.clone())
    }

    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// Hands in by gRPC, in one piece.
    pub async fn submit(
        &self,
        document: &[u8],
        attachments: &[&[u8]],
    ) -> Result<SubmitResponse, tonic::Status> {
        let attachments = attachments
            .iter()
            .map(|content| Attachment {
                name: "a.pdf".to_owned(),
                media_type: "application/pdf".to_owned(),
                content: Bytes::copy_from_slice(content),
            })
            .collect();
        let request = SubmitRequest { document: Bytes::copy_from_slice(document), attachments };
        self.submission().submit(request).await.map(tonic::Response::into_inner)
    }

    /// Sends a request over HTTPS.
    pub async fn try_send(&self, request: Request<Body>) -> Result<Answer, legacy::Error> {
        let response = self.http.request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// The answer's head, and its body to be read bit by bit.
    pub async fn open(&self, request: Request<Body>) -> axum::http::Response<hyper::body::Incoming> {
        self.http.request(request).await.unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(format!(
            "{}{}",
            self.base.to_string().trim_end_matches('/'),
            path
        ))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await.unwrap()
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = self.request(Method::POST, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.try_send(request.body(body.into()).unwrap()).await.unwrap()
    }

    /// Hands in over HTTPS.
    pub async fn post_message(&self, document: &[u8], attachments: &[&[u8]]) -> Answer {
        if attachments.is_empty() {
            return self
                .post("/v1/messages", &[("content-type", "application/xml")], document.to_vec())
                .await;
        }
        let (content_type, body) = related(document, attachments);
        self.post("/v1/messages", &[("content-type", &content_type)], body).await
    }
}

/// A multipart/related body.
pub fn related(document: &[u8], attachments: &[&[u8]]) -> (String, Vec<u8>) {
    let boundary = "x-boundary-x";
    let mut body = Vec::new();
    for (number, part) in std::iter::once(&document).chain(attachments).enumerate() {
        let media = if number == 0 { "application/xml" } else { "application/pdf" };
        body.extend_from_slice(format!("--{boundary}\r\nContent-Type: {media}\r\n\r\n").as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/related; boundary=\"{boundary}\""), body)
}

/// The problem that a gRPC status carries.
pub fn problem(status: &tonic::Status) -> Problem {
    let encoded = status.metadata().get_bin("amtsweg-problem-bin");
    let encoded = encoded.unwrap_or_else(|| panic!("no problem in {status:?}")).to_bytes().unwrap();
    Problem::decode(encoded).unwrap()
}
