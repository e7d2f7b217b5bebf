//! For authorities that pull: list, watch, fetch, extend, close, reject.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::{Service, caller, page};
use crate::domain::{Claim, Record, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::front::feed::{Answers, Feed, Gone};
use crate::front::report::{entry, parse_id};
use crate::front::status::status;
use crate::front::watch;
use crate::front::{Core, MAX_RECEIPT};
use crate::intake::store_refusal;
use crate::proto::{self, fetch_chunk::Part};
use crate::store::read_all;

type Reply<T> = Result<Response<T>, Status>;

fn wish(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// A lease's token; `None` where none was sent.
pub(crate) fn token(text: &str) -> Result<Option<uuid::Uuid>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Refusal::new(Code::LeaseLost, "this is no lease; use the token that came with the fetched message")
    })
}

/// A token where one is needed.
pub(crate) fn needed(text: &str) -> Result<uuid::Uuid, Refusal> {
    token(text)?.ok_or_else(|| {
        Refusal::new(Code::LeaseLost, "the lease is missing; send the token that came with the message")
    })
}

#[tonic::async_trait]
impl proto::mailbox_server::Mailbox for Service {
    async fn list(&self, request: Request<proto::ListRequest>) -> Reply<proto::ListResponse> {
        let caller = caller(&request, Some(Role::Authority))?;
        let request = request.into_inner();
        let limit = page(request.limit);
        let mailbox = &self.core.parts.mailbox;
        let found = mailbox.list(&caller.entry.account, request.after, limit, Timestamp::now()).await;
        let records = found.map_err(|refusal| status(&refusal))?;
        let full = records.len() >= limit;
        let next_after = records.last().filter(|_| full).map_or(0, |last| last.sequence);
        let entries = records.iter().map(|record| entry(record)).collect();
        Ok(Response::new(proto::ListResponse { entries, next_after }))
    }

    type WatchStream = Answers<proto::MailboxEntry>;

    async fn watch(&self, request: Request<proto::ListRequest>) -> Reply<Self::WatchStream> {
        let caller = caller(&request, Some(Role::Authority))?;
        let account = caller.entry.account.clone();
        let after = request.into_inner().after;
        Ok(Response::new(watch::mailbox(self.core.clone(), account, after, self.stop.clone())))
    }

    type FetchStream = Answers<proto::FetchChunk>;

    async fn fetch(&self, request: Request<proto::FetchRequest>) -> Reply<Self::FetchStream> {
        let caller = caller(&request, Some(Role::Authority))?;
        let request = request.into_inner();
        let work = async {
            let id = parse_id(&request.message_id)?;
            let account = &caller.entry.account;
            let mailbox = &self.core.parts.mailbox;
            let (record, claim) =
                mailbox.lease(account, &id, wish(request.lease_seconds), Timestamp::now()).await?;
            let receipt = read_all(&*self.core.parts.read, &record.receipt, MAX_RECEIPT).await;
            let lease = lease(&record, &claim, receipt.map_err(store_refusal)?);
            Ok::<_, Refusal>((record, claim.token, lease))
        };
        let (record, token, lease) = work.await.map_err(|refusal| status(&refusal))?;
        let (feed, answers) = Feed::new(2, self.core.parts.limits.stall);
        let (core, account) = (self.core.clone(), caller.entry.account.clone());
        tokio::spawn(async move {
            match pour(&core, &record, lease, &feed).await {
                Ok(Ok(())) => return feed.complete(),
                // Dropping the feed tells a reader that is still there.
                Ok(Err(Gone)) => drop(feed),
                Err(refusal) => {
                    core.parts.metrics.refused(refusal.code);
                    feed.fail(refusal).await;
                }
            }
            core.give_back(&account, &record.id, token).await;
        });
        Ok(Response::new(answers))
    }

    async fn extend(&self, request: Request<proto::ExtendRequest>) -> Reply<proto::ExtendResponse> {
        let caller = caller(&request, Some(Role::Authority))?;
        let request = request.into_inner();
        let work = async {
            let (id, token) = (parse_id(&request.message_id)?, needed(&request.token)?);
            let wish = wish(request.lease_seconds);
            self.core.parts.mailbox.extend(&caller.entry.account, &id, token, wish, Timestamp::now()).await
        };
        let until = work.await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(proto::ExtendResponse { until: until.to_string() }))
    }

    async fn close(&self, request: Request<proto::CloseRequest>) -> Reply<proto::Report> {
        let caller = caller(&request, Some(Role::Authority))?;
        let request = request.into_inner();
        let work = async {
            let (id, token) = (parse_id(&request.message_id)?, token(&request.token)?);
            self.core.parts.mailbox.close(&caller.entry.account, &id, token, Timestamp::now()).await
        };
        let record = work.await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.core.report(&record, false)))
    }

    async fn reject(&self, request: Request<proto::RejectRequest>) -> Reply<proto::Report> {
        let caller = caller(&request, Some(Role::Authority))?;
        let request = request.into_inner();
        let work = async {
            let (id, token) = (parse_id(&request.message_id)?, token(&request.token)?);
            let (account, reason) = (&caller.entry.account, &request.reason);
            self.core.parts.mailbox.reject(account, &id, token, reason, Timestamp::now()).await
        };
        let record = work.await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.core.report(&record, false)))
    }
}

fn lease(record: &Record, claim: &Claim, receipt: bytes::Bytes) -> proto::Lease {
    proto::Lease {
        message_id: record.id.to_string(),
        token: claim.token.to_string(),
        until: claim.until.to_string(),
        entry: Some(entry(record)),
        receipt,
    }
}

/// Lease, document and attachments, a chunk at a time, as fast as the reader takes them.
async fn pour(
    core: &Arc<Core>,
    record: &Record,
    lease: proto::Lease,
    feed: &Feed<proto::FetchChunk>,
) -> Result<Result<(), Gone>, Refusal> {
    let chunk = |part| proto::FetchChunk { part: Some(part) };
    if let Err(gone) = feed.send(chunk(Part::Lease(lease))).await {
        return Ok(Err(gone));
    }
    let mut reader = core.parts.read.open(&record.document).await.map_err(store_refusal)?;
    while let Some(octets) = reader.next().await.map_err(store_refusal)? {
        if let Err(gone) = feed.send(chunk(Part::Document(octets))).await {
            return Ok(Err(gone));
        }
    }
    for attachment in &record.attachments {
        let start = proto::AttachmentStart {
            name: attachment.declared.name.clone(),
            media_type: attachment.declared.media_type.clone(),
            size: attachment.declared.size,
        };
        if let Err(gone) = feed.send(chunk(Part::Attachment(start))).await {
            return Ok(Err(gone));
        }
        let mut reader = core.parts.read.open(&attachment.content).await.map_err(store_refusal)?;
        while let Some(octets) = reader.next().await.map_err(store_refusal)? {
            if let Err(gone) = feed.send(chunk(Part::Content(octets))).await {
                return Ok(Err(gone));
            }
        }
    }
    Ok(Ok(()))
}
