//! A sample authority that is pushed to: a real HTTPS server with mutual TLS. It is "still
//! starting" at first (503), then checks each message's signature, keeps it on disk, and answers
//! 201. A message that comes again is known by its `Idempotency-Key` and answered the same.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{StatusCode, header};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::cli::Fault;
use crate::cli::client::certificates;
use crate::domain::MessageId;

/// Requests that are answered 503 before the authority is "up".
const STARTING: usize = 6;
/// Octets of one document at most.
const MAX_DOCUMENT: usize = 16 << 20;

/// The running sample authority.
pub struct PushedTo {
    /// Where it listens.
    pub addr: SocketAddr,
}

struct Office {
    inbox: Inbox,
    requests: AtomicUsize,
}

impl PushedTo {
    /// Starts it on `listener`, with the identity `authority-push` of the PKI folder; it keeps
    /// what it takes in `inbox`. It ends with `stop`.
    ///
    /// # Errors
    /// When the PKI can't be used.
    pub fn start(
        listener: TcpListener,
        pki: &Path,
        inbox: Inbox,
        stop: CancellationToken,
    ) -> Result<Self, Fault> {
        let addr = listener.local_addr().map_err(|e| Fault::said(format!("sample authority: {e}")))?;
        let acceptor = TlsAcceptor::from(Arc::new(server_tls(pki)?));
        let office = Arc::new(Office { inbox, requests: AtomicUsize::new(0) });
        let router = Router::new().route("/amtsweg/{*path}", post(take)).with_state(office);
        tokio::spawn(serve(listener, acceptor, router, stop));
        Ok(Self { addr })
    }
}

fn server_tls(pki: &Path) -> Result<rustls::ServerConfig, Fault> {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    let fault = |e: &dyn std::fmt::Display| Fault::said(format!("sample authority: TLS: {e}"));
    let mut roots = rustls::RootCertStore::empty();
    for anchor in certificates(&pki.join("ca.pem"))? {
        roots.add(anchor).map_err(|e| fault(&e))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|e| fault(&e))?;
    let key = PrivateKeyDer::from_pem_file(pki.join("authority-push.key")).map_err(|e| fault(&e))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&pki.join("authority-push.pem"))?, key)
        .map_err(|e| fault(&e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router, stop: CancellationToken) {
    loop {
        let socket = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                // A connection that was gone before it was accepted; the next may be good.
                Err(_) => continue,
            },
        };
        let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(socket, acceptor, router) => {}
            }
        });
    }
}

async fn connection(socket: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // Who fails the handshake or breaks the connection sees it himself.
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let service = hyper_util::service::TowerToHyperService::new(router);
    let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
    let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
}

/// Takes a message.
async fn take(State(office): State<Arc<Office>>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|v| v.to_str().ok());
    let Some(id) = key.and_then(|k| k.parse::<MessageId>().ok()) else {
        return (StatusCode::BAD_REQUEST, "Idempotency-Key: the message id is missing").into_response();
    };
    if office.inbox.has(&id) {
        return (StatusCode::OK, "had it before").into_response();
    }
    if office.requests.fetch_add(1, Ordering::Relaxed) < STARTING {
        return (StatusCode::SERVICE_UNAVAILABLE, "the back office is starting").into_response();
    }
    let document = match document(request).await {
        Ok(document) => document,
        Err(answer) => return answer,
    };
    match office.inbox.take(&id, document).await {
        Ok(()) => (StatusCode::CREATED, "taken over").into_response(),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
    }
}

/// The document of a plain request, or the first part of a multipart one; attachments are read
/// to their end.
async fn document(request: Request) -> Result<Bytes, Response> {
    let refuse = |why: String| (StatusCode::BAD_REQUEST, why).into_response();
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let boundary = boundary(kind).map(str::to_owned);
    let body = request.into_body();
    let Some(boundary) = boundary else { return whole(body).await.map_err(refuse) };
    let mut parts = multer::Multipart::new(body.into_data_stream(), boundary);
    let mut first: Option<Bytes> = None;
    while let Some(mut part) = parts.next_field().await.map_err(|e| refuse(e.to_string()))? {
        let mut octets = BytesMut::new();
        while let Some(chunk) = part.chunk().await.map_err(|e| refuse(e.to_string()))? {
            if first.is_none() {
                octets.extend_from_slice(&chunk);
            }
            if octets.len() > MAX_DOCUMENT {
                return Err(StatusCode::PAYLOAD_TOO_LARGE.into_response());
            }
        }
        first.get_or_insert_with(|| octets.freeze());
    }
    first.ok_or_else(|| refuse("no part at all".to_owned()))
}

async fn whole(body: Body) -> Result<Bytes, String> {
    let mut chunks = body.into_data_stream();
    let mut octets = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        octets.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
        if octets.len() > MAX_DOCUMENT {
            return Err("too large".to_owned());
        }
    }
    Ok(octets.freeze())
}

/// The boundary of a multipart content type (RFC 2046 section 5.1.1), quoted or not.
fn boundary(kind: &str) -> Option<&str> {
    let mut fields = kind.split(';').map(str::trim);
    if !fields.next()?.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let value = fields.find_map(|f| f.strip_prefix("boundary="))?;
    Some(value.trim_matches('"')).filter(|b| !b.is_empty() && b.len() <= 70)
}

/// Binds the port that was asked for, or any free one when it is taken.
///
/// # Errors
/// When no port can be had.
pub async fn bind(wish: u16) -> Result<TcpListener, Fault> {
    let first = TcpListener::bind(("127.0.0.1", wish)).await;
    match first {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|e| Fault::said(format!("the sample authority cannot listen on 127.0.0.1: {e}"))),
    }
}

/// The folder in which a sample authority keeps what it took.
#[must_use]
pub fn folder(dir: &Path, name: &str) -> PathBuf {
    dir.join("authorities").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_boundary() {
        assert_eq!(boundary("multipart/related; type=\"text/xml\"; boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("Multipart/Related; boundary=x"), Some("x"));
        assert_eq!(boundary("application/xml; boundary=x"), None);
        assert_eq!(boundary("multipart/related"), None);
    }
}
