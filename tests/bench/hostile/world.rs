//! The documents of the bench, signed and unsigned, and the verifiers for them.

use std::sync::Arc;

use amtsweg::antrag::samples;
use amtsweg::domain::Timestamp;
use amtsweg::verify::header::Rules;
use amtsweg::verify::schema::Schemas;
use amtsweg::verify::sign::{Profile, Signer};
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{Settings, Verifier};
use bytes::Bytes;

use super::kinds::{self, Kind, Root, Signing};
use super::testkit::{Key, Pki};

/// What stands in for the content in the template of an application.
const PLACE: &str = "<x:platz xmlns:x=\"urn:x\"/>";

/// What documents are made and verified with.
pub struct World {
    pki: Pki,
    signer: Signer,
    /// Eight certificates, DER in base64, of another key than the signer's.
    crowd: Vec<String>,
    /// With a certificate that seven CAs of the anchor's name and none of its key stand above.
    stranger: Signer,
    rules: Arc<Rules>,
    schemas: Arc<Schemas>,
    application: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(Key::Rsa2048, |_| {});
        let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let other = pki.leaf(Key::Rsa3072, |_| {});
        let der = |pem: &str| -> String {
            pem.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().concat()
        };
        let folder = tempfile::tempdir().unwrap();
        let (rules, schemas) = kinds::own_standard(folder.path());
        let service = samples::SERVICES[0].key.parse().unwrap();
        let area = samples::PLACES[0].0.parse().unwrap();
        let author = samples::portal("kop:06411000").unwrap();
        let mut application = samples::application(1, &author, &service, &area, Timestamp::now());
        application.attachments.clear();
        application.content = amtsweg::antrag::Content::Element(PLACE.to_owned());
        let application = String::from_utf8(application.to_xml().unwrap()).unwrap();
        assert!(application.contains(PLACE));
        let leaf = Pki::new().leaf(Key::P256, |_| {});
        let chain = leaf.certificate + &(0..7).map(|_| Pki::new().anchor).collect::<String>();
        let stranger = Signer::from_pem(chain.as_bytes(), leaf.key.as_bytes()).unwrap();
        let crowd = vec![der(&other.certificate); 8];
        Self {
            pki,
            signer,
            crowd,
            stranger,
            rules: Arc::new(rules),
            schemas: Arc::new(schemas),
            application,
            _folder: folder,
        }
    }

    pub fn document(&self, root: Root, content: &str) -> String {
        match root {
            Root::Application => {
                let document = self.application.replace(PLACE, content);
                document.replacen(" standard=", " Id=\"r\" standard=", 1)
            }
            Root::Own => kinds::own_document(content),
        }
    }

    /// A normal application of about this size: small elements with text, attributes, white space.
    pub fn normal(&self, size: usize) -> Bytes {
        let mut content = String::from("<f:antrag xmlns:f=\"urn:de:beispiel:antrag\">\n");
        let mut number = 0;
        while content.len() + 4096 < size {
            number += 1;
            content += &format!(
                "  <f:person nr=\"{number}\"><f:name>Müller &amp; Söhne</f:name><f:ort plz=\"63450\">Hanau</f:ort></f:person>\n"
            );
        }
        content += "</f:antrag>\n";
        let document = self.document(Root::Application, &content);
        self.signer.sign(document.as_bytes(), Profile::default()).unwrap().into()
    }

    pub fn signed(&self, kind: &Kind, document: &str) -> Bytes {
        let sign = |document: &str, profile| self.signer.sign(document.as_bytes(), profile).unwrap();
        match kind.signing {
            Signing::With(profile) => sign(document, profile).into(),
            Signing::Stranger => self.stranger.sign(document.as_bytes(), Profile::default()).unwrap().into(),
            // What the signer's own limits don't let it sign has the signature of another document: the
            // pass and the digest are the same, the answer is AW-0122.
            Signing::Borrowed => {
                let other = sign(&self.document(kind.root, "<x:a xmlns:x=\"urn:x\"/>"), Profile::default());
                let other = String::from_utf8(other).unwrap();
                let from = other.find("<ds:Signature ").unwrap();
                let to = other.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
                let at = document.rfind("</").unwrap();
                format!("{}{}{}", &document[..at], &other[from..to], &document[at..]).into()
            }
            Signing::Changed(change) => {
                let signed = String::from_utf8(sign(document, Profile::default())).unwrap();
                change(&signed, &self.crowd).into()
            }
        }
    }

    pub fn verifier(&self, kind: &Kind) -> Verifier {
        // Anew for each call: no chain is remembered.
        let trust = Trust::from_octets(self.pki.anchor.as_bytes(), &[]).unwrap();
        let (rules, schemas) = (self.rules.clone(), self.schemas.clone());
        Verifier::new(Settings { limits: kind.limits, rules, schemas, trust: Arc::new(trust) })
    }
}
