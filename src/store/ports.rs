//! The ports, on top of the committer's queue, the index and the content.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};

use crate::domain::record::ContentPlace;
use crate::domain::{
    ContentRef, EndpointControl, EndpointId, Event, Identifier, MessageId, Record, Timestamp,
};

use super::content::Unread;
use super::index::{Index, IndexFault};
use super::open::Store;
use super::queue::Request;
use super::stage::Stage;
use super::vault::{MasterKey, VaultFault};
use super::{
    AcceptPort, Acceptance, ChangePort, ContentReader, Depth, Due, Filter, LedgerPort, NewMessage, ReadPort,
    ReadingKeys, StageWriter, StoreError, accept, content, retention,
};

impl Store {
    /// Ends the retention of a message that has ended now: its document and attachments go, for good. The
    /// key that they were encrypted with is overwritten on disk when this returns, wherever copies of them
    /// may be. Where they were not encrypted, files are removed, and what lies in a content segment goes
    /// with that.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Conflict`] while the message is on its way,
    /// [`StoreError::Io`], [`StoreError::Closed`].
    pub async fn erase(&self, id: &MessageId) -> Result<Arc<Record>, StoreError> {
        let before = self.get(id).await?.ok_or(StoreError::Unknown)?;
        let (to, answer) = oneshot::channel();
        let erased = self.ask(Request::Erase(id.clone(), to), answer).await?;
        // The index has the frame before the files go, as with the end of any retention.
        let names = retention::files(before.erasable());
        if !names.is_empty() {
            self.query(|_| Ok(())).await?;
            let shared = Arc::clone(&self.shared);
            let gone = tokio::task::spawn_blocking(move || {
                shared.remove(names.iter().map(|name| content::file_path(&shared.root, *name)))
            });
            gone.await.map_err(|_| self.shared.health.fault())??;
        }
        Ok(erased)
    }

    /// Takes the first of these master keys to wrap the store's keys from now on; what the one before
    /// wrapped follows in the background. Gives whether it was another before. Blocking.
    ///
    /// # Errors
    /// [`VaultFault`]; the key before is still the one that counts.
    pub fn rotate(&self, masters: &[Arc<dyn MasterKey>]) -> Result<bool, VaultFault> {
        self.shared.vault.rotate(masters)
    }

    /// Whether keys of messages are still on their way to the newest master key.
    #[must_use]
    pub fn rotating(&self) -> bool {
        self.shared.vault.is_moving()
    }

    async fn ask<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.queue.send(request).await.map_err(|_| self.shared.health.fault())?;
        answer.await.unwrap_or_else(|_| Err(self.shared.health.fault()))
    }

    /// Whether this place was given up while the process ran.
    fn retired(&self, place: &ContentPlace) -> bool {
        let retired = self.shared.retired.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(place, ContentPlace::Segment { segment, .. } if retired.contains(segment))
    }

    /// Whether a record still has this content, with its key in this slot. Of an erased message none has:
    /// the frame that says so is on disk before the slot is wiped, and waited for here.
    async fn names(&self, slot: u64, content: &ContentRef) -> Result<bool, StoreError> {
        let wanted = (content.len, content.sha256);
        self.query(move |index| {
            let Some(id) = index.owner_of_slot(slot)? else { return Ok(false) };
            let record = index.get(&id)?;
            Ok(record.is_some_and(|record| record.contents().any(|c| (c.len, c.sha256) == wanted)))
        })
        .await
    }

    /// Whether a record names this file.
    async fn has_file(&self, name: uuid::Uuid) -> Result<bool, StoreError> {
        self.query(move |index| index.has_file(name)).await
    }

    /// Asks the index away from the async runtime.
    async fn query<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Index) -> Result<T, IndexFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        // What was acknowledged before this moment is to be seen.
        let synced = self.shared.synced.load(Ordering::Acquire);
        let index = self.shared.index()?;
        let mut applied = self.applied.clone();
        applied.wait_for(|applied| *applied >= synced).await.map_err(|_| self.shared.health.fault())?;
        let asked = tokio::task::spawn_blocking(move || f(&index)).await;
        let answer = asked.map_err(|_| StoreError::from(IndexFault::Panicked))?;
        answer.map_err(|fault| {
            self.shared.suspect(&fault);
            fault.into()
        })
    }
}

#[async_trait]
impl AcceptPort for Store {
    async fn stage(&self, bound: u64) -> Result<Box<dyn StageWriter>, StoreError> {
        Ok(Box::new(Stage::new(&self.shared.files, bound)?))
    }

