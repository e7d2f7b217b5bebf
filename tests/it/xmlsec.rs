//! The verifier and the signer agree with xmlsec1 (libxmlsec), an independent implementation.
//!
//! Where the verifier is stricter by its profile than xmlsec1, the reasons are listed in
//! [`STRICTER`]; it must never be laxer.

pub mod generate;
#[path = "../../src/verify/testkit.rs"]
pub mod testkit;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use amtsweg::domain::Timestamp;
use amtsweg::error::Refusal;
use amtsweg::verify::sign::{Canonicalisation, Hash, Profile, Signer};
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{Limits, verify_signature};

use generate::{Algorithms, Random};
use testkit::{Key, Leaf, Pki};

/// Documents signed by us and verified by xmlsec1, and the other way round.
const DOCUMENTS: usize = 300;
/// Mutations of each signed document, unless `AMTSWEG_MUTATIONS` says otherwise.
const MUTATIONS: usize = 2;

struct World {
    leaves: Vec<(Key, Leaf, Signer)>,
    trust: Trust,
    folder: tempfile::TempDir,
    anchor: PathBuf,
}

impl World {
    fn new() -> Option<Self> {
        if Command::new("xmlsec1").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("skipped: xmlsec1 not found");
            return None;
        }
        let pki = Pki::new();
        // xmlsec1 1.2 does not know Ed25519.
        let known = Key::ALL.into_iter().filter(|key| *key != Key::Ed25519);
        let leaves = known.map(|key| {
            let leaf = pki.leaf(key, |_| {});
            let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
            (key, leaf, signer)
        });
        let leaves = leaves.collect();
        let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
        let mut folder = tempfile::tempdir().unwrap();
        folder.disable_cleanup(std::env::var_os("AMTSWEG_KEEP").is_some());
        let anchor = folder.path().join("anchor.pem");
        std::fs::write(&anchor, &pki.anchor).unwrap();
        Some(Self { leaves, trust, folder, anchor })
    }

    fn ours(&self, octets: &[u8]) -> Result<(), Refusal> {
        verify_signature(octets, &Limits::default(), &self.trust, Timestamp::now()).map(|_| ())
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    }

    fn xmlsec(&self, command: &str) -> Command {
        let mut xmlsec = Command::new("xmlsec1");
        xmlsec.arg(command);
        for attribute in ["Id", "ID", "id"] {
            for uri in
                ["", "urn:de:a:", "urn:de:b:", "http://example.org/c?x=1:", "http://example.org/%C3%A4:"]
            {
                for root in generate::ROOTS {
                    xmlsec.arg(format!("--id-attr:{attribute}")).arg(format!("{uri}{root}"));
                }
            }
        }
        xmlsec
    }

    /// Whether xmlsec1 accepts all these files; it stops at the first that it refuses.
    fn theirs(&self, files: &[&Path]) -> bool {
        let mut xmlsec = self.xmlsec("--verify");
        xmlsec.arg("--trusted-pem").arg(&self.anchor).args(files);
        xmlsec.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }
}

fn profile(random: &mut Random) -> Profile {
    Profile {
        canonicalisation: random.pick(&Canonicalisation::ALL),
        hash: random.pick(&Hash::ALL),
        pss: false,
    }
}

#[test]
fn xmlsec_verifies_what_we_sign() {
    let Some(world) = World::new() else { return };
    let mut files = Vec::new();
    for seed in 0..DOCUMENTS {
        let mut random = Random(seed as u64);
        let document = generate::document(&mut random).with("", 0);
        let (key, _, signer) = &world.leaves[random.below(world.leaves.len())];
        let profile = profile(&mut random);
        let signed = signer.sign(document.as_bytes(), profile).unwrap();
        world.ours(&signed).unwrap_or_else(|why| panic!("seed {seed} {key:?} {profile:?}: {why}"));
        files.push(world.write(&format!("ours-{seed}.xml"), &signed));
    }
    let all: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    if !world.theirs(&all) {
        let refused: Vec<_> = all.iter().filter(|file| !world.theirs(&[file])).collect();
        let first = std::fs::read_to_string(refused[0]).unwrap();
        panic!("{} of {} refused by xmlsec1; the first:\n{first}", refused.len(), all.len());
    }
    println!("xmlsec1 verified {} documents that we signed", all.len());
}

/// Documents with a signature that xmlsec1 made: any position, any reference, any method.
fn signed_by_xmlsec(world: &World) -> Vec<Vec<u8>> {
    let mut signed = Vec::new();
    for (number, (key, leaf, _)) in world.leaves.iter().enumerate() {
        let certificate = world.write(&format!("cert-{number}.pem"), leaf.certificate.as_bytes());
        let private = world.write(&format!("key-{number}.pem"), leaf.key.as_bytes());
        let mut xmlsec = world.xmlsec("--sign");
        xmlsec.arg("--privkey-pem").arg(format!("{},{}", private.display(), certificate.display()));
        let count = DOCUMENTS / world.leaves.len();
        for seed in 0..count {
            let mut random = Random((number * 10_000 + seed) as u64 ^ 0xABCD);
            let document = generate::document(&mut random);
            let uri = match &document.id {
                Some(id)
                    if random.one_in(2)
                        && !document.epilog.contains("<?")
                        && !document.prolog.contains("<?pi") =>
                {
                    format!("#{id}")
                }
                _ => String::new(),
            };
            let hash = random.pick(&["sha256", "sha384", "sha512"]);
            let kind = if matches!(key, Key::Rsa2048 | Key::Rsa3072) { "rsa" } else { "ecdsa" };
            let algorithms = Algorithms {
                method: random.pick(&Canonicalisation::ALL).uri(),
                transform: random.pick(&Canonicalisation::ALL).uri(),
                signing: &format!("http://www.w3.org/2001/04/xmldsig-more#{kind}-{hash}"),
                digest: random.pick(&Hash::ALL).uri(),
                uri: &uri,
            };
            let template = generate::template(&mut random, &algorithms);
            let at = random.below(document.children.len() + 1);
            let whole = document.with(&template, at);
            xmlsec.arg(world.write(&format!("template-{number}-{seed}.xml"), whole.as_bytes()));
        }
        let output = xmlsec.stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let documents: Vec<_> = text.split("<?xml version=").filter(|part| !part.is_empty()).collect();
        assert!(output.status.success(), "xmlsec1 signed only {} of {count} ({key:?})", documents.len());
        assert_eq!(documents.len(), count);
        signed.extend(documents.iter().map(|part| format!("<?xml version={part}").into_bytes()));
    }
    signed
}

