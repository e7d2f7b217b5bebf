//! `amtsweg verify` and `amtsweg validate`: would the gateway take this message?

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::input::{Input, read};
use super::output::{place, say, say_json};
use super::schemas::verifier;
use super::{Done, Ended, Fault};
use crate::domain::{Coverage, Digest, Header, Timestamp};
use crate::error::{Code, Refusal};
use crate::verify::trust::Trust;
use crate::verify::{Came, Limits, SignatureReport, Verifier};

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Trust anchors: a PEM file or a folder of them.
    #[arg(long)]
    pub anchors: PathBuf,
    /// Certificate revocation lists (PEM or DER): a file or a folder.
    #[arg(long)]
    pub crls: Option<PathBuf>,
    /// Check header and schema too: a folder with a schema set (catalog.xml, rules.toml) or with
    /// several; the gateway's own schemas are always known. May be given more than once.
    #[arg(long)]
    pub schemas: Vec<PathBuf>,
    /// An attachment, in the order of the declarations; with --schemas they are compared.
    #[arg(long)]
    pub attach: Vec<PathBuf>,
    /// One JSON object: verdict, code, reason, signer, covered, algorithms.
    #[arg(long)]
    pub json: bool,
    /// The message; - is standard input.
    pub input: PathBuf,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// A folder with a schema set (catalog.xml, rules.toml) or with several; the gateway's own
    /// schemas are always known. May be given more than once.
    #[arg(long)]
    pub schemas: Vec<PathBuf>,
    /// One JSON object: verdict, code, reason, line, column, path, header.
    #[arg(long)]
    pub json: bool,
    /// The message; - is standard input.
    pub input: PathBuf,
}

/// Runs `verify`.
///
/// # Errors
/// When anchors, CRLs, schemas or the message can't be read.
pub fn verify(args: &VerifyArgs) -> Done {
    let trust = Trust::load(&args.anchors, args.crls.as_deref())
        .map_err(|faults| Fault::all("cannot use the trust anchors or revocation lists", &faults))?;
    let verifier = verifier(&args.schemas, trust)?;
    let verdict = match document(&args.input)? {
        Err(refusal) => Err(refusal),
        Ok(octets) => judge(&verifier, &octets, args)?,
    };
    if args.json {
        say_json(&verdict_json(&verdict))?;
    } else {
        match &verdict {
            Ok(report) => {
                say(format!(
                    "accepted: signed by {} (serial {})",
                    report.signer.subject, report.signer.serial
                ))?;
                say_coverage(&report.coverage)?;
            }
            Err(refusal) => say_refusal(refusal)?,
        }
    }
    Ok(if verdict.is_ok() { Ended::Well } else { Ended::Refused })
}

/// Signature and, with schemas, header, schema and attachments.
fn judge(
    verifier: &Verifier,
    octets: &Bytes,
    args: &VerifyArgs,
) -> Result<Result<SignatureReport, Refusal>, Fault> {
    let now = Timestamp::now();
    let report = match verifier.signature(octets, now) {
        Ok(report) => report,
        refused => return Ok(refused),
    };
    let checked = if args.schemas.is_empty() {
        Ok(())
    } else if args.attach.is_empty() {
        // What is declared can't be compared with what did not come.
        verifier.validate(octets).map(|_| ())
    } else {
        let came = args.attach.iter().map(|p| came(p)).collect::<Result<Vec<_>, _>>()?;
        verifier.verify(octets.clone(), &came, now).map(|_| ())
    };
    Ok(checked.map(|()| report))
}

/// Runs `validate`.
///
/// # Errors
/// When schemas or the message can't be read.
pub fn validate(args: &ValidateArgs) -> Done {
    let verifier = verifier(&args.schemas, Trust::none())?;
    let verdict = document(&args.input)?.and_then(|octets| verifier.validate(&octets));
    if args.json {
        say_json(&validity_json(&verdict))?;
    } else {
        match &verdict {
            Ok(header) => say(format!(
                "valid: {} {} {} with UUID {} by {}",
                header.standard, header.version, header.root, header.uuid, header.author
            ))?,
            Err(refusal) => say_refusal(refusal)?,
        }
    }
    Ok(if verdict.is_ok() { Ended::Well } else { Ended::Refused })
}

