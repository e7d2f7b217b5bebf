//! The gate every request passes: whose it is, whether there is room for it, and the one place
//! where a refusal is counted and logged.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::accounts::Entry;
use super::body::{Guarded, Hold, Memory, Pace, Paced, over};
use super::limits::Limits;
use super::listen::Peer;
use super::{Core, Side, https, status, xta};
use crate::domain::Role;
use crate::error::{Code, Refusal};

/// What all requests together may use.
pub(crate) struct Room {
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    memory: Memory,
}

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        let semaphore = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(limits.requests),
            watches: semaphore(limits.watches),
            // Half of it, but always enough for a document and the next one.
            memory: Memory::new(
                limits.memory_octets,
                (limits.memory_octets / 2).max(limits.document_octets.saturating_mul(2)),
            ),
        }
    }
}

/// The gate of one port.
#[derive(Clone)]
pub(crate) struct Gate {
    pub core: Arc<Core>,
    pub side: Side,
}

/// Whose request it is, and the memory it holds. In the extensions of each request.
#[derive(Clone)]
pub(crate) struct Caller {
    pub entry: Arc<Entry>,
    pub hold: Hold,
}

/// Set by handlers on an answer that is a refusal, for the log and the counts.
#[derive(Clone, Copy)]
pub(crate) struct Refused(pub Code);

/// Held until an answer has gone out whole.
struct Passage {
    _counted: crate::observe::metrics::InFlight,
    _room: OwnedSemaphorePermit,
    _account: OwnedSemaphorePermit,
}

impl Gate {
    /// Puts the gate around all routes, the unknown ones included.
    pub(crate) fn around(self, router: Router) -> Router {
        router
            .fallback(https::no_such_path)
            .method_not_allowed_fallback(https::no_such_method)
            .layer(axum::middleware::from_fn_with_state(self, pass))
    }

    fn caller(&self, peer: Option<&Peer>) -> Result<Arc<Entry>, Refusal> {
        let Some(certificate) = peer.and_then(|peer| peer.certificate) else {
            return Err(Refusal::new(
                Code::NotEntitled,
                "this needs a client certificate; connect with the one configured for your account",
            ));
        };
        let entry = self.core.parts.accounts.load().of(&certificate)?;
        if self.side == Side::Operators && !entry.account.may(Role::Operator) {
            return Err(Refusal::new(
                Code::NotEntitled,
                "this port is for operators; use the main port, or ask for the role \"operator\"",
            ));
        }
        Ok(entry)
    }

    fn admit(&self, entry: &Entry, path: &str) -> Result<Passage, Refusal> {
        let room = &self.core.room;
        let watch = path.ends_with("/Watch");
        let all = if watch { &room.watches } else { &room.requests };
        let room = all.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(
                Code::Overloaded,
                "the gateway has as many requests in work as it may; try again later",
            )
        })?;
        let account = entry.enter(watch)?;
        let counted = self.core.parts.metrics.enter();
        Ok(Passage { _counted: counted, _room: room, _account: account })
    }

    /// The request with its body bounded in size, pace and memory.
    fn bounded(&self, request: Request, grpc: bool, hold: &Hold) -> Result<Request, Refusal> {
        let limits = &self.core.parts.limits;
        let unary = matches!(
            request.uri().path(),
            "/amtsweg.v1.Submission/Submit" | "/amtsweg.v1.Submission/Validate"
        );
        // Heads and framing of parts come on top of the contents.
        let whole = (limits.attachments as u64 + 1).saturating_mul(16 * 1024);
        let bound = (limits.attachments as u64)
            .saturating_mul(limits.attachment_octets)
            .saturating_add(limits.document_octets)
            .saturating_add(whole);
        let declared = request.headers().get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        if declared.is_some_and(|octets| octets > bound) {
            return Err(over(bound));
        }
        let pace = Pace { min_rate: limits.min_rate, grace: limits.grace, stall: limits.stall };
        Ok(request.map(|body| {
            let paced = Paced::new(body, pace, bound, unary.then(|| hold.clone()));
            if grpc { Body::new(paced.map_err(|refusal| status::status(&refusal))) } else { Body::new(paced) }
        }))
    }
}

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes());
    media.is_some_and(|media| media.starts_with(b"application/grpc"))
}

