//! `amtsweg list`, `fetch`, `close`, `reject`: the authority's side of the mailbox.

mod fetch;
mod names;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::client::{Connection, refused};
use super::output::{Table, printable, say, say_json};
use super::report::{entry_json, report_json};
use super::{Done, Ended};
use crate::proto::mailbox_client::MailboxClient;
use crate::proto::{CloseRequest, ListRequest, MailboxEntry, RejectRequest, Report};

pub use fetch::fetch;

/// Entries asked for at once.
const PAGE: u32 = 200;

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// At most so many.
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
    /// The entries as a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// Folder to write document, receipt and attachments to; files there are never overwritten.
    #[arg(short, long)]
    pub out: PathBuf,
    /// Length of the lease in seconds (bounded by the gateway); 0 = the endpoint's own.
    #[arg(long, default_value_t = 0)]
    pub lease_seconds: u32,
    /// JSON: message_id, lease, until, files.
    #[arg(long)]
    pub json: bool,
}

/// `close`.
#[derive(Debug, Args)]
pub struct CloseArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// The lease's token, as fetch printed it; not needed for a message that was pushed.
    #[arg(long, default_value = "")]
    pub lease: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `reject`.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// Why, for the author (at most 300 characters, no personal data).
    #[arg(long, value_parser = reason)]
    pub reason: String,
    /// The lease's token, as fetch printed it; not needed for a message that was pushed.
    #[arg(long, default_value = "")]
    pub lease: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A reason that says something.
fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why: the author reads it".to_owned()),
        said => Ok(said.to_owned()),
    }
}

/// Runs `list`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn list(args: ListArgs) -> Done {
    let mut client = MailboxClient::new(args.connection.open().await?);
    let mut entries: Vec<MailboxEntry> = Vec::new();
    let mut after = 0;
    while entries.len() < args.limit {
        let left = u32::try_from(args.limit - entries.len()).unwrap_or(PAGE);
        let request = ListRequest { after, limit: left.min(PAGE) };
        let page = match client.list(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status, args.json),
        };
        entries.extend(page.entries);
        if page.next_after <= after {
            break;
        }
        after = page.next_after;
    }
    if args.json {
        say_json(&entries.iter().map(entry_json).collect::<Vec<_>>().into())?;
    } else if entries.is_empty() {
        say("The mailbox is empty.")?;
    } else {
        let head =
            ["MESSAGE", "ACCEPTED", "STANDARD", "TYPE", "SERVICE", "AREA", "READER", "OCTETS", "FILES"];
        let mut table = Table::new(&head);
        for e in entries {
            let octets = e.attachments.iter().map(|a| a.size).sum::<u64>().saturating_add(e.document_size);
            table.row([
                e.message_id,
                e.accepted_at,
                e.standard,
                e.type_code,
                e.service,
                e.area,
                e.reader,
                octets.to_string(),
                e.attachments.len().to_string(),
            ]);
        }
        table.say()?;
    }
    Ok(Ended::Well)
}

/// Runs `close`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn close(args: CloseArgs) -> Done {
    let mut client = MailboxClient::new(args.connection.open().await?);
    let request = CloseRequest { message_id: args.id, token: args.lease };
    answered(client.close(request).await, args.json)
}

/// Runs `reject`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn reject(args: RejectArgs) -> Done {
    let mut client = MailboxClient::new(args.connection.open().await?);
    let request = RejectRequest { message_id: args.id, token: args.lease, reason: args.reason };
    answered(client.reject(request).await, args.json)
}

fn answered(answer: Result<tonic::Response<Report>, tonic::Status>, json: bool) -> Done {
    match answer {
        Err(status) => return refused(&status, json),
        Ok(report) if json => say_json(&report_json(report.get_ref()))?,
        Ok(report) => {
            let report = report.get_ref();
            say(printable(&format!("{} is {}", report.message_id, report.state)))?;
        }
    }
    Ok(Ended::Well)
}

/// What fetch prints for scripts.
fn fetched_json(lease: &crate::proto::Lease, files: &[PathBuf]) -> serde_json::Value {
    json!({
        "message_id": lease.message_id, "lease": lease.token, "until": lease.until,
        "files": files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>(),
        "entry": lease.entry.as_ref().map(entry_json),
    })
}