    async fn accept(&self, new: NewMessage) -> Result<Acceptance, StoreError> {
        let (files, vault) = (Arc::clone(&self.shared.files), Arc::clone(&self.shared.vault));
        let key = match vault.seals() {
            true => Some(vault.message_key().await.map_err(content::vault_fault)?),
            false => None,
        };
        let draft = if accept::is_large(&files, &new) {
            let made = tokio::task::spawn_blocking(move || accept::draft(&files, &vault, key, new)).await;
            made.map_err(|_| self.shared.health.fault())??
        } else {
            accept::draft(&files, &vault, key, new)?
        };
        let (to, answer) = oneshot::channel();
        self.ask(Request::Accept(Box::new(draft), to), answer).await
    }
}

#[async_trait]
impl ChangePort for Store {
    async fn commit(&self, next: Record) -> Result<Arc<Record>, StoreError> {
        let (to, answer) = oneshot::channel();
        self.ask(Request::Change(Box::new(next), to), answer).await
    }

    async fn control(&self, control: EndpointControl) -> Result<(), StoreError> {
        let (to, answer) = oneshot::channel();
        self.ask(Request::Control(control, to), answer).await
    }
}

#[async_trait]
impl ReadPort for Store {
    async fn get(&self, id: &MessageId) -> Result<Option<Arc<Record>>, StoreError> {
        let id = id.clone();
        self.query(move |index| Ok(index.get(&id)?.map(Arc::new))).await
    }

    async fn find(&self, author: &Identifier, uuid: uuid::Uuid) -> Result<Option<Arc<Record>>, StoreError> {
        let author = author.clone();
        self.query(move |index| match index.duplicate(&author, uuid)? {
            Some((id, _)) => Ok(index.get(&id)?.map(Arc::new)),
            None => Ok(None),
        })
        .await
    }

    async fn due(&self, endpoint: &EndpointId, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
        let endpoint = endpoint.clone();
        self.query(move |index| index.due(&endpoint, now, limit)).await
    }

    async fn next_due(&self, endpoint: &EndpointId) -> Result<Option<Timestamp>, StoreError> {
        let endpoint = endpoint.clone();
        self.query(move |index| index.next_due(&endpoint)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Arc<Record>>, StoreError> {
        let filter = filter.clone();
        let (records, set_aside) = self.query(move |index| index.list(&filter)).await?;
        if let Some(fault) = set_aside.first() {
            self.shared.suspect(fault);
        }
        Ok(records)
    }

    async fn depths(&self) -> Result<Vec<Depth>, StoreError> {
        self.query(Index::depths).await
    }

    async fn controls(&self) -> Result<Vec<EndpointControl>, StoreError> {
        self.query(Index::controls).await
    }

    async fn open(&self, content: &ContentRef) -> Result<Box<dyn ContentReader>, StoreError> {
        let (shared, asked) = (Arc::clone(&self.shared), content.clone());
        let opened =
            tokio::task::spawn_blocking(move || content::open(&shared.root, &shared.vault, &asked)).await;
        let fault = match opened.map_err(|_| self.shared.health.fault())? {
            Ok(source) => {
                return Ok(Box::new(content::Reader::new(source, self.shared.metrics.clone())));
            }
            Err(fault) => fault,
        };
        match &fault {
            Unread::NoKey(slot) if !self.names(*slot, content).await? => return Err(StoreError::Dropped),
            Unread::NoFile(name) if !self.has_file(*name).await? => return Err(StoreError::Dropped),
            Unread::NoKey(_) => self.shared.metrics.corrupt("vault"),
            Unread::NoFile(_) => self.shared.metrics.corrupt("content"),
            Unread::Store(StoreError::Corrupt { .. }) if self.retired(&content.place) => {
                return Err(StoreError::Conflict);
            }
            Unread::Store(StoreError::Corrupt { .. }) => self.shared.metrics.corrupt("content"),
            Unread::Store(_) => {}
        }
        Err(fault.into())
    }

    fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.events.subscribe()
    }
}

#[async_trait]
impl LedgerPort for Store {
    fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    fn keys(&self) -> ReadingKeys {
        ReadingKeys(Arc::clone(&self.shared.vault))
    }

    async fn newest_frame(&self, id: &MessageId) -> Result<Option<u64>, StoreError> {
        let id = id.clone();
        self.query(move |index| index.frame(&id)).await
    }
}
