//! `amtsweg ledger verify`: walks the ledger's chain and checks every frame.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{counted, say, say_json};
use super::{Done, Ended, Fault};
use crate::store::ledger;

/// `ledger …`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check numbers, checksums and chain of all frames; may run beside a working gateway.
    Verify(VerifyArgs),
}

/// `ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The store's folder (`gateway.data` of the configuration).
    #[arg(long)]
    pub data: PathBuf,
    /// One JSON object: verdict, frames, head, …
    #[arg(long)]
    pub json: bool,
}

/// Runs `ledger …`: exit 1 when the ledger is damaged.
///
/// # Errors
/// When the ledger can't be read.
pub fn run(command: &LedgerCommand) -> Done {
    let LedgerCommand::Verify(args) = command;
    let folder = args.data.join("ledger");
    if !folder.is_dir() {
        return Err(Fault::said(format!(
            "{} holds no ledger; name the folder that gateway.data of the configuration names",
            args.data.display()
        )));
    }
    match ledger::verify(&folder) {
        Ok(summary) => {
            if args.json {
                say_json(&json!({
                    "verdict": "intact", "segments": summary.segments, "frames": summary.frames,
                    "last": summary.last, "head": summary.head.to_string(), "octets": summary.octets,
                    "torn": summary.torn, "reason": null,
                }))?;
            } else {
                say(format!(
                    "intact: {} in {}, {}",
                    counted(summary.frames, "frame"),
                    counted(summary.segments as u64, "segment"),
                    counted(summary.octets, "octet")
                ))?;
                say(format!("head: frame {} {}", summary.last, summary.head))?;
                if summary.torn > 0 {
                    say(format!("{} octets behind it belong to a write that is not finished", summary.torn))?;
                }
            }
            Ok(Ended::Well)
        }
        Err(fault @ ledger::LedgerFault::Io { .. }) => Err(Fault::said(fault.to_string())),
        Err(fault) => {
            if args.json {
                say_json(&json!({"verdict": "damaged", "reason": fault.to_string()}))?;
            } else {
                say(format!("damaged: {fault}"))?;
            }
            Ok(Ended::Refused)
        }
    }
}
