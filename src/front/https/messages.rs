//! For portals: hand in, check, ask.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Id, Problem, answer, caller, xml};
use crate::domain::{Role, State as MessageState};
use crate::error::{Code, Refusal};
use crate::front::Core;
use crate::front::body::append;
use crate::front::multipart::{Media, Multipart, media, next_data};
use crate::front::report::route;
use crate::front::upload::{Upload, malformed};

/// The message's id.
pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static("amtsweg-message-id");
/// State at the time of the answer.
pub(super) const STATE: HeaderName = HeaderName::from_static("amtsweg-state");
/// `true` when the same message had been accepted before.
const REPEATED: HeaderName = HeaderName::from_static("amtsweg-repeated");

fn content_type(request: &Request) -> Result<Media, Refusal> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media(value.unwrap_or_default())
}

/// What a sender declares is refused before anything is read.
fn declared_within(request: &Request, bound: u64, what: &str) -> Result<(), Refusal> {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match declared.and_then(|value| value.parse::<u64>().ok()) {
        Some(octets) if octets > bound => Err(Refusal::new(
            Code::OverLimit,
            format!("{what} has {octets} octets, {bound} are allowed; send large contents as attachments"),
        )),
        _ => Ok(()),
    }
}

/// `POST /v1/messages`
pub(super) async fn submit(State(core): State<Arc<Core>>, request: Request) -> Result<Response, Problem> {
    let caller = caller(&request, Some(Role::Portal))?;
    let media = content_type(&request)?;
    let limits = &core.parts.limits;
    declared_within(
        &request,
        caller.entry.account.quota.message_octets.saturating_add(1 << 20),
        "the message",
    )?;
    let mut upload = Upload::begin(&core, &caller, false)?;
    match media {
        Media::Xml => {
            declared_within(&request, limits.document_octets, "the document")?;
            let mut body = request.into_body();
            while let Some(chunk) = next_data(&mut body).await? {
                upload.document(chunk)?;
            }
        }
        Media::Related(boundary) => {
            let mut parts = Multipart::new(request.into_body(), &boundary);
            if parts.next_part().await?.is_none() {
                return Err(malformed("the request carries no document; send the signed XML document").into());
            }
            while let Some(chunk) = parts.chunk().await? {
                upload.document(chunk)?;
            }
            while let Some(head) = parts.next_part().await? {
                upload.attachment(head.length).await?;
                while let Some(chunk) = parts.chunk().await? {
                    upload.content(chunk).await?;
                }
            }
        }
    }
    let receipt = upload.accept().await?;
    let status = if receipt.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let headers = [
        (MESSAGE_ID, receipt.id.to_string()),
        (STATE, receipt.state.to_owned()),
        (REPEATED, receipt.repeated.to_string()),
        (header::LOCATION, format!("/v1/messages/{}", receipt.id)),
    ];
    Ok((headers, answer(status, receipt.document)).into_response())
}

/// `POST /v1/validate`
pub(super) async fn validate(State(core): State<Arc<Core>>, request: Request) -> Result<Response, Problem> {
    let caller = caller(&request, Some(Role::Portal))?;
    if content_type(&request)? != Media::Xml {
        return Err(malformed("a check takes the document alone, as application/xml").into());
    }
    let bound = core.parts.limits.document_octets;
    declared_within(&request, bound, "the document")?;
    caller.entry.submit(Instant::now())?;
    let mut body = request.into_body();
    let mut document = bytes::BytesMut::new();
    while let Some(chunk) = next_data(&mut body).await? {
        caller.hold.take(chunk.len())?;
        if document.len() as u64 + chunk.len() as u64 > bound {
            return Err(Refusal::new(
                Code::OverLimit,
                format!("the document has more than {bound} octets; send large contents as attachments"),
            )
            .into());
        }
        append(&mut document, &chunk, bound);
    }
    let checked = core.parts.intake.validate(&caller.entry.account, document.freeze()).await;
    let (placement, explanation) = checked?;
    let route = route(&placement, &core.parts.directory.load(), explanation);
    Ok(answer(StatusCode::OK, xml::validation(&route)))
}

/// `GET /v1/messages/{id}`
pub(super) async fn report(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller(&request, None)?;
    let record = core.look(&caller.entry.account, &id).await?;
    let headers = [(STATE, record.state.name())];
    Ok((headers, answer(StatusCode::OK, xml::report(&core.report(&record, false)))).into_response())
}

/// `GET /v1/messages/{id}/refusal`: the signed refusal of a returned message.
pub(super) async fn refusal(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller(&request, None)?;
    let record = core.look(&caller.entry.account, &id).await?;
    if record.state != MessageState::Returned {
        return Err(Refusal::new(
            Code::LeaseLost,
            format!("the message is {}; there is a refusal only for a returned one", record.state.name()),
        )
        .into());
    }
    Ok(answer(StatusCode::OK, core.parts.intake.refusal(&record)?))
}

/// `GET /v1/messages/{id}/proof`: how far the message has come, provably; JSON.
pub(super) async fn proof(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller(&request, None)?;
    let proof = core.proof(&caller.entry.account, &id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], proof).into_response())
}
