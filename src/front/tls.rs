//! TLS of the ports: rustls with aws-lc-rs, handed over explicitly so that nothing is global.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::pem;

/// The files that make up a port's TLS identity.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// Anchors of client certificates, PEM.
    pub client_ca: PathBuf,
    /// Revocation lists for client certificates, PEM: a file or a folder of `.pem`/`.crl`. With
    /// lists, a certificate whose issuer has none, or only an expired one, is refused.
    pub client_crls: Option<PathBuf>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without one the handshake fails: the main port.
    Required,
    /// Asked for; the operators' API insists on it, `/health` does not.
    Optional,
}

/// A port's TLS, renewed on reload. Connections keep what they began with.
#[derive(Clone)]
pub struct Server {
    config: Arc<ArcSwap<ServerConfig>>,
    files: Arc<Files>,
    auth: ClientAuth,
}

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence per fault.
    pub fn load(files: Files, auth: ClientAuth) -> Result<Self, Vec<String>> {
        let config = build(&files, auth)?;
        Ok(Self { config: Arc::new(ArcSwap::from_pointee(config)), files: Arc::new(files), auth })
    }

    /// Reads the same files again; on a fault everything stays as it was.
    ///
    /// # Errors
    /// A sentence per fault.
    pub fn reload(&self) -> Result<(), Vec<String>> {
        self.config.store(Arc::new(build(&self.files, self.auth)?));
        Ok(())
    }

    /// The present configuration.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

fn build(files: &Files, auth: ClientAuth) -> Result<ServerConfig, Vec<String>> {
    let mut faults = Vec::new();
    let chain = keep(pem::certificates(&files.certificate), &mut faults);
    let key = keep(pem::key(&files.key), &mut faults);
    let anchors = keep(anchors(&files.client_ca), &mut faults);
    let crls = match &files.client_crls {
        Some(path) => keep(revocation_lists(path), &mut faults),
        None => Some(Vec::new()),
    };
    let (Some(chain), Some(key), Some(anchors), Some(crls)) = (chain, key, anchors, crls) else {
        return Err(faults);
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let with_lists = !crls.is_empty();
    let mut verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider.clone()).with_crls(crls);
    if with_lists {
        verifier = verifier.enforce_revocation_expiration();
    }
    if auth == ClientAuth::Optional {
        verifier = verifier.allow_unauthenticated();
    }
    let verifier = verifier.build().map_err(|e| vec![format!("{}: {e}", files.client_ca.display())])?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| vec![e.to_string()])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|e| vec![format!("{}: {e}", files.certificate.display())])?;
    // A resumed session would not have its certificate checked again: not for expiry, nor against
    // lists that have run out.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn keep<T>(result: Result<T, String>, faults: &mut Vec<String>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

fn anchors(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in pem::certificates(path)? {
        store.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(store)
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
        files = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
        files.retain(|f| f.extension().is_some_and(|x| x == "pem" || x == "crl"));
        files.sort();
    }
    let mut all = Vec::new();
    for file in files {
        let fault = |e| format!("{}: no PEM revocation list: {e}", file.display());
        for list in CertificateRevocationListDer::pem_file_iter(&file).map_err(fault)? {
            all.push(list.map_err(fault)?);
        }
    }
    if all.is_empty() {
        return Err(format!("{}: holds no PEM revocation list", path.display()));
    }
    // Of one issuer's lists rustls asks the first alone: the newest has to be it, whatever its file
    // is called.
    all.sort_by_cached_key(|list| std::cmp::Reverse(issued(list)));
    Ok(all)
}

/// When a list was issued, seconds since 1970; rustls refuses a list that can't be read.
fn issued(list: &CertificateRevocationListDer<'_>) -> i64 {
    CertificateRevocationList::from_der(list).map_or(0, |(_, list)| list.last_update().timestamp())
}
