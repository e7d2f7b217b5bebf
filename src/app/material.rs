//! Everything that is read from files, read as a whole: start, reload and `check` take the same
//! way, and either get all of it or all faults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::config::{Config, Fault};
use crate::domain::{Account, Digest};
use crate::front::tls;
use crate::pem;
use crate::route::Directory;
use crate::store::MasterKey;
use crate::verify::header::Rules;
use crate::verify::schema::Schemas;
use crate::verify::sign::Signer;
use crate::verify::trust::Trust;
use crate::verify::{Settings, Verifier};

/// What a configuration's files hold, checked.
pub struct Material {
    /// Limits, header rules, schemas, anchors and revocation lists.
    pub verifier: Verifier,
    /// The directory.
    pub directory: Directory,
    /// Accounts by the fingerprint of their certificates.
    pub accounts: Vec<(Digest, Account)>,
    /// Signs receipts.
    pub signer: Signer,
    /// TLS of the main port.
    pub tls: tls::Server,
    /// TLS of the operators' port.
    pub operators_tls: tls::Server,
    /// The store's master keys, as the configuration lists them.
    pub masters: Vec<Arc<dyn MasterKey>>,
}

impl Material {
    /// Reads everything.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(config: &Config) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults(Vec::new());
        let trust = faults.keep("trust", Trust::load(&config.trust.anchors, config.trust.crls.as_deref()));
        let trust = trust.map(|trust| trust.with_revocation(config.trust.revocation));
        let rules = faults.keep("schemas.folders", rules(&config.schemas));
        let schemas = faults.keep("schemas.folders", Schemas::load(&config.schemas));
        let directory = faults.keep("directory.folder", Directory::load(&config.directory));
        let signer = faults.keep("signing", signer(config));
        let tls = faults.keep("tls", tls::Server::load(tls_files(config), tls::ClientAuth::Required));
        // The same files: what is wrong with them has been said.
        let operators_tls = tls::Server::load(tls_files(config), tls::ClientAuth::Optional).ok();
        let masters = faults.keep("store.encryption.keys", masters(config));
        let whole = (trust, rules, schemas, directory, signer, tls, operators_tls, masters);
        let (
            Some(trust),
            Some(rules),
            Some(schemas),
            Some(directory),
            Some(signer),
            Some(tls),
            Some(operators_tls),
            Some(masters),
        ) = whole
        else {
            return Err(faults.0);
        };
        let settings = Settings {
            limits: config.limits.document,
            rules: Arc::new(rules),
            schemas: Arc::new(schemas),
            trust: Arc::new(trust),
        };
        let verifier = Verifier::new(settings);
        let accounts = accounts(config);
        Ok(Self { verifier, directory, accounts, signer, tls, operators_tls, masters })
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn keep<T>(&mut self, key: &str, result: Result<T, Vec<String>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.0.extend(problems.into_iter().map(|problem| Fault::new(key, problem)));
                None
            }
        }
    }
}

/// The built-in header rules and the `rules.toml` of each schema set that has one.
fn rules(folders: &[PathBuf]) -> Result<Rules, Vec<String>> {
    let mut rules = Rules::built_in();
    let mut faults = Vec::new();
    for folder in folders {
        let file = folder.join("rules.toml");
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                if let Err(problems) = rules.add(&text) {
                    faults
                        .extend(problems.into_iter().map(|problem| format!("{}: {problem}", file.display())));
                }
            }
            // A set of schemas alone: the rules for it may stand in another folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => faults.push(format!("{}: {error}", file.display())),
        }
    }
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

/// The master keys.
pub fn masters(config: &Config) -> Result<Vec<Arc<dyn MasterKey>>, Vec<String>> {
    let (mut keys, mut faults) = (Vec::<Arc<dyn MasterKey>>::new(), Vec::new());
    for source in &config.store.encryption.keys {
        match source.load() {
            Ok(key) if keys.iter().any(|known| known.id() == key.id()) => {
                faults.push(format!("the master key {} is listed twice: each must be another one", key.id()));
            }
            Ok(key) => keys.push(Arc::new(key)),
            Err(problem) => faults.push(problem),
        }
    }
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}

fn signer(config: &Config) -> Result<Signer, Vec<String>> {
    let read = |path: &Path, what: &str| {
        std::fs::read(path).map_err(|error| vec![format!("{what} {}: {error}", path.display())])
    };
    let certificates = read(&config.signing.certificate, "certificate")?;
    let key = read(config.signing.key.path(), "key")?;
    Signer::from_pem(&certificates, &key).map_err(|error| vec![error.to_string()])
}

/// What is wrong with the files for calling authorities: a certificate or key that can't be read,
/// or a key that belongs to another certificate.
pub fn outbound(config: &Config) -> Vec<String> {
    let delivery = &config.delivery;
    let mut faults = Vec::new();
    let ca = pem::certificates(&delivery.ca).map(|_| ());
    let chain = pem::certificates(&delivery.pair.certificate);
    let key = pem::key(delivery.pair.key.path());
    faults
        .extend([ca.err(), chain.as_ref().err().cloned(), key.as_ref().err().cloned()].into_iter().flatten());
    if let (Ok(chain), Ok(key)) = (chain, key) {
        let fits = CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider());
        if let Err(error) = fits {
            faults.push(format!("{}: {error}", delivery.pair.certificate.display()));
        }
    }
    faults
}

/// The files of both ports' TLS.
pub fn tls_files(config: &Config) -> tls::Files {
    tls::Files {
        certificate: config.tls.pair.certificate.clone(),
        key: config.tls.pair.key.path().to_owned(),
        client_ca: config.tls.client_ca.clone(),
        client_crls: config.tls.crls.clone(),
    }
}

/// Accounts by certificate, as the fronts want them.
pub fn accounts(config: &Config) -> Vec<(Digest, Account)> {
    let pairs = |account: &crate::config::ConfiguredAccount| {
        account.fingerprints.iter().map(|f| (*f, account.account.clone())).collect::<Vec<_>>()
    };
    config.accounts.iter().flat_map(pairs).collect()
}
