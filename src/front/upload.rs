//! A message on its way in: the document collected in memory, the attachments staged as they
//! stream, everything within bounds.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::Core;
use super::body::append;
use super::gate::Caller;
use crate::domain::Role;
use crate::error::{Code, Refusal};
use crate::intake::{Receipt, store_refusal};
use crate::store::{StageWriter, Staged};

/// What has come so far.
pub(crate) struct Upload<'a> {
    core: &'a Core,
    caller: &'a Caller,
    /// The document, while it is in one piece.
    first: Bytes,
    /// The document, once a second piece has come.
    rest: BytesMut,
    staged: Vec<Staged>,
    current: Option<Box<dyn StageWriter>>,
    /// Octets of the present attachment for which memory is held.
    held: usize,
    total: u64,
    /// The request came in one piece: the memory for all of it is held already.
    counted: bool,
}

/// Octets of an attachment that may stay in memory until it is accepted; beyond, it goes to disk.
const IN_MEMORY: usize = 64 * 1024;

impl Caller {
    /// Its account has `role`.
    ///
    /// # Errors
    /// AW-0140.
    pub(crate) fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.entry.account.may(role) {
            return Ok(());
        }
        let role = match role {
            Role::Portal => "portal",
            Role::Authority => "authority",
            Role::Operator => "operator",
        };
        Err(Refusal::new(
            Code::NotEntitled,
            format!("this needs an account with the role {role:?}; ask the gateway's operator for it"),
        ))
    }
}

impl<'a> Upload<'a> {
    /// A new upload of a portal within its quota; `counted` when it came in one piece and the
    /// memory for all of it is held already.
    ///
    /// # Errors
    /// AW-0140, AW-0303.
    pub(crate) fn begin(core: &'a Core, caller: &'a Caller, counted: bool) -> Result<Self, Refusal> {
        caller.require(Role::Portal)?;
        caller.entry.submit(Instant::now())?;
        let (first, rest) = (Bytes::new(), BytesMut::new());
        let (staged, current) = (Vec::new(), None);
        Ok(Self { core, caller, first, rest, staged, current, held: 0, total: 0, counted })
    }

    /// The next octets of the document.
    ///
    /// # Errors
    /// AW-0103, AW-0301; AW-0101 when attachments have begun.
    pub(crate) fn document(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        if self.current.is_some() || !self.staged.is_empty() {
            return Err(malformed("the document comes before all attachments"));
        }
        let so_far = self.first.len().max(self.rest.len()) as u64;
        let bound = self.core.parts.limits.document_octets;
        if so_far + chunk.len() as u64 > bound {
            return Err(Refusal::new(
                Code::OverLimit,
                format!("the document has more than {bound} octets; send large contents as attachments"),
            ));
        }
        self.add(chunk.len())?;
        self.hold(chunk.len())?;
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = chunk;
            return Ok(());
        }
        if self.rest.is_empty() {
            append(&mut self.rest, &std::mem::take(&mut self.first), bound);
        }
        append(&mut self.rest, &chunk, bound);
        Ok(())
    }

    /// Begins the next attachment, of `size` octets where that is known.
    ///
    /// # Errors
    /// AW-0103; AW-0101 without a document; the store's refusals.
    pub(crate) async fn attachment(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        if self.first.is_empty() && self.rest.is_empty() {
            return Err(malformed("the document comes before all attachments"));
        }
        self.end_attachment().await?;
        let limits = &self.core.parts.limits;
        if self.staged.len() >= limits.attachments {
            return Err(Refusal::new(
                Code::OverLimit,
                format!(
                    "a message has at most {} attachments; put more of them into one",
                    limits.attachments
                ),
            ));
        }
        if size.is_some_and(|size| size > limits.attachment_octets) {
            return Err(too_large(limits.attachment_octets));
        }
        self.held = 0;
        self.current =
            Some(self.core.parts.accept.stage(limits.attachment_octets).await.map_err(store_refusal)?);
        Ok(())
    }

    /// The next octets of the attachment begun last.
    ///
    /// # Errors
    /// AW-0103; AW-0101 when none was begun; the store's refusals.
    pub(crate) async fn content(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        self.add(chunk.len())?;
        let Some(current) = &mut self.current else {
            return Err(malformed("an attachment begins with its name and media type"));
        };
        let more = chunk.len().min(IN_MEMORY.saturating_sub(self.held));
        if more > 0 && !self.counted {
            self.caller.hold.take(more)?;
            self.held += more;
        }
        current.write(chunk).await.map_err(store_refusal)
    }

    fn hold(&self, octets: usize) -> Result<(), Refusal> {
        if self.counted { Ok(()) } else { self.caller.hold.take(octets) }
    }

    async fn end_attachment(&mut self) -> Result<(), Refusal> {
        if let Some(writer) = self.current.take() {
            self.staged.push(writer.finish().await.map_err(store_refusal)?);
        }
        Ok(())
    }

    fn add(&mut self, octets: usize) -> Result<(), Refusal> {
        self.total = self.total.saturating_add(octets as u64);
        let bound = self.caller.entry.account.quota.message_octets;
        if self.total > bound {
            return Err(Refusal::new(
                Code::OverLimit,
                format!("the account may send messages of at most {bound} octets; ask the operator for more"),
            ));
        }
        Ok(())
    }

    /// Everything has come: takes the message in.
    ///
    /// # Errors
    /// Every refusal of [`crate::intake::Intake::accept`]; AW-0101 without a document.
    pub(crate) async fn accept(mut self) -> Result<Receipt, Refusal> {
        self.end_attachment().await?;
        let document = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        if document.is_empty() {
            return Err(malformed("the request carries no document; send the signed XML document"));
        }
        self.core.parts.intake.accept(&self.caller.entry.account, document, self.staged).await
    }
}

/// The refusal of a request whose parts are not as they should be.
pub(crate) fn malformed(sentence: &str) -> Refusal {
    Refusal::new(Code::NotWellFormed, sentence)
}

fn too_large(bound: u64) -> Refusal {
    Refusal::new(Code::OverLimit, format!("an attachment has at most {bound} octets; split it"))
}