/// Whether a path names a gRPC method: `/package.Service/Method`.
fn is_service(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|service| service.contains('.'))
}

/// How a request wants to be answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tongue {
    Grpc,
    Https,
    Xta,
}

impl Tongue {
    fn of(gate: &Gate, request: &Request) -> Self {
        if is_grpc(request.headers()) {
            return Self::Grpc;
        }
        let xta = gate.side == Side::Main && gate.core.parts.xta.port(request.uri().path()).is_some();
        if xta { Self::Xta } else { Self::Https }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Https => "https",
            Self::Xta => "xta",
        }
    }
}

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let tongue = Tongue::of(&gate, &request);
    let grpc = tongue == Tongue::Grpc;
    let path = request.uri().path().to_owned();
    // A service's path is never open, whatever the request says its body is.
    let open = gate.side == Side::Operators && !grpc && !is_service(&path);
    let entry = match gate.caller(request.extensions().get::<Peer>()) {
        Ok(entry) => entry,
        // Paths without an account of their own decide for themselves (`open_path`).
        Err(refusal) if open => {
            request.extensions_mut().insert(Nobody(refusal));
            return finish(&gate, tongue, "", next.run(request).await);
        }
        Err(refusal) => return finish(&gate, tongue, "", refuse(tongue, &refusal, true)),
    };
    let name = entry.account.name.clone();
    let passage = match gate.admit(&entry, &path) {
        Ok(passage) => passage,
        Err(refusal) => return finish(&gate, tongue, name.as_str(), refuse(tongue, &refusal, false)),
    };
    // The memory for its document is given back with the request, not with the answer, which a
    // reader may leave lying.
    let hold = gate.core.room.memory.hold(entry.memory());
    let mut request = match gate.bounded(request, grpc, &hold) {
        Ok(request) => request,
        Err(refusal) => return finish(&gate, tongue, name.as_str(), refuse(tongue, &refusal, false)),
    };
    request.extensions_mut().insert(Caller { entry, hold });
    let response = finish(&gate, tongue, name.as_str(), next.run(request).await);
    response.map(|body| Body::new(Guarded::new(body, passage)))
}

/// `stranger`: nobody is behind the request.
fn refuse(tongue: Tongue, refusal: &Refusal, stranger: bool) -> Response {
    match tongue {
        Tongue::Grpc => status::status(refusal).into_http(),
        Tongue::Https => https::Problem(refusal.clone()).into_response(),
        Tongue::Xta => xta::refuse(refusal, stranger),
    }
}

/// Counts and logs a refusal, once for all handlers; no reason, as it may quote the document.
fn finish(gate: &Gate, tongue: Tongue, account: &str, response: Response) -> Response {
    let response = if tongue == Tongue::Grpc { translate(response) } else { response };
    let code = match response.extensions().get::<Refused>() {
        Some(refused) => Some(refused.0),
        None => status::code_of(response.headers()),
    };
    if let Some(code) = code {
        gate.core.parts.metrics.refused(code);
        tracing::info!(code = code.as_str(), account, front = tongue.name(), "refused");
    }
    response
}

/// Gives tonic's own refusal of a frame that is too large the code it deserves.
fn translate(response: Response) -> Response {
    let headers = response.headers();
    let out_of_range = headers.get("grpc-status").is_some_and(|v| v == "11");
    if out_of_range && !headers.contains_key(status::PROBLEM) {
        let refusal = Refusal::new(
            Code::OverLimit,
            "one gRPC message is larger than the gateway takes; send large contents with SubmitStream, in \
             chunks of at most 1 MiB",
        );
        return status::status(&refusal).into_http();
    }
    response
}

/// Why nobody is behind a request that came in by the operators' port.
#[derive(Clone)]
pub(crate) struct Nobody(Refusal);

/// Lets a request to an open path through: on loopback, or with an operator's certificate.
pub(crate) async fn open_path(request: Request, next: Next) -> Response {
    let loopback = request.extensions().get::<Peer>().is_some_and(|peer| peer.addr.ip().is_loopback());
    match request.extensions().get::<Nobody>() {
        Some(Nobody(refusal)) if !loopback => https::Problem(refusal.clone()).into_response(),
        _ => next.run(request).await,
    }
}
