//! For authorities that pull: list, fetch, close, reject, extend.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use bytes::Bytes;
use serde::Deserialize;

use super::messages::{MESSAGE_ID, STATE};
use super::{Arguments, Id, Problem, answer, caller, no_such_method, xml};
use crate::domain::{Account, ContentRef, MessageId, Record, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::front::feed::{Feed, Gone};
use crate::front::gate::Caller;
use crate::front::multipart::{Outline, next_data};
use crate::front::report::{entry, parse_id};
use crate::front::{Core, MAX_RECEIPT};
use crate::intake::store_refusal;
use crate::store::read_all;

/// The lease's token.
const LEASE: HeaderName = HeaderName::from_static("amtsweg-lease");
/// When it ends.
const LEASE_UNTIL: HeaderName = HeaderName::from_static("amtsweg-lease-until");
/// The gateway's signed receipt, base64.
const RECEIPT: HeaderName = HeaderName::from_static("amtsweg-receipt");
/// Octets of a reason for the author: 300 characters.
const MAX_REASON: usize = 1200;

/// A page of a mailbox.
#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

/// A wish for a lease's length.
#[derive(Deserialize)]
pub(super) struct Wish {
    /// Seconds.
    lease: Option<u32>,
}

impl Wish {
    fn span(&self) -> Option<Duration> {
        self.lease.filter(|&seconds| seconds > 0).map(|seconds| Duration::from_secs(u64::from(seconds)))
    }
}

/// `GET /v1/mailbox?after=&limit=`
pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Arguments(page): Arguments<Page>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller(&request, Some(Role::Authority))?;
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let account = &caller.entry.account;
    let mailbox = &core.parts.mailbox;
    let records = mailbox.list(account, page.after.unwrap_or(0), limit, Timestamp::now()).await?;
    let next = records.last().filter(|_| records.len() >= limit).map(|last| last.sequence);
    let entries: Vec<_> = records.iter().map(|record| entry(record)).collect();
    Ok(answer(StatusCode::OK, xml::mailbox(&entries, next)))
}

/// `GET /v1/mailbox/{id}?lease=`: takes a lease and brings document and attachments.
pub(super) async fn fetch(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Arguments(wish): Arguments<Wish>,
    request: Request,
) -> Result<Response, Problem> {
    // A lease changes something; HEAD promises to change nothing (RFC 9110, section 9.3.2).
    if request.method() == Method::HEAD {
        return Ok(no_such_method(request).await);
    }
    let caller = caller(&request, Some(Role::Authority))?;
    let (mailbox, id) = (&core.parts.mailbox, parse_id(&id)?);
    let (record, claim) = mailbox.lease(&caller.entry.account, &id, wish.span(), Timestamp::now()).await?;
    let receipt = read_all(&*core.parts.read, &record.receipt, MAX_RECEIPT).await.map_err(store_refusal)?;
    let headers = [
        (MESSAGE_ID, record.id.to_string()),
        (LEASE, claim.token.to_string()),
        (LEASE_UNTIL, claim.until.to_string()),
        (RECEIPT, base64::engine::general_purpose::STANDARD.encode(&receipt)),
    ];
    let (content_type, length, plan) = if record.attachments.is_empty() {
        (record.media_type().to_owned(), record.document.len, vec![Piece::Content(record.document.clone())])
    } else {
        let outline = Outline::new(&record);
        let contents = std::iter::once(&record.document).chain(record.attachments.iter().map(|a| &a.content));
        let mut plan: Vec<_> = outline
            .heads
            .into_iter()
            .zip(contents)
            .flat_map(|(head, content)| [Piece::Text(head.into()), Piece::Content(content.clone())])
            .collect();
        plan.push(Piece::Text(outline.end.into()));
        (outline.content_type, outline.length, plan)
    };
    let own = [(header::CONTENT_TYPE, content_type), (header::CONTENT_LENGTH, length.to_string())];
    let account = caller.entry.account.clone();
    Ok((headers, own, poured(core, plan, account, record.id.clone(), claim.token)).into_response())
}

/// What a body is made of.
pub(crate) enum Piece {
    Text(Bytes),
    Content(ContentRef),
}

/// A body that is read from the store as fast as the reader takes it. A fault breaks it off and
/// gives the lease back.
fn poured(
    core: Arc<Core>,
    plan: Vec<Piece>,
    account: Arc<Account>,
    id: MessageId,
    token: uuid::Uuid,
) -> Body {
    let (feed, answers) = Feed::new(2, core.parts.limits.stall);
    pour_out(core, plan, feed, account, id, token);
    Body::new(answers)
}

