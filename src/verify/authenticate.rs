//! The signature of a document: the checks in their order. Each comes before what costs more or relies
//! on it; ARCHITECTURE.md has the table with the reasons.

use rustls_pki_types::CertificateDer;

use crate::domain::{Coverage, Note, Timestamp};
use crate::error::{Code, Refusal};

use super::algorithms::Plan;
use super::c14n::Hasher;
use super::chars::Out;
use super::document::Document;
use super::pass::{self, Ask, Found, Passed, Root};
use super::signature::{self, Signature, named, properties};
use super::trust::Trust;
use super::{Limits, SignatureReport, keys};

/// The signature of a document that has been passed over with `plan`.
///
/// # Errors
/// AW-0120 to AW-0123, AW-0130 to AW-0134.
pub(super) fn authenticate(
    document: Document<'_>,
    limits: &Limits,
    passed: Passed<'_, '_>,
    plan: Plan,
    trust: &Trust,
    now: Timestamp,
) -> Result<SignatureReport, Refusal> {
    if let Some(misplaced) = passed.misplaced {
        return Err(misplaced);
    }
    let Some(found) = &passed.signature else {
        let reason = "the message carries no ds:Signature; sign it (amtsweg sign)";
        return Err(Refusal::new(Code::SignatureMissing, reason));
    };
    let signature = signature::read(document, limits, found, &passed.root)?;
    covers(&signature.reference, &passed)?;
    let certificates: Vec<CertificateDer<'_>> =
        signature.certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let candidates = keys::candidates(&certificates, signature.signing)?;
    let (digest, uncovered, properties) = if signature.plan == plan {
        (passed.digest, passed.uncovered, passed.properties)
    } else {
        let ask = Ask { plan: Some(&signature.plan), ..Ask::default() };
        let again = pass::pass(document, limits, ask)?;
        (again.digest, again.uncovered, again.properties)
    };
    if let Some((_, refusal)) = uncovered.into_iter().next() {
        return Err(refusal);
    }
    once(&signature, properties)?;
    selected(document, limits, &signature, found)?;
    if digest.is_none_or(|digest| digest.as_ref() != signature.digest.as_slice()) {
        let reason = "the document has been changed after it was signed (digest); send it as it was signed";
        return Err(Refusal::new(Code::SignatureWrong, reason));
    }
    signed_properties(document, limits, &signature, found, &passed.root)?;
    let message = signature::canonical_signed_info(
        document,
        limits,
        found,
        &passed.root,
        signature.method,
        &signature.prefixes,
    )?;
    let Some(number) = keys::verifying(&candidates, signature.signing, &message, &signature.value) else {
        let reason = "the signature value does not fit; sign with the key of the certificate that is sent";
        return Err(Refusal::new(Code::SignatureWrong, reason));
    };
    if let Some(certificate) = certificates.get(number) {
        named::agree(&signature.named, certificate)?;
    }
    if let Some((_, said)) = &signature.properties {
        properties::agree(said, &certificates, number)?;
    }
    let trusted = trust.signer(&certificates, number, now)?;
    let coverage = coverage(signature, trusted.until, &trusted.notes);
    Ok(SignatureReport { signer: trusted.signer, coverage })
}

/// Whether the reference names the whole document: nothing, or an id that is the root's alone.
fn covers(reference: &str, passed: &Passed<'_, '_>) -> Result<(), Refusal> {
    if reference.is_empty() {
        return Ok(());
    }
    if !passed.root.ids.iter().any(|id| id == reference) {
        let reason = "the signature refers to an id that is not the root's; refer with URI=\"\" or # and the root's id";
        return Err(Refusal::new(Code::NotCovered, reason));
    }
    if let Some((_, refusal)) = passed.doubled_ids.iter().find(|(id, _)| id == reference) {
        return Err(refusal.clone());
    }
    match &passed.outer_instruction {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(()),
    }
}

/// Whether a filter among the transforms keeps the document.
fn selected(
    document: Document<'_>,
    limits: &Limits,
    signature: &Signature,
    found: &Found<'_>,
) -> Result<(), Refusal> {
    let Some(filter) = &signature.filter else { return Ok(()) };
    if filter.keeps(document, limits, &found.range)? {
        return Ok(());
    }
    let reason = "the XPath expression selects nothing in this document, so that the signature covers nothing of it (XML Signature 1.1, section 6.6.3); leave the transform out";
    Err(Refusal::new(Code::NotCovered, reason))
}

/// Whether nothing else answers to the id of XAdES' signed properties; `seen` says how many elements
/// have it.
fn once(signature: &Signature, seen: usize) -> Result<(), Refusal> {
    if signature.properties.is_some() && seen != 1 {
        let reason = "the id of SignedProperties stands at several elements; ids must be unique";
        return Err(Refusal::new(Code::NotCovered, reason));
    }
    Ok(())
}

/// Whether the signed properties of XAdES are unchanged.
fn signed_properties(
    document: Document<'_>,
    limits: &Limits,
    signature: &Signature,
    found: &Found<'_>,
    root: &Root,
) -> Result<(), Refusal> {
    let Some((target, _)) = &signature.properties else { return Ok(()) };
    let canonical = signature::canonical_properties(document, limits, found, root, target)?;
    let mut hasher = Hasher::new(target.hash);
    hasher.put(&canonical);
    if hasher.finish().as_ref() != target.digest.as_slice() {
        let reason = "SignedProperties have been changed after they were signed (digest); sign anew";
        return Err(Refusal::new(Code::SignatureWrong, reason));
    }
    Ok(())
}

fn coverage(signature: Signature, until: Timestamp, more: &[Note]) -> Coverage {
    let uris = [
        signature.plan.method.uri(),
        signature.plan.hash.uri(),
        signature.method.uri(),
        signature.signing.uri(),
    ];
    let signed_at = signature.properties.map(|(_, said)| said.signed_at);
    let mut notes = signature.notes;
    notes.extend(more);
    Coverage::new(until, &uris, signed_at, notes)
}
