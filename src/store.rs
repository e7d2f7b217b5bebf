//! The store: narrow ports for those above, and the one store below them.
//!
//! The truth is `ledger/` and `content/`, written and synced by one committer; sled is an index
//! that can always be rebuilt from them. Nothing above this room knows any of that: a second
//! store (several gateways on one database) can stand behind the same ports, so a claim is a
//! lease with an owner and an expiry, and every change names the version it was made from.

mod accept;
mod apply;
mod codec;
mod commit;
mod compact;
mod content;
mod frame;
mod house;
mod index;
pub mod inspect;
mod keys;
mod layout;
pub mod ledger;
mod marker;
mod open;
mod overlay;
mod ports;
mod queue;
mod rebuild;
mod records;
mod recover;
mod reindex;
mod replay;
mod retention;
mod room;
mod snapshot;
mod stage;
mod steps;
#[cfg(test)]
mod tests;
mod trim;
mod vault;

pub use house::Kept;
pub use layout::NAME as LAYOUT_FILE;
pub use open::{OpenError, Opened, Settings, Store};
pub use recover::{Recovery, Stopped};
pub use retention::Retention;
pub use stage::FLOOR;
pub use vault::{
    Encryption, MasterKey, MasterSource, ReadingKeys, Secret, SoftKey, VaultFault, VaultState, vault_state,
};

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::domain::{
    AccountName, ContentRef, Digest, EndpointControl, EndpointId, Event, Identifier, MessageId, Placement,
    Record, Terms, Timestamp,
};
use crate::verify::Verified;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The record has changed since it was read; read it again.
    #[error("the message has changed meanwhile")]
    Conflict,
    /// No such message.
    #[error("no such message")]
    Unknown,
    /// The author's UUID is taken by other content.
    #[error("the author's UUID is used for other content ({0})")]
    IdUsed(MessageId),
    /// The disk is full or nearly so; nothing was written.
    #[error("the disk is nearly full")]
    Full,
    /// The content was removed when its retention had ended; the message's record is still there.
    #[error("the content was removed when its retention had ended")]
    Dropped,
    /// More than the bound for one attachment or document.
    #[error("the content is larger than the bound of {0} octets")]
    TooLarge(u64),
    /// Octets on disk fail their checksum; set aside and reported.
    #[error("{what} is corrupt: {why}")]
    Corrupt {
        /// What.
        what: String,
        /// How it shows.
        why: String,
    },
    /// The store is shutting down or its committer has stopped after a disk fault.
    #[error("the store is closed: {0}")]
    Closed(String),
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// While doing what.
        what: String,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
}

/// Attachments and documents on their way in: written to disk as they come, no more than a chunk
/// in memory, dropped (and removed) unless accepted.
#[async_trait]
pub trait StageWriter: Send {
    /// Appends a chunk.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] over the bound, [`StoreError::Full`], [`StoreError::Io`].
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// Ends the content; it is synced and named by the commit that accepts it.
    ///
    /// # Errors
    /// As [`StageWriter::write`].
    async fn finish(self: Box<Self>) -> Result<Staged, StoreError>;
}

/// Content that has come in whole and waits to be accepted. Dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    /// Length in octets.
    pub len: u64,
    /// SHA-256, computed while writing.
    pub sha256: Digest,
    /// Small content in memory, large content in a file.
    pub(crate) body: StagedBody,
}

/// Where staged content waits.
#[derive(Debug)]
pub(crate) enum StagedBody {
    /// In memory: goes to a content segment.
    Memory(Bytes),
    /// In a temporary file: removed when dropped unless it was kept. With its octets of content.
    File(StagedFile, u64),
}

/// A temporary file that removes itself.
#[derive(Debug)]
pub(crate) struct StagedFile {
    /// Its place.
    pub(crate) path: std::path::PathBuf,
    /// The name under which it is kept.
    pub(crate) name: uuid::Uuid,
    /// Set once it was renamed to its final place.
    pub(crate) kept: bool,
    /// The key that its octets are encrypted with, until its head says so.
    pub(crate) key: Option<Secret>,
    /// The names that are being staged: no sweep touches them.
    pub(crate) among: Arc<Mutex<HashSet<uuid::Uuid>>>,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.kept {
            // Best effort: what stays is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
        self.among.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// A verified, routed message, ready to be made durable. Only `verify` makes a [`Verified`], so
/// nothing else gets in.
#[derive(Debug)]
pub struct NewMessage {
    /// The id it shall have.
    pub id: MessageId,
    /// The verified message; its octets are stored as they are.
    pub message: Verified,
    /// Its attachments, in the order of the declarations in `message`.
    pub attachments: Vec<Staged>,
    /// The submitting account.
    pub account: AccountName,
    /// Its route.
    pub placement: Placement,
    /// The signed receipt that will be handed out.
    pub receipt: Bytes,
    /// Time of acceptance, as the receipt says it.
    pub at: Timestamp,
    /// The transport order that it came with.
    pub order: Option<NewOrder>,
}

/// A transport order that is to be kept with its message.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Its own words, kept as they are.
    pub envelope: Bytes,
    /// What the gateway acts on.
    pub terms: Terms,
}

/// What became of a [`NewMessage`].
#[derive(Debug)]
pub enum Acceptance {
    /// Durable.
    New(Arc<Record>),
    /// The same message was accepted before; its record.
    Again(Arc<Record>),
}

/// The way in. Used by `intake`.
#[async_trait]
pub trait AcceptPort: Send + Sync {
    /// Begins to stage content of at most `bound` octets.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`].
    async fn stage(&self, bound: u64) -> Result<Box<dyn StageWriter>, StoreError>;

