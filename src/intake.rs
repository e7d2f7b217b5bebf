//! Intake: verify, route, store, and only then acknowledge.

pub mod order;
mod papers;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::domain::{Account, Coverage, Digest, Header, MessageId, Placement, Record, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::observe::Metrics;
use crate::route::Directory;
use crate::store::{AcceptPort, Acceptance, NewMessage, ReadPort, Staged, StoreError, read_all};
use crate::verify::sign::Signer;
use crate::verify::{Came, Verified, Verifier};

/// Documents up to this size are verified where they are: handing them to another thread costs
/// more than the work (some 0.1 ms). Larger ones would hold up everybody else on this thread.
const INLINE: usize = 64 * 1024;
/// Octets of a stored receipt; ours have some thousand.
const MAX_RECEIPT: u64 = 1 << 20;

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
    parts: Parts,
    /// Large documents being verified at once: as many as there are processors.
    heavy: Arc<Semaphore>,
}

impl Intake {
    /// An intake over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { parts, heavy: Arc::new(Semaphore::new(processors)) }
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
        let began = Instant::now();
        let at = Timestamp::now();
        let came = attachments.iter().map(|a| Came { size: a.len, sha256: a.sha256 }).collect();
        let verified = self.verify(document, came, at).await?;
        let header = verified.header();
        entitled(account, header)?;
        enough(account, verified.coverage())?;
        // The signature covers the attachments' digests: same document, same message.
        let digest = Digest::of(verified.octets());
        let found = self.parts.read.find(&header.author, header.uuid).await.map_err(store_refusal)?;
        if let Some(first) = found {
            if first.document.sha256 != digest {
                return Err(used(&first.id));
            }
            return self.receipt_of(&first, true).await;
        }
        let (placement, _) = self.parts.directory.load().route(header, at.date())?;
        let id = MessageId::new(&self.parts.gateway, uuid::Uuid::now_v7())
            .map_err(|e| internal(format!("the gateway's name makes no message id: {e}")))?;
        let receipt = papers::receipt(&self.parts, &id, &verified, digest, &placement, at)?;
        let account = account.name.clone();
        let new = NewMessage {
            id,
            message: verified,
            attachments,
            account,
            placement,
            receipt: receipt.clone(),
            at,
            order: None,
        };
        match self.parts.accept.accept(new).await.map_err(store_refusal)? {
            Acceptance::New(record) => {
                self.parts.metrics.accepted(began.elapsed());
                let (id, state) = (record.id.clone(), record.state.name());
                Ok(Receipt { id, state, document: receipt, repeated: false })
            }
            // The same message came twice at once; the other one was first.
            Acceptance::Again(record) => self.receipt_of(&record, true).await,
        }
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
        let now = Timestamp::now();
        let verifier = self.parts.verifier.load_full();
        let (header, report) = self
            .work(document.len(), move || {
                let header = verifier.validate(&document)?;
                let report = verifier.signature(&document, now)?;
                Ok((header, report))
            })
            .await?;
        entitled(account, &header)?;
        enough(account, Some(&report.coverage))?;
        self.parts.directory.load().route(&header, now.date())
    }

    /// The signed `antrag.rueckweisung.0120` for a returned message, made on demand.
    ///
    /// # Errors
    /// AW-0500.
    pub fn refusal(&self, record: &Record) -> Result<Bytes, Refusal> {
        papers::refusal(&self.parts, record)
    }

    async fn verify(&self, document: Bytes, came: Vec<Came>, now: Timestamp) -> Result<Verified, Refusal> {
        let verifier = self.parts.verifier.load_full();
        let began = Instant::now();
        let verified = self.work(document.len(), move || verifier.verify(document, &came, now)).await;
        self.parts.metrics.verified(began.elapsed());
        verified
    }

    /// Does `work` here, or for a large document on a thread of its own.
    async fn work<T: Send + 'static>(
        &self,
        octets: usize,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if octets <= INLINE {
            return work();
        }
        apart(&self.heavy, work).await
    }

    async fn receipt_of(&self, record: &Record, repeated: bool) -> Result<Receipt, Refusal> {
        let document =
            read_all(&*self.parts.read, &record.receipt, MAX_RECEIPT).await.map_err(store_refusal)?;
        Ok(Receipt { id: record.id.clone(), state: record.state.name(), document, repeated })
    }
}

