//! Verification: the only way to a [`Verified`].

use bytes::Bytes;

use crate::domain::{DeclaredAttachment, Header, SignerInfo};

/// A message that passed every check. Its fields are private and it has no public constructor:
/// whoever holds one holds the proof.
#[derive(Clone, Debug)]
pub struct Verified {
    octets: Bytes,
    header: Header,
    signer: SignerInfo,
    attachments: Vec<DeclaredAttachment>,
}

impl Verified {
    /// The octets that were verified, unchanged.
    #[must_use]
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// Its routing data.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Who signed it.
    #[must_use]
    pub fn signer(&self) -> &SignerInfo {
        &self.signer
    }

    /// Its attachments, as declared under the signature and matched with what came.
    #[must_use]
    pub fn attachments(&self) -> &[DeclaredAttachment] {
        &self.attachments
    }
}

pub mod header;
pub mod schema;
pub mod sign;
pub mod trust;

use std::sync::Arc;

use crate::domain::{Digest, Timestamp};
use crate::error::Refusal;

/// Bounds for a document (invariant 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Nested elements.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Octets of one name.
    pub name: usize,
    /// Namespace declarations in scope at once.
    pub namespaces: usize,
    /// Elements in all.
    pub elements: usize,
    /// Octets of one run of text or one attribute value.
    pub text: usize,
    /// Attachments declared.
    pub attachments: usize,
}

/// An attachment that came with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// Octets that came.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
}

/// What a [`Verifier`] checks against.
#[derive(Clone)]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Header rules; without them only signature and limits are checked (`amtsweg verify` without
    /// `--schemas`), and [`Verifier::verify`] refuses everything.
    pub rules: Arc<header::Rules>,
    /// Schema sets.
    pub schemas: Arc<schema::Schemas>,
    /// Anchors and CRLs.
    pub trust: Arc<trust::Trust>,
}

/// What the signature alone says (`amtsweg verify`).
#[derive(Clone, Debug)]
pub struct SignatureReport {
    /// Who signed.
    pub signer: SignerInfo,
    /// What is signed, in words: always the whole document.
    pub covered: String,
    /// URIs of canonicalisation, digest and signature algorithm.
    pub algorithms: Vec<String>,
}

/// Verifies documents. Immutable: a reload makes a new one.
pub struct Verifier {
    #[allow(dead_code)]
    settings: Settings,
}

impl Verifier {
    /// A verifier for `settings`.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Everything: limits, header, schema, signature, trust, attachments.
    ///
    /// # Errors
    /// The first refusal in the order of the checks.
    pub fn verify(&self, octets: Bytes, came: &[Came], now: Timestamp) -> Result<Verified, Refusal> {
        let _ = (octets, came, now);
        todo!()
    }

    /// Limits, header and schema alone (`amtsweg validate`).
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn validate(&self, octets: &Bytes) -> Result<Header, Refusal> {
        let _ = octets;
        todo!()
    }

    /// Limits, signature and trust alone (`amtsweg verify` without `--schemas`).
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn signature(&self, octets: &Bytes, now: Timestamp) -> Result<SignatureReport, Refusal> {
        let _ = (octets, now);
        todo!()
    }
}

#[cfg(test)]
impl Verified {
    /// A message as if it had been verified, for tests of the rooms behind `verify`.
    pub(crate) fn for_tests(
        octets: Bytes,
        header: Header,
        signer: SignerInfo,
        attachments: Vec<DeclaredAttachment>,
    ) -> Self {
        Self { octets, header, signer, attachments }
    }
}
