//! From a verified message to the draft of its record: content that is too large for a segment is
//! brought to its final place, all the rest waits for the committer.

use std::sync::Arc;

use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, Digest, FactKind, Order, Record, SignerInfo, State, StoredAttachment};

use super::content::{Payload, vault_fault};
use super::stage::Files;
use super::vault::{Cipher, Hold, MessageKey, Owner, SealedEntry, Vault};
use super::{NewMessage, StagedBody, StagedFile, StoreError};

/// Which of a record's contents.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    Document,
    Receipt,
    Attachment(usize),
    Envelope,
}

/// A record that lacks its number and the places of small contents.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) record: Record,
    /// Contents for a segment.
    pub(crate) inline: Vec<(Slot, Payload)>,
    /// Files in their final place; they go again unless a commit keeps them.
    pub(crate) files: Vec<StagedFile>,
    /// The slot of its message key; it goes back unless a commit keeps it.
    pub(crate) hold: Option<Hold>,
}

impl Draft {
    /// Octets for content segments, each with its owner's id.
    pub(crate) fn inline_octets(&self) -> usize {
        let owner = self.record.id.as_str().len();
        self.inline.iter().map(|(_, payload)| payload.len() + owner).sum()
    }

    /// Notes where a small content lies.
    pub(crate) fn set(&mut self, slot: Slot, place: ContentPlace) {
        match slot {
            Slot::Document => self.record.document.place = place,
            Slot::Receipt => self.record.receipt.place = place,
            Slot::Attachment(at) => {
                if let Some(attachment) = self.record.attachments.get_mut(at) {
                    attachment.content.place = place;
                }
            }
            Slot::Envelope => {
                if let Some(order) = &mut self.record.order {
                    order.envelope.place = place;
                }
            }
        }
    }
}

/// Whether making the draft touches the disk.
pub(crate) fn is_large(files: &Files, new: &NewMessage) -> bool {
    new.message.octets().len() > files.inline_max()
        || new.receipt.len() > files.inline_max()
        || new.order.as_ref().is_some_and(|order| order.envelope.len() > files.inline_max())
        || new.attachments.iter().any(|a| matches!(a.body, StagedBody::File(..)))
}

/// Brings contents to where they will lie, encrypted where the message has a key.
struct Keeper<'s> {
    files: &'s Files,
    vault: &'s Vault,
    key: Option<&'s MessageKey>,
    inline: Vec<(Slot, Payload)>,
    kept: Vec<StagedFile>,
}

impl Keeper<'_> {
    /// Which key a content is encrypted with: the message's for what is erased with it, numbered; the
    /// store's for what is needed longer.
    fn owner(&self, slot: Slot) -> Result<Option<(Owner, Arc<Cipher>)>, StoreError> {
        let Some(key) = self.key else { return Ok(None) };
        let number = match slot {
            Slot::Document => 0,
            Slot::Attachment(at) => u32::try_from(at + 1).unwrap_or(u32::MAX),
            Slot::Receipt | Slot::Envelope => {
                return self.vault.records_owner().map(Some).map_err(vault_fault);
            }
        };
        Ok(Some(key.owner(number)))
    }

    fn keep(&mut self, slot: Slot, sha256: Digest, body: StagedBody) -> Result<ContentRef, StoreError> {
        let owner = self.owner(slot)?;
        let (mut file, len) = match body {
            StagedBody::Memory(octets) if octets.len() <= self.files.inline_max() => {
                let len = octets.len() as u64;
                let payload = match &owner {
                    None => Payload::Plain(octets),
                    Some((owner, cipher)) => {
                        Payload::Sealed(SealedEntry::seal(owner, cipher, &octets).map_err(vault_fault)?)
                    }
                };
                self.inline.push((slot, payload));
                return Ok(ContentRef {
                    place: ContentPlace::Segment { segment: 0, offset: 0 },
                    len,
                    sha256,
                });
            }
            StagedBody::Memory(octets) => (self.files.write(&octets)?, octets.len() as u64),
            StagedBody::File(file, len) => (file, len),
        };
        if let Some(owner) = &owner {
            self.files.own(&file, owner, len)?;
        }
        self.files.place(&mut file)?;
        let place = ContentPlace::File { name: file.name };
        self.kept.push(file);
        Ok(ContentRef { place, len, sha256 })
    }
}

/// Makes the draft. Blocking where [`is_large`].
pub(crate) fn draft(
    files: &Files,
    vault: &Vault,
    key: Option<MessageKey>,
    new: NewMessage,
) -> Result<Draft, StoreError> {
    let declared = new.message.attachments().to_vec();
    let fits = declared.len() == new.attachments.len()
        && declared.iter().zip(&new.attachments).all(|(d, s)| d.sha256 == s.sha256 && d.size == s.len);
    if !fits {
        // Invariant 2: what is stored is what was verified. Only a fault in the gateway gets here.
        let why = "the staged attachments are not the declared ones, in their order";
        return Err(StoreError::Corrupt { what: "the message".to_owned(), why: why.to_owned() });
    }
    let document = new.message.octets().clone();
    let mut keeper = Keeper { files, vault, key: key.as_ref(), inline: Vec::new(), kept: Vec::new() };
    let mut keep = |slot, sha256, body| keeper.keep(slot, sha256, body);
    let digest = Digest::of(&document);
    let receipt_digest = Digest::of(&new.receipt);
    let document = keep(Slot::Document, digest, StagedBody::Memory(document))?;
    let receipt = keep(Slot::Receipt, receipt_digest, StagedBody::Memory(new.receipt))?;
    let mut attachments = Vec::with_capacity(declared.len());
    for (at, (declared, staged)) in declared.into_iter().zip(new.attachments).enumerate() {
        let content = keep(Slot::Attachment(at), staged.sha256, staged.body)?;
        attachments.push(StoredAttachment { declared, content });
    }
    let order = match new.order {
        None => None,
        Some(order) => {
            let digest = Digest::of(&order.envelope);
            let envelope = keep(Slot::Envelope, digest, StagedBody::Memory(order.envelope))?;
            Some(Order { envelope, terms: order.terms, waiver: new.message.signer().err().cloned() })
        }
    };
    if order.is_none() && new.message.signer().is_err() {
        // The record has to say that nobody signed.
        let why = "a message without a signature came without its order";
        return Err(StoreError::Corrupt { what: "the message".to_owned(), why: why.to_owned() });
    }
    let mut record = Record {
        version: 1,
        sequence: 0,
        id: new.id,
        account: new.account,
        header: new.message.header().clone(),
        signer: new.message.signer().cloned().unwrap_or_else(|_| SignerInfo::nobody()),
        document,
        attachments,
        receipt,
        state: State::Available,
        placement: new.placement,
        attempts: 0,
        warned: false,
        accepted_at: new.at,
        changed_at: new.at,
        facts: Vec::new(),
        facts_dropped: 0,
        order,
        slot: key.as_ref().map(|key| key.hold.slot),
        coverage: new.message.coverage().cloned(),
        remote: None,
    };
    record.state = State::initial(record.placement.way, record.starts(new.at), new.at);
    let waived = record.order.as_ref().and_then(|order| order.waiver.as_ref());
    let detail = waived.map_or_else(String::new, |w| format!("without a signature: {}", w.rule));
    record.remember(new.at, FactKind::Accepted, &detail);
    let Keeper { inline, kept: files, .. } = keeper;
    Ok(Draft { record, inline, files, hold: key.map(|key| key.hold) })
}
