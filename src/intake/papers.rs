//! What the gateway says and signs: receipts, and refusals of returned messages.

use bytes::Bytes;
use uuid::Uuid;

use super::{Parts, internal};
use crate::antrag::{self, About, Party};
use crate::domain::{Digest, FactKind, MessageId, Placement, Record, Timestamp};
use crate::error::{Code, Refusal};
use crate::verify::Verified;
use crate::verify::sign::{Canonicalisation, Hash, Profile};

/// How the gateway signs: what every receiver of the profile understands.
const PROFILE: Profile =
    Profile { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false };

fn party(parts: &Parts) -> Party {
    Party { identifier: parts.identifier.clone(), name: parts.gateway.clone() }
}

fn signed(parts: &Parts, unsigned: Result<Vec<u8>, antrag::BuildError>) -> Result<Bytes, Refusal> {
    let unsigned = unsigned.map_err(|e| internal(format!("a document of ours can't be written: {e}")))?;
    sign(parts, &unsigned)
}

/// Signs a document of ours.
///
/// # Errors
/// AW-0500.
pub(super) fn sign(parts: &Parts, unsigned: &[u8]) -> Result<Bytes, Refusal> {
    let signed = parts.signer.sign(unsigned, PROFILE);
    signed.map(Bytes::from).map_err(|e| internal(format!("a document of ours can't be signed: {e}")))
}

/// The signed `antrag.quittung.0110` for a message that is about to be stored under `id`.
///
/// # Errors
/// AW-0500.
pub(super) fn receipt(
    parts: &Parts,
    id: &MessageId,
    message: &Verified,
    sha256: Digest,
    placement: &Placement,
    accepted_at: Timestamp,
) -> Result<Bytes, Refusal> {
    let attachments: Vec<_> = message.attachments().iter().map(|a| (a.size, a.sha256)).collect();
    let receipt = antrag::Receipt {
        uuid: Uuid::new_v4(),
        gateway: &party(parts),
        id,
        header: message.header(),
        size: message.octets().len() as u64,
        sha256,
        attachments: &attachments,
        accepted_at,
        placement,
        signer: message.signer(),
        coverage: message.coverage(),
    };
    signed(parts, receipt.to_xml())
}

/// The signed `antrag.rueckweisung.0120` for a returned message.
///
/// # Errors
/// AW-0500.
pub(super) fn refusal(parts: &Parts, record: &Record) -> Result<Bytes, Refusal> {
    let returned = record.facts.iter().rev().find(|fact| fact.kind == FactKind::Returned);
    let why = returned.map_or("", |fact| fact.detail.as_str());
    let reason = format!(
        "{} ({}) has not taken the message over: {}. Send a corrected message with a new UUID, or turn to the \
         authority itself",
        record.placement.authority,
        record.placement.reader,
        if why.is_empty() { "no reason was given" } else { why }
    );
    let refusal = antrag::Refusal {
        uuid: Uuid::new_v4(),
        gateway: &party(parts),
        created: returned.map_or(record.changed_at, |fact| fact.at),
        about: About {
            id: Some(&record.id),
            author: Some(&record.header.author),
            uuid: Some(record.header.uuid),
            size: record.document.len,
            sha256: record.document.sha256,
        },
        reasons: &[],
        refusal: &Refusal::new(Code::Returned, reason),
    };
    signed(parts, refusal.to_xml())
}
