//! Push by gRPC, against a server of the generated service.

use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, Streaming};

use super::authority::acceptor;
use super::world::{World, details, placement, push};
use crate::domain::{Timestamp, Way};
use crate::proto::deliver_chunk::Part;
use crate::proto::delivery_server::{Delivery, DeliveryServer};
use crate::proto::{DeliverChunk, DeliverResponse, DeliverStart};

/// What came with one call.
#[derive(Clone, Debug, Default, PartialEq)]
struct Came {
    start: DeliverStart,
    document: Vec<u8>,
    attachments: Vec<(String, u64, Vec<u8>)>,
}

#[derive(Clone, Default)]
struct Office {
    came: Arc<Mutex<Vec<Came>>>,
}

#[tonic::async_trait]
impl Delivery for Office {
    async fn deliver(
        &self,
        request: Request<Streaming<DeliverChunk>>,
    ) -> Result<Response<DeliverResponse>, Status> {
        let mut stream = request.into_inner();
        let mut came = Came::default();
        while let Some(chunk) = stream.message().await? {
            match chunk.part.unwrap() {
                Part::Start(start) => came.start = start,
                Part::Document(octets) => came.document.extend(octets),
                Part::Attachment(start) => came.attachments.push((start.name, start.size, Vec::new())),
                Part::Content(octets) => came.attachments.last_mut().unwrap().2.extend(octets),
            }
        }
        let start = came.start.clone();
        self.came.lock().unwrap().push(came);
        let number: u32 = start.message_id.chars().last().and_then(|c| c.to_digit(16)).unwrap();
        match (number, start.attempt) {
            (2, 1) => Err(Status::unavailable("later")),
            (2, _) => Ok(Response::new(DeliverResponse { taken_over: true })),
            (3, _) => Ok(Response::new(DeliverResponse { taken_over: false })),
            (4, _) => Err(Status::already_exists(format!("had {}", start.message_id))),
            _ => Err(Status::invalid_argument("no <geheim> please")),
        }
    }
}

async fn serve(world: &World) -> (Office, String) {
    let office = Office::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = acceptor(world);
    let router = tonic::service::Routes::new(DeliveryServer::new(office.clone())).into_axum_router();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let io = TokioIo::new(stream);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
            });
        }
    });
    (office, url)
}

#[tokio::test]
async fn messages_are_streamed_to_the_authority_and_its_status_is_understood() {
    let world = World::new("");
    let (office, url) = serve(&world).await;
    world.set(&push("push", &url, "protocol = \"grpc\"").replace("\"1s\"", "\"20s\""));
    let to = || placement("stadt", "push", "kop:1", Way::Push);
    let document = "<antrag>geheim</antrag>".as_bytes();
    let large = vec![3_u8; 300_000];
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(world.accept(n, to(), document, &[b"x", &large], Timestamp::now()).await);
    }
    let _running = world.start();
    let record = world.until(&ids[0], "Closed").await;
    assert_eq!(record.attempts, 2);
    assert!(details(&record).contains("failed gRPC Unavailable"), "{}", details(&record));
    world.until(&ids[1], "Delivered").await;
    world.until(&ids[2], "Closed").await;
    let record = world.until(&ids[3], "Parked").await;
    assert!(details(&record).contains("parked gRPC InvalidArgument: no <…> please"), "{}", details(&record));
    let came = office.came.lock().unwrap().clone();
    assert_eq!(came.len(), 5);
    for one in came {
        assert_eq!(one.document, document);
        assert_eq!(&one.start.receipt[..], b"<quittung/>");
        assert_eq!(one.start.reader, "kop:1");
        let sizes: Vec<_> = one.attachments.iter().map(|(_, size, octets)| (*size, octets.len())).collect();
        assert_eq!(sizes, [(1, 1), (300_000, 300_000)]);
        assert_eq!(one.attachments[1].2, large);
    }
}

#[tokio::test]
async fn corrupt_content_cancels_the_call() {
    let world = World::new("");
    let (office, url) = serve(&world).await;
    world.set(&push("push", &url, "protocol = \"grpc\""));
    let large = vec![9_u8; 500_000];
    let to = placement("stadt", "push", "kop:1", Way::Push);
    let id = world.accept(1, to, b"<antrag/>", &[&large], Timestamp::now()).await;
    super::outcomes::spoil(&world, &large);
    let _running = world.start();
    world.until(&id, "Parked").await;
    assert_eq!(office.came.lock().unwrap().len(), 0, "it never saw the end of the stream");
}
