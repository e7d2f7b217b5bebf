//! The signed properties of XAdES B-B (ETSI EN 319 132-1, section 6.3).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use super::{Profile, SignError, with_signature};
use crate::domain::Timestamp;
use crate::verify::algorithms::SIGNED_PROPERTIES;
use crate::verify::signature::canonical_properties;
use crate::verify::signature::properties::{Target, XADES, issuer_serial};

/// The properties of one signature.
pub(super) struct Xades {
    /// Makes the ids of this signature unlike all others.
    unique: String,
    at: Timestamp,
    certificate: Vec<u8>,
    profile: Profile,
}

impl Xades {
    pub(super) fn new(at: Timestamp, certificate: &[u8], profile: Profile) -> Self {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        Self { unique, at, certificate: certificate.to_vec(), profile }
    }

    /// The id of the signed properties.
    pub(super) fn id(&self) -> String {
        format!("xades-{}", self.unique)
    }

    /// The attributes that give the signature and the reference to the document their ids.
    pub(super) fn ids(&self) -> (String, String) {
        (format!(" Id=\"sig-{}\"", self.unique), format!(" Id=\"ref-{}\"", self.unique))
    }

    /// The reference to the properties, with their digest.
    pub(super) fn reference(&self, digest: &str) -> String {
        format!(
            "<ds:Reference Type=\"{SIGNED_PROPERTIES}\" URI=\"#{}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{}\"/></ds:Transforms><ds:DigestMethod Algorithm=\"{}\"/>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>",
            self.id(),
            self.profile.canonicalisation.uri(),
            self.profile.hash.uri(),
        )
    }

    /// The object that holds the properties.
    pub(super) fn object(&self) -> String {
        let hash = self.profile.hash;
        let certificate = CertificateDer::from(self.certificate.as_slice());
        let digest = STANDARD.encode(digest::digest(hash.algorithm(), &certificate));
        let issuer = issuer_serial(&certificate).map_or_else(String::new, |der| {
            format!("<xades:IssuerSerialV2>{}</xades:IssuerSerialV2>", STANDARD.encode(der))
        });
        format!(
            "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" Target=\"#sig-{unique}\">\
             <xades:SignedProperties Id=\"{id}\"><xades:SignedSignatureProperties>\
             <xades:SigningTime>{at}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert>\
             <xades:CertDigest><ds:DigestMethod Algorithm=\"{method}\"/><ds:DigestValue>{digest}</ds:DigestValue>\
             </xades:CertDigest>{issuer}</xades:Cert></xades:SigningCertificateV2>\
             </xades:SignedSignatureProperties><xades:SignedDataObjectProperties>\
             <xades:DataObjectFormat ObjectReference=\"#ref-{unique}\"><xades:MimeType>text/xml</xades:MimeType>\
             </xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>\
             </xades:QualifyingProperties></ds:Object>",
            unique = self.unique,
            id = self.id(),
            at = self.at,
            method = hash.uri(),
        )
    }

    /// The digest of the properties where they stand in `document`.
    pub(super) fn digest(&self, document: &[u8]) -> Result<Vec<u8>, SignError> {
        let target = Target {
            id: self.id(),
            method: self.profile.canonicalisation,
            prefixes: Vec::new(),
            hash: self.profile.hash,
            digest: Vec::new(),
        };
        let canonical = with_signature(document, |document, limits, passed, found| {
            canonical_properties(document, limits, found, &passed.root, &target)
        })?;
        Ok(digest::digest(self.profile.hash.algorithm(), &canonical).as_ref().to_vec())
    }
}