/// Fills a body of a leased message, besides everything else.
pub(crate) fn pour_out(
    core: Arc<Core>,
    plan: Vec<Piece>,
    feed: Feed<Bytes>,
    account: Arc<Account>,
    id: MessageId,
    token: uuid::Uuid,
) {
    tokio::spawn(async move {
        match pour(&core, plan, &feed).await {
            Ok(Ok(())) => return feed.complete(),
            // Dropping the feed breaks the answer off.
            Ok(Err(Gone)) => drop(feed),
            Err(refusal) => {
                core.parts.metrics.refused(refusal.code);
                feed.fail(refusal).await;
            }
        }
        core.give_back(&account, &id, token).await;
    });
}

async fn pour(core: &Core, plan: Vec<Piece>, feed: &Feed<Bytes>) -> Result<Result<(), Gone>, Refusal> {
    for piece in plan {
        match piece {
            Piece::Text(text) => {
                if let Err(gone) = feed.send(text).await {
                    return Ok(Err(gone));
                }
            }
            Piece::Content(content) => {
                let mut reader = core.parts.read.open(&content).await.map_err(store_refusal)?;
                while let Some(octets) = reader.next().await.map_err(store_refusal)? {
                    if let Err(gone) = feed.send(octets).await {
                        return Ok(Err(gone));
                    }
                }
            }
        }
    }
    Ok(Ok(()))
}

fn lease(headers: &HeaderMap) -> Result<Option<uuid::Uuid>, Refusal> {
    let Some(value) = headers.get(LEASE) else { return Ok(None) };
    value.to_str().ok().and_then(|text| text.trim().parse().ok()).map(Some).ok_or_else(|| {
        Refusal::new(
            Code::LeaseLost,
            "the header Amtsweg-Lease holds no lease; send the one that came with it",
        )
    })
}

/// What every verb on a leased message begins with.
fn begin(request: &Request, id: &str) -> Result<(Caller, MessageId, Option<uuid::Uuid>), Refusal> {
    let caller = caller(request, Some(Role::Authority))?;
    Ok((caller, parse_id(id)?, lease(request.headers())?))
}

fn done(core: &Core, record: &Record) -> Response {
    let headers = [(STATE, record.state.name())];
    (headers, answer(StatusCode::OK, xml::report(&core.report(record, false)))).into_response()
}

/// `POST /v1/mailbox/{id}/close`
pub(super) async fn close(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (caller, id, token) = begin(&request, &id)?;
    let closed = core.parts.mailbox.close(&caller.entry.account, &id, token, Timestamp::now()).await;
    Ok(done(&core, &*closed?))
}

/// `POST /v1/mailbox/{id}/release`: gives the lease back, for another try or another reader.
pub(super) async fn release(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (caller, id, token) = begin(&request, &id)?;
    let token = token.ok_or_else(missing)?;
    let released = core.parts.mailbox.release(&caller.entry.account, &id, token, Timestamp::now()).await;
    Ok(done(&core, &*released?))
}

fn missing() -> Refusal {
    Refusal::new(Code::LeaseLost, "the header Amtsweg-Lease is missing; send the lease that came with it")
}

/// `POST /v1/mailbox/{id}/reject`, the reason as text in the body.
pub(super) async fn reject(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (caller, id, token) = begin(&request, &id)?;
    let mut body = request.into_body();
    let mut reason = Vec::new();
    while let Some(chunk) = next_data(&mut body).await? {
        reason.extend_from_slice(&chunk);
        if reason.len() > MAX_REASON {
            return Err(Refusal::new(Code::OverLimit, "a reason has at most 300 characters").into());
        }
    }
    let reason = String::from_utf8(reason).map_err(|_| {
        Refusal::new(Code::NotUtf8, "the reason is not UTF-8; send it as text/plain in UTF-8")
    })?;
    let account = &caller.entry.account;
    let rejected = core.parts.mailbox.reject(account, &id, token, reason.trim(), Timestamp::now()).await;
    Ok(done(&core, &*rejected?))
}

/// `POST /v1/mailbox/{id}/extend?lease=`
pub(super) async fn extend(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Arguments(wish): Arguments<Wish>,
    request: Request,
) -> Result<Response, Problem> {
    let (caller, id, token) = begin(&request, &id)?;
    let token = token.ok_or_else(missing)?;
    let account = &caller.entry.account;
    let until = core.parts.mailbox.extend(account, &id, token, wish.span(), Timestamp::now()).await?;
    Ok((StatusCode::NO_CONTENT, [(LEASE_UNTIL, until.to_string())]).into_response())
}
