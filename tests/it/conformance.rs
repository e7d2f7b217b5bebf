//! The verifier and the JDK's XML signatures judge the same documents: generated ones with every form of
//! signature, and mutations of them, each determined by its seed. (xmlsec1 does so in `xmlsec.rs`.) The
//! JDK runs once for all documents. bergshamra is asked too, and what it says is counted: it refuses many of
//! the documents that the JDK, xmlsec1 and we accept, so it is no judge of them.
//!
//! `AMTSWEG_DOCUMENTS=10000 cargo test --test it conformance -- --nocapture` is the long form.

mod canonical;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use amtsweg::domain::Timestamp;
use amtsweg::error::Refusal;
use amtsweg::verify::sign::{Canonicalisation, Form, Hash, Profile, Signer};
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{Limits, verify_signature};

use crate::xmlsec::generate::{self, Random};
use crate::xmlsec::testkit::{Key, Leaf, Pki};

/// Documents, mutated ones included, unless `AMTSWEG_DOCUMENTS` says otherwise.
const DOCUMENTS: usize = 400;

/// Why we may refuse what the JDK accepts: part of the reason.
const STRICTER: &[&str] = &[
    // The JDK reads text between the elements, unknown attributes and elements, and lenient base64.
    "text stands between the elements of the signature",
    "an attribute of the signature is not one of XML Signature's",
    "is out of place here",
    "the content is not base64",
    "only base64 may stand here",
    "KeyInfo may hold X509Data, KeyName and KeyValue",
    "the signature lacks",
    "ds:Object may hold XAdES' QualifyingProperties alone",
    // It does not know XAdES: what is not referred to is not looked at.
    "Target must be # and the Id of the signature",
    "must name the Id of the reference to the document",
    "XAdES B-B needs SigningTime",
    // An id that it is not told of may be the root's or the properties'.
    "this id is also the root's",
    "ids must be unique",
    // Namespaces in XML 1.0 recommend absolute URIs; where no name uses one, it is not signed.
    "a namespace must be an absolute URI",
    // A mutated XML declaration is an instruction, which a root's id does not cover.
    "a processing instruction outside the root is not covered",
    // webpki holds certificates more strictly to DER.
    "no certificate of the signature can be read",
    "only XML 1.0 is accepted",
    "the XML declaration is malformed",
];

struct World {
    signers: Vec<(Key, Signer)>,
    trust: Trust,
    anchor: PathBuf,
    folder: tempfile::TempDir,
    anchor_der: Vec<u8>,
}

