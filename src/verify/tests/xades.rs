//! XAdES B-B: accepted as it should be, and everything that is bent is refused.

use super::{Key, Pki, Profile, Signer, Timestamp, World};
use crate::domain::Note;
use crate::error::Code;
use crate::verify::sign::{Canonicalisation, Form, Hash};

const DOCUMENT: &str = "<r Id='a' xmlns='urn:r' xml:lang='de' xmlns:u='urn:u'><b>1</b><d/></r>";
const AT: Timestamp = Timestamp(1_767_000_000_000);

fn sign(world: &World, profile: Profile) -> String {
    let form = Form { xades: Some(AT), ..Form::default() };
    String::from_utf8(world.signer.sign_as(DOCUMENT.as_bytes(), profile, form).unwrap()).unwrap()
}

/// What stands between two texts, these included.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    let inner = start + from.len();
    let end = inner + text[inner..].find(to).unwrap() + to.len();
    &text[start..end]
}

#[test]
fn signs_and_verifies_with_every_canonicalisation_and_kind_of_key() {
    for key in Key::ALL {
        let world = World::new(key);
        for canonicalisation in Canonicalisation::ALL {
            for hash in Hash::ALL {
                let profile = Profile { canonicalisation, hash, pss: false };
                let report = world.check(sign(&world, profile)).unwrap();
                assert_eq!(report.coverage.signed_at, Some(AT), "{key:?} {profile:?}");
                assert_eq!(report.coverage.form(), "XAdES B-B");
            }
        }
    }
}

#[test]
fn the_signed_properties_are_signed_and_belong_to_this_signature() {
    let world = World::new(Key::P256);
    let signed = sign(&world, Profile::default());
    assert_eq!(world.code(&signed), None);
    let reference = part(&signed, "<ds:Reference Type=", "</ds:Reference>").to_owned();
    let object = part(&signed, "<ds:Object>", "</ds:Object>").to_owned();
    let info = part(&signed, "<ds:KeyInfo>", "</ds:KeyInfo>").to_owned();
    let first = part(&signed, "<ds:Reference Id=", "</ds:Reference>").to_owned();
    let id = part(&reference, "URI=\"#", "\"")[6..].trim_end_matches('"').to_owned();
    let sig = part(&signed, "Target=\"#", "\"")[9..].trim_end_matches('"').to_owned();
    let times = format!("<xades:SigningTime>{AT}</xades:SigningTime>");
    for (from, to, code) in [
        (times.clone(), times.replace("2025", "2024"), Code::SignatureWrong),
        ("text/xml".to_owned(), "text/plain".to_owned(), Code::SignatureWrong),
        (times.clone(), String::new(), Code::SignatureWeak),
        (times.clone(), times.replace('Z', ""), Code::SignatureWrong),
        (
            "<xades:SigningCertificateV2>".to_owned(),
            "<xades:SigningTime/><xades:SigningCertificateV2>".to_owned(),
            Code::SignatureWrong,
        ),
        // Nobody refers to the properties, or to others, or to others as well.
        (reference.clone(), String::new(), Code::NotCovered),
        (object.clone(), String::new(), Code::NotCovered),
        (object.clone(), object.repeat(2), Code::NotCovered),
        (reference.clone(), reference.repeat(2), Code::NotCovered),
        (first.clone(), String::new(), Code::NotCovered),
        (first.clone(), first.repeat(2), Code::NotCovered),
        (format!("URI=\"#{id}\""), "URI=\"#other\"".to_owned(), Code::NotCovered),
        (format!("URI=\"#{id}\""), "URI=\"\"".to_owned(), Code::NotCovered),
        (format!("URI=\"#{id}\""), format!("URI=\"#xpointer(id('{id}'))\""), Code::NotCovered),
        ("01903#SignedProperties".to_owned(), "01903#CountersignedSignature".to_owned(), Code::NotCovered),
        (" Type=\"http://uri.etsi.org/01903#SignedProperties\"".to_owned(), String::new(), Code::NotCovered),
        // The id stands elsewhere too, also spelt differently.
        ("<b>".to_owned(), format!("<b Id='{id}'>"), Code::NotCovered),
        ("<b>".to_owned(), format!("<b xml:id='&#120;{}'>", &id[1..]), Code::NotCovered),
        ("Id='a'".to_owned(), format!("Id='{id}'"), Code::NotCovered),
        (format!("Target=\"#{sig}\""), "Target=\"#other\"".to_owned(), Code::NotCovered),
        (format!(" Id=\"{sig}\""), String::new(), Code::NotCovered),
        ("ObjectReference=\"#ref".to_owned(), "ObjectReference=\"#fer".to_owned(), Code::SignatureWrong),
        ("<ds:Object>".to_owned(), "<ds:Object><x/>".to_owned(), Code::NotCovered),
        ("</ds:Object>".to_owned(), "<x/></ds:Object>".to_owned(), Code::NotCovered),
        ("<ds:Object>".to_owned(), "<ds:Object>text".to_owned(), Code::SignatureWrong),
        (info.clone(), String::new(), Code::CertificateMissing),
        (format!("{info}{object}"), format!("{object}{info}"), Code::SignatureWrong),
        (
            "<xades:SignedProperties ".to_owned(),
            "<xades:UnsignedProperties/><xades:SignedProperties ".to_owned(),
            Code::SignatureWrong,
        ),
    ] {
        assert!(signed.contains(&from), "{from}");
        assert_eq!(world.code(signed.replacen(&from, &to, 1)), Some(code), "{from} -> {to}");
    }
}

