//! XTA 2 (web service 2.1.1): SOAP 1.2 with MTOM over the same rooms as the other fronts.
//!
//! `mime` takes a request apart, `soap` reads its envelope, one function per operation does the work
//! through intake and mailbox, `answer` writes what comes of it, `fault` what goes wrong. What a
//! message brings along that only XTA knows (`metadata`) is kept with it and given back. The words that
//! both ends of a connection need are in [`crate::xta`].

mod answer;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod mailbox;
mod management;
mod metadata;
mod mime;
mod pages;
mod report;
mod send;
mod settings;
mod soap;
mod wsdl;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

pub use settings::{PayloadPolicy, Settings};

use super::Core;
use super::gate::Caller;
use super::report::{parse_id, unknown};
use crate::domain::{Account, Identifier, MessageId, Record};
use crate::error::{Code, Refusal};
use crate::xta::{names, tree};
use answer::Answer;
use fault::Fault;
use names::{META, Operation, Port};
use soap::Bad;

/// What the operations work with.
pub(crate) struct State {
    core: Arc<Core>,
    settings: Arc<Settings>,
    pages: pages::Pages,
}

/// The routes of the configured paths.
pub(crate) fn routes(core: &Arc<Core>) -> Router {
    let settings = core.parts.xta.clone();
    let state =
        Arc::new(State { core: core.clone(), settings: settings.clone(), pages: pages::Pages::default() });
    let mut router = Router::new();
    for path in settings.paths() {
        router = router.route(path, post(call).get(describe));
    }
    // Envelope and parts have bounds of their own.
    router.layer(DefaultBodyLimit::disable()).with_state(state)
}

/// A refusal of the gate, in SOAP.
pub(crate) fn refuse(refusal: &Refusal, stranger: bool) -> Response {
    if !stranger {
        return answer::bad(None, None, &Fault::Refused(refusal.clone()));
    }
    let mut response = answer::bad(None, None, &Fault::Numbered(9012, refusal.to_string()));
    response.extensions_mut().insert(super::gate::Refused(refusal.code));
    response
}

/// `GET …?wsdl`
async fn describe(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let uri = request.uri();
    let wanted = uri.query().is_some_and(|query| query.eq_ignore_ascii_case("wsdl"));
    if !wanted {
        let words = "POST a SOAP 1.2 request here, or GET the description at ?wsdl";
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let named =
        |name| request.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| named(header::HOST));
    let text = wsdl::text(&state.settings, host.unwrap_or("localhost"));
    ([(header::CONTENT_TYPE, "text/xml; charset=UTF-8")], text).into_response()
}

/// `POST`: one operation.
async fn call(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (caller, port) =
        match (request.extensions().get::<Caller>(), state.settings.port(request.uri().path())) {
            (Some(caller), Some(port)) => (caller.clone(), port),
            // The gate lets nobody through without an account, and other paths don't lead here.
            _ => return answer::bad(None, None, &Fault::Refused(unknown())),
        };
    let mut asked = Asked { operation: None, message_id: None };
    match operate(&state, &caller, port, request, &mut asked).await {
        Ok((operation, answer)) => {
            answer::good(&state, &caller, operation, asked.message_id.as_deref(), answer)
        }
        Err(fault) => answer::bad(asked.operation, asked.message_id.as_deref(), &fault),
    }
}

/// What is known of a request when a fault has to be told.
struct Asked {
    operation: Option<Operation>,
    message_id: Option<String>,
}

async fn operate(
    state: &State,
    caller: &Caller,
    port: Port,
    request: Request,
    asked: &mut Asked,
) -> Result<(Operation, Answer), Fault> {
    let media = mime::Media::of(request.headers())?;
    let bound = usize::try_from(state.core.parts.limits.document_octets).unwrap_or(usize::MAX);
    let message = mime::open(&media, request.into_body(), bound, &caller.hold).await?;
    let read = soap::request(&message.envelope, bound, port, media.action.as_deref());
    let request = read.map_err(|Bad { fault, message_id }| {
        asked.message_id = message_id;
        fault
    })?;
    asked.message_id.clone_from(&request.message_id);
    asked.operation = Some(request.operation);
    let operation = request.operation;
    let body = |body| Answer::Plain { headers: String::new(), body };
    let answer = match operation {
        Operation::CheckAccountActive => body(management::check(caller, &request)?),
        Operation::LookupService => body(management::lookup(state, caller, &request)?),
        Operation::CreateMessageId => body(management::create(state, caller, &request)?),
        Operation::GetTransportReport => body(management::transport_report(state, caller, &request).await?),
        Operation::CancelMessage => body(management::cancel(state, caller, &request).await?),
        Operation::SendMessage => {
            drop(message.envelope);
            send::send(state, caller, request, message.parts).await?;
            body(String::new())
        }
        Operation::SendMessageSync => {
            caller.require(crate::domain::Role::Portal)?;
            let words = "no reader here answers at once; send the message with sendMessage";
            return Err(Fault::Numbered(9080, words.to_owned()));
        }
        Operation::GetStatusList => mailbox::list(state, caller, &request).await?,
        Operation::GetNextStatusList => mailbox::next_list(state, caller, &request).await?,
        Operation::GetMessage => mailbox::fetch(state, caller, &request).await?,
        Operation::GetNextMessage => mailbox::next(state, caller, &request).await?,
        Operation::Close => mailbox::close(state, caller, &request).await?,
    };
    Ok((operation, answer))
}

/// As whom the account asks; it must be one of its own identifiers. Without the header it asks with all
/// of them.
fn author(caller: &Caller, request: &soap::Request) -> Result<Option<Identifier>, Fault> {
    let Some(block) = request.header(META, "Author") else { return Ok(None) };
    let text = block.child(META, "Identifier").map(tree::Element::text).unwrap_or_default();
    let account = &caller.entry.account;
    match text.parse::<Identifier>() {
        Ok(identifier) if account.is(&identifier) => Ok(Some(identifier)),
        _ => {
            let words = format!(
                "the identifier in the header block Author is none of the account {}; ask with one of its own",
                account.name
            );
            Err(Refusal::new(Code::NotEntitled, words).into())
        }
    }
}

/// The id in `text`. What is no id names no message.
fn message_id(text: &str) -> Result<MessageId, Fault> {
    Ok(parse_id(text)?)
}

/// Whether the account may read a message as this identifier: the message is for it, or for another
/// identifier of the same authority that the account itself does not have.
fn visible(state: &State, account: &Account, author: Option<&Identifier>, record: &Record) -> bool {
    if !state.core.parts.mailbox.may_read(account, record) {
        return false;
    }
    let reader = &record.placement.reader;
    let Some(author) = author else { return true };
    if account.is(reader) {
        return author == reader;
    }
    let directory = state.core.parts.directory.load();
    directory.authority_of(author).is_some_and(|authority| authority.id == record.placement.authority)
}
