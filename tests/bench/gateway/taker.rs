//! An authority that takes everything over at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::child::Setup;

/// TLS of a server with the identity `name`, asking for client certificates if `mutual`.
pub fn tls(pki: &Path, name: &str, mutual: bool) -> rustls::ServerConfig {
    let chain =
        CertificateDer::pem_file_iter(pki.join(format!("{name}.pem"))).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(pki.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if mutual {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(pki.join("ca.pem")).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// A running authority.
pub struct Running(Arc<AtomicUsize>);

impl Running {
    /// Messages taken over.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Starts it at the set-up's authority port.
pub async fn serve(setup: &Setup) -> Running {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls(&setup.pki(), "authority-push", false)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.authority)).await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&counting));
            tokio::spawn(async move {
                let _ = tcp.set_nodelay(true);
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = hyper::service::service_fn(move |request| take(request, Arc::clone(&count)));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    Running(count)
}

async fn take(
    request: hyper::Request<Incoming>,
    count: Arc<AtomicUsize>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    count.fetch_add(1, Ordering::SeqCst);
    Ok(hyper::Response::builder().status(201).body(Full::new(Bytes::new())).unwrap_or_default())
}
