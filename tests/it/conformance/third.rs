//! bergshamra 0.11.1 as the third judge: its faults, each with the section of the standard that it does not
//! keep, how a document shows that it meets one, and what it accepts that nobody else does. The tests below
//! hold each fault with the smallest document.

use amtsweg::verify::sign::Canonicalisation;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Asks bergshamra, with one trusted certificate.
pub struct Judge(Vec<u8>);

impl Judge {
    /// The anchor's DER.
    pub fn new(anchor: Vec<u8>) -> Self {
        Self(anchor)
    }

    /// What it says of a document; the reason is for people.
    pub fn verdict(&self, octets: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(octets).map_err(|why| why.to_string())?;
        let mut keys = bergshamra::KeysManager::new();
        keys.add_trusted_cert(self.0.clone());
        // It knows `Id`, `ID` and `id` by itself. Told of them again, it takes down each id twice and
        // refuses the document for ids that are not unique.
        let context = bergshamra::DsigContext::new_permissive(keys).with_enabled_key_data_x509(true);
        match bergshamra::verify(&context, text) {
            Ok(bergshamra::VerifyResult::Valid { .. }) => Ok(()),
            Ok(bergshamra::VerifyResult::Invalid { reason }) => Err(reason),
            Err(why) => Err(why.to_string()),
        }
    }
}

/// A tabulator, line feed or carriage return that stands in an attribute value as it is must become a space
/// (XML 1.0, section 3.3.3). bergshamra keeps it, and writes it as a reference.
const VALUES: &str = "white space in attribute values is not normalised (XML 1.0, section 3.3.3)";
/// Line ends become line feeds before anything else (XML 1.0, section 2.11). bergshamra does so in text alone.
const LINES: &str = "line ends in CDATA sections and instructions stay (XML 1.0, section 2.11)";
/// The signature method with parameters of its own (RFC 9231, section 2.3.9) is not known.
const PSS: &str = "RSASSA-PSS with parameters is not known (RFC 9231, section 2.3.9)";
/// An element whose ancestors are not in the node-set, as SignedInfo, takes over no `xml:id` from them
/// (Canonical XML 1.1, section 2.4). bergshamra takes it over, as 1.0 did.
const XML_ID: &str = "xml:id is inherited (Canonical XML 1.1, section 2.4)";

/// What we and the JDK refuse and bergshamra accepts: part of our reason. An encoding that is not the one of the octets,
/// or none at all, is an error (XML 1.0, section 4.3.3); bergshamra is handed text and does not look at it.
const LAXER: &[&str] = &[ENCODING];
const ENCODING: &str = "the XML declaration names another encoding";

/// Whether bergshamra is known to accept what is refused for such a reason.
pub fn laxer(reason: &str) -> Option<&'static str> {
    LAXER.iter().copied().find(|known| reason.contains(known))
}

/// The fault of bergshamra that a document meets, as far as it is well-formed.
pub fn fault(octets: &[u8]) -> Option<&'static str> {
    let mut reader = Reader::from_str(std::str::from_utf8(octets).ok()?);
    reader.config_mut().check_end_names = false;
    let (mut root, mut xml_id, mut fault) = (true, false, None);
    loop {
        let found = match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                if std::mem::take(&mut root) {
                    xml_id = attribute(&tag, "xml:id").is_some();
                }
                of_tag(&tag, xml_id)
            }
            Ok(Event::CData(text)) => text.contains('\r').then_some(LINES),
            Ok(Event::PI(text)) => text.contains('\r').then_some(LINES),
            Ok(Event::Eof) | Err(_) => return fault,
            Ok(_) => None,
        };
        fault = fault.or(found);
    }
}

fn attribute<'t>(tag: &'t BytesStart<'_>, name: &str) -> Option<std::borrow::Cow<'t, str>> {
    let found = tag.attributes().filter_map(Result::ok).find(|attribute| attribute.key.as_ref() == name);
    found.map(|attribute| attribute.value)
}

