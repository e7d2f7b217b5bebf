//! The one way out: resolve, check, connect, TLS. No proxy is ever used, and no environment
//! variable is read.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tower_service::Service;

use super::address;
use crate::deliver::OutboundTls;
use crate::pem;

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// Time for one of them, so that a dead one leaves time for the next.
const CONNECT: Duration = Duration::from_secs(5);

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The URL names no host.
    #[error("the endpoint's URL names no host")]
    NoHost,
    /// The name does not resolve.
    #[error("the host name does not resolve ({0})")]
    Name(io::ErrorKind),
    /// All its addresses are forbidden.
    #[error("address {0} is not public; allow private addresses in the configuration if that is meant")]
    NotAllowed(IpAddr),
    /// No address answers.
    #[error("no connection ({0})")]
    Tcp(io::ErrorKind),
}

/// Connects by TCP to allowed addresses alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connector {
    /// Private networks and loopback may be called.
    pub(crate) allow_private: bool,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let host = uri.host().ok_or(ConnectError::NoHost)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(443);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| ConnectError::Name(error.kind()))?
            .collect();
        let mut last = ConnectError::Name(io::ErrorKind::NotFound);
        let mut tried = 0;
        for address in found {
            if !address::allowed(address.ip(), self.allow_private) {
                last = ConnectError::NotAllowed(address.ip());
                continue;
            }
            if tried == ADDRESSES {
                break;
            }
            tried += 1;
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(|error| ConnectError::Tcp(error.kind()))?;
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => last = ConnectError::Tcp(error.kind()),
                Err(_) => last = ConnectError::Tcp(io::ErrorKind::TimedOut),
            }
        }
        Err(last)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.connect(uri))
    }
}

/// The gateway's identity and default anchors, read once; compared on reload.
#[derive(PartialEq, Eq)]
pub(crate) struct Identity {
    anchors: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads the files and tries them.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn load(files: &OutboundTls) -> Result<Self, String> {
        let identity = Self {
            anchors: pem::certificates(&files.ca)?,
            chain: pem::certificates(&files.certificate)?,
            key: pem::key(&files.key)?,
        };
        identity.config(None)?;
        Ok(identity)
    }

    /// TLS 1.2 or 1.3 with the gateway's client certificate; servers are checked against `ca`,
    /// else the default anchors.
    fn config(&self, ca: Option<&Path>) -> Result<rustls::ClientConfig, String> {
        let mut roots = rustls::RootCertStore::empty();
        let own;
        let anchors = match ca {
            Some(path) => {
                own = pem::certificates(path)?;
                &own
            }
            None => &self.anchors,
        };
        for anchor in anchors {
            roots.add(anchor.clone()).map_err(|error| format!("anchor certificate: {error}"))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS versions: {error}"))?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| format!("the gateway's certificate and key: {error}"))
    }

    /// The connector for an endpoint.
    ///
    /// # Errors
    /// A sentence when the anchors can't be read.
    pub(crate) fn connector(
        &self,
        ca: Option<&Path>,
        h2_only: bool,
        allow_private: bool,
    ) -> Result<HttpsConnector<Connector>, String> {
        let builder =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(self.config(ca)?).https_only();
        let connector = Connector { allow_private };
        Ok(if h2_only {
            builder.enable_http2().wrap_connector(connector)
        } else {
            builder.enable_all_versions().wrap_connector(connector)
        })
    }
}