/// Does `work` on a thread of its own, within `room`. The room is left when the work ends, not when
/// nobody waits for it any more: callers who hang up must not pile up work.
async fn apart<T: Send + 'static>(
    room: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let place = room.clone().acquire_owned().await;
    let inside = move || {
        let _place = place;
        work()
    };
    match tokio::task::spawn_blocking(inside).await {
        Ok(result) => result,
        Err(error) => Err(internal(format!("the check broke off: {error}"))),
    }
}

/// The account may submit, and may write as this author.
fn entitled(account: &Account, header: &Header) -> Result<(), Refusal> {
    if !account.may(Role::Portal) {
        return Err(Refusal::new(
            Code::NotEntitled,
            "the account may not submit messages; ask the gateway's operator for the role \"portal\"",
        ));
    }
    if !account.is(&header.author) {
        return Err(Refusal::new(
            Code::NotEntitled,
            format!(
                "the account {} may not write as {}; submit with the author's own account, or have the \
                 operator add the identifier",
                account.name, header.author
            ),
        ));
    }
    Ok(())
}

/// The account's messages are signed as the operator wants them to be.
fn enough(account: &Account, coverage: Option<&Coverage>) -> Result<(), Refusal> {
    let plain = coverage.is_none_or(|coverage| coverage.signed_at.is_none());
    if account.xades && plain {
        let reason = format!(
            "the account {} must sign with XAdES B-B (amtsweg sign --xades), and this message has no signed \
             properties",
            account.name
        );
        return Err(Refusal::new(Code::SignatureWeak, reason));
    }
    Ok(())
}

fn used(first: &MessageId) -> Refusal {
    Refusal::new(
        Code::IdUsed,
        format!("the author's UUID is taken by other content ({first}); give a changed message a new UUID"),
    )
}

fn internal(reason: String) -> Refusal {
    tracing::error!(reason, "fault");
    Refusal::new(Code::Internal, "a fault in the gateway; nothing was accepted, send the message again later")
}

/// What a fault of the store means to the caller. Faults that an operator has to see are logged
/// here, once; the caller learns only that it was not its fault.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::IdUsed(first) => used(&first),
        StoreError::Full => Refusal::new(
            Code::DiskFull,
            "the gateway's disk is nearly full and takes no messages; try again later",
        ),
        StoreError::TooLarge(bound) => Refusal::new(
            Code::OverLimit,
            format!("the content has more than the {bound} octets that are allowed; split it"),
        ),
        StoreError::Dropped => Refusal::new(
            Code::UnknownMessage,
            "the content of this message was removed when its retention had ended; its record and its receipt \
             are still there, ask for its status",
        ),
        StoreError::Unknown => {
            Refusal::new(Code::UnknownMessage, "there is no message with this id; check the id")
        }
        StoreError::Conflict => {
            Refusal::new(Code::LeaseLost, "the message has changed meanwhile; read it again")
        }
        fault @ (StoreError::Corrupt { .. } | StoreError::Closed(_) | StoreError::Io { .. }) => {
            internal(fault.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_still_takes_its_room() {
        let room = Arc::new(Semaphore::new(1));
        let (begun, begins) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            ends.recv().unwrap();
            Ok(())
        };
        let left = tokio::time::timeout(std::time::Duration::from_millis(20), apart(&room, work)).await;
        assert!(left.is_err(), "the caller has hung up");
        begins.recv().unwrap();
        assert_eq!(room.available_permits(), 0, "the work goes on");
        end.send(()).unwrap();
        assert!(apart(&room, || Ok(())).await.is_ok());
    }
}