/// The document, or the refusal for one over the limit.
fn document(path: &Path) -> Result<Result<Bytes, Refusal>, Fault> {
    let bound = Limits::default().octets;
    Ok(match read(path, bound)? {
        Input::Whole(octets) => Ok(octets.into()),
        Input::TooLarge => Err(Refusal::new(
            Code::OverLimit,
            format!("the document has more than {bound} octets; send large data as attachments"),
        )),
    })
}

/// Size and digest of an attachment, read in pieces.
fn came(path: &Path) -> Result<Came, Fault> {
    let fault = |e: std::io::Error| Fault::file("read", path, &e);
    let mut file = std::fs::File::open(path).map_err(fault)?;
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut size = 0_u64;
    let mut piece = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut piece).map_err(fault)?;
        if n == 0 {
            break;
        }
        digest.update(piece.get(..n).unwrap_or_default());
        size += n as u64;
    }
    let mut sha256 = Digest::default();
    sha256.0.copy_from_slice(digest.finish().as_ref());
    Ok(Came { size, sha256 })
}

/// Prints a refusal: the code comes first on the first line.
fn say_refusal(refusal: &Refusal) -> Result<(), Fault> {
    say(refusal.to_string())?;
    if let Some(location) = &refusal.location {
        say(place(location.line, location.column, &location.path))?;
    }
    refusal.explanation.iter().try_for_each(|line| say(format!("  {line}")))
}

/// Prints what is signed, until when its signer's certificates stand, with what.
fn say_coverage(coverage: &Coverage) -> Result<(), Fault> {
    say(format!("covered: {}", Coverage::COVERED))?;
    say(format!("until: {}", coverage.until))?;
    let at =
        coverage.signed_at.map_or_else(String::new, |at| format!(", signed at {at} by the signer's word"));
    say(format!("form: {}{at}", coverage.form()))?;
    coverage.algorithms().try_for_each(|a| say(format!("algorithm: {a}")))?;
    coverage.notes.iter().try_for_each(|note| say(format!("note: {}", note.as_str())))
}

fn verdict_json(verdict: &Result<SignatureReport, Refusal>) -> Value {
    match verdict {
        Ok(report) => json!({
            "verdict": "accepted", "code": null, "reason": null,
            "signer": report.signer.subject,
            "covered": Coverage::COVERED,
            "until": report.coverage.until.to_string(),
            "algorithms": report.coverage.algorithms().collect::<Vec<_>>(),
            "form": report.coverage.form(),
            "signed_at": report.coverage.signed_at.map(|at| at.to_string()),
            "notes": report.coverage.notes.iter().map(|note| note.as_str()).collect::<Vec<_>>(),
            "certificate": {
                "serial": report.signer.serial,
                "fingerprint": report.signer.fingerprint.to_string(),
                "not_after": report.signer.not_after.to_string(),
            },
        }),
        Err(refusal) => {
            let mut value = refusal_json(refusal);
            value["signer"] = Value::Null;
            value["covered"] = Value::Null;
            value["until"] = Value::Null;
            value["algorithms"] = json!([]);
            value
        }
    }
}

fn validity_json(verdict: &Result<Header, Refusal>) -> Value {
    match verdict {
        Ok(header) => json!({
            "verdict": "valid", "code": null, "reason": null,
            "header": {
                "standard": header.standard, "version": header.version, "root": header.root,
                "type_code": header.type_code, "uuid": header.uuid.to_string(), "author": header.author.as_str(),
                "reader": header.reader.as_ref().map(AsRef::<str>::as_ref),
                "service": header.service.as_ref().map(AsRef::<str>::as_ref),
                "area": header.area.as_ref().map(AsRef::<str>::as_ref),
            },
        }),
        Err(refusal) => refusal_json(refusal),
    }
}

fn refusal_json(refusal: &Refusal) -> Value {
    let place = refusal.location.as_deref();
    json!({
        "verdict": "refused",
        "code": refusal.code.as_str(),
        "reason": refusal.reason,
        "line": place.map(|l| l.line),
        "column": place.map(|l| l.column),
        "path": place.map(|l| l.path.as_str()),
    })
}
