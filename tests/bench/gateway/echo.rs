//! The floor: the same service on the same stack (hyper, tonic, rustls, mutual TLS) that answers
//! with as many octets as the gateway does, and does nothing else.

use std::pin::Pin;
use std::sync::Arc;

use amtsweg::proto::submission_server::{Submission, SubmissionServer};
use amtsweg::proto::{
    Report, StatusRequest, SubmitChunk, SubmitRequest, SubmitResponse, ValidateRequest, ValidateResponse,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tonic::{Request, Response, Status, Streaming};

use crate::child::Setup;
use crate::taker::tls;

/// Octets of the gateway's receipt.
const RECEIPT: usize = 3_000;

struct Echo;

#[tonic::async_trait]
impl Submission for Echo {
    type WatchStream = Pin<Box<dyn futures_util::Stream<Item = Result<Report, Status>> + Send>>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let document = request.into_inner().document;
        let receipt = document.slice(..RECEIPT.min(document.len()));
        Ok(Response::new(SubmitResponse {
            message_id: "urn:de:xta:messageid:test:00000000-0000-0000-0000-000000000000".to_owned(),
            state: "Queued".to_owned(),
            receipt,
            repeated: false,
        }))
    }

    async fn submit_stream(
        &self,
        _: Request<Streaming<SubmitChunk>>,
    ) -> Result<Response<SubmitResponse>, Status> {
        Err(Status::unimplemented("the echo answers Submit alone"))
    }

    async fn validate(&self, _: Request<ValidateRequest>) -> Result<Response<ValidateResponse>, Status> {
        Err(Status::unimplemented("the echo answers Submit alone"))
    }

    async fn get_status(&self, _: Request<StatusRequest>) -> Result<Response<Report>, Status> {
        Err(Status::unimplemented("the echo answers Submit alone"))
    }

    async fn get_proof(
        &self,
        _: Request<StatusRequest>,
    ) -> Result<Response<amtsweg::proto::ProofResponse>, Status> {
        Err(Status::unimplemented("the echo answers Submit alone"))
    }

    async fn watch(&self, _: Request<StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("the echo answers Submit alone"))
    }
}

/// A running echo.
pub struct Running {
    /// Its port.
    pub port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Ends it.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Starts the echo on a free port.
pub async fn serve(setup: &Setup) -> Running {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls(&setup.pki(), "server", true)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = tonic::service::Routes::new(SubmissionServer::new(Echo)).into_axum_router();
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                let _ = tcp.set_nodelay(true);
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(tls), TowerToHyperService::new(routes)).await;
            });
        }
    });
    Running { port, task }
}
