//! XAdES B-B (ETSI EN 319 132-1): the signed properties that a signature may bring along, which say
//! when it was made and with which certificate. Unsigned properties are let through and not believed.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::{Note, Timestamp};
use crate::error::{Code, Refusal};
use crate::verify::sign::{Canonicalisation, Hash};

use super::Draft;
use super::reader::Reader;

/// The namespace of XAdES 1.3.2 and EN 319 132-1.
pub(crate) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// The namespace of its later additions.
const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
/// At most so many certificates are named.
const CERTIFICATES: usize = 8;

/// The reference to the signed properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Their id.
    pub(crate) id: String,
    /// How they are canonicalised.
    pub(crate) method: Canonicalisation,
    /// Its list of prefixes.
    pub(crate) prefixes: Vec<String>,
    /// How they are hashed.
    pub(crate) hash: Hash,
    /// The digest that the reference carries.
    pub(crate) digest: Vec<u8>,
}

/// What the signed properties say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    /// When the signer says it has signed.
    pub(crate) signed_at: Timestamp,
    /// The certificates that it names.
    pub(crate) certificates: Vec<Named>,
}

/// A certificate that is named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    hash: Hash,
    digest: Vec<u8>,
    /// DER of `IssuerSerial` (RFC 5035).
    issuer_serial: Option<Vec<u8>>,
}

impl Named {
    fn is(&self, certificate: &CertificateDer<'_>) -> bool {
        digest::digest(self.hash.algorithm(), certificate).as_ref() == self.digest
    }
}

