//! A sample authority that is pushed to: a real HTTPS server with mutual TLS. It is "still
//! starting" at first (503), then checks each message's signature, keeps it on disk, and answers
//! 201. A message that comes again is known by its `Idempotency-Key` and answered the same.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::cli::Fault;
use crate::domain::MessageId;
use crate::error::Refusal;
use crate::front::multipart::{self, Media, Multipart};
use crate::front::tls;

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
        let acceptor = TlsAcceptor::from(server_tls(pki)?);
        let office = Arc::new(Office { inbox, requests: AtomicUsize::new(0) });
        let router = Router::new().route("/amtsweg/{*path}", post(take)).with_state(office);
        tokio::spawn(serve(listener, acceptor, router, stop));
        Ok(Self { addr })
    }
}

/// Mutual TLS as the gateway's own port does it, with the identity `authority-push`.
fn server_tls(pki: &Path) -> Result<Arc<rustls::ServerConfig>, Fault> {
    let files = tls::Files {
        certificate: pki.join("authority-push.pem"),
        key: pki.join("authority-push.key"),
        client_ca: pki.join("ca.pem"),
        client_crls: None,
    };
    tls::Server::load(files, tls::ClientAuth::Required)
        .map(|server| server.current())
        .map_err(|faults| Fault::said(format!("sample authority: TLS: {}", faults.join("; "))))
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
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = multipart::media(kind).map_err(unreadable)?;
    let mut body = request.into_body();
    let mut octets = BytesMut::new();
    let Media::Related(boundary) = media else {
        while let Some(chunk) = multipart::next_data(&mut body).await.map_err(unreadable)? {
            add(&mut octets, &chunk).map_err(IntoResponse::into_response)?;
        }
        return Ok(octets.freeze());
    };
    let mut parts = Multipart::new(body, &boundary);
    let mut number = 0_usize;
    while parts.next_part().await.map_err(unreadable)?.is_some() {
        while let Some(chunk) = parts.chunk().await.map_err(unreadable)? {
            if number == 0 {
                add(&mut octets, &chunk).map_err(IntoResponse::into_response)?;
            }
        }
        number += 1;
    }
    Ok(octets.freeze())
}

fn add(octets: &mut BytesMut, chunk: &Bytes) -> Result<(), StatusCode> {
    if octets.len() + chunk.len() > MAX_DOCUMENT {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    octets.extend_from_slice(chunk);
    Ok(())
}

fn unreadable(refusal: Refusal) -> Response {
    (StatusCode::BAD_REQUEST, refusal.reason).into_response()
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