    /// Makes a message durable; returns after content and ledger are synced. Whoever reads then
    /// finds it.
    ///
    /// # Errors
    /// [`StoreError::IdUsed`] when author and UUID belong to other content; [`StoreError::Full`];
    /// [`StoreError::Io`] and [`StoreError::Closed`] (nothing was accepted).
    async fn accept(&self, new: NewMessage) -> Result<Acceptance, StoreError>;
}

/// Changes of accepted messages. Used by `deliver`, `mailbox` and the operators' verbs.
#[async_trait]
pub trait ChangePort: Send + Sync {
    /// Makes `next` durable if the stored record still has version `next.version - 1`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unknown`], [`StoreError::Io`], [`StoreError::Closed`].
    async fn commit(&self, next: Record) -> Result<Arc<Record>, StoreError>;

    /// Makes an operator's setting for an endpoint durable.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Closed`].
    async fn control(&self, control: EndpointControl) -> Result<(), StoreError>;
}

/// A message that can be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The message.
    pub id: MessageId,
    /// Since when.
    pub at: Timestamp,
    /// Its acceptance number: mailboxes list in this order.
    pub sequence: u64,
}

/// What is wanted of a listing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this endpoint.
    pub endpoint: Option<EndpointId>,
    /// In the state of this name ([`crate::domain::State::name`]).
    pub state: Option<String>,
    /// In one of the states of these names; none named: in any.
    pub any_of: &'static [&'static str],
    /// Submitted by this account.
    pub account: Option<AccountName>,
    /// Accepted with a number greater than this.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Messages by state name; final states are counted too.
    pub by_state: std::collections::BTreeMap<&'static str, u64>,
    /// Acceptance time of its oldest message that is neither closed nor returned.
    pub oldest: Option<Timestamp>,
}

/// A chunked reader of stored content; checks the digest at its end.
#[async_trait]
pub trait ContentReader: Send {
    /// The next chunk (at most 64 KiB), `None` after the last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the digest differs at the end, [`StoreError::Io`].
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

/// Reading. Nothing here changes anything.
#[async_trait]
pub trait ReadPort: Send + Sync {
    /// The record of a message.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Io`].
    async fn get(&self, id: &MessageId) -> Result<Option<Arc<Record>>, StoreError>;

    /// The message of this author with this UUID.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn find(&self, author: &Identifier, uuid: uuid::Uuid) -> Result<Option<Arc<Record>>, StoreError>;

    /// Messages of `endpoint` that can be claimed at `now`, those due longest first, of one due
    /// time in order of acceptance.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn due(&self, endpoint: &EndpointId, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError>;

    /// When the next message of `endpoint` can be claimed.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn next_due(&self, endpoint: &EndpointId) -> Result<Option<Timestamp>, StoreError>;

    /// Messages by filter, in order of acceptance.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn list(&self, filter: &Filter) -> Result<Vec<Arc<Record>>, StoreError>;

    /// All queues in numbers. Costs the same however many messages there are.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn depths(&self) -> Result<Vec<Depth>, StoreError>;

    /// What operators have set for endpoints.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn controls(&self) -> Result<Vec<EndpointControl>, StoreError>;

    /// Opens stored content.
    ///
    /// # Errors
    /// [`StoreError::Dropped`] when its retention has ended, [`StoreError::Corrupt`], [`StoreError::Io`],
    /// [`StoreError::Conflict`] when it was moved since the record was read.
    async fn open(&self, content: &ContentRef) -> Result<Box<dyn ContentReader>, StoreError>;

    /// Committed changes from now on; a slow reader misses some (they are hints).
    fn events(&self) -> tokio::sync::broadcast::Receiver<Arc<Event>>;
}

/// Where the ledger stands. Used by `proof`.
#[async_trait]
pub trait LedgerPort: Send + Sync {
    /// Number of the last frame on disk.
    fn synced(&self) -> u64;

    /// The keys that the ledger is read with.
    fn keys(&self) -> ReadingKeys;

    /// Number of the frame that says the last word on a message.
    ///
    /// # Errors
    /// As [`ReadPort::get`].
    async fn newest_frame(&self, id: &MessageId) -> Result<Option<u64>, StoreError>;
}

/// Reads content of at most `bound` octets into memory.
///
/// # Errors
/// [`StoreError::TooLarge`] over the bound, else as [`ReadPort::open`].
pub async fn read_all(store: &dyn ReadPort, content: &ContentRef, bound: u64) -> Result<Bytes, StoreError> {
    if content.len > bound {
        return Err(StoreError::TooLarge(bound));
    }
    let mut reader = store.open(content).await?;
    let mut out = bytes::BytesMut::new();
    while let Some(chunk) = reader.next().await? {
        out.extend_from_slice(&chunk);
    }
    Ok(out.freeze())
}
