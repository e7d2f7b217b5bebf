//! Answers: an envelope alone, or with a message's contents as MTOM parts that are read from the store
//! as fast as the client takes them.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::State;
use super::fault::Fault;
use super::metadata::Kept;
use super::names::{Exception, Operation};
use super::soap::envelope;
use crate::domain::{Account, Record};
use crate::front::feed::Feed;
use crate::front::gate::{Caller, Refused};
use crate::front::https::mailbox::{Piece, pour_out};
use crate::xta::mtom::{self, Container, SOAP_XML};

/// What an operation answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An envelope.
    Plain {
        /// Header blocks.
        headers: String,
        /// The body's content.
        body: String,
    },
    /// An envelope with a leased message.
    Message {
        /// Header blocks.
        headers: String,
        /// The message.
        record: Arc<Record>,
        /// What its order said of the parts.
        kept: Option<Kept>,
        /// The lease's secret: it is given back when the answer does not get through.
        token: uuid::Uuid,
    },
}

/// The answer of an operation.
pub(crate) fn good(
    state: &Arc<State>,
    caller: &Caller,
    operation: Operation,
    relates_to: Option<&str>,
    answer: Answer,
) -> Response {
    let action = operation.action();
    match answer {
        Answer::Plain { headers, body } => {
            plain(StatusCode::OK, action, envelope(action, relates_to, &headers, &body))
        }
        Answer::Message { headers, record, kept, token } => {
            let account = caller.entry.account.clone();
            let parts = Container::of(&record, kept.as_ref());
            let root = envelope(action, relates_to, &headers, &parts.xml);
            message(state, account, action, root, &record, &parts, token)
        }
    }
}

/// A fault. Its status is 500 whoever is at fault: clients made with Apache CXF read a fault with no
/// other (SOAP 1.2, part 2, section 7.5.2.2, would have 400 for the sender's).
pub(crate) fn bad(operation: Option<Operation>, relates_to: Option<&str>, fault: &Fault) -> Response {
    // What comes before an operation is known: every operation has these two.
    let common = &[Exception::PermissionDenied, Exception::TechnicalProblem][..];
    let declared = operation.map_or(common, Operation::exceptions);
    let action = match operation.filter(|_| fault.is_declared(declared)) {
        Some(operation) => operation.action(),
        None => fault.action(),
    };
    let text = envelope(action, relates_to, &fault.headers(), &fault.to_xml(declared));
    let mut response = plain(StatusCode::INTERNAL_SERVER_ERROR, action, text);
    match fault.code() {
        // Counted and logged by the gate, as all refusals are.
        Some(code) => drop(response.extensions_mut().insert(Refused(code))),
        None => tracing::info!(number = fault.number(), front = "xta", "refused"),
    }
    response
}

fn plain(status: StatusCode, action: &str, text: String) -> Response {
    let media = format!("{SOAP_XML}; charset=UTF-8; action=\"{action}\"");
    (status, [(header::CONTENT_TYPE, media)], text).into_response()
}

fn message(
    state: &Arc<State>,
    account: Arc<Account>,
    action: &str,
    root: String,
    record: &Arc<Record>,
    parts: &Container,
    token: uuid::Uuid,
) -> Response {
    let boundary = mtom::boundary();
    let first = mtom::first(&boundary, action);
    let mut length = (first.len() + root.len()) as u64;
    let mut plan = vec![Piece::Text(first.into()), Piece::Text(root.into())];
    let contents = std::iter::once(&record.document).chain(record.attachments.iter().map(|a| &a.content));
    for (content, id) in contents.zip(&parts.ids) {
        let head = mtom::head(&boundary, id);
        length += head.len() as u64 + content.len;
        plan.push(Piece::Text(head.into()));
        plan.push(Piece::Content(content.clone()));
    }
    let end = mtom::end(&boundary);
    length += end.len() as u64;
    plan.push(Piece::Text(Bytes::from(end)));
    let media = mtom::media(&boundary, action);
    let (feed, answers) = Feed::new(2, state.core.parts.limits.stall);
    pour_out(state.core.clone(), plan, feed, account, record.id.clone(), token);
    let mut response = Response::new(Body::new(answers));
    let headers = response.headers_mut();
    if let Ok(media) = HeaderValue::from_str(&media) {
        headers.insert(header::CONTENT_TYPE, media);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
