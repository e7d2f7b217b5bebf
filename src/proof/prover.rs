//! Makes proofs of messages while the gateway runs.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::domain::MessageId;
use crate::error::{Code, Refusal};
use crate::store::LedgerPort;

use super::message::{ProveFault, prove};
use super::seal::{Ask, Sealed, Sealer};

/// How long a caller waits for a checkpoint.
const WAIT: Duration = Duration::from_secs(10);
/// Proofs made at once: each reads the frames of a checkpoint.
const AT_ONCE: usize = 2;

/// Makes proofs.
pub struct Prover {
    data: PathBuf,
    ledger: Arc<dyn LedgerPort>,
    asks: Mutex<Sender<Ask>>,
    sealed: watch::Receiver<Sealed>,
    room: Semaphore,
}

impl Prover {
    /// One for the ledger that `sealer` seals, of the store in `data`.
    #[must_use]
    pub fn new(data: PathBuf, ledger: Arc<dyn LedgerPort>, sealer: &Sealer) -> Self {
        Self {
            data,
            ledger,
            asks: Mutex::new(sealer.asks.clone()),
            sealed: sealer.sealed.clone(),
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// The proof for a message as JSON; `None` for one that is not there. Has a checkpoint made and
    /// waits for it where the message's last event is in none yet.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when there is no checkpoint in time, [`Code::Internal`] when there will be
    /// none, or the ledger can't be read.
    pub async fn proof(&self, id: &MessageId) -> Result<Option<Vec<u8>>, Refusal> {
        let newest = self.ledger.newest_frame(id).await.map_err(|fault| unreadable(id, &fault))?;
        let Some(frame) = newest else { return Ok(None) };
        self.sealed(frame).await?;
        let _room = self.room.acquire().await;
        let (data, keys, message) = (self.data.clone(), self.ledger.keys(), id.clone());
        let made = tokio::task::spawn_blocking(move || prove(&data, &keys, &message, frame)).await;
        let proof = match made {
            Ok(Ok(proof)) => proof,
            Ok(Err(ProveFault::Unsealed)) => return Err(later()),
            Ok(Err(fault)) => return Err(unreadable(id, &fault)),
            Err(fault) => return Err(unreadable(id, &fault)),
        };
        serde_json::to_vec(&proof).map(Some).map_err(|fault| unreadable(id, &fault))
    }

    /// Waits until a frame is in a checkpoint.
    async fn sealed(&self, frame: u64) -> Result<(), Refusal> {
        let mut sealed = self.sealed.clone();
        if sealed.borrow().frame < frame {
            // If nobody listens any more the wait below says so.
            let _ = self.asks.lock().unwrap_or_else(PoisonError::into_inner).send(Ask::Now);
        }
        let there = |sealed: &Sealed| sealed.frame >= frame || sealed.fault.is_some();
        let found = match tokio::time::timeout(WAIT, sealed.wait_for(there)).await {
            Ok(Ok(found)) => found.frame >= frame,
            Ok(Err(_)) | Err(_) => return Err(later()),
        };
        let why =
            "checkpoints of the ledger can't be made at present; the operator finds the reason in the log";
        if found { Ok(()) } else { Err(Refusal::new(Code::Internal, why)) }
    }
}

fn later() -> Refusal {
    let why = "the message's last step is not sealed yet; ask again in a few seconds, at the latest a minute after it";
    Refusal::new(Code::Overloaded, why)
}

/// A fault of ours: logged here, once.
fn unreadable(id: &MessageId, fault: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(message = %id, %fault, "a proof can't be made");
    Refusal::new(Code::Internal, "the proof can't be made; the operator finds the reason in the log")
}
