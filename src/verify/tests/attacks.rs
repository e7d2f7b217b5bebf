//! Signatures that don't say what they seem to say.

use super::super::algorithms::ENVELOPED;
use super::{Key, NOW, Pki, Signer, Trust, World, verify_signature};
use crate::error::Code;
use crate::verify::Limits;

const DOCUMENT: &str = "<r Id='a' xmlns='urn:r'><b>1</b><!-- c --><d/></r>";

/// The signed document with something replaced, which must be there.
fn with(signed: &str, from: &str, to: &str) -> String {
    assert!(signed.contains(from), "{from}");
    signed.replacen(from, to, 1)
}

fn signature(signed: &str) -> &str {
    let from = signed.find("<ds:Signature ").unwrap();
    let to = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    &signed[from..to]
}

#[test]
fn a_document_without_signature_is_refused() {
    let world = World::new(Key::P256);
    assert_eq!(world.code(DOCUMENT), Some(Code::SignatureMissing));
    assert_eq!(world.code("<r><Signature/></r>"), Some(Code::SignatureMissing));
}

#[test]
fn every_change_is_seen_and_comments_are_not_signed() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    for (from, to) in [
        ("<b>1", "<b>2"),
        ("<b>", "<b >x"),
        ("Id='a'", "Id='b'"),
        ("<d/>", "<e/>"),
        ("<d/>", "<d x=''/>"),
        ("<d/>", "<d/> "),
        ("<d/>", "<d/><?p?>"),
        ("<d/>", "<d xmlns=''/>"),
        ("urn:r", "urn:s"),
        ("<r ", "<?p?><r "),
        ("<b>1", "<b>&#xD;1"),
    ] {
        assert_eq!(world.code(with(&signed, from, to)), Some(Code::SignatureWrong), "{to}");
    }
    for (from, to) in [
        ("<!-- c -->", ""),
        ("<d/>", "<d></d>"),
        ("<b>1</b>", "<b\n>&#49;</b >"),
        ("Id='a' xmlns='urn:r'", "xmlns=\"urn:r\" Id=\"a\""),
        ("<b>1", "<b><![CDATA[1]]>"),
        ("<d/>", "<d xmlns:unused='urn:u'/>"),
        ("<r ", "<?xml version='1.0'?>\n<!-- x --><r "),
    ] {
        assert_eq!(world.code(with(&signed, from, to)), None, "{to}");
    }
}

#[test]
fn wrapped_and_doubled_signatures_are_refused() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let inner = signature(&signed);
    let refers = with(&signed, "URI=\"\"", "URI=\"#a\"");
    for wrapped in [
        format!("<evil>{signed}</evil>"),
        format!("<evil>{refers}</evil>"),
        with(&signed, "<d/>", &format!("<d>{inner}</d>")),
        with(&signed, "<d/>", inner),
        inner.to_owned(),
        with(
            &signed,
            "</ds:SignatureValue>",
            &format!("</ds:SignatureValue><ds:Object>{DOCUMENT}</ds:Object>"),
        ),
        with(&signed, "URI=\"\"", "URI=\"#b\""),
        with(&refers, "<b>", "<b id='a'>"),
        with(&refers, "<b>", "<b xml:id='a'>"),
        with(&refers, "<r ", "<?p?><r "),
        with(&signed, "URI=\"\"", "URI=\"http://example.org/\""),
        with(&signed, "URI=\"\"", "URI=\"#xpointer(/)\""),
        with(&signed, " URI=\"\"", ""),
        with(&signed, "URI=\"\"", "URI=\"\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\""),
    ] {
        assert_eq!(world.code(&wrapped), Some(Code::NotCovered), "{wrapped}");
    }
}

