//! `amtsweg ledger …`: check the ledger in its folder, export it, check an export or the proof of a
//! message elsewhere, compare a store with a later export.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::client::certificates;
use super::compare::CompareArgs;
use super::input::{Input, read};
use super::keys::MasterKeys;
use super::output::{counted, say, say_json};
use super::{Done, Ended, Fault};
use crate::proof::audit::{AuditFault, Auditor, Finding, Findings, audit};
use crate::proof::book::Identity;
use crate::proof::export::{ExportFault, export};
use crate::proof::message;
use crate::store::ledger::{self, LedgerFault, Summary};

/// Octets of a message's proof at most.
const MAX_PROOF: usize = 1 << 20;

/// `ledger …`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check a ledger in its folder (beside a working gateway too), an export, or a message's proof.
    Verify(VerifyArgs),
    /// Write what is sealed of the ledger to one file, without contents and personal data.
    Export(ExportArgs),
    /// Say what a store lacks of a later export: after a restore, or to see what a backup has not.
    Compare(CompareArgs),
}

/// `ledger verify`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct VerifyArgs {
    /// The store's folder (`gateway.data` of the configuration).
    #[arg(long, group = "what")]
    pub data: Option<PathBuf>,
    /// An export; - is standard input.
    #[arg(long, group = "what", requires = "cert")]
    pub export: Option<PathBuf>,
    /// A message's proof, as `amtsweg proof` gets it; - is standard input.
    #[arg(long, group = "what", requires = "cert")]
    pub proof: Option<PathBuf>,
    /// The gateway's certificate for signatures (PEM); all of them, if it had several.
    #[arg(long)]
    pub cert: Vec<PathBuf>,
    /// The message's signed document, to be compared with the proof.
    #[arg(long, requires = "proof")]
    pub message: Option<PathBuf>,
    /// Keys of an encrypted store, where its frames are compared with its checkpoints (`--cert`).
    #[command(flatten)]
    pub keys: MasterKeys,
    /// One JSON object: verdict, frames, head, …
    #[arg(long)]
    pub json: bool,
}

/// `ledger export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The store's folder (`gateway.data` of the configuration).
    #[arg(long)]
    pub data: PathBuf,
    /// Where to write it; - is standard output.
    #[arg(short, long)]
    pub out: PathBuf,
    /// Begin with the checkpoint before this frame.
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// Keys of an encrypted store.
    #[command(flatten)]
    pub keys: MasterKeys,
    /// Replace OUT when it exists.
    #[arg(long)]
    pub force: bool,
}

/// Runs `ledger …`: exit 1 when something does not fit or is missing.
///
/// # Errors
/// When files can't be read or written.
pub fn run(command: &LedgerCommand) -> Done {
    match command {
        LedgerCommand::Export(args) => write_export(args),
        LedgerCommand::Compare(args) => super::compare::compare_with(args),
        LedgerCommand::Verify(args) => {
            let trusted = trusted(&args.cert)?;
            match (&args.data, &args.export, &args.proof) {
                (Some(data), ..) => verify_folder(data, &args.keys, &trusted, args.json),
                (_, Some(export), _) => verify_export(export, &trusted, args.json),
                (_, _, Some(proof)) => verify_proof(proof, args.message.as_deref(), &trusted, args.json),
                (None, None, None) => Err(Fault::said("name one of --data, --export, --proof")),
            }
        }
    }
}

pub(super) type Certificates = Vec<CertificateDer<'static>>;

pub(super) fn trusted(files: &[PathBuf]) -> Result<Certificates, Fault> {
    let mut all = Vec::new();
    for file in files {
        all.extend(certificates(file)?);
    }
    Ok(all)
}

pub(super) fn open(path: &Path) -> Result<BufReader<Box<dyn std::io::Read>>, Fault> {
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|e| Fault::file("read", path, &e))?)
    };
    Ok(BufReader::with_capacity(1 << 20, source))
}

pub(super) fn ledger_folder(data: &Path) -> Result<PathBuf, Fault> {
    let folder = data.join("ledger");
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Fault::said(format!(
        "{} holds no ledger; name the folder that gateway.data of the configuration names",
        data.display()
    )))
}