/// The document is unchanged and its digest right, so this is reached by whoever has any certificate.
#[test]
fn properties_whose_canonical_form_is_longer_than_the_document_are_refused() {
    let world = World::new(Key::P256);
    let signed = sign(&world, Profile::default());
    let end = "</xades:SigningCertificateV2>";
    let with = |elements: usize| {
        let (namespace, inside) = ("u".repeat(1000), "<p:b/>".repeat(elements));
        let role =
            format!("{end}<xades:SignerRoleV2 xmlns:p=\"urn:{namespace}\">{inside}</xades:SignerRoleV2>");
        signed.replacen(end, &role, 1)
    };
    assert_eq!(world.code(with(30)), Some(Code::SignatureWrong));
    assert_eq!(world.code(with(300)), Some(Code::OverLimit));
}

#[test]
fn the_certificate_that_is_named_must_be_the_signers() {
    // Two certificates for one key: the signature fits both, the properties name one.
    let pki = Pki::new();
    let key = Key::P256.generate();
    let certificate = |serial: u64| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("Signer {serial}"));
        params.serial_number = Some(serial.into());
        params.signed_by(&key, &pki.issuer).unwrap().pem()
    };
    let world = |certificates: String| World {
        signer: Signer::from_pem(certificates.as_bytes(), key.serialize_pem().as_bytes()).unwrap(),
        trust: super::Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap(),
        pki: Pki::new(),
    };
    let (one, two) = (world(certificate(1)), world(certificate(2)));
    let (first, second) = (sign(&one, Profile::default()), sign(&two, Profile::default()));
    let own = |signed: &str| part(signed, "<ds:X509Certificate>", "</ds:X509Certificate>").to_owned();
    let swapped = first.replacen(&own(&first), &own(&second), 1);
    let refusal = one.check(swapped).unwrap_err();
    assert_eq!(refusal.code, Code::SignatureWrong);
    assert!(refusal.reason.contains("SigningCertificateV2"), "{refusal}");
    // Plain XML signatures can't tell: this is what the properties are for.
    let plain = one.sign(DOCUMENT);
    assert_eq!(one.code(plain.replacen(&own(&plain), &own(&second), 1)), None);
}

#[test]
fn unsigned_properties_are_let_through_and_noted() {
    let world = World::new(Key::P256);
    let signed = sign(&world, Profile::default());
    let end = "</xades:SignedProperties>";
    let with = |inner: &str| {
        let unsigned = format!(
            "{end}<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{inner}\
             </xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
        );
        world.check(signed.replacen(end, &unsigned, 1))
    };
    let stapled = "<xades:RevocationValues><xades:OCSPValues><xades:EncapsulatedOCSPValue>MAA=\
        </xades:EncapsulatedOCSPValue></xades:OCSPValues></xades:RevocationValues>";
    assert_eq!(with(stapled).unwrap().coverage.notes, [Note::RevocationIgnored, Note::RevocationUnknown]);
    let stamp = "<xades:SignatureTimeStamp/><xades:CertificateValues/>";
    assert_eq!(with(stamp).unwrap().coverage.notes, [Note::UnsignedIgnored, Note::RevocationUnknown]);
    assert_eq!(with("<x/>").unwrap_err().code, Code::SignatureWrong);
    let countersigned = "<xades:CounterSignature><ds:Signature/></xades:CounterSignature>";
    assert_eq!(with(countersigned).unwrap_err().code, Code::NotCovered);
}
