//! `amtsweg backup` without a folder: the gateway is asked to make one itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{OperatorConnection, refused};
use crate::cli::output::{counted, note, printable, say, say_json};
use crate::cli::{Done, Ended, Fault};
use crate::proto::operator_client::OperatorClient;
use crate::proto::{BackupReport, BackupRequest, BackupResult, BackupStateRequest};

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two notes.
const NOTE: u32 = 20;

/// How the gateway is asked.
#[derive(Debug, Args)]
pub struct Asked {
    /// The operators' port.
    #[arg(long, env = "AMTSWEG_OPERATOR_URL", default_value = "https://localhost:9443")]
    pub url: String,
    /// Anchors for the gateway's certificate (PEM).
    #[arg(long, env = "AMTSWEG_CA")]
    pub ca: Option<PathBuf>,
    /// The operator's client certificate (PEM).
    #[arg(long, env = "AMTSWEG_OPERATOR_CERT")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "AMTSWEG_OPERATOR_KEY")]
    pub key: Option<PathBuf>,
    /// Do not wait for its end.
    #[arg(long, conflicts_with_all = ["data", "state"])]
    pub no_wait: bool,
    /// Begin none: say how far one is, and what came of the last.
    #[arg(long, conflicts_with_all = ["data", "full"])]
    pub state: bool,
}

impl Asked {
    fn connection(&self) -> Result<OperatorConnection, Fault> {
        let (Some(ca), Some(cert), Some(key)) = (self.ca.clone(), self.cert.clone(), self.key.clone()) else {
            return Err(Fault::said(
                "name the store with --data and the backups' folder with --to; or --ca, and an operator's --cert and \
                 --key, for the gateway to make the backup itself"
                    .to_owned(),
            ));
        };
        Ok(OperatorConnection { url: self.url.clone(), ca, cert, key })
    }
}

/// Has the gateway make a backup, or asks how far it is.
///
/// # Errors
/// When the gateway can't be asked, or no generation was made.
pub async fn run(asked: Asked, full: bool, as_json: bool) -> Done {
    let mut client = OperatorClient::new(asked.connection()?.plain().open().await?);
    let begun = if asked.state {
        client.get_backup(BackupStateRequest {}).await
    } else {
        client.begin_backup(BackupRequest { full }).await
    };
    let mut report = match begun {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(&status, as_json),
    };
    if asked.state || asked.no_wait {
        say_report(&report, as_json)?;
        return Ok(Ended::Well);
    }
    let since = report.since.clone();
    for look in 1_u32.. {
        if let Some(last) = report.last.as_ref().filter(|last| last.began == since) {
            return ended(last, as_json);
        }
        if report.since != since {
            break;
        }
        if look.is_multiple_of(NOTE) {
            note(under_way(&report));
        }
        tokio::time::sleep(LOOK).await;
        report = match client.get_backup(BackupStateRequest {}).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status, as_json),
        };
    }
    Err(Fault::said("the gateway knows nothing of this backup any more: was it started anew?".to_owned()))
}

fn ended(last: &BackupResult, as_json: bool) -> Done {
    if !last.fault.is_empty() {
        return Err(Fault::said(printable(&last.fault)));
    }
    if as_json {
        say_json(&result_json(last))?
    } else {
        say(in_words(last))?
    }
    Ok(Ended::Well)
}

fn result_json(last: &BackupResult) -> Value {
    json!({
        "generation": last.generation, "last": last.frame, "files": last.files, "octets": last.octets,
        "copied": last.copied, "checked": last.checked, "by": last.by, "began": last.began, "ended": last.ended,
        "fault": last.fault,
    })
}

fn in_words(last: &BackupResult) -> String {
    format!(
        "generation {} up to frame {}: {}, {}, {} of them new; checked, with the contents of {}",
        last.generation,
        last.frame,
        counted(last.files, "file"),
        counted(last.octets, "octet"),
        last.copied,
        counted(last.checked, "message")
    )
}

fn under_way(report: &BackupReport) -> String {
    let by = printable(&report.by);
    format!(
        "{} since {} for {by}: {} copied, {}",
        report.phase,
        report.since,
        counted(report.files, "file"),
        counted(report.octets, "octet")
    )
}

fn say_report(report: &BackupReport, as_json: bool) -> Result<(), Fault> {
    if as_json {
        return say_json(&json!({
            "phase": report.phase, "by": report.by, "since": report.since, "files": report.files,
            "octets": report.octets, "newest": report.newest, "newest_at": report.newest_at,
            "last": report.last.as_ref().map(result_json),
        }));
    }
    say(if report.phase.is_empty() { "no backup is under way".to_owned() } else { under_way(report) })?;
    if let Some(last) = &report.last {
        let came = if last.fault.is_empty() { in_words(last) } else { printable(&last.fault) };
        say(format!("the last one, for {}, ended at {}: {came}", printable(&last.by), last.ended))?;
    }
    match report.newest {
        0 => say("there is no generation yet"),
        newest => say(format!("the newest generation is {newest}, made at {}", report.newest_at)),
    }
}
