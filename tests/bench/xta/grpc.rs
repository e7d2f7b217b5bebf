//! The gRPC side.

use std::future::Future;

use amtsweg::proto::mailbox_client::MailboxClient;
use amtsweg::proto::submission_client::SubmissionClient;
use amtsweg::proto::{
    AttachmentStart, CloseRequest, FetchRequest, ListRequest, SubmitChunk, SubmitRequest, fetch_chunk,
    submit_chunk::Part,
};

use crate::Message;
use crate::child::Setup;
use crate::wire;

/// Octets of a chunk.
const CHUNK: usize = 64 * 1024;

pub struct Side {
    submission: SubmissionClient<wire::Grpc>,
    mailbox: MailboxClient<wire::Grpc>,
}

impl Side {
    pub fn new(setup: &Setup) -> Self {
        let origin: http::Uri = format!("https://localhost:{}", setup.port).parse().unwrap();
        let transport = |name| wire::grpc(&setup.pki(), name);
        Self {
            submission: SubmissionClient::with_origin(transport("portal"), origin.clone()),
            mailbox: MailboxClient::with_origin(transport("authority"), origin),
        }
    }

    pub fn send(&self, message: Message) -> impl Future<Output = ()> + Send + 'static {
        let mut client = self.submission.clone();
        async move {
            let Some(attachment) = message.attachment else {
                let request = SubmitRequest { document: message.document, attachments: Vec::new() };
                client.submit(request).await.expect("accepted");
                return;
            };
            let start = AttachmentStart {
                name: "a.bin".to_owned(),
                media_type: "application/octet-stream".to_owned(),
                size: attachment.len() as u64,
            };
            let pieces = (0..attachment.len().div_ceil(CHUNK)).map(move |n| {
                Part::Content(attachment.slice(n * CHUNK..attachment.len().min((n + 1) * CHUNK)))
            });
            let parts = [Part::Document(message.document), Part::Attachment(start)].into_iter().chain(pieces);
            let chunks = futures_util::stream::iter(parts.map(|part| SubmitChunk { part: Some(part) }));
            client.submit_stream(chunks).await.expect("accepted");
        }
    }

    /// The ids of so many messages.
    pub async fn list(&self, count: usize) -> Vec<String> {
        let (mut client, mut ids, mut after) = (self.mailbox.clone(), Vec::new(), 0);
        while ids.len() < count {
            let page = client.list(ListRequest { after, limit: 1_000 }).await.unwrap().into_inner();
            after = page.next_after;
            ids.extend(page.entries.into_iter().map(|entry| entry.message_id));
            assert!(ids.len() >= count || after > 0, "{} of {count} messages are there", ids.len());
        }
        ids.truncate(count);
        ids
    }

    pub fn pull(&self, id: String) -> impl Future<Output = ()> + Send + 'static {
        let mut client = self.mailbox.clone();
        async move {
            let request = FetchRequest { message_id: id.clone(), lease_seconds: 60 };
            let mut chunks = client.fetch(request).await.unwrap().into_inner();
            let (mut token, mut octets) = (String::new(), 0);
            while let Some(chunk) = chunks.message().await.unwrap() {
                match chunk.part {
                    Some(fetch_chunk::Part::Lease(lease)) => token = lease.token,
                    Some(fetch_chunk::Part::Document(piece) | fetch_chunk::Part::Content(piece)) => {
                        octets += piece.len();
                    }
                    _ => {}
                }
            }
            assert!(octets > 0);
            client.close(CloseRequest { message_id: id, token }).await.unwrap();
        }
    }
}
