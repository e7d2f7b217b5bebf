//! XML over HTTPS: the same verbs for those who would rather not speak gRPC.

pub(crate) mod mailbox;
mod messages;
mod problem;
mod xml;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts as Head;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tonic::Status;

pub(crate) use problem::Problem;

use super::Core;
use super::gate::{Caller, is_grpc};
use super::report::unknown;
use super::upload::malformed;
use crate::domain::Role;
use crate::error::Refusal;

/// The routes of the main port.
pub(crate) fn routes(core: &Arc<Core>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages::submit))
        .route("/v1/messages/{id}", get(messages::report))
        .route("/v1/messages/{id}/refusal", get(messages::refusal))
        .route("/v1/messages/{id}/proof", get(messages::proof))
        .route("/v1/validate", post(messages::validate))
        .route("/v1/mailbox", get(mailbox::list))
        .route("/v1/mailbox/{id}", get(mailbox::fetch))
        .route("/v1/mailbox/{id}/close", post(mailbox::close))
        .route("/v1/mailbox/{id}/reject", post(mailbox::reject))
        .route("/v1/mailbox/{id}/release", post(mailbox::release))
        .route("/v1/mailbox/{id}/extend", post(mailbox::extend))
        // The handlers have bounds of their own, finer than axum's.
        .layer(DefaultBodyLimit::disable())
        .with_state(core.clone())
}

/// The message id of a path, percent-encoded or not.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Head, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(head, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Problem(unknown()))
    }
}

/// The arguments behind the question mark.
struct Arguments<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Arguments<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&head.uri) {
            Ok(Query(arguments)) => Ok(Self(arguments)),
            Err(_) => Err(Problem(malformed("after, limit and lease are whole numbers"))),
        }
    }
}

/// The caller, with the role the path needs.
fn caller(request: &Request, role: Option<Role>) -> Result<Caller, Refusal> {
    // The gate lets nobody through to these routes without one.
    let caller = request.extensions().get::<Caller>().cloned().ok_or_else(unknown)?;
    if let Some(role) = role {
        caller.require(role)?;
    }
    Ok(caller)
}

/// An answer in XML.
fn answer(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/xml")], body.into()).into_response()
}

/// There is nothing here.
pub(crate) async fn no_such_path(request: Request) -> Response {
    if is_grpc(request.headers()) {
        return Status::unimplemented("there is no such service or method on this port").into_http();
    }
    problem::plain(
        StatusCode::NOT_FOUND,
        "there is nothing at this path; messages go to /v1/messages, checks to /v1/validate, \
         and what is to be fetched lies at /v1/mailbox",
    )
}

/// There is something here, but not for this method.
pub(crate) async fn no_such_method(request: Request) -> Response {
    let detail = format!(
        "this path does not take {}; POST hands in and acts, GET reads",
        request.method().as_str().chars().take(20).collect::<String>()
    );
    problem::plain(StatusCode::METHOD_NOT_ALLOWED, &detail)
}