/// Whether the properties name the certificate whose key has signed (EN 319 132-1, section 5.2.2), and
/// no other that did not come along.
///
/// # Errors
/// AW-0122.
pub(crate) fn agree(
    properties: &Properties,
    certificates: &[CertificateDer<'_>],
    number: usize,
) -> Result<(), Refusal> {
    let wrong = |reason: &str| Err(Refusal::new(Code::SignatureWrong, reason));
    let Some(signer) = certificates.get(number) else {
        return wrong("the signature carries no certificate");
    };
    let Some(own) = properties.certificates.iter().find(|named| named.is(signer)) else {
        return wrong(
            "SigningCertificateV2 names another certificate than the one whose key has signed; sign anew",
        );
    };
    if own.issuer_serial.as_ref().is_some_and(|given| issuer_serial(signer).as_ref() != Some(given)) {
        return wrong("IssuerSerialV2 is not that of the signer's certificate; leave it out or correct it");
    }
    let came = |named: &Named| certificates.iter().any(|certificate| named.is(certificate));
    if !properties.certificates.iter().all(came) {
        return wrong(
            "SigningCertificateV2 names a certificate that did not come along; send it in X509Data or leave it out",
        );
    }
    Ok(())
}

/// `IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber INTEGER }` with one directory name
/// (RFC 5035, section 4).
pub(crate) fn issuer_serial(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = der(0x30, &der(0xA4, parsed.issuer().as_raw())?)?;
    let serial = der(0x02, parsed.raw_serial())?;
    der(0x30, &[names, serial].concat())
}

/// A DER value of up to 64 KiB.
fn der(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?.to_be_bytes();
    let mut out = vec![tag];
    match length {
        [0, short @ 0..0x80] => out.push(short),
        [0, short] => out.extend([0x81, short]),
        long => out.extend([0x82, long[0], long[1]]),
    }
    out.extend_from_slice(content);
    Some(out)
}

impl Reader<'_> {
    /// Reads the `ds:Object` that has started: nothing but qualifying properties may stand in it.
    pub(super) fn object(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        let Some(target) = draft.target.clone() else { return Err(self.unexpected()) };
        let place = self.walk.range().start;
        self.attributes(&["Id"])?;
        if !self.child()? || !self.walk.is(XADES, "QualifyingProperties") {
            let reason = "ds:Object may hold XAdES' QualifyingProperties alone; leave out the rest";
            return Err(self.walk.refuse_at(place, Code::NotCovered, reason));
        }
        self.attributes(&["Target", "Id"])?;
        let names = self.value_of("Target").unwrap_or_default();
        let own = draft.id.as_deref().unwrap_or_default();
        if own.is_empty() || names.strip_prefix('#') != Some(own) {
            let reason = "Target must be # and the Id of the signature that the properties are of";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        self.expect_of(XADES, "SignedProperties")?;
        self.attributes(&["Id"])?;
        if self.value_of("Id").as_deref() != Some(target.id.as_str()) {
            let reason = "the reference to SignedProperties names another Id than theirs";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        draft.properties = Some(self.signed_properties(draft.reference_id.as_deref())?);
        if self.child()? {
            if !self.walk.is(XADES, "UnsignedProperties") {
                return Err(self.unexpected());
            }
            self.unsigned_properties(draft)?;
            self.end()?;
        }
        if self.child()? {
            let reason = "ds:Object may hold XAdES' QualifyingProperties alone; leave out the rest";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        Ok(())
    }

    fn signed_properties(&mut self, reference: Option<&str>) -> Result<Properties, Refusal> {
        self.expect_of(XADES, "SignedSignatureProperties")?;
        self.attributes(&["Id"])?;
        let mut signed_at = None;
        let mut certificates = None;
        const OTHERS: [&str; 6] = [
            "SigningCertificate",
            "SignaturePolicyIdentifier",
            "SignatureProductionPlace",
            "SignatureProductionPlaceV2",
            "SignerRole",
            "SignerRoleV2",
        ];
        while self.child()? {
            if self.walk.is(XADES, "SigningTime") && signed_at.is_none() {
                signed_at = Some(self.signing_time()?);
            } else if self.walk.is(XADES, "SigningCertificateV2") && certificates.is_none() {
                certificates = Some(self.signing_certificates()?);
            } else if OTHERS.iter().any(|known| self.walk.is(XADES, known)) {
                self.skip()?;
            } else {
                return Err(self.unexpected());
            }
        }
        let (Some(signed_at), Some(certificates)) = (signed_at, certificates) else {
            let reason =
                "XAdES B-B needs SigningTime and SigningCertificateV2 (EN 319 132-1, section 6.3); add them";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        if self.child()? {
            if !self.walk.is(XADES, "SignedDataObjectProperties") {
                return Err(self.unexpected());
            }
            self.data_properties(reference)?;
            self.end()?;
        }
        Ok(Properties { signed_at, certificates })
    }

    fn signing_time(&mut self) -> Result<Timestamp, Refusal> {
        self.attributes(&[])?;
        let text = self.text()?;
        let parsed: Option<jiff::Timestamp> = text.trim().parse().ok();
        parsed.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Timestamp).ok_or_else(|| {
            let reason = "SigningTime is no date and time with a zone, such as 2026-05-04T10:00:00Z";
            self.walk.refuse(Code::SignatureWrong, reason)
        })
    }

    fn signing_certificates(&mut self) -> Result<Vec<Named>, Refusal> {
        self.attributes(&[])?;
        let mut named = Vec::new();
        while self.child()? {
            if !self.walk.is(XADES, "Cert") || named.len() >= CERTIFICATES {
                return Err(self.unexpected());
            }
            self.attributes(&["URI"])?;
            self.expect_of(XADES, "CertDigest")?;
            self.attributes(&[])?;
            let (hash, digest) = self.digest()?;
            let mut issuer_serial = None;
            if self.child()? {
                if !self.walk.is(XADES, "IssuerSerialV2") {
                    return Err(self.unexpected());
                }
                self.attributes(&[])?;
                issuer_serial = Some(self.base64()?);
                self.end()?;
            }
            named.push(Named { hash, digest, issuer_serial });
        }
        Ok(named)
    }

    /// What is said about the document: it must be said of the reference to it.
    fn data_properties(&mut self, reference: Option<&str>) -> Result<(), Refusal> {
        const KNOWN: [&str; 4] = [
            "DataObjectFormat",
            "CommitmentTypeIndication",
            "AllDataObjectsTimeStamp",
            "IndividualDataObjectsTimeStamp",
        ];
        self.attributes(&["Id"])?;
        while self.child()? {
            if !KNOWN.iter().any(|known| self.walk.is(XADES, known)) {
                return Err(self.unexpected());
            }
            if self.walk.is(XADES, "DataObjectFormat") {
                let names = self.value_of("ObjectReference").unwrap_or_default();
                if reference.is_none() || names.strip_prefix('#') != reference {
                    let reason = "DataObjectFormat must name the Id of the reference to the document";
                    return Err(self.walk.refuse(Code::SignatureWrong, reason));
                }
            }
            self.skip()?;
        }
        Ok(())
    }

    /// What nobody signed: time stamps, revocation data and the like. Not looked at, but for their
    /// place, and not believed; the report says so.
    fn unsigned_properties(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id"])?;
        while self.child()? {
            if !self.walk.is(XADES, "UnsignedSignatureProperties") {
                return Err(self.unexpected());
            }
            self.attributes(&["Id"])?;
            while self.child()? {
                let namespace = self.walk.namespaces.uri(self.walk.element.binding);
                if namespace != XADES && namespace != XADES141 {
                    return Err(self.unexpected());
                }
                let revocation = matches!(
                    self.walk.element.local,
                    "RevocationValues" | "CompleteRevocationRefs" | "TimeStampValidationData"
                );
                draft.note(if revocation { Note::RevocationIgnored } else { Note::UnsignedIgnored });
                self.skip()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lengths_as_der_wants_them() {
        assert_eq!(der(4, &[7]).unwrap(), [4, 1, 7]);
        assert_eq!(der(4, &[0; 128]).unwrap()[..3], [4, 0x81, 128]);
        assert_eq!(der(4, &[0; 300]).unwrap()[..4], [4, 0x82, 1, 44]);
        assert_eq!(der(4, &[0; 70_000]), None);
    }
}
