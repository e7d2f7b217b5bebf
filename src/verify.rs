//! Verification: the only way to a [`Verified`].
//!
//! The checks are judged in this order; the first fault is the answer:
//! 1. one pass over the octets: size, encoding, limits, well-formedness, no DTD and no entity
//!    (AW-0101 to AW-0104); the same pass picks the header, validates and hashes the canonical form;
//! 2. a header rule knows the root (AW-0110), and the header keeps its rules (AW-0110, AW-0111);
//! 3. the signature is there, in its place, and within the profile (AW-0120, AW-0121, AW-0123,
//!    AW-0133, or AW-0122 when malformed), before any key is touched;
//! 4. the digest, then the signature value (AW-0122);
//! 5. the certificate leads to an anchor, is valid and not revoked (AW-0130 to AW-0134);
//! 6. the attachments are those that the document declares (AW-0111, AW-0122);
//! 7. the schema (AW-0111, AW-0112), of whose verdict nothing before depends.
//!
//! What a signature covers: its reference names the whole document, of which XML Signature
//! 1.1 (section 4.4.3.3) takes all but comments. A comment can thus be changed under a good
//! signature; the header is picked as if there were none. The signature element itself holds
//! nothing but its own data. Exclusive canonicalisation leaves out namespace declarations that
//! no name uses; where an `xsi:type` needs one, the signature must list its prefix (AW-0123).

mod algorithms;
mod authenticate;
mod c14n;
mod certificate;
mod chars;
pub mod detached;
mod document;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
mod keys;
mod markup;
mod misc;
mod names;
mod namespaces;
pub mod opinion;
pub mod order;
mod pass;
pub mod schema;
pub mod sign;
mod signature;
mod tag;
pub mod trust;
mod walk;
mod xsd;

pub(crate) use document::Document;
pub(crate) use walk::{Attribute as WalkedAttribute, Node, Walk};

#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Coverage, DeclaredAttachment, Digest, Header, SignerInfo, Timestamp, Waiver};
use crate::error::{Code, Refusal};

use algorithms::Plan;
use authenticate::authenticate;
use pass::{Ask, Passed};

/// A message that passed every check. Its fields are private and it has no public constructor:
/// whoever holds one holds the proof.
#[derive(Clone, Debug)]
pub struct Verified {
    octets: Bytes,
    header: Header,
    proof: Proof,
    attachments: Vec<DeclaredAttachment>,
}

/// Who vouches for a message.
#[derive(Clone, Debug)]
enum Proof {
    /// A signature that was verified.
    Signed(SignatureReport),
    /// Nobody: the operator's policy lets the account send it unsigned.
    Waived(Waiver),
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
    ///
    /// # Errors
    /// By which policy nobody had to.
    pub fn signer(&self) -> Result<&SignerInfo, &Waiver> {
        match &self.proof {
            Proof::Signed(report) => Ok(&report.signer),
            Proof::Waived(waiver) => Err(waiver),
        }
    }

    /// What the signature covers; `None` where nobody had to sign.
    #[must_use]
    pub fn coverage(&self) -> Option<&Coverage> {
        match &self.proof {
            Proof::Signed(report) => Some(&report.coverage),
            Proof::Waived(_) => None,
        }
    }

    /// Its attachments, as declared under the signature and matched with what came.
    #[must_use]
    pub fn attachments(&self) -> &[DeclaredAttachment] {
        &self.attachments
    }
}

/// Bounds for a document (invariant 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the document.
    pub octets: usize,
    /// Nested elements.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Octets of one name; a namespace's may have four times as many.
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

impl Default for Limits {
    /// What a gateway takes whose configuration sets no limits: 16 MiB in 500,000 elements, 100 deep,
    /// with 64 attributes each.
    fn default() -> Self {
        Self {
            octets: 16 * 1024 * 1024,
            depth: 100,
            attributes: 64,
            name: 256,
            namespaces: 64,
            elements: 500_000,
            text: 16 * 1024 * 1024,
            attachments: 100,
        }
    }
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
    /// What is signed, until when the signer's certificates stand, and with what.
    pub coverage: Coverage,
}

