//! The world around the gateway fails: full disks, damaged files, broken authorities, exhausted
//! descriptors. Each test states what becomes of it: nothing acknowledged is lost, refusals say
//! what to do, and what can go on goes on.

pub mod authority;
mod disk;
mod files;
mod outbound;
mod process;

use std::time::{Duration, Instant};

use amtsweg::proto::submission_client::SubmissionClient;
use amtsweg::proto::{StatusRequest, SubmitRequest};

use crate::child::Setup;
use crate::wire::{self, Http};

/// A portal that submits one message after the other.
pub struct Portal(SubmissionClient<wire::Grpc>);

impl Portal {
    pub fn new(setup: &Setup) -> Self {
        let origin = format!("https://localhost:{}", setup.port).parse().unwrap();
        Self(SubmissionClient::with_origin(wire::grpc(&setup.pki(), "portal"), origin))
    }

    /// Submits; the message's id, or what was said instead: `AW-nnnn: …` when it was refused.
    pub async fn submit(&mut self, document: impl Into<bytes::Bytes>) -> Result<String, String> {
        let request = SubmitRequest { document: document.into(), attachments: Vec::new() };
        match tokio::time::timeout(Duration::from_secs(10), self.0.submit(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().message_id),
            Ok(Err(status)) => Err(status.message().to_owned()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Where a message is.
    pub async fn state(&mut self, id: &str) -> String {
        let report = self.0.get_status(StatusRequest { message_id: id.to_owned() }).await;
        report.map_or_else(|status| status.message().to_owned(), |report| report.into_inner().state)
    }

    /// Waits until each message is in one of `states`.
    pub async fn until_all(&mut self, ids: &[String], states: &[&str]) {
        for id in ids {
            let began = Instant::now();
            loop {
                let state = self.state(id).await;
                if states.contains(&state.as_str()) {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(20), "{id} is {state}, not one of {states:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// The operators' port, asked without a certificate.
struct Watch {
    http: Http,
    base: String,
}

impl Watch {
    fn new(setup: &Setup) -> Self {
        Self { http: Http::new(&setup.pki(), None), base: format!("https://localhost:{}", setup.operators) }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(&format!("{}{path}", self.base)).await.unwrap();
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The value of a metric; `name` with its labels.
    async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// Waits until `holds`, at most twenty seconds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