/// Walks the frames, then compares them with what was signed.
fn verify_folder(data: &Path, keys: &MasterKeys, trusted: &Certificates, as_json: bool) -> Done {
    let summary = match ledger::verify(&ledger_folder(data)?) {
        Ok(summary) => summary,
        Err(fault @ LedgerFault::Io { .. }) => return Err(Fault::said(fault.to_string())),
        Err(fault) => return damaged(&fault.to_string(), None, as_json),
    };
    let sealed = match sealed(data, keys, trusted)? {
        Sealed::Found(finding) => {
            // Without its line: there is no file whose line it could be.
            let why = format!("ledger and checkpoints don't fit: {}", finding.why);
            return damaged(&why, finding.frame, as_json);
        }
        Sealed::Unfit(why) => return damaged(&why, None, as_json),
        Sealed::Fits(findings) => Some(findings),
        Sealed::Nothing => None,
    };
    if as_json {
        say_json(&json!({
            "verdict": "intact", "segments": summary.segments, "frames": summary.frames,
            "last": summary.last, "head": summary.head.to_string(), "octets": summary.octets,
            "torn": summary.torn, "reason": null, "sealed": sealed.as_deref().map(findings_json),
        }))?;
        return Ok(Ended::Well);
    }
    say_summary(&summary)?;
    match sealed {
        Some(findings) => say_findings(&findings)?,
        None if trusted.is_empty() => {
            say("checkpoints were not looked at: name the gateway's certificate with --cert")?;
        }
        None => say("nothing is sealed yet")?,
    }
    Ok(Ended::Well)
}

fn say_summary(summary: &Summary) -> Result<(), Fault> {
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
    Ok(())
}

/// Ledger and checkpoints of a folder.
enum Sealed {
    Nothing,
    Fits(Box<Findings>),
    Found(Finding),
    Unfit(String),
}

fn sealed(data: &Path, keys: &MasterKeys, trusted: &Certificates) -> Result<Sealed, Fault> {
    let identity = Identity::read(data).map_err(|fault| Fault::said(fault.to_string()))?;
    if trusted.is_empty() || identity.is_none() {
        return Ok(Sealed::Nothing);
    }
    let mut auditor = Auditor::new(trusted);
    let mut found = None;
    let written = export(data, &keys.of(data)?, 1, &mut |line| {
        auditor.line(line, &mut |_| {}).map_err(|finding| {
            let stop = std::io::Error::other("it does not fit");
            found = Some(finding);
            stop
        })
    });
    match (written, found) {
        (_, Some(finding)) => Ok(Sealed::Found(finding)),
        (Err(ExportFault::Nothing), _) => Ok(Sealed::Nothing),
        (Err(ExportFault::Write(fault)), _) => Err(Fault::said(fault.to_string())),
        (Err(fault), _) => Ok(Sealed::Unfit(format!("ledger and checkpoints don't fit: {fault}"))),
        (Ok(_), None) => Ok(match auditor.finish() {
            Ok(findings) => Sealed::Fits(Box::new(findings)),
            Err(finding) => Sealed::Found(finding),
        }),
    }
}

fn damaged(why: &str, frame: Option<u64>, as_json: bool) -> Done {
    if as_json {
        say_json(&json!({"verdict": "damaged", "reason": why, "frame": frame}))?;
    } else {
        say(format!("damaged: {why}"))?;
    }
    Ok(Ended::Refused)
}

fn findings_json(findings: &Findings) -> Value {
    let start = findings.start.as_ref();
    let last = findings.last.as_ref().or(start);
    json!({
        "events": findings.events, "checkpoints": findings.checkpoints,
        "destinations": findings.destinations, "from": findings.from, "restored": findings.branch,
        "trusts_checkpoint": start.map(|s| s.number),
        "gateway": last.map(|s| &s.gateway), "ledger": last.map(|s| s.ledger),
        "frame": last.map(|s| s.frame()), "checkpoint": last.map(|s| s.number),
        "root": last.map(|s| s.root.to_string()), "sealed": last.map(|s| &s.at),
    })
}

fn say_findings(findings: &Findings) -> Result<(), Fault> {
    say(format!(
        "sealed: {}, {}, {}: every one is what the gateway signed, none is missing",
        counted(findings.events, "event"),
        counted(findings.destinations, "destination"),
        counted(findings.checkpoints, "checkpoint")
    ))?;
    if let Some(last) = &findings.last {
        say(format!("up to frame {} at {}, root {}, by {}", last.frame(), last.at, last.root, last.gateway))?;
    }
    if let Some(start) = &findings.start {
        say(format!(
            "it begins with frame {}: for what was before, checkpoint {} of {} is trusted (root {})",
            findings.from, start.number, start.at, start.root
        ))?;
    }
    if findings.branch > 0 {
        say(format!("the ledger was put back from a backup {}", counted(findings.branch, "time")))?;
    }
    Ok(())
}