/// A document with what is known of it.
struct Case {
    seed: usize,
    octets: Vec<u8>,
    key: Key,
    form: Form,
    mutated: bool,
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        let signer = |leaf: Leaf| Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let signers = Key::ALL.into_iter().map(|key| (key, signer(pki.leaf(key, |_| {})))).collect();
        let folder = tempfile::tempdir().unwrap();
        let anchor = folder.path().join("anchor.pem");
        std::fs::write(&anchor, &pki.anchor).unwrap();
        let (_, der) = x509_parser::pem::parse_x509_pem(pki.anchor.as_bytes()).unwrap();
        let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
        Self { signers, trust, anchor, folder, anchor_der: der.contents }
    }

    /// Signed in any form; every second one is mutated.
    fn case(&self, seed: usize) -> Case {
        let mut random = Random(seed as u64 ^ 0xC0FF_EE00);
        let document = generate::document(&mut random);
        // An id can't stand for what is outside of the root.
        let outside = document.prolog.contains("<?pi") || document.epilog.contains("<?");
        let form = Form {
            xades: random.one_in(3).then_some(Timestamp(1_767_000_000_000)),
            pss_parameters: random.one_in(3),
            by_id: document.id.is_some() && !outside && random.one_in(2),
        };
        let profile = Profile {
            canonicalisation: random.pick(&Canonicalisation::ALL),
            hash: random.pick(&Hash::ALL),
            pss: random.one_in(2),
        };
        let (key, signer) = &self.signers[random.below(self.signers.len())];
        let signed = signer.sign_as(document.with("", 0).as_bytes(), profile, form);
        let octets = signed.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let mutated = seed % 2 == 1;
        let octets = if mutated { generate::mutated(&mut random, &octets) } else { octets };
        Case { seed, octets, key: *key, form, mutated }
    }

    fn ours(&self, octets: &[u8]) -> Result<(), Refusal> {
        verify_signature(octets, &Limits::default(), &self.trust, Timestamp::now()).map(|_| ())
    }

    /// What the JDK says, in order; `None` without a JDK.
    fn jdk(&self, cases: &[Case]) -> Option<Vec<String>> {
        let folder = self.folder.path();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance/Check.java");
        let compiled = Command::new("javac").arg("-d").arg(folder).arg(source).status();
        if !compiled.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut names = String::new();
        for case in cases {
            let path = folder.join(format!("{}.xml", case.seed));
            std::fs::write(&path, &case.octets).unwrap();
            names += path.to_str().unwrap();
            names.push('\n');
        }
        let mut java = Command::new("java")
            .args(["-Xmx512m", "-cp"])
            .arg(folder)
            .arg("Check")
            .arg(&self.anchor)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        java.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
        let output = java.wait_with_output().unwrap();
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
    }

    fn bergshamra(&self, octets: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(octets) else { return false };
        let mut keys = bergshamra::KeysManager::new();
        keys.add_trusted_cert(self.anchor_der.clone());
        let mut context = bergshamra::DsigContext::new_permissive(keys).with_enabled_key_data_x509(true);
        for name in ["Id", "ID", "id"] {
            context.add_id_attr(name);
        }
        bergshamra::verify(&context, text).is_ok_and(|result| result.is_valid())
    }
}

fn documents() -> usize {
    std::env::var("AMTSWEG_DOCUMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(DOCUMENTS)
}

#[test]
fn the_jdk_agrees_on_generated_documents_and_mutations() {
    let world = World::new();
    let cases: Vec<Case> = (0..documents()).map(|seed| world.case(seed)).collect();
    let Some(theirs) = world.jdk(&cases) else {
        println!("skipped: no JDK (javac) found");
        return;
    };
    assert_eq!(theirs.len(), cases.len());
    let (mut accepted, mut refused, mut stricter, mut unknown, mut alone, mut lax) = (0, 0, 0, 0, 0, 0);
    let mut faults = Vec::new();
    for (case, jdk) in cases.iter().zip(&theirs) {
        let ours = world.ours(&case.octets);
        assert!(case.mutated || ours.is_ok(), "seed {}: {ours:?}", case.seed);
        // Older JDKs do not know Ed25519 here.
        if case.key == Key::Ed25519 && jdk.contains("unsupported SignatureMethod") {
            unknown += 1;
            continue;
        }
        let judge = jdk == "ok";
        let third = world.bergshamra(&case.octets);
        alone += usize::from(third != judge);
        lax += usize::from(third && !judge);
        match (&ours, judge) {
            (Ok(()), true) => accepted += 1,
            (Err(_), false) => refused += 1,
            (Err(why), true) if STRICTER.iter().any(|known| why.reason.contains(known)) => stricter += 1,
            _ => {
                let (seed, key, form) = (case.seed, case.key, case.form);
                faults.push(format!("{seed} {key:?} {form:?}: ours {ours:?}, JDK {jdk}, bergshamra {third}"));
            }
        }
    }
    println!(
        "{} documents: {accepted} accepted and {refused} refused by the JDK and us, {stricter} by us alone, {unknown} \
         not known to the JDK; bergshamra differed from both on {alone}, and accepted what they refuse on {lax}",
        cases.len()
    );
    if !faults.is_empty() {
        let mut folder = world.folder;
        folder.disable_cleanup(true);
        panic!("{} disagreements in {}:\n{}", faults.len(), folder.path().display(), faults.join("\n"));
    }
}
