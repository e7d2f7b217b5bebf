//! Makes the signatures that the gateway's profile asks for.

/// What to sign with which algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Canonicalisation of document and SignedInfo.
    pub canonicalisation: Canonicalisation,
    /// Digest (also of the signature).
    pub hash: Hash,
    /// RSASSA-PSS instead of PKCS#1 v1.5, for RSA keys.
    pub pss: bool,
}

/// The canonicalisations of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonicalisation {
    /// Exclusive 1.0.
    Exclusive,
    /// Exclusive 1.0 with comments.
    ExclusiveWithComments,
    /// Inclusive 1.0.
    Inclusive,
    /// Inclusive 1.0 with comments.
    InclusiveWithComments,
    /// Inclusive 1.1.
    Inclusive11,
    /// Inclusive 1.1 with comments.
    Inclusive11WithComments,
}

/// The digests of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Why a document could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key can't be read, or does not fit the certificate.
    #[error("key: {0}")]
    Key(String),
    /// The certificate can't be read.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The document is not well-formed, over a limit, or signed already.
    #[error("document: {0}")]
    Document(#[from] crate::error::Refusal),
}

/// A certificate with its key.
pub struct Signer {}

impl Signer {
    /// From a PEM certificate (chain) and a PEM private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`SignError::Key`], [`SignError::Certificate`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, SignError> {
        let _ = (certificates, key);
        todo!()
    }

    /// Puts one enveloped signature over the whole document as the root's last child. All other
    /// octets stay as they are.
    ///
    /// # Errors
    /// [`SignError::Document`].
    pub fn sign(&self, document: &[u8], profile: Profile) -> Result<Vec<u8>, SignError> {
        let _ = (document, profile);
        todo!()
    }
}
