//! The configuration: one TOML file, typed, checked as a whole. Unknown keys are refused, every
//! fault is reported at once, and nothing secret stands in it: keys are named by their files.
//!
//! `deploy/amtsweg.toml` is the documented default. Relative paths are relative to the file.

mod backup;
mod keys;
mod opinion;
mod orders;
mod reader;
mod sections;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use reader::Fault;
pub use value::KeyFile;

use crate::domain::{Account, Digest, Identifier};
use crate::front::xta;
use crate::store::MasterSource;
use crate::verify;

/// Largest configuration file in octets; a larger one is a mistake.
const MAX_FILE: u64 = 4 << 20;

/// A whole configuration. Its Debug output shows no key's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[listen]`
    pub listen: Listen,
    /// `[tls]`
    pub tls: Tls,
    /// `[signing]`: certificate and key of the receipts' signer.
    pub signing: KeyPair,
    /// `[trust]`
    pub trust: TrustFiles,
    /// `[schemas] folders`: schema sets besides the built-in ones.
    pub schemas: Vec<PathBuf>,
    /// `[directory] folder`
    pub directory: PathBuf,
    /// `[limits]`
    pub limits: Limits,
    /// `[[account]]`
    pub accounts: Vec<ConfiguredAccount>,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[store]`
    pub store: Store,
    /// `[proof]`
    pub proof: Proof,
    /// `[backup] folder`; `None` where the gateway makes no backups itself.
    pub backup: Option<PathBuf>,
    /// `[log]`
    pub log: Log,
    /// `[xta]`
    pub xta: xta::Settings,
    /// `[second_opinion]`; `None` where nobody is asked.
    pub second_opinion: Option<crate::deliver::opinion::Settings>,
}

/// `[gateway]`: who this gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name in message ids.
    pub name: String,
    /// Its identifier: author of receipts.
    pub identifier: Identifier,
    /// The folder of the store.
    pub data: PathBuf,
    /// How long a stop waits for requests and attempts in flight.
    pub drain: Duration,
}

/// `[listen]`: the two ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Portals and authorities.
    pub address: SocketAddr,
    /// Operators, metrics, health.
    pub operators: SocketAddr,
}

/// A certificate chain and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Certificate, then its chain.
    pub certificate: PathBuf,
    /// Private key (PKCS#8, PKCS#1 or SEC1).
    pub key: KeyFile,
}

/// `[tls]`: the server's identity and whose clients are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate and key.
    pub pair: KeyPair,
    /// PEM file with the CAs of the client certificates.
    pub client_ca: PathBuf,
    /// CRLs of these CAs (file or folder).
    pub crls: Option<PathBuf>,
}

/// `[trust]`: whose signatures are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFiles {
    /// PEM file or folder of anchors.
    pub anchors: PathBuf,
    /// CRLs (PEM or DER, file or folder).
    pub crls: Option<PathBuf>,
    /// What happens where they say nothing for sure.
    pub revocation: verify::trust::Revocation,
}

/// `[limits]`: everything is bounded (invariant 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bounds inside one document.
    pub document: verify::Limits,
    /// Octets of one attachment.
    pub attachment: u64,
    /// Octets of one message, document and attachments together; no account's quota goes beyond.
    pub message: u64,
    /// Connections open at once on the main port.
    pub connections: usize,
    /// Requests in work at once.
    pub requests: usize,
    /// Octets of documents held in memory at once, all requests together.
    pub buffered: u64,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for a request's header.
    pub header: Duration,
    /// A request's body or an answer that makes no progress for so long is cut.
    pub body: Duration,
}

/// `[[account]]`: an account and the client certificates that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredAccount {
    /// The account.
    pub account: Account,
    /// SHA-256 over the DER octets of its client certificates; several while one is replaced.
    pub fingerprints: Vec<Digest>,
    /// The PEM files among them.
    pub certificates: Vec<PathBuf>,
}

/// `[delivery]`: how the gateway calls authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Loopback and private networks may be called.
    pub allow_private: bool,
    /// Anchors of the authorities' servers where an endpoint names none; default `tls.client_ca`.
    pub ca: PathBuf,
    /// The client identity; default that of `[tls]`.
    pub pair: KeyPair,
}

/// `[store]`: the store's bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Octets that must stay free on the disk; below, nothing is accepted (AW-0302).
    pub min_free: u64,
    /// Octets of a segment of the ledger or the content.
    pub segment: u64,
    /// Octets of memory for the index' cache.
    pub cache: u64,
    /// `[store.encryption]`
    pub encryption: Encryption,
    /// `[store.retention]`: how long what is kept.
    pub retention: crate::store::Retention,
}

/// `[store.encryption]`: whether, and under which master keys, what is stored is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// Whether new messages are encrypted.
    pub on: bool,
    /// The first one wraps, all of them unwrap.
    pub keys: Vec<MasterSource>,
}

/// `[proof]`: when checkpoints of the ledger are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// At the latest so long after the last one, when something has happened.
    pub every: Duration,
    /// At the latest after so many events.
    pub events: u64,
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// A line of JSON or of text per entry.
    pub format: LogFormat,
}

/// Form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Text,
}

impl Config {
    /// Reads and checks a configuration and the files it names.
    ///
    /// # Errors
    /// Every fault there is, at once, in the order of the file.
    pub fn load(file: &Path) -> Result<Self, Vec<Fault>> {
        whole(Self::survey(file))
    }

    /// As [`Config::load`], from the text of `file`; relative paths are relative to its folder.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, Vec<Fault>> {
        whole(Self::gather(text, file))
    }

    /// Every fault there is, and what could be read in spite of them, so that a check can go on
    /// to the files that the rest names. Nothing is to be started with it unless there are none.
    #[must_use]
    pub fn survey(file: &Path) -> (Option<Self>, Vec<Fault>) {
        match text_of(file) {
            Ok((text, absolute)) => Self::gather(&text, &absolute),
            Err(why) => {
                let problem = format!("{} can't be read: {why}; name a TOML file", file.display());
                (None, vec![Fault::new("", problem)])
            }
        }
    }

    fn gather(text: &str, file: &Path) -> (Option<Self>, Vec<Fault>) {
        let folder = file.parent().unwrap_or(Path::new("."));
        let reading = reader::Reading::new(text, folder);
        let config = Self::read(&reading, file);
        let mut faults = reading.into_faults();
        if config.is_none() && faults.is_empty() {
            faults.push(Fault::new("", "the configuration is not complete".to_owned()));
        }
        (config, faults)
    }

    /// Reads every section before it gives up, so that all faults are gathered.
    fn read(reading: &reader::Reading<'_>, file: &Path) -> Option<Self> {
        let mut root = reading.root();
        let gateway = sections::gateway(&mut root);
        let listen = sections::listen(&mut root);
        let tls = sections::tls(&mut root);
        let signing = sections::signing(&mut root);
        let trust = sections::trust(&mut root);
        let schemas = sections::schemas(&mut root);
        let directory = sections::directory(&mut root);
        let limits = sections::limits(&mut root);
        let accounts = sections::accounts(&mut root, &limits);
        let delivery = sections::delivery(&mut root, tls.as_ref());
        let store = sections::store(&mut root);
        let proof = sections::proof(&mut root);
        let backup = backup::folder(&mut root, gateway.as_ref());
        let log = sections::log(&mut root);
        let xta = orders::xta(&mut root);
        let second_opinion = opinion::opinion(&mut root, gateway.as_ref(), trust.as_ref());
        root.end();
        Some(Self {
            file: file.to_owned(),
            gateway: gateway?,
            listen,
            tls: tls?,
            signing: signing?,
            trust: trust?,
            schemas,
            directory: directory?,
            limits,
            accounts,
            delivery: delivery?,
            store,
            proof,
            backup,
            log,
            xta,
            second_opinion,
        })
    }
}

fn whole((config, faults): (Option<Config>, Vec<Fault>)) -> Result<Config, Vec<Fault>> {
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

/// The text of a configuration file, and its absolute path.
fn text_of(file: &Path) -> Result<(String, PathBuf), String> {
    let found = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if found.len() > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} octets"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    Ok((text, std::path::absolute(file).map_err(|error| error.to_string())?))
}