#[test]
fn other_transforms_and_references_are_refused() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let enveloped = format!("<ds:Transform Algorithm=\"{ENVELOPED}\"/>");
    let exclusive = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    let both = format!("{enveloped}{exclusive}");
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>1</ds:XPath></ds:Transform>";
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>";
    let from = signed.find("<ds:Reference ").unwrap();
    let to = signed.find("</ds:SignedInfo>").unwrap();
    let reference = signed[from..to].to_owned();
    for (from, to) in [
        (both.as_str(), enveloped.as_str()),
        (&both, exclusive),
        (&both, &format!("{exclusive}{enveloped}")),
        (&both, &format!("{both}{xpath}")),
        (&both, &format!("{enveloped}{xpath}")),
        (&both, &format!("{enveloped}{xslt}")),
        (&both, &format!("{xslt}{exclusive}")),
        (&both, &format!("{both}{exclusive}")),
        (&both, &both.replace("\"/><ds:Transform ", "\"><ds:XPath/></ds:Transform><ds:Transform ")),
        (&format!("<ds:Transforms>{both}</ds:Transforms>"), ""),
        (&reference, ""),
        (&reference, &reference.repeat(2)),
    ] {
        assert_eq!(world.code(with(&signed, from, to)), Some(Code::NotCovered), "{to}");
    }
}

#[test]
fn weak_algorithms_are_refused_before_any_crypto() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let signing = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
    for (from, to) in [
        (signing, "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        (signing, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        (signing, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        (signing, "http://www.w3.org/2007/05/xmldsig-more#ripemd160-rsa-MGF1"),
        (signing, "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448"),
        (signing, ""),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
        (
            "ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"",
            "ds:CanonicalizationMethod Algorithm=\"urn:x\"",
        ),
        ("<ds:X509Data>", "<ds:RetrievalMethod URI='#x'/><ds:X509Data>"),
    ] {
        // The document is changed too: the algorithm is refused without looking at it.
        let changed = with(&with(&signed, from, to), "<b>1", "<b>2");
        assert_eq!(world.code(changed), Some(Code::SignatureWeak), "{to}");
    }
    let length = with(
        &signed,
        "#ecdsa-sha256\"/>",
        "#ecdsa-sha256\"><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>",
    );
    assert_eq!(world.code(length), Some(Code::SignatureWeak));
}

#[test]
fn weak_keys_are_refused_before_any_crypto() {
    let world = World::new(Key::Rsa2048);
    let signed = with(&world.sign(DOCUMENT), "<b>1", "<b>2");
    let weak: String = super::WEAK_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let from = signed.find("<ds:X509Certificate>").unwrap() + "<ds:X509Certificate>".len();
    let to = signed.find("</ds:X509Certificate>").unwrap();
    let swapped = format!("{}{weak}{}", &signed[..from], &signed[to..]);
    assert_eq!(world.code(swapped), Some(Code::SignatureWeak));
}

#[test]
fn the_signature_element_is_held_to_its_schema() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let from = signed.find("<ds:SignedInfo>").unwrap();
    let to = signed.find("<ds:SignatureValue>").unwrap();
    let info = signed[from..to].to_owned();
    let value = &signed[to + "<ds:SignatureValue>".len()..signed.find("</ds:SignatureValue>").unwrap()];
    let raw = value.trim_end_matches('=');
    for (from, to) in [
        (info.as_str(), ""),
        (&info, &info.repeat(2)),
        ("<ds:DigestValue>", "<ds:DigestValue><!-- x -->"),
        ("</ds:DigestValue>", "<?x?></ds:DigestValue>"),
        ("<ds:SignatureValue>", "<ds:SignatureValue><!-- x -->"),
        ("</ds:X509Certificate>", "<x/></ds:X509Certificate>"),
        (value, ""),
        (value, raw),
        (value, "@@@@"),
        ("<ds:SignedInfo>", "<ds:SignedInfo xml:lang='de'>"),
        ("<ds:SignedInfo>", "text<ds:SignedInfo>"),
        ("<ds:KeyInfo>", "<ds:SignatureValue/><ds:KeyInfo>"),
        ("</ds:KeyInfo>", "</ds:KeyInfo><ds:KeyInfo/>"),
        ("</ds:Reference>", "</ds:Reference><x/>"),
    ] {
        assert_eq!(world.code(with(&signed, from, to)), Some(Code::SignatureWrong), "{from} {to}");
    }
    let spread =
        value.as_bytes().chunks(7).map(|c| String::from_utf8_lossy(c)).collect::<Vec<_>>().join("\r\n ");
    assert_eq!(world.code(with(&signed, value, &spread)), None);
}

