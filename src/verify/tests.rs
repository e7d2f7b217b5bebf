//! What the signature check accepts and refuses, without header rules and schemas.

use super::sign::{Canonicalisation, Hash, Profile, Signer};
use super::testkit::{Key, Leaf, Pki};
use super::trust::Trust;
use super::{Limits, SignatureReport, verify_signature};
use crate::domain::Timestamp;
use crate::error::{Code, Refusal};

pub(super) const NOW: Timestamp = Timestamp(1_767_225_600_000);

pub(super) struct World {
    pub(super) pki: Pki,
    pub(super) leaf: Leaf,
    pub(super) signer: Signer,
    pub(super) trust: Trust,
}

impl World {
    pub(super) fn new(key: Key) -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(key, |_| {});
        let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
        Self { pki, leaf, signer, trust }
    }

    pub(super) fn sign(&self, document: &str) -> String {
        String::from_utf8(self.signer.sign(document.as_bytes(), Profile::default()).unwrap()).unwrap()
    }

    pub(super) fn check(&self, document: impl AsRef<[u8]>) -> Result<SignatureReport, Refusal> {
        verify_signature(document.as_ref(), &Limits::default(), &self.trust, NOW)
    }

    pub(super) fn code(&self, document: impl AsRef<[u8]>) -> Option<Code> {
        self.check(document).err().map(|refusal| refusal.code)
    }
}

const SAMPLE: &str = "\u{FEFF}<?xml version='1.0' encoding='utf-8' ?>\r\n<!-- vor --><?pi  a b ?>\n\
    <a:root xmlns:a='urn:a' xmlns='urn:d' xmlns:unused=\"urn:u\" z='1' a:b='&#13;\t\"&quot;' b = 'x>' xml:lang='de'>\r\n \
    text &amp; &lt;&#x20AC;&#13;<![CDATA[<&>]]><b xmlns=''><c/><a:d xmlns:a='urn:a2' a:x=''/></b >\
    <!-- in --><?p?></a:root>\n<!-- nach --><?q r?>\n";

#[test]
fn signs_and_verifies_with_every_algorithm() {
    for key in Key::ALL {
        let world = World::new(key);
        for canonicalisation in Canonicalisation::ALL {
            for hash in Hash::ALL {
                for pss in [false, true] {
                    let profile = Profile { canonicalisation, hash, pss };
                    let signed = world.signer.sign(SAMPLE.as_bytes(), profile).unwrap();
                    let report =
                        world.check(&signed).unwrap_or_else(|why| panic!("{key:?} {profile:?}: {why}"));
                    assert_eq!(report.signer.subject, "CN=Signer,O=Stadt Hanau\\, Amt,C=DE");
                    assert_eq!(report.signer.serial, "1267");
                    assert_eq!(report.algorithms[0], canonicalisation.uri());
                }
            }
        }
    }
}
