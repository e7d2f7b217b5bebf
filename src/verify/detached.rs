//! Signatures over octets alone, apart from what they sign: what the gateway's own statements carry.
//! With the certificate's key and SHA-256, or the hash that its curve asks for; RSA as PKCS#1 v1.5,
//! ECDSA as an ASN.1 `Ecdsa-Sig-Value`, so that common tools check them.

use webpki::EndEntityCert;

use super::algorithms::{Scheme, SignatureMethod};
use super::keys::{self, Kind};
use super::sign::{Hash, Profile, SignError, Signer};

/// The names of the methods, and what they are.
const METHODS: [(&str, SignatureMethod); 5] = [
    ("rsa-pkcs1-sha256", SignatureMethod { scheme: Scheme::Pkcs1, hash: Hash::Sha256 }),
    ("ecdsa-sha256", SignatureMethod { scheme: Scheme::Ecdsa, hash: Hash::Sha256 }),
    ("ecdsa-sha384", SignatureMethod { scheme: Scheme::Ecdsa, hash: Hash::Sha384 }),
    ("ecdsa-sha512", SignatureMethod { scheme: Scheme::Ecdsa, hash: Hash::Sha512 }),
    ("ed25519", SignatureMethod { scheme: Scheme::Ed25519, hash: Hash::Sha512 }),
];

/// A signature apart from what it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// `rsa-pkcs1-sha256`, `ecdsa-sha256`, `ecdsa-sha384`, `ecdsa-sha512` or `ed25519`.
    pub method: &'static str,
    /// Its value.
    pub value: Vec<u8>,
}

impl Signer {
    /// Signs octets as they are.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn sign_octets(&self, octets: &[u8]) -> Result<Detached, SignError> {
        let method = self.method(Profile::default());
        let unusable = || SignError::Key("its signatures have no name here".to_owned());
        let (name, _) = METHODS.iter().find(|(_, known)| *known == method).ok_or_else(unusable)?;
        let value = self.value(method, octets)?;
        let value = match method.scheme {
            Scheme::Ecdsa => keys::ecdsa_der(&value, value.len() / 2).ok_or_else(unusable)?,
            _ => value,
        };
        Ok(Detached { method: name, value })
    }
}

/// Whether the key of `certificate` (DER) made this signature over `octets`. Nothing is said of the
/// certificate itself: whoever asks has it from a place that he trusts.
#[must_use]
pub fn verifies(certificate: &[u8], method: &str, octets: &[u8], value: &[u8]) -> bool {
    let der = certificate.into();
    let Ok(certificate) = EndEntityCert::try_from(&der) else { return false };
    let kind: Kind = keys::kind(&certificate.subject_public_key_info());
    let method = METHODS.iter().find(|(name, _)| *name == method).map(|(_, method)| *method);
    let algorithm = method.filter(|m| kind.fits(m.scheme)).and_then(|m| keys::algorithm(kind, m));
    algorithm.is_some_and(|algorithm| certificate.verify_signature(algorithm, octets, value).is_ok())
}
