//! What runs out: certificates and revocation lists that the configuration names.

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::config::Config;
use crate::domain::Timestamp;
use crate::route::Directory;

/// Largest PEM file looked into, in octets.
const MAX_FILE: u64 = 64 << 20;

/// Something with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The configuration's key that names it.
    pub key: String,
    /// What it is: file and subject (or issuer of a list).
    pub what: String,
    /// Its end.
    pub until: Timestamp,
    /// Without it the gateway can't do its work: its own TLS and signing certificates.
    pub vital: bool,
}

/// Everything with an end that the configuration names. Files that can't
/// be read are left out: loading them has its own faults.
pub fn all(config: &Config) -> Vec<Expiry> {
    let mut found = Vec::new();
    let mut add = |key: &str, path: &Path, vital: bool| {
        found.extend(files(path).iter().flat_map(|file| in_file(key, file, vital)));
    };
    add("tls.certificate", &config.tls.pair.certificate, true);
    add("signing.certificate", &config.signing.certificate, true);
    add("tls.client_ca", &config.tls.client_ca, false);
    add("trust.anchors", &config.trust.anchors, false);
    if config.delivery.pair.certificate != config.tls.pair.certificate {
        add("delivery.certificate", &config.delivery.pair.certificate, false);
    }
    if config.delivery.ca != config.tls.client_ca {
        add("delivery.ca", &config.delivery.ca, false);
    }
    for (key, path) in [("tls.crls", &config.tls.crls), ("trust.crls", &config.trust.crls)] {
        if let Some(path) = path {
            add(key, path, false);
        }
    }
    for account in &config.accounts {
        for path in &account.certificates {
            add(&format!("account {}", account.account.name), path, false);
        }
    }
    found
}

/// The certificates for encrypting contents that the directory names.
pub fn of_directory(directory: &Directory) -> Vec<Expiry> {
    let of_endpoint = |endpoint: &std::sync::Arc<crate::domain::Endpoint>| {
        let (name, until) = certificate_end(endpoint.encryption.as_deref()?)?;
        let key = format!("endpoint {}: encryption", endpoint.id);
        Some(Expiry { key, what: name, until, vital: false })
    };
    directory.endpoints().filter_map(of_endpoint).collect()
}

/// The earliest end in a PEM file of certificates.
pub fn earliest(path: &Path) -> Option<Timestamp> {
    in_file("", path, true).into_iter().map(|expiry| expiry.until).min()
}

fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut files: Vec<_> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file()).collect();
    files.sort();
    files
}

fn in_file(key: &str, path: &Path, vital: bool) -> Vec<Expiry> {
    if std::fs::metadata(path).map_or(true, |found| found.len() > MAX_FILE) {
        return Vec::new();
    }
    let Ok(octets) = std::fs::read(path) else { return Vec::new() };
    let expiry = |(name, until): (String, Timestamp)| Expiry {
        key: key.to_owned(),
        what: format!("{} ({name})", path.display()),
        until,
        vital,
    };
    if octets.windows(10).any(|window| window == b"-----BEGIN") {
        let mut found = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&octets).flatten() {
            found.extend(certificate_end(&certificate).map(expiry));
        }
        for list in CertificateRevocationListDer::pem_slice_iter(&octets).flatten() {
            found.extend(list_end(&list).map(expiry));
        }
        return found;
    }
    certificate_end(&octets).or_else(|| list_end(&octets)).map(expiry).into_iter().collect()
}

fn certificate_end(der: &[u8]) -> Option<(String, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some((certificate.subject().to_string(), timestamp(certificate.validity().not_after)))
}

fn list_end(der: &[u8]) -> Option<(String, Timestamp)> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some((format!("revocation list of {}", list.issuer()), timestamp(list.next_update()?)))
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 5, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn every_certificate_of_a_chain_is_seen_and_the_earliest_end_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chain.pem");
        std::fs::write(&file, certificate(2040) + &certificate(2031)).unwrap();
        let found = in_file("tls.certificate", &file, true);
        assert_eq!(found.len(), 2);
        assert!(found[0].what.contains("chain.pem"));
        assert_eq!(earliest(&file).unwrap().date().to_string(), "2031-05-01");
    }

    #[test]
    fn folders_are_searched_and_other_files_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.pem"), certificate(2033)).unwrap();
        std::fs::write(dir.path().join("README"), "nothing").unwrap();
        let found: Vec<_> =
            files(dir.path()).iter().flat_map(|f| in_file("trust.anchors", f, false)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(files(&dir.path().join("nowhere")).len(), 1);
        assert!(in_file("x", &dir.path().join("nowhere"), false).is_empty());
    }
}
