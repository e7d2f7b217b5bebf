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
    pub(super) signer: Signer,
    pub(super) trust: Trust,
}

impl World {
    pub(super) fn new(key: Key) -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(key, |_| {});
        let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
        Self { pki, signer, trust }
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

/// A test of this program in a process of its own that gives memory back at once: what it printed that speaks of KiB.
pub(super) fn alone(test: &str, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .env("MALLOC_TRIM_THRESHOLD_", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().find(|line| line.contains("KiB")).expect("the test ran").to_owned()
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
                    assert_eq!(report.coverage.algorithms().next(), Some(canonicalisation.uri()));
                }
            }
        }
    }
}

mod attacks;
mod canonical;
mod filters;
mod markup;
mod memory;
mod named;
mod order;
mod parameters;
mod trusting;
mod wellformed;
mod whole;
mod xades;

#[test]
fn leaves_all_other_octets_as_they_are() {
    let world = World::new(Key::P256);
    for document in [SAMPLE, "<r/>", "<r a='b' />", "<p:r xmlns:p='urn:p'></p:r >\n<!-- x -->"] {
        let signed = world.sign(document);
        let from = signed.find("<ds:Signature ").unwrap();
        let to = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        let rest = format!("{}{}", &signed[..from], &signed[to..]);
        let expanded = document.replace("<r/>", "<r></r>").replace("<r a='b' />", "<r a='b' ></r>");
        assert_eq!(rest, expanded);
        assert!(world.check(&signed).is_ok(), "{document}");
    }
    let again = world.signer.sign(world.sign("<r/>").as_bytes(), Profile::default());
    assert!(again.unwrap_err().to_string().contains("signed already"));
}

#[test]
fn takes_keys_in_every_form_and_no_strangers() {
    let pki = Pki::new();
    let (rsa, ec) = (pki.leaf(Key::Rsa2048, |_| {}), pki.leaf(Key::P384, |_| {}));
    for (certificate, key) in [(&rsa, &ec), (&ec, &rsa), (&ec, &pki.leaf(Key::P384, |_| {}))] {
        let signer = Signer::from_pem(certificate.certificate.as_bytes(), key.key.as_bytes());
        assert!(matches!(signer.err(), Some(super::sign::SignError::Key(_))));
    }
    assert!(Signer::from_pem(b"", rsa.key.as_bytes()).is_err());
    assert!(Signer::from_pem(rsa.certificate.as_bytes(), b"nothing").is_err());
    assert!(Signer::from_pem(WEAK_PEM.as_bytes(), rsa.key.as_bytes()).is_err());
}

#[test]
fn refuses_every_truncation() {
    let world = World::new(Key::P256);
    let signed = world.sign(SAMPLE);
    let whole = signed.trim_end().len();
    for length in 0..whole {
        let refusal = world.check(&signed.as_bytes()[..length]);
        // After the root's end only the last comment and instruction are cut, the latter signed.
        assert!(refusal.is_err(), "{length}");
    }
}

#[test]
fn says_where() {
    let world = World::new(Key::P256);
    let refusal = world.check("<a>\r\n <ä:b xmlns:ä='urn:x'>ö<c d='1' d='2'/></ä:b></a>").unwrap_err();
    let place = refusal.location.unwrap();
    assert_eq!((place.line, place.column, place.offset), (2, 24, 31));
    assert_eq!(place.path, "/a/ä:b/c");
}

proptest::proptest! {
    #[test]
    fn never_panics_on_octets(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let trust = Trust::none();
        proptest::prop_assert!(verify_signature(&octets, &Limits::default(), &trust, NOW).is_err());
    }

    #[test]
    fn never_panics_on_markup(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        let trust = Trust::none();
        let text = pieces.concat();
        if let Err(refusal) = verify_signature(text.as_bytes(), &Limits::default(), &trust, NOW)
            && let Some(place) = refusal.location
        {
            proptest::prop_assert!(place.offset <= text.len() as u64 && place.line > 0);
        }
    }
}

const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "<a",
    "</a>",
    "<a>",
    "<a/>",
    "</",
    "<?",
    "?>",
    "<?xml",
    " version='1.0'",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE",
    "&",
    ";",
    "&amp;",
    "&#",
    "x41",
    "'",
    "\"",
    "=",
    " ",
    "\n",
    "\r",
    "xmlns",
    ":",
    "b",
    "ä",
    "\u{FEFF}",
    "<!>",
    "<!-->",
    "<![CDATA]]>",
    "xml",
    "\0",
    "]]",
    "urn:x",
    "<s:Signature xmlns:s='http://www.w3.org/2000/09/xmldsig#'>",
    "</s:Signature>",
];

/// A certificate with an RSA key of 1024 bits (its private key was thrown away).
const WEAK_PEM: &str = "-----BEGIN CERTIFICATE-----
MIIB6TCCAVKgAwIBAgIBATANBgkqhkiG9w0BAQsFADAPMQ0wCwYDVQQDDAR3ZWFr
MCAXDTI2MTEyMjE0MTgyMloYDzIxMjYxMDI5MTQxODIyWjAPMQ0wCwYDVQQDDAR3
ZWFrMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDY7vzwMJ0DJ78s2kXpsGBM
aoIsaUba4aSPJEx5xuYt6l06ttCGVKPmwbi76/Mbn98VwseDuW0IF5J2ahp2BILl
pfmDwuBUPeC08ZHBZGRZDf5UlSVmWIsMQvpQCuhIwBDH8jhRQV9gPlZIv1BgKwqL
H1AbSpP7F7S2TkqSV/1pcwIDAQABo1MwUTAdBgNVHQ4EFgQUVcLQH+hYrd92NQqR
mRxFey+vWAUwHwYDVR0jBBgwFoAUVcLQH+hYrd92NQqRmRxFey+vWAUwDwYDVR0T
AQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOBgQBGbOqF4WW7VU5WLNNbvjwf/x/s
AxXDa2pPH3P55Xx2uRvcPbneL9unlUJ7GqKh0hRUx9t6Atp4+bElNdn4krwfeEwx
bU0tGkASJdrrr0ptrv50zuDLxfUqEqTmPVsjTfOJ/bRhxyTvxmMnMUr2uIEBr+Xv
M7teR+A5DFQeJKWkYg==
-----END CERTIFICATE-----
";
