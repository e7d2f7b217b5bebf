//! Trust: anchors, CRLs, certificate chains (RFC 5280).
//!
//! The chain, its validity, basic constraints, name constraints and extended key usage are
//! checked by rustls-webpki. A signature certificate with an extended key usage must name one
//! that covers signed data; one with a key usage must allow `digitalSignature` or
//! `nonRepudiation`. Once any CRL is configured, the signer's certificate must be covered by one
//! that is in force; the CRLs of intermediate certificates count where they are there. What happens
//! where none is there or it is out of date is the operator's policy ([`Revocation`]).
//!
//! Chains that were found good are remembered by their certificates, for as long as certificates and
//! CRLs are in force. The memory belongs to the [`Trust`], and a reload makes a new one: a verdict
//! never outlives the lists that it was made with.

mod chain;
mod issuers;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::FromDer;

use crate::domain::{Digest, Note, SignerInfo, Timestamp};
use crate::error::{Code, Refusal};

use super::certificate;

/// At most so many chains are remembered.
const REMEMBERED: usize = 1024;
/// Certificates and CRLs larger than this are not read.
const FILE_OCTETS: u64 = 64 * 1024 * 1024;

/// Anchors and CRLs, loaded once; remembers the chains that it has found good, each for as long
/// as its certificates and the CRLs are in force.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    /// The newest first.
    lists: Vec<List>,
    revocation: Revocation,
    good: Mutex<HashMap<[u8; 32], Good>>,
}

/// A revocation list.
struct List {
    list: CertRevocationList<'static>,
    /// DER of its issuer's name.
    issuer: Vec<u8>,
    /// When it was issued and when the next one is due, seconds since 1970.
    from: u64,
    until: u64,
}

/// What to do about certificates whose revocation is not known for sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// When CRLs are configured and that of the signer's issuer is missing or out of date.
    pub unknown: Unknown,
    /// A list that is older than this is out of date, whatever it says itself.
    pub max_age: Option<Duration>,
}

/// What to do about a certificate that may be revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Refuse it (AW-0134).
    #[default]
    Refuse,
    /// Accept it, and say so wherever the signature is reported. A list that is out of date still
    /// counts for those it names.
    Mark,
}

/// A signer who is trusted.
#[derive(Clone)]
pub(crate) struct Trusted {
    /// Who.
    pub(crate) signer: SignerInfo,
    /// When the first certificate of the chain expires.
    pub(crate) until: Timestamp,
    /// What deserves a look.
    pub(crate) notes: Vec<Note>,
}

/// A chain that was found good.
#[derive(Clone)]
struct Good {
    trusted: Trusted,
    /// The verdict holds from and until, seconds since 1970.
    from: u64,
    until: u64,
}

