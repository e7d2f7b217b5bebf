//! Connections: accepted within bounds, cut when they dawdle, drained on a stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::body::StallIo;
use super::limits::Limits;
use super::linger::Lingering;
use super::tls;
use crate::domain::Digest;

/// Who is at the other end of a connection; goes with each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// SHA-256 of its certificate.
    pub certificate: Option<Digest>,
}

/// Accepts until `stop`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: tls::Server,
    router: axum::Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let limits = Arc::new(limits);
    let mut failing = false;
    loop {
        // Room first: beyond the bound new connections wait in the operating system's queue.
        let accepted = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            pair = accepted => pair,
        };
        match accepted {
            Ok((stream, addr)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("connections are accepted again");
                }
                let acceptor = TlsAcceptor::from(tls.current());
                let job = connection(stream, addr, acceptor, router.clone(), limits.clone(), stop.clone());
                let cut = cut.clone();
                tasks.spawn(async move {
                    let _permit = permit;
                    tokio::select! { () = job => {}, () = cut.cancelled() => {} }
                });
            }
            Err(error) => {
                // Out of file descriptors, or a connection that was reset before it was taken.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections can't be accepted; it is tried again all the time");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    if timeout(limits.drain, tasks.wait()).await.is_err() {
        tracing::warn!("requests did not end in time and are cut");
        cut.cancel();
        tasks.wait().await;
    }
}

/// One connection: handshake, then requests until it ends, idles too long or is drained.
async fn connection(
    stream: TcpStream,
    addr: SocketAddr,
    acceptor: TlsAcceptor,
    router: axum::Router,
    limits: Arc<Limits>,
    stop: CancellationToken,
) {
    // Latency matters more than packets here; a failure to set it is harmless.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(limits.handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%addr, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%addr, "TLS handshake took too long"),
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer { addr, certificate: leaf.map(|der| Digest::of(der)) };
    let activity = Arc::new(Activity::default());
    let counted = activity.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let mut active = Active::enter(&counted);
        request.extensions_mut().insert(peer);
        let expects = request.headers().contains_key(header::EXPECT);
        let answer = router.clone().oneshot(request.map(|body| Body::new(Lingering::new(body, expects))));
        async move {
            let Ok(response) = answer.await;
            active.set(false);
            Ok::<Response, Infallible>(response.map(|inner| Body::new(Outgoing { inner, active })))
        }
    });
    // What was negotiated is spoken: no guessing from the first octets, which need never come.
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let builder = if h2 { builder(&limits).http2_only() } else { builder(&limits).http1_only() };
    let io = TokioIo::new(StallIo::new(stream, limits.stall));
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut idle = Idle::new(limits.idle);
    let mut draining = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%addr, error = %error, "connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
            () = idle.passed(&activity) => {
                if draining {
                    // It does not end by itself: HTTP/2 was agreed on and its preface never came, or
                    // answers are left lying.
                    return tracing::debug!(%addr, "an idle connection is cut");
                }
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size((limits.header_octets as usize).max(8192))
        .max_headers(64)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_octets)
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(limits.stall)
        .keep_alive_timeout(limits.stall);
    builder
}

/// What goes on in a connection.
#[derive(Default)]
struct Activity {
    /// Requests that wait for the gateway: their answers are being made.
    busy: AtomicUsize,
    /// Requests that came and pieces of answers that were taken, so far.
    steps: AtomicUsize,
}

/// A request until its answer has gone out whole.
struct Active {
    of: Arc<Activity>,
    busy: bool,
}

impl Active {
    fn enter(of: &Arc<Activity>) -> Self {
        let mut active = Self { of: of.clone(), busy: false };
        active.set(true);
        active
    }

    /// Whether the gateway has to do something now, and not the other end. Counts as a step.
    fn set(&mut self, busy: bool) {
        self.of.steps.fetch_add(1, Ordering::Relaxed);
        match (self.busy, busy) {
            (false, true) => self.of.busy.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.of.busy.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.busy = busy;
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// An answer on its way out. What lies ready and is not asked for keeps no connection open: over
/// HTTP/2 the other end may leave it lying and still answer every ping.
struct Outgoing {
    inner: Body,
    active: Active,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.active.set(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Notices when in a connection nothing has gone on for long. Looks a few times per span, so a
/// connection lives at most a quarter longer than asked.
struct Idle {
    span: Duration,
    quiet_since: Instant,
    /// Steps seen so far.
    steps: usize,
}

impl Idle {
    fn new(span: Duration) -> Self {
        Self { span, quiet_since: Instant::now(), steps: 0 }
    }

    async fn passed(&mut self, activity: &Activity) {
        loop {
            tokio::time::sleep(self.span / 4).await;
            let now = Instant::now();
            let steps = activity.steps.load(Ordering::Relaxed);
            if activity.busy.load(Ordering::Relaxed) > 0 || steps != self.steps {
                (self.steps, self.quiet_since) = (steps, now);
            } else if now.duration_since(self.quiet_since) >= self.span {
                return;
            }
        }
    }
}
