//! `KeyInfo`: the certificates, and what else names the signer's.

use crate::error::{Code, Refusal};
use crate::verify::algorithms::{DSIG, DSIG11};
use crate::verify::sign::Hash;

use super::Draft;
use super::named::Named;
use super::reader::Reader;
use crate::domain::Note;

/// At most so many certificates in a signature.
const CERTIFICATES: usize = 8;
/// At most so many other words about the signer's certificate.
const NAMED: usize = 16;

impl Reader<'_> {
    pub(super) fn key_info(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id"])?;
        while self.child()? {
            let walk = &self.walk;
            if walk.is(DSIG, "X509Data") {
                self.x509_data(draft)?;
            } else if ["KeyName", "KeyValue"].iter().any(|known| walk.is(DSIG, known))
                || walk.is(DSIG11, "DEREncodedKeyValue")
            {
                // Trust comes from the certificate alone.
                self.skip()?;
            } else {
                let reason = "KeyInfo may hold X509Data, KeyName and KeyValue; leave out the rest";
                return Err(walk.refuse(Code::SignatureWeak, reason));
            }
        }
        Ok(())
    }

    fn x509_data(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&[])?;
        while self.child()? {
            let walk = &self.walk;
            if walk.is(DSIG, "X509Certificate") {
                if draft.certificates.len() >= CERTIFICATES {
                    let reason =
                        format!("more than {CERTIFICATES} certificates; send the signer's and its chain");
                    return Err(self.walk.refuse(Code::OverLimit, reason));
                }
                self.attributes(&[])?;
                let certificate = self.base64()?;
                draft.certificates.push(certificate);
            } else if walk.is(DSIG, "X509CRL") || walk.is(DSIG11, "OCSPResponse") {
                draft.note(Note::RevocationIgnored);
                self.skip()?;
            } else if draft.named.len() >= NAMED {
                let reason = format!("more than {NAMED} names of certificates; name the signer's once");
                return Err(self.walk.refuse(Code::OverLimit, reason));
            } else {
                let named = self.named()?;
                draft.named.push(named);
            }
        }
        Ok(())
    }

    /// Another way to say which certificate is the signer's.
    fn named(&mut self) -> Result<Named, Refusal> {
        let walk = &self.walk;
        if walk.is(DSIG, "X509IssuerSerial") {
            self.attributes(&[])?;
            self.expect("X509IssuerName")?;
            self.attributes(&[])?;
            let issuer = self.text()?;
            self.expect("X509SerialNumber")?;
            self.attributes(&[])?;
            let serial = self.text()?;
            self.end()?;
            return Ok(Named::IssuerSerial(issuer, serial.trim().to_owned()));
        }
        if walk.is(DSIG, "X509SubjectName") {
            self.attributes(&[])?;
            return Ok(Named::Subject(self.text()?));
        }
        if walk.is(DSIG, "X509SKI") {
            self.attributes(&[])?;
            return Ok(Named::KeyId(self.base64()?));
        }
        if walk.is(DSIG11, "X509Digest") {
            let uri = self.algorithm()?;
            let Some(hash) = Hash::from_uri(&uri) else {
                let reason = "X509Digest is outside the profile; use SHA-256, SHA-384 or SHA-512";
                return Err(self.walk.refuse(Code::SignatureWeak, reason));
            };
            return Ok(Named::Digest(hash, self.base64()?));
        }
        Err(self.unexpected())
    }
}
