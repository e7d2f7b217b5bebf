//! `amtsweg backup` and `amtsweg restore`.

mod remote;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::client::certificates;
use super::keys::MasterKeys;
use super::output::{Table, counted, note, say, say_json};
use super::{Done, Ended, Fault};
use crate::backup::compare::{self, Compared};
use crate::backup::{self, Watch};
use crate::store::Encryption;

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The store's folder (`gateway.data` of the configuration) on this machine; the gateway may be working.
    #[arg(long, requires = "to")]
    pub data: Option<PathBuf>,
    /// The folder of the backups: each time a new generation is made in it.
    #[arg(long, requires = "data")]
    pub to: Option<PathBuf>,
    /// Keys to compare an encrypted store's contents with; the copy itself needs none.
    #[command(flatten)]
    pub keys: MasterKeys,
    /// Without --data: the gateway makes one itself, in the folder that its configuration names.
    #[command(flatten)]
    pub asked: remote::Asked,
    /// Check the contents of all messages, not only of those that changed since the last generation.
    #[arg(long)]
    pub full: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder of the backups.
    #[arg(long)]
    pub from: PathBuf,
    /// Which generation; the last one, if none is named.
    #[arg(long)]
    pub generation: Option<u64>,
    /// An empty or new folder for the store.
    #[arg(long)]
    pub to: PathBuf,
    /// A later export of the ledger: says what was accepted or done after the backup, and sets aside
    /// what the lost time has brought to its authority, so that it is not sent a second time unasked.
    #[arg(long, requires = "cert")]
    pub compare: Option<PathBuf>,
    /// The gateway's certificate for signatures (PEM); all of them, if it had several.
    #[arg(long)]
    pub cert: Vec<PathBuf>,
    /// Set nothing aside.
    #[arg(long, requires = "compare")]
    pub keep_going: bool,
    /// Keys of an encrypted store, for `--compare`.
    #[command(flatten)]
    pub keys: MasterKeys,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs `backup`.
///
/// # Errors
/// When no generation could be made; none is left then.
pub fn backup(args: BackupArgs) -> Done {
    let (Some(data), Some(to)) = (&args.data, &args.to) else {
        return super::block_on(remote::run(args.asked, args.full, args.json));
    };
    let keys = if args.keys.master_key.is_empty() && data.join("vault/keyring.json").exists() {
        note("the store is encrypted: without --master-key its contents are copied, but not compared");
        None
    } else {
        Some(args.keys.of(data)?)
    };
    let made = backup::backup(data, keys.as_ref(), to, args.full, &Watch::default());
    let made = made.map_err(|f| Fault::said(f.to_string()))?;
    if args.json {
        say_json(&json!({
            "generation": made.generation, "folder": made.folder, "last": made.last, "files": made.files,
            "octets": made.octets, "copied": made.copied, "checked": made.checked,
        }))?;
        return Ok(Ended::Well);
    }
    say(format!(
        "generation {} up to frame {}: {}, {}, {} of them new; checked, with the contents of {}",
        made.generation,
        made.last,
        counted(made.files as u64, "file"),
        counted(made.octets, "octet"),
        made.copied,
        counted(made.checked, "message")
    ))?;
    Ok(Ended::Well)
}

/// Runs `restore`: exit 1 when a later ledger shows that something is missing.
///
/// # Errors
/// When it could not be put back.
pub async fn restore(args: RestoreArgs) -> Done {
    let said = |fault: &dyn std::fmt::Display| Fault::said(fault.to_string());
    let put = backup::restore(&args.from, args.generation, &args.to).map_err(|f| said(&f))?;
    if !args.json {
        say(format!(
            "generation {} of {} is back: up to frame {}, chain and contents checked",
            put.generation, put.made, put.ledger.last
        ))?;
    }
    let Some(export) = &args.compare else {
        if args.json {
            say_json(&json!({"generation": put.generation, "made": put.made, "last": put.ledger.last}))?;
        }
        note(
            "what was accepted or delivered after that is not in it, and messages may be sent a second time: compare \
             with a later export (amtsweg ledger compare), and ask the portals to hand in again what they have no \
             state for",
        );
        return Ok(Ended::Well);
    };
    let mut trusted = Vec::new();
    for file in &args.cert {
        trusted.extend(certificates(file)?);
    }
    let file = File::open(export).map_err(|e| Fault::file("read", export, &e))?;
    let compared = compare::compare(
        &args.to,
        &args.keys.of(&args.to)?,
        &mut BufReader::with_capacity(1 << 20, file),
        &trusted,
    )
    .map_err(|f| said(&f))?;
    let twice: Vec<_> = compared.behind.iter().filter(|lost| lost.twice()).cloned().collect();
    if !args.keep_going && !twice.is_empty() {
        let masters = args.keys.masters()?;
        let encryption = Encryption { on: !masters.is_empty(), masters };
        let left = backup::hold(args.to.clone(), encryption, &twice).await.map_err(|f| said(&f))?;
        note(format!(
            "{} set aside: the later ledger shows them at their authority; ask it, then close or retry them",
            counted((twice.len() - left.len()) as u64, "message")
        ));
        for id in &left {
            note(format!("{id} could not be set aside: it was being sent, and may be sent a second time"));
        }
    }
    say_compared(&compared, args.json)?;
    let whole = compared.missing.is_empty() && compared.behind.is_empty();
    Ok(if whole { Ended::Well } else { Ended::Refused })
}

/// Says what a store lacks.
///
/// # Errors
/// When nobody reads.
pub fn say_compared(compared: &Compared, as_json: bool) -> Result<(), Fault> {
    if as_json {
        return say_json(&json!({
            "common": compared.common, "last": compared.last,
            "missing": compared.missing, "behind": compared.behind,
            "twice": compared.behind.iter().filter(|l| l.twice()).map(|l| &l.message).collect::<Vec<_>>(),
        }));
    }
    say(format!(
        "the store and the export are the same up to frame {}; the export goes up to frame {}",
        compared.common, compared.last
    ))?;
    let mut table = Table::new(&["MESSAGE", "ENDPOINT", "HERE", "THERE", "ACCEPTED", "CLOSED"]);
    for lost in compared.missing.iter().chain(&compared.behind) {
        let here = if lost.here.is_empty() { "missing" } else { &lost.here };
        table.row([
            lost.message.clone(),
            lost.endpoint.clone(),
            here.to_owned(),
            lost.there.clone(),
            lost.accepted.clone(),
            lost.closed.clone(),
        ]);
    }
    if table.is_empty() {
        return say("nothing is missing");
    }
    table.say()?;
    let twice = compared.behind.iter().filter(|lost| lost.twice()).count() as u64;
    say(format!(
        "{} missing, {} behind, {twice} of them at their authority already",
        counted(compared.missing.len() as u64, "message"),
        compared.behind.len()
    ))
}
