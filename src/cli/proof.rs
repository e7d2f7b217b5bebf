//! `amtsweg proof`: fetches the proof of how far a message has come.

use std::path::PathBuf;

use clap::Args;

use super::client::{Connection, refused};
use super::input::write_new;
use super::output::{say, say_octets};
use super::{Done, Ended};
use crate::proto::StatusRequest;
use crate::proto::submission_client::SubmissionClient;

/// `proof`.
#[derive(Debug, Args)]
pub struct ProofArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The message's id.
    pub id: String,
    /// Where to write the proof; - is standard output.
    #[arg(short, long)]
    pub out: PathBuf,
    /// Replace OUT when it exists.
    #[arg(long)]
    pub force: bool,
    /// A refusal as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs `proof`.
///
/// # Errors
/// When the gateway can't be asked, or the file can't be written.
pub async fn run(args: ProofArgs) -> Done {
    let mut client = SubmissionClient::new(args.connection.open().await?);
    let answer = match client.get_proof(StatusRequest { message_id: args.id }).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(&status, args.json),
    };
    if args.out.as_os_str() == "-" {
        say_octets(&answer.proof)?;
        return Ok(Ended::Well);
    }
    write_new(&args.out, &answer.proof, false, args.force)?;
    say(format!(
        "{}: check it with amtsweg ledger verify --proof {} --cert GATEWAY.pem",
        args.out.display(),
        args.out.display()
    ))?;
    Ok(Ended::Well)
}
