//! gRPC: the services of `proto/amtsweg/v1`, health and reflection. Thin: each method translates.

mod backup;
mod mailbox;
mod operator;
mod routing;
mod submission;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::ServiceExt as _;

use super::Core;
use super::gate::Caller;
use super::status::status;
use crate::domain::Role;
use crate::error::{Code, Refusal};
use crate::proto;

/// Octets of one gRPC message where contents come in chunks.
const CHUNK: usize = 1024 * 1024;
/// Octets of a gRPC message beside its contents.
const FRAME: usize = 64 * 1024;

/// What the services share.
#[derive(Clone)]
pub(crate) struct Service {
    core: Arc<Core>,
    stop: CancellationToken,
}

/// The routes of the main port.
pub(crate) fn main_routes(core: &Arc<Core>, stop: &CancellationToken) -> Router {
    let service = Service { core: core.clone(), stop: stop.clone() };
    let submission = proto::submission_server::SubmissionServer::new(service.clone());
    let unary = submission_octets(core);
    let router = mount(Router::new(), submission.clone().max_decoding_message_size(unary));
    // The same service, but here nothing large comes in one piece.
    let streamed = adapt(submission.max_decoding_message_size(CHUNK + FRAME));
    let router = router.route_service("/amtsweg.v1.Submission/SubmitStream", streamed);
    let routing = proto::routing_server::RoutingServer::new(service.clone()).max_decoding_message_size(FRAME);
    let mailbox = proto::mailbox_server::MailboxServer::new(service).max_decoding_message_size(FRAME);
    common(mount(mount(router, routing), mailbox), stop)
}

/// The routes of the operators' port.
pub(crate) fn operator_routes(core: &Arc<Core>, stop: &CancellationToken) -> Router {
    let service = Service { core: core.clone(), stop: stop.clone() };
    let operator = proto::operator_server::OperatorServer::new(service).max_decoding_message_size(FRAME);
    common(mount(Router::new(), operator), stop)
}

/// A message in one piece may be as large as a document and some small attachments.
fn submission_octets(core: &Core) -> usize {
    usize::try_from(core.parts.limits.document_octets).unwrap_or(usize::MAX).saturating_add(CHUNK)
}

/// Health and reflection.
fn common(router: Router, stop: &CancellationToken) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    });
    let router = mount(router, health);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match reflection {
        Ok(reflection) => mount(router, reflection),
        Err(error) => {
            tracing::error!(%error, "gRPC reflection is off: the descriptor set can't be read");
            router
        }
    }
}

fn adapt<S>(
    service: S,
) -> impl tower::Service<
    Request,
    Response = S::Response,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<S::Response, std::convert::Infallible>> + Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static
where
    S: tower::Service<http::Request<Body>, Error = std::convert::Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    service.map_request(|request: Request| request.map(Body::new))
}

fn mount<S>(router: Router, service: S) -> Router
where
    S: tower::Service<http::Request<Body>, Error = std::convert::Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    router.route_service(&format!("/{}/{{*rest}}", S::NAME), adapt(service))
}

/// The caller of a request, with the role that the method needs.
fn caller<T>(request: &tonic::Request<T>, role: Option<Role>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned().ok_or_else(|| {
        status(&Refusal::new(Code::NotEntitled, "this needs a client certificate that belongs to an account"))
    })?;
    if let Some(role) = role {
        caller.require(role).map_err(|refusal| status(&refusal))?;
    }
    Ok(caller)
}

/// A page size as asked for, within bounds.
fn page(limit: u32) -> usize {
    match limit {
        0 => 100,
        n => usize::try_from(n).unwrap_or(usize::MAX).min(1000),
    }
}
