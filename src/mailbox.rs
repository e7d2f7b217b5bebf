//! The mailbox: list, lease, fetch, close. An account sees the messages whose reader is one of
//! its identifiers, and nothing else: the rest is unknown to it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::{Account, Claim, MessageId, Record, Timestamp};
use crate::error::Refusal;
use crate::route::Directory;
use crate::store::{ChangePort, ReadPort};

/// The mailbox verbs.
pub struct Mailbox {
    #[allow(dead_code)]
    read: Arc<dyn ReadPort>,
    #[allow(dead_code)]
    change: Arc<dyn ChangePort>,
    #[allow(dead_code)]
    directory: Arc<ArcSwap<Directory>>,
}

impl Mailbox {
    /// Mailboxes over these ports.
    #[must_use]
    pub fn new(
        read: Arc<dyn ReadPort>,
        change: Arc<dyn ChangePort>,
        directory: Arc<ArcSwap<Directory>>,
    ) -> Self {
        Self { read, change, directory }
    }

    /// What can be fetched now, in order of acceptance, after acceptance number `after`.
    ///
    /// # Errors
    /// AW-0500 when the store fails.
    pub async fn list(
        &self,
        account: &Account,
        after: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Arc<Record>>, Refusal> {
        let _ = (account, after, limit, now);
        todo!()
    }

    /// Takes a lease. The same account may not take it twice while it runs.
    ///
    /// # Errors
    /// AW-0401 unknown (or not this account's), AW-0402 leased by somebody else or already closed.
    pub async fn lease(
        &self,
        account: &Account,
        id: &MessageId,
        wish: Option<Duration>,
        now: Timestamp,
    ) -> Result<(Arc<Record>, Claim), Refusal> {
        let _ = (account, id, wish, now);
        todo!()
    }

    /// Lengthens a lease.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn extend(
        &self,
        account: &Account,
        id: &MessageId,
        token: uuid::Uuid,
        wish: Option<Duration>,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let _ = (account, id, token, wish, now);
        todo!()
    }

    /// The authority has taken the message over. Repeating it is harmless.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn close(
        &self,
        account: &Account,
        id: &MessageId,
        token: Option<uuid::Uuid>,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let _ = (account, id, token, now);
        todo!()
    }

    /// The authority refuses the message for good.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn reject(
        &self,
        account: &Account,
        id: &MessageId,
        token: Option<uuid::Uuid>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let _ = (account, id, token, reason, now);
        todo!()
    }
}