fn of_tag(tag: &BytesStart<'_>, xml_id: bool) -> Option<&'static str> {
    if tag.attributes().filter_map(Result::ok).any(|attribute| attribute.value.contains(['\t', '\n', '\r'])) {
        return Some(VALUES);
    }
    let algorithm = attribute(tag, "Algorithm")?;
    match tag.local_name().as_ref() {
        "SignatureMethod" if algorithm.ends_with("#rsa-pss") => Some(PSS),
        "CanonicalizationMethod" if xml_id && algorithm.starts_with(Canonicalisation::Inclusive11.uri()) => {
            Some(XML_ID)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amtsweg::verify::sign::{Form, Hash, Profile, Signer};

    use crate::xmlsec::testkit::{Key, Pki};

    fn signer_and_judge() -> (Signer, Judge) {
        let pki = Pki::new();
        let leaf = pki.leaf(Key::Rsa2048, |_| {});
        let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let (_, anchor) = x509_parser::pem::parse_x509_pem(pki.anchor.as_bytes()).unwrap();
        (signer, Judge::new(anchor.contents))
    }

    /// The smallest document that meets a fault, and its neighbour that does not.
    #[test]
    fn each_fault_is_that_of_a_small_document_and_not_of_its_neighbour() {
        let (signer, judge) = signer_and_judge();
        let usual = (Canonicalisation::Exclusive, false);
        let inclusive = (Canonicalisation::Inclusive11, false);
        for (wrong, (document, (method, pss_parameters)), (neighbour, (other, parameters))) in [
            (VALUES, ("<a b='1\t2'/>", usual), ("<a b='1 2'/>", usual)),
            (VALUES, ("<a b='1\n2'/>", usual), ("<a b='1&#10;2'/>", usual)),
            (VALUES, ("<a b='1\r\n2'/>", usual), ("<a b='1&#13;&#10;2'/>", usual)),
            (LINES, ("<a><![CDATA[1\r\n2]]></a>", usual), ("<a><![CDATA[1\n2]]>\r\n</a>", usual)),
            (LINES, ("<a><?b 1\r2?></a>", usual), ("<a><?b 1\n2?><!-- \r --></a>", usual)),
            (PSS, ("<a/>", (Canonicalisation::Exclusive, true)), ("<a/>", usual)),
            (XML_ID, ("<a xml:id='b'/>", inclusive), ("<a Id='b'/>", inclusive)),
            (
                XML_ID,
                ("<a xml:id='b'/>", inclusive),
                ("<a xml:id='b'/>", (Canonicalisation::Inclusive, false)),
            ),
        ] {
            let sign = |document: &str, canonicalisation, pss_parameters| {
                let profile = Profile { canonicalisation, hash: Hash::Sha256, pss: pss_parameters };
                let form = Form { pss_parameters, ..Form::default() };
                signer.sign_as(document.as_bytes(), profile, form).unwrap()
            };
            let signed = sign(document, method, pss_parameters);
            assert!(judge.verdict(&signed).is_err(), "{document:?} {wrong}");
            assert_eq!(fault(&signed), Some(wrong), "{document:?}");
            let signed = sign(neighbour, other, parameters);
            assert_eq!(judge.verdict(&signed), Ok(()), "{neighbour:?} {wrong}");
            assert_eq!(fault(&signed), None, "{neighbour:?}");
        }
    }
    #[test]
    fn an_encoding_that_nobody_knows_is_let_pass() {
        let (signer, judge) = signer_and_judge();
        let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>";
        let signed = signer.sign(document.as_bytes(), Profile::default()).unwrap();
        let changed = String::from_utf8(signed).unwrap().replace("UTF-8", "UTF--8");
        assert_eq!(judge.verdict(changed.as_bytes()), Ok(()));
        let ours = signer.sign(changed.as_bytes(), Profile::default()).unwrap_err();
        assert_eq!(laxer(&ours.to_string()), Some(ENCODING), "{ours}");
    }
}