impl Trust {
    /// Reads anchors (a PEM file, or a folder of them) and CRLs (PEM or DER, a file or folder). One
    /// folder may hold both: files with PEM of another kind are skipped in a folder, as long as it
    /// holds something that was asked for.
    ///
    /// # Errors
    /// A sentence per fault: nothing there, not a certificate, not a CRL.
    pub fn load(anchors: &Path, crls: Option<&Path>) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut trust = Self::none();
        for (path, octets) in files(anchors, &mut faults) {
            match trust.add_anchors(&octets) {
                Ok(0) if anchors.is_dir() && is_of_another_kind(&octets) => {}
                Ok(0) => faults.push(format!("{}: no PEM certificate in it", path.display())),
                Ok(_) => {}
                Err(why) => faults.push(format!("{}: {why}", path.display())),
            }
        }
        if trust.anchors.is_empty() && faults.is_empty() {
            faults
                .push(format!("{}: no trust anchor there; put a PEM certificate into it", anchors.display()));
        }
        if let Some(crls) = crls {
            let before = faults.len();
            for (path, octets) in files(crls, &mut faults) {
                match trust.add_crls(&octets) {
                    Ok(0) if crls.is_dir() && is_of_another_kind(&octets) => {}
                    Ok(0) => faults.push(format!("{}: no CRL in it (PEM or DER)", path.display())),
                    Ok(_) => {}
                    Err(why) => faults.push(format!("{}: {why}", path.display())),
                }
            }
            if trust.lists.is_empty() && faults.len() == before {
                faults.push(format!(
                    "{}: no CRL there; put one into it or leave the setting out",
                    crls.display()
                ));
            }
        }
        if faults.is_empty() { Ok(trust) } else { Err(faults) }
    }

    /// From the octets of anchors (PEM) and CRLs (PEM or DER).
    ///
    /// # Errors
    /// A sentence per fault.
    pub fn from_octets(anchors: &[u8], crls: &[Vec<u8>]) -> Result<Self, Vec<String>> {
        let mut trust = Self::none();
        let some = |added: Result<usize, String>, none: &str| match added {
            Ok(0) => Some(none.to_owned()),
            added => added.err(),
        };
        let mut faults: Vec<String> = Vec::new();
        faults.extend(some(trust.add_anchors(anchors), "no PEM certificate in it"));
        faults.extend(crls.iter().filter_map(|crl| some(trust.add_crls(crl), "no CRL in it (PEM or DER)")));
        if faults.is_empty() { Ok(trust) } else { Err(faults) }
    }

    /// Without any anchor: nobody is trusted (where only the form of documents is checked).
    #[must_use]
    pub fn none() -> Self {
        Self {
            anchors: Vec::new(),
            lists: Vec::new(),
            revocation: Revocation::default(),
            good: Mutex::default(),
        }
    }

    /// The same under another policy.
    #[must_use]
    pub fn with_revocation(self, revocation: Revocation) -> Self {
        Self { revocation, good: Mutex::default(), ..self }
    }

    /// How many anchors and CRLs it holds.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.anchors.len(), self.lists.len())
    }

    /// How many were in it.
    fn add_anchors(&mut self, octets: &[u8]) -> Result<usize, String> {
        let before = self.anchors.len();
        for certificate in CertificateDer::pem_slice_iter(octets) {
            let certificate = certificate.map_err(|why| format!("the PEM can't be read: {why}"))?;
            let anchor = webpki::anchor_from_trusted_cert(&certificate)
                .map_err(|why| format!("a certificate can't be a trust anchor: {why}"))?;
            self.anchors.push(anchor.to_owned());
        }
        Ok(self.anchors.len() - before)
    }

    /// How many were in it.
    fn add_crls(&mut self, octets: &[u8]) -> Result<usize, String> {
        let mut found = Vec::new();
        if octets.first() == Some(&0x30) {
            found.push(CertificateRevocationListDer::from(octets));
        } else {
            for crl in CertificateRevocationListDer::pem_slice_iter(octets) {
                found.push(crl.map_err(|why| format!("the PEM can't be read: {why}"))?);
            }
        }
        let count = found.len();
        for der in found {
            let list = OwnedCertRevocationList::from_der(&der)
                .map_err(|why| format!("a CRL can't be used: {why}"))?;
            let (_, parsed) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der)
                .map_err(|why| format!("a CRL can't be read: {why}"))?;
            let second = |at: i64| u64::try_from(at).unwrap_or(0);
            let end = parsed.next_update().map_or(0, |at| second(at.timestamp()));
            let begin = second(parsed.last_update().timestamp());
            // webpki asks the first list of an issuer only: the newest goes first, as only it names
            // all that are revoked; of several as new, the one in force longest.
            let newer = |other: &List| (other.from, other.until) < (begin, end);
            let at = self.lists.iter().position(newer).unwrap_or(self.lists.len());
            let issuer = parsed.issuer().as_raw().to_vec();
            self.lists.insert(at, List { list: list.into(), issuer, from: begin, until: end });
        }
        Ok(count)
    }

    /// Who the signer is, when the certificate of this number leads to an anchor at `now`.
    ///
    /// # Errors
    /// AW-0130 expired, AW-0131 revoked, AW-0132 untrusted, AW-0134 revocation unknown.
    pub(crate) fn signer(
        &self,
        certificates: &[CertificateDer<'_>],
        number: usize,
        now: Timestamp,
    ) -> Result<Trusted, Refusal> {
        let Some(leaf) = certificates.get(number) else {
            return Err(Refusal::new(Code::CertificateMissing, "the signature carries no certificate"));
        };
        let seconds = now.0 / 1000;
        let key = key(certificates, number);
        if let Some(trusted) = self.remembered(&key, seconds) {
            return Ok(trusted);
        }
        let others: Vec<CertificateDer<'_>> =
            certificates.iter().enumerate().filter(|(n, _)| *n != number).map(|(_, c)| c.clone()).collect();
        let above = issuers::above(leaf, &others);
        let (path_until, notes) = chain::Chain::new(self, leaf, &above, seconds)?.check()?;
        certificate::may_sign(leaf)?;
        let signer = certificate::describe(leaf)?;
        let trusted = Trusted { signer, until: Timestamp(path_until.saturating_mul(1000)), notes };
        let (from, until) = self.in_force(certificates, seconds);
        self.remember(key, Good { trusted: trusted.clone(), from, until });
        Ok(trusted)
    }

    fn remembered(&self, key: &[u8; 32], seconds: u64) -> Option<Trusted> {
        let good = self.good.lock().ok()?;
        good.get(key)
            .filter(|good| (good.from..good.until).contains(&seconds))
            .map(|good| good.trusted.clone())
    }

    fn remember(&self, key: [u8; 32], chain: Good) {
        if let Ok(mut good) = self.good.lock() {
            if good.len() >= REMEMBERED {
                good.clear();
            }
            good.insert(key, chain);
        }
    }

    /// When a list counts as out of date.
    fn end(&self, list: &List) -> u64 {
        let oldest = self.revocation.max_age.map(|age| list.from.saturating_add(age.as_secs()));
        list.until.min(oldest.unwrap_or(u64::MAX))
    }

    /// From when until when the verdict on a chain holds: while all certificates handed in and
    /// all CRLs that are in force now stay in force.
    fn in_force(&self, certificates: &[CertificateDer<'_>], seconds: u64) -> (u64, u64) {
        let ends = self.lists.iter().map(|list| self.end(list));
        let mut from = 0;
        let mut until = ends.filter(|end| *end > seconds).min().unwrap_or(u64::MAX);
        for der in certificates {
            match certificate::validity(der) {
                Some((begin, end)) => {
                    from = from.max(begin);
                    until = until.min(end);
                }
                None => return (0, 0),
            }
        }
        (from, until)
    }
}

/// The set of certificates, the signer's first.
fn key(certificates: &[CertificateDer<'_>], number: usize) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&(number as u64).to_be_bytes());
    for certificate in certificates {
        context.update(&(certificate.len() as u64).to_be_bytes());
        context.update(certificate);
    }
    let mut key = Digest::default().0;
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Whether there is any PEM block in it: it belongs to something else, and is no damaged file.
fn is_of_another_kind(octets: &[u8]) -> bool {
    matches!(<(SectionKind, Vec<u8>)>::pem_slice_iter(octets).next(), Some(Ok(_)))
}

/// The file, or the files of the folder, sorted by name.
fn files(path: &Path, faults: &mut Vec<String>) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths = vec![path.to_path_buf()];
    if path.is_dir() {
        match std::fs::read_dir(path) {
            Ok(entries) => {
                paths =
                    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_file()).collect();
                paths.retain(|p| {
                    let extension = p.extension().and_then(|e| e.to_str()).unwrap_or_default();
                    matches!(extension, "pem" | "crt" | "cer" | "crl" | "der")
                });
                paths.sort();
            }
            Err(why) => {
                faults.push(format!("{}: {why}", path.display()));
                return Vec::new();
            }
        }
    }
    let mut found = Vec::new();
    for path in paths {
        let large = std::fs::metadata(&path).is_ok_and(|data| data.len() > FILE_OCTETS);
        match std::fs::read(&path) {
            _ if large => faults.push(format!("{}: larger than {FILE_OCTETS} octets", path.display())),
            Ok(octets) => found.push((path, octets)),
            Err(why) => faults.push(format!("{}: {why}", path.display())),
        }
    }
    found
}
