//! What a second time does: a message handed in again, messages left from an earlier run.

use std::time::{Duration, Instant};

use tonic::transport::Channel;

use super::Voice;
use super::campaign::{Case, Outcome};
use crate::cli::submit::submit;
use crate::cli::{Fault, client};
use crate::proto::operator_client::OperatorClient;
use crate::proto::{MessagesRequest, StatusRequest};

/// How long messages of an earlier run may take to be finished.
const OLD: Duration = Duration::from_secs(90);

/// Hands a message in again: the first receipt must come again. The inner error is a fault of the
/// gateway, in a sentence.
///
/// # Errors
/// When a file can't be read or nobody reads the output any more.
pub async fn hand_in(
    portal: &Channel,
    first: &Case,
    carried: &Outcome,
    voice: Voice,
) -> Result<Result<(), String>, Fault> {
    match submit(portal.clone(), first.document.clone(), first.attachments.clone()).await? {
        Ok(answer) => {
            let known = carried.carried.iter().any(|c| c.report.message_id == answer.message_id);
            if !(known && answer.repeated) {
                return Ok(Err(format!("handed in again it became {}", answer.message_id)));
            }
            voice.tell(format!(
                "  the same receipt again, nothing is delivered twice: {}",
                answer.message_id
            ))?;
            Ok(Ok(()))
        }
        Err(status) => {
            let why = client::problem_of(&status).map(|p| p.reason).unwrap_or_else(|| status.to_string());
            Ok(Err(format!("handing in again was refused: {why}")))
        }
    }
}

/// Waits until the messages of an earlier run are finished: how many were, and what was not.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn finish_old(operator: &Channel, voice: Voice) -> Result<(usize, Vec<String>), Fault> {
    let mut client = OperatorClient::new(operator.clone());
    let fault = |s: tonic::Status| Fault::said(format!("cannot ask for the queues: {}", s.message()));
    let mut open = Vec::new();
    for state in ["Queued", "Sending", "Delivered", "Available", "Leased"] {
        let mut after = 0;
        loop {
            let request =
                MessagesRequest { state: state.to_owned(), after, limit: 200, ..Default::default() };
            let page = client.messages(request).await.map_err(fault)?.into_inner();
            open.extend(page.reports.into_iter().map(|r| r.message_id));
            if page.next_after <= after {
                break;
            }
            after = page.next_after;
        }
    }
    let all = open.len();
    if all > 0 {
        voice.tell(format!("\n{all} messages were left from before; waiting for them …"))?;
    }
    let begun = Instant::now();
    let mut finished = 0;
    let mut left = Vec::new();
    for message_id in open {
        loop {
            let request = StatusRequest { message_id: message_id.clone() };
            let report = client.show(request).await.map_err(fault)?.into_inner();
            if matches!(report.state.as_str(), "Closed" | "Returned") {
                finished += 1;
                voice.tell(format!("  {} after {} attempts: {message_id}", report.state, report.attempts))?;
                break;
            }
            if report.state == "Parked" || begun.elapsed() > OLD {
                left.push(format!("{message_id} from before is still {}", report.state));
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok((finished, left))
}
