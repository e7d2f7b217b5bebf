//! Outbound calls. Knows transports and authorities' answers, but not the store: content comes in
//! as streams of chunks.

pub(crate) mod address;
mod body;
pub(crate) mod connector;
pub(crate) mod grpc;
pub(crate) mod https;
pub(crate) mod xta;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::Uri;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::domain::outcome::Outcome;
use crate::domain::{DeclaredAttachment, Endpoint, Identifier, MessageId, Protocol, Record, Transport};
use crate::xta::metadata::Kept;

/// An error of any make, as transports hand them over.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
/// Octets in chunks of at most 64 KiB. An error means that the message must not arrive whole.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(30);
/// Octets of an answer's header that are read.
const HEADER: u32 = 16 * 1024;

/// What is brought.
pub(crate) struct Parcel {
    /// The message's one name: the idempotency key.
    pub(crate) id: MessageId,
    /// From 1.
    pub(crate) attempt: u32,
    /// For whom.
    pub(crate) reader: Identifier,
    /// The signed receipt.
    pub(crate) receipt: Bytes,
    /// The original octets.
    pub(crate) document: Piece,
    /// Their media type.
    pub(crate) media_type: String,
    /// In document order.
    pub(crate) attachments: Vec<(DeclaredAttachment, Piece)>,
    /// What an XTA server wants to know besides.
    pub(crate) order: Option<Order>,
}

/// What an XTA server is told.
pub(crate) struct Order {
    /// The message, for its metadata.
    pub(crate) record: Arc<Record>,
    /// The words of the order that it came with.
    pub(crate) kept: Option<Kept>,
    /// The gateway's own identifier.
    pub(crate) sender: Identifier,
    /// The name that the server gave for it.
    pub(crate) name: String,
    /// It may have gone out under this name before.
    pub(crate) sent_before: bool,
}

/// Content of known length.
pub(crate) struct Piece {
    /// In octets.
    pub(crate) len: u64,
    /// The octets.
    pub(crate) chunks: Chunks,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// What it means.
    pub(crate) outcome: Outcome,
    /// In words of ours, e.g. `HTTP 503`: safe to log.
    pub(crate) detail: String,
    /// In the authority's words: untrusted, may repeat payload, bounded.
    pub(crate) note: String,
    /// The name that the server gave is of no use; the next attempt asks for another.
    pub(crate) rename: bool,
}

impl Reply {
    /// No answer: try again.
    pub(crate) fn none(detail: impl Into<String>) -> Self {
        Self::of(Outcome::Again { asked: None }, detail)
    }

    /// An outcome in our words alone.
    pub(crate) fn of(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), note: String::new(), rename: false }
    }
}

/// A client for one endpoint, with its pool of connections.
pub(crate) enum Client {
    /// XML over HTTPS.
    Https(https::HttpsClient),
    /// `amtsweg.v1.Delivery`.
    Grpc(grpc::GrpcClient),
    /// XTA 2.
    Xta(Box<xta::XtaClient>),
}

impl Client {
    /// A client for `endpoint`.
    ///
    /// # Errors
    /// A sentence: not a push endpoint, not an `https` URL, anchors unreadable.
    pub(crate) fn new(
        endpoint: &Endpoint,
        identity: &connector::Identity,
        allow_private: bool,
    ) -> Result<Self, String> {
        let Transport::Push { protocol, url, ca, concurrency, .. } = &endpoint.transport else {
            return Err("it is a mailbox".into());
        };
        let uri = target(url)?;
        let h2_only = matches!(protocol, Protocol::Grpc);
        let connector = identity.connector(ca.as_deref(), h2_only, allow_private)?;
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host((*concurrency).max(1))
            .http1_max_headers(64)
            .http1_max_buf_size(128 * 1024)
            .http2_max_header_list_size(HEADER)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        Ok(match protocol {
            Protocol::Https => Self::Https(https::HttpsClient::new(builder.build(connector), uri)),
            Protocol::Grpc => {
                Self::Grpc(grpc::GrpcClient::new(builder.http2_only(true).build(connector), uri))
            }
            Protocol::Xta(server) => {
                let management = target(&server.management)?;
                let pool = builder.build(connector);
                Self::Xta(Box::new(xta::XtaClient::new(pool, management, uri, server.as_ref().clone())))
            }
        })
    }

    /// Makes one attempt, over by `deadline`.
    pub(crate) async fn send(&self, parcel: Parcel, deadline: Instant) -> Reply {
        match self {
            Self::Https(client) => client.send(parcel, deadline).await,
            Self::Grpc(client) => client.send(parcel, deadline).await,
            Self::Xta(client) => client.send(parcel, deadline).await,
        }
    }

    /// The client of a server that names messages itself.
    pub(crate) fn naming(&self) -> Option<&xta::XtaClient> {
        match self {
            Self::Xta(client) => Some(client),
            Self::Https(_) | Self::Grpc(_) => None,
        }
    }
}

/// `https://host[:port][/path]`, nothing else.
fn target(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url:?} is no URL"))?;
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if uri.scheme_str() != Some("https") || !plain || url.contains('#') {
        return Err("its URL must read https://host[:port][/path], without user name or fragment".into());
    }
    Ok(uri)
}

/// Why a call failed, in words that name no payload: the innermost cause says most.
fn explain(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    let mut words = cause.to_string();
    for _ in 0..16 {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if let Some(inner) = io.get_ref() {
                words = inner.to_string();
                cause = inner;
                continue;
            }
            words = format!("connection: {}", io.kind());
        } else if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            words = format!("TLS: {tls}");
        } else {
            words = cause.to_string();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    super::note::printable(words.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_urls_are_called() {
        assert!(target("https://stadt.example/eingang").is_ok());
        assert!(target("https://[2001:db8::1]:8443/").is_ok());
        for bad in
            ["http://stadt.example/", "https://", "stadt.example", "https://a:b@stadt.example/", "ftp://x/"]
        {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
