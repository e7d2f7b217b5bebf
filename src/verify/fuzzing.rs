//! Ways in for the fuzz targets (`tests/fuzz`), there with the feature `fuzzing` and in tests alone.
//! A property that does not hold panics: that is how a fuzzer is told.

#[cfg(test)]
mod agree;
#[cfg(test)]
pub(crate) mod kept;
mod respell;
pub(crate) mod schema;
mod validate;

use std::sync::Arc;

use bytes::Bytes;

use super::header::Rules;
use super::pass::{Ask, pass};
use super::schema::Schemas;
use super::sign::{Canonicalisation, Hash, Profile, Signer};
use super::trust::Trust;
use super::{Document, Limits, Plan, Settings, Verifier, picked, verify_signature};
use crate::domain::{Header, Timestamp};
use crate::error::Code;

pub use schema::schema;
pub use validate::Validate;

/// When everything is checked: 2026-01-01.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// Reads and passes over documents.
pub struct Parse {
    rules: Rules,
    limits: Limits,
    signer: Signer,
    trust: Trust,
}

impl Parse {
    /// With a signer and the anchor that it leads to, both PEM; `None` when they are none.
    #[must_use]
    pub fn new(certificate: &[u8], key: &[u8], anchor: &[u8]) -> Option<Self> {
        let signer = Signer::from_pem(certificate, key).ok()?;
        let trust = Trust::from_octets(anchor, &[]).ok()?;
        Some(Self { rules: Rules::built_in(), limits: Limits::default(), signer, trust })
    }

    /// The pass over a document with its header. What it takes can be signed, and the signature that
    /// was made verifies: signer and verifier see the same document.
    pub fn run(&self, octets: &[u8]) {
        let Ok(document) = Document::check(octets, &self.limits) else { return };
        let plan = Plan::guess(document.text);
        let ask = |plan| Ask { rules: Some(&self.rules), plan, schemas: None };
        let Ok(mut passed) = pass(document, &self.limits, ask(Some(&plan))) else { return };
        let header = picked(&mut passed, &self.limits).ok();
        let number = octets.len();
        let canonicalisations = Canonicalisation::ALL;
        let canonicalisation = canonicalisations.get(number % canonicalisations.len());
        let profile = Profile {
            canonicalisation: canonicalisation.copied().unwrap_or(Canonicalisation::Exclusive),
            hash: Hash::Sha256,
            pss: false,
        };
        let Ok(signed) = self.signer.sign(octets, profile) else { return };
        let verified = verify_signature(&signed, &self.limits, &self.trust, NOW);
        let over = verified.as_ref().is_err_and(|refusal| refusal.code == Code::OverLimit);
        assert!(verified.is_ok() || over, "signed, but {verified:?}");
        // The signature is the last child of the root: it adds nothing to the header.
        let Ok(document) = Document::check(&signed, &self.limits) else { return };
        let again = pass(document, &self.limits, ask(None));
        let again = again.ok().and_then(|mut passed| picked(&mut passed, &self.limits).ok());
        assert_eq!(header, again, "the header before and after signing");
    }
}

/// The whole verification, with the anchor of a key that nobody has any more.
pub struct Verify {
    verifier: Verifier,
    /// The header of the message that was signed with that key.
    signed: Header,
}

impl Verify {
    /// With an anchor (PEM), and a document that leads to it; `None` when it does not.
    #[must_use]
    pub fn new(anchor: &[u8], document: &[u8]) -> Option<Self> {
        let verifier = Verifier::new(Settings {
            limits: Limits::default(),
            rules: Arc::new(Rules::built_in()),
            schemas: Arc::new(Schemas::load(&[]).ok()?),
            trust: Arc::new(Trust::from_octets(anchor, &[]).ok()?),
        });
        let verified = verifier.verify(Bytes::copy_from_slice(document), &[], NOW).ok()?;
        let signed = verified.header().clone();
        Some(Self { verifier, signed })
    }

    /// What is accepted says what was signed: no change of a document gets past the signature.
    pub fn run(&self, octets: &[u8]) {
        let octets = Bytes::copy_from_slice(octets);
        let signature = self.verifier.signature(&octets, NOW);
        if let Ok(verified) = self.verifier.verify(octets, &[], NOW) {
            assert_eq!(verified.header(), &self.signed, "accepted, but nobody signed this");
            assert!(signature.is_ok(), "accepted with a signature that is not: {signature:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::kept::{corpus, fuzz_folder};
    use super::*;
    use crate::antrag::samples;

    use crate::verify::testkit::{Key, Pki};

    #[test]
    fn the_corpus_of_documents_is_passed_over() {
        let pki = Pki::new();
        let leaf = pki.leaf(Key::P256, |_| {});
        let parse = Parse::new(leaf.certificate.as_bytes(), leaf.key.as_bytes(), pki.anchor.as_bytes());
        let parse = parse.unwrap();
        corpus("parse", |octets| parse.run(octets));
    }

    #[test]
    fn the_corpus_of_signed_documents_is_verified() {
        let read = |name: &str| std::fs::read(fuzz_folder().join(name)).unwrap();
        let verify = Verify::new(&read("anchor.pem"), &read("signed.xml")).unwrap();
        corpus("verify", |octets| verify.run(octets));
    }

    #[test]
    fn the_corpus_of_schemas_is_compiled() {
        corpus("schema", schema);
    }

    #[test]
    fn the_corpus_of_documents_is_validated_however_it_is_written() {
        let anchor = std::fs::read(fuzz_folder().join("anchor.pem")).unwrap();
        let validate = Validate::new(fuzz_folder().join("rich"), &anchor).unwrap();
        let valid = std::cell::Cell::new(0);
        corpus("validate", |octets| valid.set(valid.get() + usize::from(validate.run(octets))));
        println!("{} are valid", valid.get());
        assert!(valid.get() > 10, "the corpus has lost its valid documents");
    }

    /// Makes anchor and seeds anew, with keys that go with this process.
    #[test]
    #[ignore = "writes tests/fuzz"]
    fn makes_the_seeds_of_signed_documents() {
        let folder = fuzz_folder();
        std::fs::create_dir_all(folder.join("corpus/verify")).unwrap();
        let pki = Pki::new();
        std::fs::write(folder.join("anchor.pem"), &pki.anchor).unwrap();
        let author = samples::portal("wgp:010500100000").unwrap();
        let (service, area) = ("99102013104000".parse().unwrap(), "065340014014".parse().unwrap());
        let mut application = samples::application(0, &author, &service, &area, NOW);
        application.attachments.clear();
        let document = application.to_xml().unwrap();
        std::fs::write(folder.join("corpus/parse/antrag"), &document).unwrap();
        for key in [Key::Rsa2048, Key::P256, Key::P384] {
            let leaf = pki.leaf(key, |_| {});
            let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
            for canonicalisation in Canonicalisation::ALL {
                let hash = if key == Key::P384 { Hash::Sha384 } else { Hash::Sha256 };
                let pss = matches!(canonicalisation, Canonicalisation::Inclusive);
                let signed = signer.sign(&document, Profile { canonicalisation, hash, pss }).unwrap();
                let name = format!("corpus/verify/{key:?}-{canonicalisation:?}");
                std::fs::write(folder.join(name), &signed).unwrap();
                if key == Key::P256 && canonicalisation == Canonicalisation::Exclusive {
                    std::fs::write(folder.join("signed.xml"), signed).unwrap();
                }
            }
        }
    }
}
