//! Intake: verify, route, store, and only then acknowledge.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::domain::{Account, MessageId, Placement};
use crate::error::Refusal;
use crate::observe::Metrics;
use crate::route::Directory;
use crate::store::{AcceptPort, ReadPort, Staged};
use crate::verify::Verifier;
use crate::verify::sign::Signer;

/// What the submitter gets.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The message's name from now on.
    pub id: MessageId,
    /// State at the time of the answer.
    pub state: &'static str,
    /// The signed `antrag.quittung.0110`.
    pub document: Bytes,
    /// The same message had been accepted before.
    pub repeated: bool,
}

/// What intake works with.
pub struct Parts {
    /// The gateway's name in message ids.
    pub gateway: String,
    /// The gateway's identifier: author of receipts.
    pub identifier: crate::domain::Identifier,
    /// Verifier, swapped on reload.
    pub verifier: Arc<ArcSwap<Verifier>>,
    /// Directory, swapped on reload.
    pub directory: Arc<ArcSwap<Directory>>,
    /// The way into the store.
    pub accept: Arc<dyn AcceptPort>,
    /// Reading the store.
    pub read: Arc<dyn ReadPort>,
    /// Signs receipts.
    pub signer: Arc<Signer>,
    /// Counts.
    pub metrics: Metrics,
}

/// Takes messages in.
pub struct Intake {
    #[allow(dead_code)]
    parts: Parts,
}

impl Intake {
    /// An intake over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Accepts a message: durable when this returns.
    ///
    /// # Errors
    /// Every refusal of verification, entitlement, routing and the store.
    pub async fn accept(
        &self,
        account: &Account,
        document: Bytes,
        attachments: Vec<Staged>,
    ) -> Result<Receipt, Refusal> {
        let _ = (account, document, attachments);
        todo!()
    }

    /// A dry run without attachments: the same checks, nothing kept.
    ///
    /// # Errors
    /// As [`Intake::accept`], but for attachments and the store.
    pub async fn validate(
        &self,
        account: &Account,
        document: Bytes,
    ) -> Result<(Placement, Vec<String>), Refusal> {
        let _ = (account, document);
        todo!()
    }
}