fn verify_export(path: &Path, trusted: &Certificates, as_json: bool) -> Done {
    let began = Instant::now();
    match audit(&mut open(path)?, trusted, &mut |_| {}) {
        Err(AuditFault::Read(fault)) => Err(Fault::file("read", path, &fault)),
        Err(AuditFault::Found(finding)) => {
            if as_json {
                say_json(&json!({
                    "verdict": "damaged", "line": finding.line, "frame": finding.frame, "reason": finding.why,
                }))?;
            } else {
                say(format!("damaged: {finding}"))?;
            }
            Ok(Ended::Refused)
        }
        Ok(findings) => {
            let seconds = began.elapsed().as_secs_f64();
            let rate = findings.events as f64 / seconds.max(1e-6);
            if as_json {
                let mut value = findings_json(&findings);
                value["verdict"] = "intact".into();
                value["seconds"] = seconds.into();
                say_json(&value)?;
            } else {
                say_findings(&findings)?;
                say(format!("checked in {seconds:.2} s, {rate:.0} events/s"))?;
            }
            Ok(Ended::Well)
        }
    }
}

fn small(path: &Path, bound: usize) -> Result<Vec<u8>, Fault> {
    match read(path, bound)? {
        Input::Whole(octets) => Ok(octets),
        Input::TooLarge => Err(Fault::said(format!("{} is far too large", path.display()))),
    }
}

fn verify_proof(path: &Path, document: Option<&Path>, trusted: &Certificates, as_json: bool) -> Done {
    let proof = small(path, MAX_PROOF)?;
    let document = document.map(|path| small(path, super::sign::MAX_DOCUMENT)).transpose()?;
    match message::check(&proof, trusted, document.as_deref()) {
        Err(why) if as_json => {
            say_json(&json!({"verdict": "unproven", "reason": why.to_string()}))?;
            Ok(Ended::Refused)
        }
        Err(why) => {
            say(format!("unproven: {why}"))?;
            Ok(Ended::Refused)
        }
        Ok(shown) if as_json => {
            let mut value = json!(shown);
            value["verdict"] = "proven".into();
            value["document_compared"] = document.is_some().into();
            say_json(&value)?;
            Ok(Ended::Well)
        }
        Ok(shown) => {
            say(format!("proven: {} is {}", shown.message, shown.level.as_str()))?;
            say(format!("  accepted and on disk        {}", shown.accepted))?;
            let not = || "not by then".to_owned();
            say(format!("  handed to the authority     {}", shown.handed.unwrap_or_else(not)))?;
            say(format!("  taken over by the authority {}", shown.closed.unwrap_or_else(not)))?;
            if let Some(at) = shown.returned {
                say(format!("  returned to its author      {at}"))?;
            }
            say(format!("  document (SHA-256)          {}", shown.document))?;
            say(format!(
                "  sealed by {} at {} (checkpoint {}, frame {})",
                shown.gateway, shown.sealed, shown.checkpoint, shown.frame
            ))?;
            Ok(Ended::Well)
        }
    }
}

fn write_export(args: &ExportArgs) -> Done {
    ledger_folder(&args.data)?;
    let said = |fault: ExportFault| Fault::said(fault.to_string());
    let keys = args.keys.of(&args.data)?;
    if args.out == Path::new("-") {
        let mut out = BufWriter::new(std::io::stdout().lock());
        export(&args.data, &keys, args.from, &mut |line| out.write_all(line)).map_err(said)?;
        out.flush().map_err(|e| Fault::file("write", &args.out, &e))?;
        return Ok(Ended::Well);
    }
    if args.out.exists() && !args.force {
        return Err(Fault::said(format!(
            "{} exists and is left as it is; remove it, name another, or say --force",
            args.out.display()
        )));
    }
    let part = args.out.with_extension(format!("{}.part", std::process::id()));
    let fault = |e: std::io::Error| Fault::file("write", &args.out, &e);
    let write = || -> Result<_, Fault> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&part).map_err(fault)?);
        let end = export(&args.data, &keys, args.from, &mut |line| out.write_all(line)).map_err(said)?;
        out.into_inner().map_err(|e| fault(e.into_error()))?.sync_all().map_err(fault)?;
        std::fs::rename(&part, &args.out).map_err(fault)?;
        Ok(end)
    };
    let written = write();
    if written.is_err() {
        // Best effort: the fault is what matters.
        let _ = std::fs::remove_file(&part);
    }
    let end = written?;
    say(format!(
        "{}: {}, {}",
        args.out.display(),
        counted(end.events, "event"),
        counted(end.checkpoints, "checkpoint")
    ))?;
    Ok(Ended::Well)
}
