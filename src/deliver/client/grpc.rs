//! Push by gRPC: `amtsweg.v1.Delivery/Deliver`, implemented by the authority.

use std::time::Duration;

use futures_util::{Stream, StreamExt, future, stream};
use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connector::Connector;
use super::{BoxError, Parcel, Reply, explain};
use crate::deliver::note;
use crate::domain::outcome::{Outcome, of_grpc};
use crate::proto::deliver_chunk::Part;
use crate::proto::delivery_client::DeliveryClient;
use crate::proto::{AttachmentStart, DeliverChunk, DeliverStart};

/// Octets of an answer: it has one flag.
const ANSWER: usize = 64 * 1024;

type Pool = legacy::Client<HttpsConnector<Connector>, tonic::body::Body>;

/// A client for one endpoint.
pub(crate) struct GrpcClient {
    client: DeliveryClient<Pool>,
}

impl GrpcClient {
    /// A client that calls the server at `uri`; its path plays no part in gRPC.
    pub(crate) fn new(pool: Pool, uri: Uri) -> Self {
        Self { client: DeliveryClient::with_origin(pool, uri).max_decoding_message_size(ANSWER) }
    }

    /// One attempt.
    pub(crate) async fn send(&self, parcel: Parcel, deadline: Instant) -> Reply {
        let id = parcel.id.clone();
        let (broken, breaks) = oneshot::channel();
        let mut request = tonic::Request::new(chunks(parcel, broken));
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        if let Ok(key) = id.as_str().parse() {
            request.metadata_mut().insert("idempotency-key", key);
        }
        let mut client = self.client.clone();
        let call = tokio::time::timeout_at(deadline, client.deliver(request));
        // An end of the stream would mean that the message is complete, so content that breaks
        // off must cancel the call.
        let answer = tokio::select! {
            answer = call => answer,
            Ok(error) = breaks => return Reply::none(format!("the content broke off: {error}")),
        };
        match answer {
            Err(_) => Reply::none("no answer in time"),
            Ok(Ok(answer)) => {
                let taken_over = answer.into_inner().taken_over;
                Reply::of(Outcome::Has { taken_over }, "gRPC OK")
            }
            Ok(Err(status)) => judge(&status, id.as_str()),
        }
    }
}

fn judge(status: &tonic::Status, id: &str) -> Reply {
    let metadata = status.metadata();
    let named = metadata.get("amtsweg-message-id").is_some_and(|value| value.as_bytes() == id.as_bytes());
    let names_message = named || status.message().contains(id);
    let asked = metadata
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    let outcome = of_grpc(i32::from(status.code()), names_message, asked);
    let mut detail = format!("gRPC {:?}", status.code());
    if let Some(source) = std::error::Error::source(status) {
        detail = format!("{detail}: {}", explain(source));
    }
    let note = match outcome {
        Outcome::Refused => note::printable(status.message().as_bytes()),
        _ => String::new(),
    };
    Reply { note, ..Reply::of(outcome, detail) }
}

/// The start, the document, then each attachment after its own start.
fn chunks(parcel: Parcel, broken: oneshot::Sender<BoxError>) -> impl Stream<Item = DeliverChunk> + Send {
    let start = DeliverStart {
        message_id: parcel.id.to_string(),
        attempt: parcel.attempt,
        receipt: parcel.receipt,
        reader: parcel.reader.to_string(),
    };
    let attachments = stream::iter(parcel.attachments).flat_map(|(declared, piece)| {
        let start =
            AttachmentStart { name: declared.name, media_type: declared.media_type, size: declared.size };
        let content = piece.chunks.map(|chunk| chunk.map(Part::Content));
        stream::iter([Ok(Part::Attachment(start))]).chain(content)
    });
    let parts = stream::iter([Ok(Part::Start(start))])
        .chain(parcel.document.chunks.map(|chunk| chunk.map(Part::Document)))
        .chain(attachments);
    let mut broken = Some(broken);
    parts.filter_map(move |part| {
        let part = match part {
            Ok(part) => Some(DeliverChunk { part: Some(part) }),
            Err(error) => {
                if let Some(broken) = broken.take() {
                    let _ = broken.send(error);
                }
                None
            }
        };
        let stuck = part.is_none();
        async move {
            if stuck {
                // The receiver of `broken` cancels the call; until then nothing more is said.
                future::pending::<()>().await;
            }
            part
        }
    })
}