#[test]
fn only_a_certificate_says_who_signed() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let from = signed.find("<ds:KeyInfo>").unwrap();
    let to = signed.find("</ds:Signature>").unwrap();
    let info = signed[from..to].to_owned();
    for (to, code) in [
        ("", Code::CertificateMissing),
        ("<ds:KeyInfo><ds:KeyValue><x/></ds:KeyValue></ds:KeyInfo>", Code::CertificateMissing),
        (
            "<ds:KeyInfo><ds:KeyName>x</ds:KeyName><ds:X509Data><ds:X509SubjectName>x</ds:X509SubjectName></ds:X509Data></ds:KeyInfo>",
            Code::CertificateMissing,
        ),
        (
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            Code::SignatureWrong,
        ),
    ] {
        assert_eq!(world.code(with(&signed, &info, to)), Some(code), "{to}");
    }
    let certificate =
        info.replace("<ds:KeyInfo><ds:X509Data>", "").replace("</ds:X509Data></ds:KeyInfo>", "");
    let many = with(&signed, &certificate, &certificate.repeat(9));
    assert_eq!(world.code(many), Some(Code::OverLimit));
    let twice = with(&signed, &certificate, &certificate.repeat(2));
    assert_eq!(world.code(twice), None);
}

#[test]
fn another_key_does_not_fit_and_the_signers_is_found_among_many() {
    let world = World::new(Key::P256);
    let other = world.pki.leaf(Key::P256, |_| {});
    let other = Signer::from_pem(other.certificate.as_bytes(), other.key.as_bytes()).unwrap();
    let signed = world.sign(DOCUMENT);
    let theirs =
        String::from_utf8(other.sign(DOCUMENT.as_bytes(), super::Profile::default()).unwrap()).unwrap();
    let certificate = |signed: &str| {
        let from = signed.find("<ds:X509Certificate>").unwrap();
        signed[from..signed.find("</ds:X509Data>").unwrap()].to_owned()
    };
    let (own, foreign) = (certificate(&signed), certificate(&theirs));
    assert_eq!(world.code(with(&signed, &own, &foreign)), Some(Code::SignatureWrong));
    assert_eq!(world.code(with(&signed, &own, &format!("{foreign}{own}"))), None);
    let rsa = World::new(Key::Rsa2048);
    let wrong = with(&signed, &own, &certificate(&rsa.sign(DOCUMENT)));
    assert_eq!(world.code(wrong), Some(Code::SignatureWrong));
}

#[test]
fn the_signature_may_stand_anywhere_among_the_roots_children() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let inner = signature(&signed).to_owned();
    let without = signed.replace(&inner, "");
    for place in ["<b>1</b>", "<d/>", "<!-- c -->"] {
        assert_eq!(world.code(with(&without, place, &format!("{inner}{place}"))), None, "{place}");
    }
}

#[test]
fn trust_is_needed() {
    let world = World::new(Key::P256);
    let signed = world.sign(DOCUMENT);
    let stranger = Trust::from_octets(Pki::new().anchor.as_bytes(), &[]).unwrap();
    for trust in [stranger, Trust::none()] {
        let refusal = verify_signature(signed.as_bytes(), &Limits::default(), &trust, NOW).unwrap_err();
        assert_eq!(refusal.code, Code::CertificateUntrusted);
    }
}

#[test]
fn the_prefix_of_a_type_is_signed() {
    let world = World::new(Key::P256);
    let document = "<r xmlns:x='http://www.w3.org/2001/XMLSchema-instance' xmlns:t='urn:t'><b x:type='t:one'/><c x:type='d'/></r>";
    let signed = world.sign(document);
    assert!(signed.contains("PrefixList=\"t\""), "{signed}");
    assert_eq!(world.code(&signed), None);
    assert_eq!(world.code(with(&signed, "urn:t", "urn:u")), Some(Code::SignatureWrong));
    // Signed by someone who does not list the prefix.
    let unlisted = with(&signed, "PrefixList=\"t\"", "PrefixList=\"\"");
    assert_eq!(world.code(unlisted), Some(Code::NotCovered));
    for seen in [
        "<t:r xmlns:t='urn:t' xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:type='t:one'/>",
        "<r xmlns='urn:r' xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:type='one'/>",
    ] {
        let signed = world.sign(seen);
        assert!(!signed.contains("PrefixList"), "{signed}");
        assert_eq!(world.code(&signed), None);
    }
}
