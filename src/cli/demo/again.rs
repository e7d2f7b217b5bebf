//! What a second time does: a message handed in again, messages left from an earlier run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use super::Voice;
use super::campaign::{Case, Outcome};
use crate::cli::output::counted;
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
    let begun = Instant::now();
    let mut seen = BTreeSet::new();
    loop {
        // A message may change its state between two pages; it is found the next time.
        let open = open(&mut client).await?;
        if seen.is_empty() && !open.is_empty() {
            voice.tell(format!("\n{} messages were left from before; waiting for them …", open.len()))?;
        }
        let over = open.is_empty() || begun.elapsed() > OLD;
        seen.extend(open);
        if over {
            break;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let mut finished = 0;
    let mut left = Vec::new();
    for message_id in seen {
        let request = StatusRequest { message_id: message_id.clone() };
        let report = client.show(request).await.map_err(fault)?.into_inner();
        if matches!(report.state.as_str(), "Closed" | "Returned") {
            finished += 1;
            voice.tell(format!(
                "  {} after {}: {message_id}",
                report.state,
                counted(report.attempts.into(), "attempt")
            ))?;
        } else {
            left.push(format!("{message_id} from before is still {}", report.state));
        }
    }
    Ok((finished, left))
}

/// The messages that something still has to happen to without an operator.
async fn open(client: &mut OperatorClient<Channel>) -> Result<BTreeSet<String>, Fault> {
    let mut open = BTreeSet::new();
    for state in ["Queued", "Sending", "Available", "Leased"] {
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
    Ok(open)
}

fn fault(status: tonic::Status) -> Fault {
    Fault::said(format!("cannot ask for the queues: {}", status.message()))
}
