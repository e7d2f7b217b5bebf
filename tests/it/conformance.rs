//! The verifier, the JDK's XML signatures and bergshamra judge the same documents: generated ones with every
//! form of signature, and mutations of them, each determined by its seed. (xmlsec1 does so in `xmlsec.rs`.)
//! The JDK runs once for all documents. What bergshamra 0.11.1 does wrongly, and how a document shows that it
//! meets such a fault, stands in `third.rs`; each document that does is followed by one that does not, so
//! that there are as many that all three judge as were asked for.
//!
//! `AMTSWEG_DOCUMENTS=10000 cargo test --test it conformance -- --nocapture` is the long form.

mod canonical;
mod third;

use std::collections::BTreeMap;
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
use third::Judge;

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
    third: Judge,
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
        Self { signers, trust, anchor, folder, third: Judge::new(der.contents) }
    }

    /// The document of a seed, and where it meets a fault of bergshamra, a second one that meets none.
    fn cases(&self, seed: usize) -> Vec<Case> {
        let first = self.case(seed, false);
        match third::fault(&first.octets) {
            None => vec![first],
            Some(_) => vec![first, self.case(seed, true)],
        }
    }

    /// Signed in any form; that of every second seed is mutated. A `plain` one meets no fault of bergshamra.
    fn case(&self, seed: usize, plain: bool) -> Case {
        let mut random = Random(seed as u64 ^ 0xC0FF_EE00 ^ u64::from(plain) << 40);
        loop {
            let document = generate::document(&mut random);
            if plain && third::fault(document.with("", 0).as_bytes()).is_some() {
                continue;
            }
            let case = self.signed(&mut random, seed, &document);
            if !plain || third::fault(&case.octets).is_none() {
                return case;
            }
        }
    }

    fn signed(&self, random: &mut Random, seed: usize, document: &generate::Document) -> Case {
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
        let octets = if mutated { generate::mutated(random, &octets) } else { octets };
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
        for (number, case) in cases.iter().enumerate() {
            let path = folder.join(format!("{number}.xml"));
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
}

impl Case {
    fn unknown(&self, jdk: &str) -> bool {
        self.key == Key::Ed25519 && jdk.contains("unsupported SignatureMethod")
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "(seed {}, {:?}, {:?}{})",
            self.seed,
            self.key,
            self.form,
            if self.mutated { ", mutated" } else { "" }
        )
    }
}

fn documents() -> usize {
    std::env::var("AMTSWEG_DOCUMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(DOCUMENTS)
}

/// What came of the documents.
#[derive(Default)]
struct Count {
    accepted: usize,
    refused: usize,
    stricter: usize,
    unknown: usize,
    /// bergshamra says the same as the JDK and we.
    third: usize,
    /// The JDK and we differ.
    divided: usize,
    laxer: BTreeMap<&'static str, usize>,
    set_aside: BTreeMap<&'static str, usize>,
    faults: Vec<String>,
}

impl Count {
    fn take(&mut self, number: usize, case: &Case, ours: &Result<(), Refusal>, jdk: &str) {
        let judge = jdk == "ok";
        match (ours, judge) {
            // Older JDKs do not know Ed25519 here.
            _ if case.unknown(jdk) => self.unknown += 1,
            (Ok(()), true) => self.accepted += 1,
            (Err(_), false) => self.refused += 1,
            (Err(why), true) if STRICTER.iter().any(|known| why.reason.contains(known)) => self.stricter += 1,
            _ => self.faults.push(format!("{number} {case:?}: ours {ours:?}, JDK {jdk}")),
        }
    }

    /// bergshamra's verdict on a document that meets none of its faults, or on one that does.
    fn third(
        &mut self,
        number: usize,
        case: &Case,
        ours: &Result<(), Refusal>,
        jdk: &str,
        said: Result<(), String>,
    ) {
        let judge = if case.unknown(jdk) { ours.is_ok() } else { jdk == "ok" };
        let laxer = ours.as_ref().err().and_then(|why| third::laxer(&why.reason));
        match (third::fault(&case.octets), laxer) {
            (Some(fault), _) => {
                *self.set_aside.entry(fault).or_default() += 1;
                // The faults are described exactly: they never let it accept what has not been changed.
                if !case.mutated && said.is_ok() {
                    self.faults.push(format!("{number} {case:?}: bergshamra has not the fault: {fault}"));
                }
            }
            _ if ours.is_ok() != judge => self.divided += 1,
            _ if said.is_ok() == judge => self.third += 1,
            (None, Some(reason)) if said.is_ok() => *self.laxer.entry(reason).or_default() += 1,
            _ => {
                self.faults.push(format!("{number} {case:?}: ours {ours:?}, JDK {jdk}, bergshamra {said:?}"))
            }
        }
    }

    fn print(&self) {
        println!(
            "{} accepted and {} refused by the JDK and us, {} by us alone, {} not known to the JDK",
            self.accepted, self.refused, self.stricter, self.unknown
        );
        println!("bergshamra agrees on {}; on {} the JDK and we differ", self.third, self.divided);
        for (what, counts) in [("accepts alone", &self.laxer), ("is not asked", &self.set_aside)] {
            for (reason, count) in counts {
                println!("{count:>6} that it {what}: {reason}");
            }
        }
    }
}

#[test]
fn the_jdk_and_bergshamra_agree_on_generated_documents_and_mutations() {
    let world = World::new();
    let seeds = documents();
    let cases: Vec<Case> = (0..seeds).flat_map(|seed| world.cases(seed)).collect();
    let Some(theirs) = world.jdk(&cases) else {
        println!("skipped: no JDK (javac) found");
        return;
    };
    assert_eq!(theirs.len(), cases.len());
    let mut count = Count::default();
    for (number, (case, jdk)) in cases.iter().zip(&theirs).enumerate() {
        let ours = world.ours(&case.octets);
        assert!(case.mutated || ours.is_ok(), "{number} {case:?}: {ours:?}");
        count.take(number, case, &ours, jdk);
        count.third(number, case, &ours, jdk, world.third.verdict(&case.octets));
    }
    println!("{} documents of {seeds} seeds", cases.len());
    count.print();
    let judged = count.third + count.divided + count.laxer.values().sum::<usize>();
    if !count.faults.is_empty() {
        let mut folder = world.folder;
        folder.disable_cleanup(true);
        panic!(
            "{} disagreements in {}:\n{}",
            count.faults.len(),
            folder.path().display(),
            count.faults.join("\n")
        );
    }
    assert_eq!(judged, seeds, "one document of each seed is judged by all");
}
