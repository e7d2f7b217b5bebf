//! Good messages, and what attackers make of them.

use amtsweg::domain::Timestamp;
use amtsweg::verify::sign::{Form, Profile, Signer};

use crate::support::Draft;
use crate::xmlsec::testkit::{Key, Leaf, Pki};

/// A forged message.
pub struct Attack {
    /// Short, for its file's name.
    pub name: String,
    /// The kind of attack, with the advisories that name it.
    pub class: &'static str,
    /// The code that its signature is refused with.
    pub code: &'static str,
    pub octets: Vec<u8>,
}

/// Who attacks: in possession of good messages, and of keys of his own.
pub struct Forge {
    anchor: String,
    /// A message whose signature refers to the whole document.
    pub whole: String,
    /// One whose signature refers to the root's id, `a`.
    pub by_id: String,
    /// One with XAdES B-B.
    pub xades: String,
    /// What was signed, without its signature.
    pub unsigned: String,
    /// What the attacker wants to have accepted.
    pub evil: String,
    /// Signed by the attacker with a certificate of his own CA, in the victim's name.
    pub foreign: String,
    /// The attacker's certificate, as an element.
    pub foreign_certificate: String,
}

const ROOT: &str = "<a:antrag.einreichen.0100 ";

fn signed(signer: &Signer, document: &str, form: Form) -> String {
    String::from_utf8(signer.sign_as(document.as_bytes(), Profile::default(), form).unwrap()).unwrap()
}

fn signer(leaf: &Leaf) -> Signer {
    Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap()
}

impl Forge {
    pub fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(Key::P256, |_| {});
        Self::of(&pki.anchor, &leaf.certificate, &leaf.key)
    }

    /// Against a signer with this certificate and key.
    pub fn of(anchor: &str, certificate: &str, key: &str) -> Self {
        let victim = Signer::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let attacker = Pki::new().leaf(Key::P256, |_| {});
        let with_id = |content: &str, id: &str| {
            let draft = Draft { content: content.to_owned(), ..Draft::default() };
            draft.xml().replacen(ROOT, &format!("{ROOT}Id=\"{id}\" "), 1)
        };
        let unsigned = with_id("Anmeldung eines Hundes", "a");
        let evil = with_id("Auszahlung an mich", "evil");
        let by_id = Form { by_id: true, ..Form::default() };
        let xades = Form { xades: Some(Timestamp::now()), ..Form::default() };
        let foreign = signed(&signer(&attacker), &evil, Form::default());
        let own = with_id("Anmeldung einer Katze", "a");
        let third = with_id("Anmeldung eines Pferdes", "a");
        Self {
            anchor: anchor.to_owned(),
            whole: signed(&victim, &unsigned, Form::default()),
            by_id: signed(&victim, &own, by_id),
            xades: signed(&victim, &third, xades),
            unsigned: own,
            evil,
            foreign_certificate: between(&foreign, "<ds:X509Certificate>", "</ds:X509Certificate>")
                .to_owned(),
            foreign,
        }
    }

    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// What is accepted.
    pub fn good(&self) -> [(&'static str, String); 3] {
        [("whole", self.whole.clone()), ("by-id", self.by_id.clone()), ("xades", self.xades.clone())]
    }

    pub fn attacks(&self) -> Vec<Attack> {
        let mut all = Vec::new();
        self.signatures(&mut all);
        self.keys(&mut all);
        self.parsers(&mut all);
        all
    }
}

/// From the first `from` up to the next `to`, both included.
pub fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}"));
    let inner = start + from.len();
    let end = inner + text[inner..].find(to).unwrap_or_else(|| panic!("no {to}")) + to.len();
    &text[start..end]
}

/// With the first `from`, which must be there, replaced.
pub fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// The signature of a message.
pub fn signature(signed: &str) -> &str {
    between(signed, "<ds:Signature ", "</ds:Signature>")
}

pub const DIGEST: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
