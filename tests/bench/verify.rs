//! Verification against its floor (one quick-xml pass, SHA-256, one RSA-2048 check) and against what others take
//! for the same document and schema ([`peers`]), in one run, on one thread: `cargo bench --bench verify`. A word after
//! `--` leaves out the documents whose name lacks it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on stops, as a test"
)]

#[path = "verify/peers.rs"]
mod peers;
#[path = "../../src/verify/testkit.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod testkit;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amtsweg::domain::Timestamp;
use amtsweg::verify::header::Rules;
use amtsweg::verify::schema::Schemas;
use amtsweg::verify::sign::{Profile, Signer};
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{Limits, Settings, Verifier, verify_signature};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use bytes::Bytes;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use testkit::{Key, Pki};

const NAMESPACE: &str = "urn:amtsweg:bench";

/// The root's start tag and the header.
fn head() -> String {
    format!(
        "<b:bench xmlns:b=\"{NAMESPACE}\">\n  <b:kopf><b:uuid>0b8b3c2e-8d1b-4b5e-9c54-0f7a8f1d2c3b</b:uuid><b:typ>0100</b:typ>\
         <b:erstellt>2026-11-01T08:00:00Z</b:erstellt><b:autor>wgp:1</b:autor><b:leser>kop:1</b:leser></b:kopf>\n"
    )
}

/// Where the header stands.
const RULES: &str = r#"
[[standard]]
namespace = "urn:amtsweg:bench"
roots = "bench"
type_code = "free"
address = "reader"
[standard.paths]
uuid = "t:kopf/t:uuid"
type = "t:kopf/t:typ"
created = "t:kopf/t:erstellt"
author = "t:kopf/t:autor"
reader = "t:kopf/t:leser"
"#;

/// One small record after the other, about `size` octets in all.
fn small_elements(size: usize) -> String {
    let mut document = head();
    let mut number = 0;
    while document.len() < size {
        number += 1;
        document += &format!(
            "  <b:person nr=\"{number}\"><b:name>Müller &amp; Söhne</b:name><b:ort plz=\"63450\">Hanau</b:ort></b:person>\n"
        );
    }
    document + "</b:bench>\n"
}

/// One base64 text of about `size` octets.
fn base64_text(size: usize) -> String {
    let line = "QW10c3dlZyBicmluZ3QgQW50csOkZ2UgenVyIHp1c3TDpG5kaWdlbiBCZWjDtnJkZS4gQW10c3dl\n";
    format!("{}<b:daten>{}</b:daten></b:bench>\n", head(), line.repeat(size / line.len()))
}

/// The best time of many.
fn best(mut work: impl FnMut()) -> Duration {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    let mut rounds = 0;
    while rounds < 20 || (begin.elapsed() < Duration::from_millis(400) && rounds < 20_000) {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
        rounds += 1;
    }
    best
}

