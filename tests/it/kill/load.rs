//! The load: submitting clients and a pulling authority that don't mind a dying gateway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amtsweg::domain::Digest;
use amtsweg::proto::fetch_chunk::Part;
use amtsweg::proto::mailbox_client::MailboxClient;
use amtsweg::proto::submission_client::SubmissionClient;
use amtsweg::proto::{CloseRequest, FetchRequest, ListRequest, StatusRequest, SubmitRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::authority::Seen;
use crate::child::Setup;
use crate::wire;

/// How long the reader waits for an answer, as any client does.
const PATIENCE: Duration = Duration::from_secs(10);

/// An acknowledged message.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The gateway's id.
    pub id: String,
    /// The author's UUID.
    pub uuid: uuid::Uuid,
    /// Digest of the document.
    pub digest: Digest,
}

/// All acknowledged messages.
#[derive(Default)]
pub struct Acknowledged(Mutex<Vec<Ack>>);

impl Acknowledged {
    /// Takes them.
    pub fn take(&self) -> Vec<Ack> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn origin(setup: &Setup) -> http::Uri {
    format!("https://localhost:{}", setup.port).parse().unwrap()
}

/// Submits until told to stop. A message without an answer is submitted again, unchanged.
pub async fn submit(
    setup: Arc<Setup>,
    acknowledged: Arc<Acknowledged>,
    stop: Arc<AtomicBool>,
    client: usize,
) {
    let mut submission = SubmissionClient::with_origin(wire::grpc(&setup.pki(), "portal"), origin(&setup));
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let uuid = uuid::Uuid::new_v4();
        let document: bytes::Bytes = setup.application(uuid, client + n).into();
        let digest = Digest::of(&document);
        loop {
            let request = SubmitRequest { document: document.clone(), attachments: Vec::new() };
            match tokio::time::timeout(Duration::from_secs(10), submission.submit(request)).await {
                Ok(Ok(answer)) => {
                    let id = answer.into_inner().message_id;
                    acknowledged.0.lock().unwrap().push(Ack { id, uuid, digest });
                    break;
                }
                Ok(Err(status)) if status.code() == tonic::Code::InvalidArgument => panic!("{status:?}"),
                Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Pulls until aborted; one time in ten it forgets to close what it fetched.
pub async fn pull(setup: Arc<Setup>, seen: Arc<Seen>, seed: u64) {
    let mut mailbox = MailboxClient::with_origin(wire::grpc(&setup.pki(), "authority"), origin(&setup));
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let listed = tokio::time::timeout(PATIENCE, mailbox.list(ListRequest { after: 0, limit: 100 })).await;
        let Ok(Ok(list)) = listed else {
            match listed {
                Ok(Err(status)) => tell("a list", &status),
                _ => println!("a list had no answer after {PATIENCE:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let entries = list.into_inner().entries;
        if entries.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for entry in entries {
            let forget = rng.random_ratio(1, 10);
            let id = entry.message_id.clone();
            match tokio::time::timeout(PATIENCE, one(&mut mailbox, &seen, id, forget)).await {
                Ok(Ok(())) => {}
                Ok(Err(status)) => tell(&entry.message_id, &status),
                Err(_) => println!("{} was not fetched and closed within {PATIENCE:?}", entry.message_id),
            }
        }
    }
}

/// Prints what the gateway answered; that it died is no news here.
fn tell(what: &str, status: &tonic::Status) {
    use tonic::Code::{Cancelled, Unavailable, Unknown};
    if !matches!(status.code(), Cancelled | Unavailable | Unknown) {
        println!("{what}: {:?}: {}", status.code(), status.message());
    }
}

async fn one(
    mailbox: &mut MailboxClient<wire::Grpc>,
    seen: &Seen,
    id: String,
    forget: bool,
) -> Result<(), tonic::Status> {
    let request = FetchRequest { message_id: id.clone(), lease_seconds: 0 };
    let mut chunks = mailbox.fetch(request).await?.into_inner();
    let (mut token, mut document) = (String::new(), Vec::new());
    while let Some(chunk) = chunks.message().await? {
        match chunk.part {
            Some(Part::Lease(lease)) => token = lease.token,
            Some(Part::Document(octets)) => document.extend_from_slice(&octets),
            _ => {}
        }
    }
    seen.note(&id, &document);
    if !forget {
        mailbox.close(CloseRequest { message_id: id, token }).await?;
    }
    Ok(())
}

/// Waits until all of them are closed, as long as that number grows; those that are not when nothing
/// has moved for `bound`.
pub async fn wait_until_closed(setup: &Setup, all: &[Ack], bound: Duration) -> Vec<String> {
    let mut submission = SubmissionClient::with_origin(wire::grpc(&setup.pki(), "portal"), origin(setup));
    let mut open: Vec<&Ack> = all.iter().collect();
    let mut moved = Instant::now();
    loop {
        let (mut rest, mut states) = (Vec::new(), Vec::new());
        for ack in &open {
            let report = submission.get_status(StatusRequest { message_id: ack.id.clone() }).await;
            let state = report.map_or_else(|status| status.to_string(), |r| r.into_inner().state);
            if state != "Closed" {
                states.push(format!("{} {state}", ack.id));
                rest.push(*ack);
            }
        }
        if rest.len() < open.len() {
            moved = Instant::now();
        }
        if rest.is_empty() || moved.elapsed() > bound {
            return states;
        }
        open = rest;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
