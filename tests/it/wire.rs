//! Clients for tests: mutual TLS with files of a development PKI, HTTP/1.1 and gRPC.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// TLS for a client that trusts `ca.pem` of the folder and shows `<name>.pem`, or nothing.
pub fn tls(pki: &Path, name: Option<&str>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(pki.join("ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(pki.join(format!("{name}.pem")))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let key = PrivateKeyDer::from_pem_file(pki.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// TCP that sends at once: held-back segments would make every call wait 40 ms for the peer's delayed
/// acknowledgement.
pub fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

/// A gRPC transport.
pub type Grpc = Client<HttpsConnector<HttpConnector>, tonic::body::Body>;

/// A gRPC transport with the identity `name`.
pub fn grpc(pki: &Path, name: &str) -> Grpc {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls(pki, Some(name)))
        .https_only()
        .enable_http2()
        .wrap_connector(tcp());
    Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

/// An HTTP client with a whole answer in memory.
#[derive(Clone)]
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer.
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The `AW-nnnn` that the body names first, or nothing.
    pub fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.find("AW-").map(|n| text[n..].chars().take(7).collect()).unwrap_or_default()
    }
}

impl Http {
    /// With the identity `name`, or none.
    pub fn new(pki: &Path, name: Option<&str>) -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(pki, name))
            .https_only()
            .enable_http1()
            .wrap_connector(tcp());
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// One request.
    pub async fn call(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.request(request.body(Full::new(body.into())).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Answer { status: parts.status.as_u16(), body })
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Result<Answer, hyper_util::client::legacy::Error> {
        self.call("GET", url, &[], Bytes::new()).await
    }

    /// POST of an XML document.
    pub async fn post(
        &self,
        url: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        self.call("POST", url, &[("content-type", "application/xml")], body).await
    }
}
