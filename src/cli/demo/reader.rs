//! A sample authority that pulls: lists its mailbox, fetches each message under a lease, checks
//! the digests, keeps it, and closes it.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::inbox::Inbox;
use crate::domain::{MessageId, Timestamp};
use crate::proto::fetch_chunk::Part;
use crate::proto::mailbox_client::MailboxClient;
use crate::proto::{AttachmentInfo, CloseRequest, FetchRequest, ListRequest, MailboxEntry};

/// Seconds of a lease: short, so that a demo that was killed can go on soon.
const LEASE_SECONDS: u32 = 10;
/// Octets of one document at most.
const MAX_DOCUMENT: usize = 16 << 20;

/// Messages taken at once.
const AT_ONCE: usize = 4;

/// The pulling authority.
pub struct Reader {
    client: MailboxClient<Channel>,
    inbox: Inbox,
    /// How long it leaves messages in the mailbox.
    patience: tokio::sync::watch::Receiver<Duration>,
}

impl Reader {
    /// A reader over the authority's connection; it leaves messages alone until they are as old
    /// as `patience` says.
    #[must_use]
    pub fn new(channel: Channel, inbox: Inbox, patience: tokio::sync::watch::Receiver<Duration>) -> Self {
        Self { client: MailboxClient::new(channel), inbox, patience }
    }

    /// Reads until `stop`. A fault is told once and tried again: the messages wait.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut told = false;
        loop {
            match self.round().await {
                Ok(()) => told = false,
                Err(why) if !told => {
                    crate::cli::output::note(format!("the pulling authority will try again: {why}"));
                    told = true;
                }
                Err(_) => {}
            }
            let pause = if self.patience.borrow().is_zero() { 100 } else { 1_000 };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
    }

    /// Takes everything that lies there now and is old enough.
    async fn round(&mut self) -> Result<(), String> {
        let mut after = 0;
        loop {
            let page = self.client.list(ListRequest { after, limit: 100 }).await.map_err(said)?.into_inner();
            let mut taking = FuturesUnordered::new();
            for entry in page.entries {
                if !self.old_enough(&entry) {
                    continue;
                }
                if taking.len() >= AT_ONCE
                    && let Some(taken) = taking.next().await
                {
                    taken?;
                }
                taking.push(take(self.client.clone(), self.inbox.clone(), entry));
            }
            while let Some(taken) = taking.next().await {
                taken?;
            }
            if page.next_after <= after {
                return Ok(());
            }
            after = page.next_after;
        }
    }

    fn old_enough(&self, entry: &MailboxEntry) -> bool {
        let patience = *self.patience.borrow();
        let Ok(at) = entry.accepted_at.parse::<jiff::Timestamp>() else { return true };
        let at = Timestamp(u64::try_from(at.as_millisecond()).unwrap_or(0));
        Timestamp::now().since(at) >= patience
    }
}

/// Fetches, checks, keeps and closes one message.
async fn take(mut client: MailboxClient<Channel>, inbox: Inbox, entry: MailboxEntry) -> Result<(), String> {
    let request = FetchRequest { message_id: entry.message_id.clone(), lease_seconds: LEASE_SECONDS };
    let mut stream = match client.fetch(request).await {
        Ok(answer) => answer.into_inner(),
        // Somebody else took it meanwhile (a person trying the commands): fine.
        Err(status) if status.code() == tonic::Code::Aborted || status.code() == tonic::Code::NotFound => {
            return Ok(());
        }
        Err(status) => return Err(said(status)),
    };
    let mut coming = Coming::new(&entry.attachments);
    while let Some(chunk) = stream.message().await.map_err(said)? {
        if let Some(part) = chunk.part {
            coming.part(part)?;
        }
    }
    let (token, document) = coming.whole()?;
    let id: MessageId = entry.message_id.parse().map_err(|e| format!("{e}"))?;
    inbox.take(&id, document).await?;
    let close = CloseRequest { message_id: entry.message_id.clone(), token };
    client.close(close).await.map_err(said)?;
    Ok(())
}

/// A message as it comes; attachments are checked against their declarations and let go.
struct Coming<'e> {
    declared: &'e [AttachmentInfo],
    begun: usize,
    attachment: Option<(Context, u64)>,
    document: BytesMut,
    token: Option<String>,
}

impl<'e> Coming<'e> {
    fn new(declared: &'e [AttachmentInfo]) -> Self {
        Self { declared, begun: 0, attachment: None, document: BytesMut::new(), token: None }
    }

    fn part(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::Lease(lease) => self.token = Some(lease.token),
            Part::Document(octets) => {
                if self.document.len() + octets.len() > MAX_DOCUMENT {
                    return Err("the document is larger than expected".to_owned());
                }
                self.document.extend_from_slice(&octets);
            }
            Part::Attachment(_) => {
                self.end_attachment()?;
                self.begun += 1;
                self.attachment = Some((Context::new(&SHA256), 0));
            }
            Part::Content(octets) => {
                let (digest, size) = self.attachment.as_mut().ok_or("content without an attachment")?;
                digest.update(&octets);
                *size += octets.len() as u64;
            }
        }
        Ok(())
    }

    fn end_attachment(&mut self) -> Result<(), String> {
        let Some((digest, size)) = self.attachment.take() else { return Ok(()) };
        let declared = self.declared.get(self.begun - 1).ok_or("more attachments than declared")?;
        let mut came = crate::domain::Digest::default();
        came.0.copy_from_slice(digest.finish().as_ref());
        if size != declared.size || !declared.sha256.eq_ignore_ascii_case(&came.to_string()) {
            return Err("an attachment came changed".to_owned());
        }
        Ok(())
    }

    /// The lease's token and the document.
    fn whole(mut self) -> Result<(String, Bytes), String> {
        self.end_attachment()?;
        if self.begun != self.declared.len() {
            return Err("attachments are missing".to_owned());
        }
        Ok((self.token.ok_or("no lease came")?, self.document.freeze()))
    }
}

fn said(status: tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