fn quick_xml_pass(octets: &[u8]) -> usize {
    let mut reader = Reader::from_reader(octets);
    let mut events = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

/// The header in the schema.
const HEADER: &str = r#"<xs:element name="kopf"><xs:complexType><xs:sequence>
    <xs:element name="uuid"><xs:simpleType><xs:restriction base="xs:string">
    <xs:pattern value="[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="typ" type="xs:token"/><xs:element name="erstellt" type="xs:dateTime"/>
    <xs:element name="autor" type="xs:token"/><xs:element name="leser" type="xs:token"/>
    </xs:sequence></xs:complexType></xs:element>"#;

/// A schema for the documents.
fn schemas(folder: &Path) -> Schemas {
    let person = "<xs:element name=\"person\" maxOccurs=\"unbounded\" form=\"qualified\"><xs:complexType><xs:sequence>\
        <xs:element name=\"name\" type=\"xs:string\" form=\"qualified\"/>\
        <xs:element name=\"ort\" form=\"qualified\"><xs:complexType><xs:simpleContent><xs:extension base=\"xs:string\">\
        <xs:attribute name=\"plz\" type=\"xs:string\"/></xs:extension></xs:simpleContent></xs:complexType></xs:element>\
        </xs:sequence><xs:attribute name=\"nr\" type=\"xs:positiveInteger\"/></xs:complexType></xs:element>";
    let schema = format!(
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" targetNamespace=\"{NAMESPACE}\" elementFormDefault=\"qualified\">\
         <xs:element name=\"bench\"><xs:complexType><xs:sequence>{HEADER}<xs:choice>{person}\
         <xs:element name=\"daten\" type=\"xs:base64Binary\" form=\"qualified\"/></xs:choice>\
         <xs:any namespace=\"##other\" processContents=\"lax\"/></xs:sequence></xs:complexType></xs:element></xs:schema>"
    );
    let catalog = format!(
        "<catalog xmlns=\"urn:oasis:names:tc:entity:xmlns:xml:catalog\"><uri name=\"{NAMESPACE}\" uri=\"bench.xsd\"/></catalog>"
    );
    std::fs::write(folder.join("bench.xsd"), schema).unwrap();
    std::fs::write(folder.join("catalog.xml"), catalog).unwrap();
    Schemas::load(&[folder.to_path_buf()]).unwrap()
}

/// What documents are verified with.
struct World {
    signer: Signer,
    trust: Arc<Trust>,
    verifier: Verifier,
    limits: Limits,
    /// The floor's key check, with a message and its signature.
    key: UnparsedPublicKey<Vec<u8>>,
    message: [u8; 600],
    value: Vec<u8>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(Key::Rsa2048, |_| {});
        let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let trust = Arc::new(Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("anchor.pem"), &pki.anchor).unwrap();
        let mut rules = Rules::built_in();
        rules.add(RULES).unwrap();
        let limits = Limits::default();
        let (rules, schemas) = (Arc::new(rules), Arc::new(schemas(folder.path())));
        let verifier = Verifier::new(Settings { limits, rules, schemas, trust: trust.clone() });
        let (_, certificate) = x509_parser::parse_x509_certificate(signer.certificate()).unwrap();
        let public = certificate.public_key().subject_public_key.data.to_vec();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let (pair, message) = (rcgen::KeyPair::from_pem(&leaf.key).unwrap(), [7; 600]);
        let value = rcgen::SigningKey::sign(&pair, &message).unwrap();
        Self { signer, trust, verifier, limits, key, message, value, folder }
    }

    /// The times for the floor, the signature alone, and all: the best of three turns, since other guests of the
    /// machine may be busy for seconds.
    fn measure(&self, signed: &[u8]) -> [Duration; 3] {
        let (now, octets) = (Timestamp::now(), Bytes::copy_from_slice(signed));
        let mut times = [Duration::MAX; 3];
        for _ in 0..3 {
            let floor = best(|| {
                black_box(quick_xml_pass(signed));
                black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed));
                self.key.verify(&self.message, &self.value).unwrap();
            });
            let signature = best(|| {
                black_box(verify_signature(signed, &self.limits, &self.trust, now).unwrap());
            });
            let all = best(|| {
                black_box(self.verifier.verify(octets.clone(), &[], now).unwrap());
            });
            times = [times[0].min(floor), times[1].min(signature), times[2].min(all)];
        }
        times
    }
}

fn text(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| format!("{:.1} µs", time.as_secs_f64() * 1e6))
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn main() {
    let world = World::new();
    let at = |name: &str| world.folder.path().join(name);
    let peers = peers::Peers::new(world.folder.path());
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| words.iter().all(|word| name.contains(word.as_str()));
    println!("{:<32}{:>12}{:>12}{:>7}{:>12}{:>7}", "document", "floor", "signature", "ratio", "all", "ratio");
    let mut theirs = Vec::new();
    for (name, document, copies) in [
        ("4 KB small elements", small_elements(2000), 2_000),
        ("64 KB small elements", small_elements(62_000), 300),
        ("1 MB small elements", small_elements(1_000_000), 20),
        ("1 MB base64", base64_text(1_000_000), 20),
    ] {
        if !wanted(name) {
            continue;
        }
        let signed = world.signer.sign(document.as_bytes(), Profile::default()).unwrap();
        std::fs::write(at("signed.xml"), &signed).unwrap();
        // Ours and the peers twice in turn.
        let turn = || {
            let ours = world.measure(&signed);
            (ours, peers.measure(&at("signed.xml"), &at("bench.xsd"), &at("anchor.pem"), copies))
        };
        let (first, second) = (turn(), turn());
        let [floor, signature, all] = std::array::from_fn(|n| first.0[n].min(second.0[n]));
        println!(
            "{:<32}{:>12}{:>12}{:>7.2}{:>12}{:>7.2}",
            format!("{name} ({})", signed.len()),
            text(Some(floor)),
            text(Some(signature)),
            ratio(signature, floor),
            text(Some(all)),
            ratio(all, floor),
        );
        let took: [Option<Duration>; peers::NAMES.len()] =
            std::array::from_fn(|n| first.1[n].into_iter().chain(second.1[n]).min());
        theirs.push((name, all, took));
    }
    println!("\n{:<24}{}", "document", peers::NAMES.map(|name| format!("{name:>32}")).concat());
    for (name, all, took) in theirs {
        let column = |time: Option<Duration>| {
            let times = time.map_or(String::new(), |time| format!(" ({:.1} of ours)", ratio(time, all)));
            format!("{:>32}", text(time) + &times)
        };
        println!("{name:<24}{}", took.map(column).concat());
    }
}