/// Verifies documents. Immutable: a reload makes a new one.
pub struct Verifier {
    settings: Settings,
}

impl Verifier {
    /// A verifier for `settings`.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Everything: limits, header, signature, trust, attachments, schema.
    ///
    /// # Errors
    /// The first refusal in the order of the checks.
    pub fn verify(&self, octets: Bytes, came: &[Came], now: Timestamp) -> Result<Verified, Refusal> {
        let Settings { limits, rules, schemas, trust } = &self.settings;
        let document = Document::check(&octets, limits)?;
        let plan = Plan::guess(document.text);
        let ask = Ask { rules: Some(rules), plan: Some(&plan), schemas: Some(schemas) };
        let mut passed = pass::pass(document, limits, ask)?;
        let (header, attachments) = picked(&mut passed, limits)?;
        let schema = passed.schema.take();
        let report = authenticate(document, limits, passed, plan, trust, now)?;
        matching(&attachments, came)?;
        schema.transpose()?;
        Ok(Verified { octets, header, proof: Proof::Signed(report), attachments })
    }

    /// Limits, header and schema alone (`amtsweg validate`).
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn validate(&self, octets: &Bytes) -> Result<Header, Refusal> {
        let Settings { limits, rules, schemas, .. } = &self.settings;
        let document = Document::check(octets, limits)?;
        let ask = Ask { rules: Some(rules), plan: None, schemas: Some(schemas) };
        let mut passed = pass::pass(document, limits, ask)?;
        let (header, _) = picked(&mut passed, limits)?;
        passed.schema.take().transpose()?;
        Ok(header)
    }

    /// Limits, signature and trust alone (`amtsweg verify` without `--schemas`).
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn signature(&self, octets: &Bytes, now: Timestamp) -> Result<SignatureReport, Refusal> {
        verify_signature(octets, &self.settings.limits, &self.settings.trust, now)
    }
}

/// Limits, signature and trust, without a [`Verifier`].
///
/// # Errors
/// As [`Verifier::signature`].
pub fn verify_signature(
    octets: &[u8],
    limits: &Limits,
    trust: &trust::Trust,
    now: Timestamp,
) -> Result<SignatureReport, Refusal> {
    let document = Document::check(octets, limits)?;
    let plan = Plan::guess(document.text);
    let passed = pass::pass(document, limits, Ask { plan: Some(&plan), ..Ask::default() })?;
    authenticate(document, limits, passed, plan, trust, now)
}

/// The header and the declared attachments.
fn picked(
    passed: &mut Passed<'_, '_>,
    limits: &Limits,
) -> Result<(Header, Vec<DeclaredAttachment>), Refusal> {
    let Some(picker) = passed.picker.take() else {
        return Err(Refusal::new(Code::UnknownStandard, "no header rule is loaded; load a schema set"));
    };
    let (header, attachments) = picker?.finish()?;
    if attachments.len() > limits.attachments {
        let reason = format!("more than {} attachments; send several messages", limits.attachments);
        return Err(Refusal::new(Code::OverLimit, reason));
    }
    Ok((header, attachments))
}

/// Whether the attachments that came are those declared, in order.
fn matching(declared: &[DeclaredAttachment], came: &[Came]) -> Result<(), Refusal> {
    if declared.len() != came.len() {
        let reason = format!(
            "the message declares {} attachments and {} came; send exactly those declared, in order",
            declared.len(),
            came.len()
        );
        return Err(Refusal::new(Code::SchemaInvalid, reason));
    }
    for (number, (declared, came)) in declared.iter().zip(came).enumerate() {
        if declared.size != came.size || declared.sha256 != came.sha256 {
            let reason = format!(
                "attachment {} is not the one declared (size or SHA-256); send the attachments unchanged, in order",
                number + 1
            );
            return Err(Refusal::new(Code::SignatureWrong, reason));
        }
    }
    Ok(())
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
        let uris = [algorithms::EXCLUSIVE, "http://www.w3.org/2001/04/xmlenc#sha256"];
        let coverage = Coverage::new(signer.not_after, &uris, None, Vec::new());
        Self { octets, header, proof: Proof::Signed(SignatureReport { signer, coverage }), attachments }
    }
}