#[test]
fn we_verify_what_xmlsec_signs() {
    let Some(world) = World::new() else { return };
    let signed = signed_by_xmlsec(&world);
    for document in &signed {
        if let Err(why) = world.ours(document) {
            panic!("{why} {:?}\n{}", why.location, String::from_utf8_lossy(document));
        }
    }
    println!("verified {} documents that xmlsec1 signed", signed.len());
}

/// A second oracle, for RSASSA-PSS, which xmlsec1 1.2 does not know.
#[test]
fn bergshamra_verifies_what_we_sign_with_pss() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::Rsa2048, |_| {});
    let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    let (_, anchor) = x509_parser::pem::parse_x509_pem(pki.anchor.as_bytes()).unwrap();
    let all = Canonicalisation::ALL.into_iter().flat_map(|c| Hash::ALL.map(|hash| (c, hash)));
    for (canonicalisation, hash) in all {
        // A plain document: canonical forms are held against xmlsec1 elsewhere in this file.
        let document = "<p:r xmlns:p='urn:p' b='1' a='2'><c>Größe &amp; Länge</c></p:r>";
        let profile = Profile { canonicalisation, hash, pss: true };
        let signed = String::from_utf8(signer.sign(document.as_bytes(), profile).unwrap()).unwrap();
        let mut keys = bergshamra::KeysManager::new();
        keys.add_trusted_cert(anchor.contents.clone());
        let mut context = bergshamra::DsigContext::new_permissive(keys);
        context = context.with_enabled_key_data_x509(true);
        let result = bergshamra::verify(&context, &signed);
        assert!(result.as_ref().is_ok_and(|result| result.is_valid()), "{profile:?}: {result:?}");
    }
}

/// Why we may refuse what xmlsec1 accepts: part of the reason.
const STRICTER: &[&str] = &[
    // libxml2 reads versions that it does not know.
    "only XML 1.0 is accepted",
    "the XML declaration is malformed",
    // libxmlsec does not hold the signature element to its schema, and its base64 is lenient.
    "text stands between the elements of the signature",
    "an attribute of the signature is not one of XML Signature's",
    "is out of place here",
    "the content is not base64",
    "only base64 may stand here",
    "KeyInfo may hold X509Data, KeyName and KeyValue",
    // An id that libxmlsec does not look at may be the root's.
    "this id is also the root's",
];

#[test]
fn both_refuse_or_accept_the_same_mutations() {
    let Some(world) = World::new() else { return };
    let mut mutants = Vec::new();
    let mut originals = signed_by_xmlsec(&world);
    for seed in 0..DOCUMENTS {
        let mut random = Random(seed as u64 ^ 0x5EED);
        let document = generate::document(&mut random).with("", 0);
        let signer = &world.leaves[random.below(world.leaves.len())].2;
        originals.push(signer.sign(document.as_bytes(), profile(&mut random)).unwrap());
    }
    let rounds = std::env::var("AMTSWEG_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATIONS);
    for (number, original) in originals.iter().enumerate() {
        for round in 0..rounds {
            let mut random = Random((number * 100 + round) as u64 ^ 0xF11F);
            let octets = generate::mutated(&mut random, original);
            let path = world.write(&format!("mutant-{number}-{round}.xml"), &octets);
            mutants.push((path, octets));
        }
    }
    let verdicts: Vec<bool> = std::thread::scope(|scope| {
        let workers: Vec<_> = mutants
            .chunks(mutants.len().div_ceil(4))
            .map(|chunk| {
                scope.spawn(|| chunk.iter().map(|(path, _)| world.theirs(&[path])).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (mut accepted, mut refused, mut stricter) = (0, 0, 0);
    let mut faults = Vec::new();
    for ((path, octets), theirs) in mutants.iter().zip(verdicts) {
        match (world.ours(octets), theirs) {
            (Ok(()), true) => accepted += 1,
            (Err(_), false) => refused += 1,
            (Err(why), true) if STRICTER.iter().any(|known| why.reason.contains(known)) => stricter += 1,
            (ours, theirs) => faults.push(format!("{}: ours {ours:?}, xmlsec1 {theirs}", path.display())),
        }
    }
    println!("{accepted} mutants accepted by both, {refused} refused by both, {stricter} by us alone");
    if !faults.is_empty() {
        panic!("{} disagreements:\n{}", faults.len(), faults.join("\n"));
    }
}
