//! What `X509Data` and `KeyInfo` say about the signer's certificate besides sending it.

use super::{Key, World};
use crate::domain::Note;
use crate::error::Code;

#[test]
fn statements_about_the_certificate_must_be_about_the_signers() {
    let world = World::new(Key::P256);
    let signed = world.sign("<r/>");
    let with = |statement: &str| {
        world.code(signed.replacen("<ds:X509Data>", &format!("<ds:X509Data>{statement}"), 1))
    };
    let serial = |issuer: &str, serial: &str| {
        format!(
            "<ds:X509IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>\
             <ds:X509SerialNumber>{serial}</ds:X509SerialNumber></ds:X509IssuerSerial>"
        )
    };
    let subject = |name: &str| format!("<ds:X509SubjectName>{name}</ds:X509SubjectName>");
    let digest = |base64: &str| {
        format!(
            "<d:X509Digest xmlns:d='http://www.w3.org/2009/xmldsig11#' \
             Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'>{base64}</d:X509Digest>"
        )
    };
    use base64::Engine as _;
    let own = crate::domain::Digest::of(world.signer.certificate());
    let own = digest(&base64::engine::general_purpose::STANDARD.encode(own.0));
    for right in [
        serial("CN=Test CA", "4711"),
        serial("cn=test  ca", " 4711 "),
        serial("2.5.4.3=Test CA", "4711"),
        subject("CN=Signer,O=Stadt Hanau\\, Amt,C=DE"),
        subject("C=DE, O=\"Stadt Hanau, Amt\", CN=Signer"),
        subject("\nC=DE;O=Stadt Hanau\\2C Amt;OID.2.5.4.3=signer "),
        own.clone(),
        format!("{own}{}", serial("CN=Test CA", "4711")),
    ] {
        assert_eq!(with(&right), None, "{right}");
    }
    for wrong in [
        serial("CN=Test CA", "4712"),
        serial("CN=Test CB", "4711"),
        serial("O=Test CA", "4711"),
        serial("", "4711"),
        subject("CN=Signer"),
        subject("CN=Signer,O=Stadt Hanau,C=DE"),
        subject("CN=Signer,O=Stadt Hanau\\, Amt,C=DE,OU=x"),
        subject("Signer"),
        digest("AAAA"),
        "<ds:X509SKI>AAAA</ds:X509SKI>".to_owned(),
        format!("{own}{}", subject("CN=Other")),
    ] {
        assert_eq!(with(&wrong), Some(Code::SignatureWrong), "{wrong}");
    }
    let many = with(&subject("CN=Signer,O=Stadt Hanau\\, Amt,C=DE").repeat(17));
    assert_eq!(many, Some(Code::OverLimit));
}

#[test]
fn keys_and_revocation_data_in_the_message_are_ignored_and_the_latter_noted() {
    let world = World::new(Key::P256);
    let signed = world.sign("<r/>");
    let before = |inner: &str| signed.replacen("<ds:X509Data>", inner, 1);
    let key = before(
        "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus></ds:RSAKeyValue></ds:KeyValue><ds:X509Data>",
    );
    assert_eq!(world.check(key).unwrap().coverage.notes, [Note::RevocationUnknown]);
    for stapled in [
        "<ds:X509Data><ds:X509CRL>MAA=</ds:X509CRL>",
        "<ds:X509Data><d:OCSPResponse xmlns:d='http://www.w3.org/2009/xmldsig11#'>MAA=</d:OCSPResponse>",
    ] {
        let notes = world.check(before(stapled)).unwrap().coverage.notes;
        assert_eq!(notes, [Note::RevocationIgnored, Note::RevocationUnknown]);
    }
}
