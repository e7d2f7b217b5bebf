//! Transport orders: messages that come with an envelope that names and addresses them (XTA 2.1.1).
//! They take the same way as all others; only what must be signed is the operator's policy.

use std::time::Instant;

use bytes::Bytes;

use super::{Intake, Receipt, apart, enough, entitled, internal, papers, store_refusal, used};
use crate::domain::{Account, Digest, Identifier, MessageId, Terms, Timestamp};
use crate::error::Refusal;
use crate::store::{Acceptance, NewMessage, NewOrder, Staged};
use crate::verify::order::Ordered;

/// A transport order without its contents.
#[derive(Debug)]
pub struct TransportOrder {
    /// The message's name; one of this gateway.
    pub id: MessageId,
    /// What concerns the payload.
    pub ordered: Ordered,
    /// The order's own words, kept as they are.
    pub envelope: Bytes,
    /// What the gateway acts on.
    pub terms: Terms,
}

impl Intake {
    /// A new name for a message.
    ///
    /// # Errors
    /// AW-0500.
    pub fn name(&self) -> Result<MessageId, Refusal> {
        MessageId::new(&self.parts.gateway, uuid::Uuid::now_v7())
            .map_err(|e| internal(format!("the gateway's name makes no message id: {e}")))
    }

    /// Whether a name can have been given by this gateway.
    #[must_use]
    pub fn named_here(&self, id: &MessageId) -> bool {
        let uuid = id.as_str().rsplit(':').next().and_then(|text| text.parse().ok());
        let own = uuid.and_then(|uuid| MessageId::new(&self.parts.gateway, uuid).ok());
        own.is_some_and(|own| own == *id)
    }

    /// The gateway's identifier.
    #[must_use]
    pub fn identity(&self) -> &Identifier {
        &self.parts.identifier
    }

    /// Signs a document of the gateway's own: enveloped, over the whole of it.
    ///
    /// # Errors
    /// AW-0500.
    pub(crate) fn sign(&self, unsigned: &[u8]) -> Result<Bytes, Refusal> {
        papers::sign(&self.parts, unsigned)
    }

    /// Accepts a transport order: durable when this returns. A name is good for one message, so the
    /// same order again is refused: its author asks for the report of the first.
    ///
    /// # Errors
    /// Every refusal of verification, entitlement, routing and the store; AW-0160 for a name, or an
    /// author and UUID, that is used.
    pub async fn accept_order(
        &self,
        account: &Account,
        payload: Bytes,
        attachments: Vec<Staged>,
        order: TransportOrder,
    ) -> Result<Receipt, Refusal> {
        let (began, at) = (Instant::now(), Timestamp::now());
        let TransportOrder { id, ordered, envelope, terms } = order;
        entitled(account, &ordered.header)?;
        if let Some(first) = self.parts.read.get(&id).await.map_err(store_refusal)? {
            return Err(used(&first.id));
        }
        let verifier = self.parts.verifier.load_full();
        let work = move || verifier.verify_order(payload, ordered, at);
        // Unlike signatures, schemas are checked for whoever has an account, so always with bounded room.
        let verified = apart(&self.heavy, work).await;
        self.parts.metrics.verified(began.elapsed());
        let verified = verified?;
        enough(account, verified.coverage())?;
        let header = verified.header();
        if let Some(first) = self.parts.read.find(&header.author, header.uuid).await.map_err(store_refusal)? {
            return Err(used(&first.id));
        }
        let (placement, _) = self.parts.directory.load().route(header, at.date())?;
        let digest = Digest::of(verified.octets());
        let receipt = papers::receipt(&self.parts, &id, &verified, digest, &placement, at)?;
        let new = NewMessage {
            id,
            message: verified,
            attachments,
            account: account.name.clone(),
            placement,
            receipt: receipt.clone(),
            at,
            order: Some(NewOrder { envelope, terms }),
        };
        match self.parts.accept.accept(new).await.map_err(store_refusal)? {
            Acceptance::New(record) => {
                self.parts.metrics.accepted(began.elapsed());
                let (id, state) = (record.id.clone(), record.state.name());
                Ok(Receipt { id, state, document: receipt, repeated: false })
            }
            Acceptance::Again(first) => Err(used(&first.id)),
        }
    }
}
