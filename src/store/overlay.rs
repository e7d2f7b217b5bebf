//! What the committer knows that the index may not know yet: the records of commits under way,
//! and a bounded number of recent ones, which most changes ask for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::{Digest, Identifier, MessageId, Record};

/// Commits remembered beyond those under way.
const RECENT: usize = 4096;

/// Author and UUID.
type Duplicate = (Identifier, uuid::Uuid);

/// Records by id and by duplicate key, newest commit each; `None` where retention has removed it.
#[derive(Default)]
pub(crate) struct Overlay {
    records: HashMap<MessageId, (u64, Option<Arc<Record>>)>,
    duplicates: HashMap<Duplicate, (u64, Option<(MessageId, Digest)>)>,
    order: VecDeque<(u64, MessageId, Option<Duplicate>)>,
}

impl Overlay {
    /// The newest record under this id, if it was changed lately.
    pub(crate) fn get(&self, id: &MessageId) -> Option<Option<Arc<Record>>> {
        self.records.get(id).map(|(_, record)| record.clone())
    }

    /// The message under this duplicate key, if that was changed lately.
    pub(crate) fn duplicate(
        &self,
        author: &Identifier,
        uuid: uuid::Uuid,
    ) -> Option<Option<(MessageId, Digest)>> {
        self.duplicates.get(&(author.clone(), uuid)).map(|(_, known)| known.clone())
    }

    /// Remembers that commit `number` removed a message.
    pub(crate) fn forget(&mut self, number: u64, record: &Record) {
        let (id, key) = (record.id.clone(), (record.header.author.clone(), record.header.uuid));
        self.records.insert(id.clone(), (number, None));
        self.duplicates.insert(key.clone(), (number, None));
        self.order.push_back((number, id, Some(key)));
    }

    /// Remembers the outcome of commit `number`.
    pub(crate) fn put(&mut self, number: u64, record: &Arc<Record>, accepted: bool) {
        let id = record.id.clone();
        let duplicate = accepted.then(|| (record.header.author.clone(), record.header.uuid));
        if let Some(key) = &duplicate {
            self.duplicates.insert(key.clone(), (number, Some((id.clone(), record.document.sha256))));
        }
        self.records.insert(id.clone(), (number, Some(Arc::clone(record))));
        self.order.push_back((number, id, duplicate));
    }

    /// Forgets the oldest commits that the index has.
    pub(crate) fn prune(&mut self, applied: u64) {
        while self.order.len() > RECENT && self.order.front().is_some_and(|(n, ..)| *n <= applied) {
            let Some((number, id, duplicate)) = self.order.pop_front() else { return };
            if self.records.get(&id).is_some_and(|(n, _)| *n == number) {
                self.records.remove(&id);
            }
            if let Some(key) = duplicate
                && self.duplicates.get(&key).is_some_and(|(n, ..)| *n == number)
            {
                self.duplicates.remove(&key);
            }
        }
    }

    /// Forgets everything; only right while the index has all commits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
