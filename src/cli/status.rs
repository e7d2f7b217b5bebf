//! `amtsweg status` and `amtsweg watch`: what became of a message.

use clap::Args;

use super::client::{Connection, refused};
use super::output::{printable, say, say_json};
use super::report::{report_json, say_report};
use super::{Done, Ended};
use crate::proto::submission_client::SubmissionClient;
use crate::proto::{Report, StatusRequest};

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// One JSON object per change, each on one line.
    #[arg(long)]
    pub json: bool,
}

/// Runs `status`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn status(args: StatusArgs) -> Done {
    let mut client = SubmissionClient::new(args.connection.open().await?);
    match client.get_status(StatusRequest { message_id: args.id }).await {
        Err(status) => refused(&status, args.json),
        Ok(answer) => {
            if args.json {
                say_json(&report_json(answer.get_ref()))?;
            } else {
                say_report(answer.get_ref())?;
            }
            Ok(Ended::Well)
        }
    }
}

/// Runs `watch`: ends when the message is closed or returned.
///
/// # Errors
/// When the gateway can't be asked, or the connection breaks.
pub async fn watch(args: WatchArgs) -> Done {
    let mut client = SubmissionClient::new(args.connection.open().await?);
    let mut reports = match client.watch(StatusRequest { message_id: args.id }).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(&status, args.json),
    };
    let mut told = 0;
    loop {
        match reports.message().await {
            Ok(Some(report)) if args.json => say(report_json(&report).to_string())?,
            Ok(Some(report)) => told = say_news(&report, told)?,
            Ok(None) => return Ok(Ended::Well),
            Err(status) => return refused(&status, args.json),
        }
    }
}

/// Prints the facts that were not told yet; how many there have been in all.
fn say_news(report: &Report, told: usize) -> Result<usize, super::Fault> {
    let dropped = usize::try_from(report.facts_dropped).unwrap_or(usize::MAX);
    let all = report.facts.len().saturating_add(dropped);
    let new = all.saturating_sub(told).min(report.facts.len());
    for fact in report.facts.iter().skip(report.facts.len() - new) {
        say(printable(&format!("{}  {:<9}  {}", fact.at, fact.kind, fact.detail)))?;
    }
    if new > 0 {
        say(format!("{:>24}  is {}", "", report.state))?;
    }
    Ok(all)
}
