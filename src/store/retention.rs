//! How long what is kept, and the end of it: of a message that has ended first document and attachments
//! go, then its record. Each is a frame of the ledger like any other change, so a rebuilt index
//! knows it, too; files go after the frame is on disk.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, MessageId, Record, Timestamp};

use super::StoreError;
use super::accept::{Draft, Slot};
use super::content;
use super::house::{House, Kept};
use super::index::{Index, IndexFault};
use super::keys::Class;
use super::queue::Request;

/// Messages in one step.
pub(super) const STEP: usize = 64;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long what is kept, counted from the end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Document and attachments of a message that was closed.
    pub closed: Duration,
    /// Document and attachments of a message that was returned.
    pub returned: Duration,
    /// The record with its history, its receipt and its transport order. As long a repeat is known.
    pub metadata: Duration,
    /// Frames of the ledger, from when they were written.
    pub ledger: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { closed: 7 * DAY, returned: 30 * DAY, metadata: 365 * DAY, ledger: 365 * DAY }
    }
}

/// The point `span` before `now`.
pub(super) fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

/// Names of files among contents.
pub(super) fn files<'r>(contents: impl Iterator<Item = &'r ContentRef>) -> Vec<uuid::Uuid> {
    let name = |content: &ContentRef| match content.place {
        ContentPlace::File { name } => Some(name),
        _ => None,
    };
    contents.filter_map(name).collect()
}

impl House {
    /// Takes document and attachments from messages whose retention has ended.
    pub(super) fn erase(&self, now: Timestamp, kept: &mut Kept) -> Result<(), StoreError> {
        for (class, span) in
            [(Class::Closed, self.retention.closed), (Class::Returned, self.retention.returned)]
        {
            self.through(class, before(now, span), |record| {
                let files = files(record.erasable());
                let (to, answer) = oneshot::channel();
                let draft = Box::new(self.without_content(record, now));
                (Request::Place(draft, to), Answer::Record(answer), files)
            })
            .map(|done| kept.erased += done)?;
        }
        Ok(())
    }

    /// Takes records from the index whose retention has ended.
    pub(super) fn forget(&self, now: Timestamp, kept: &mut Kept) -> Result<(), StoreError> {
        self.through(Class::Record, before(now, self.retention.metadata), |record| {
            let (to, answer) = oneshot::channel();
            let request = Request::Forget(record.id.clone(), record.version, to);
            (request, Answer::Plain(answer), files(record.contents()))
        })
        .map(|done| kept.forgotten += done)
    }

    /// What stays of a message moves to the present segment with the same frame, so that the old one
    /// empties by itself.
    fn without_content(&self, record: &Record, now: Timestamp) -> Draft {
        let next = record.without_content(now);
        let mut draft = Draft { record: next, inline: Vec::new(), files: Vec::new(), hold: None };
        let order = record.order.as_ref().map(|order| (Slot::Envelope, &order.envelope));
        for (slot, content) in [(Slot::Receipt, &record.receipt)].into_iter().chain(order) {
            if !matches!(content.place, ContentPlace::Segment { .. }) {
                continue;
            }
            match content::payload(&self.shared.root, content) {
                Ok(payload) => draft.inline.push((slot, payload)),
                // It stays where it is: whoever asks for it is told.
                Err(fault) => self.broken(&record.id, &fault),
            }
        }
        draft
    }

    /// Asks the committer about all messages of a class that ended at `until` or before, step by step.
    /// Gives how many were dealt with.
    fn through(
        &self,
        class: Class,
        until: Timestamp,
        plan: impl Fn(&Record) -> (Request, Answer, Vec<uuid::Uuid>),
    ) -> Result<u64, StoreError> {
        let mut done = 0;
        let mut passed: HashSet<MessageId> = HashSet::new();
        loop {
            let step = self.step();
            let index = self.shared.index()?;
            let mut ids = index.expired(class, until, STEP + passed.len()).map_err(|f| self.fault(f))?;
            ids.retain(|id| !passed.contains(id));
            if ids.is_empty() {
                return Ok(done);
            }
            let mut asked = Vec::new();
            for id in ids {
                match self.record(&index, &id)? {
                    Some(record) => {
                        let (request, answer, files) = plan(&record);
                        self.send(request)?;
                        asked.push((id, answer, files));
                    }
                    None => drop(passed.insert(id)),
                }
            }
            drop(index);
            let mut names = Vec::new();
            for (id, answer, files) in asked {
                match answer.wait() {
                    Ok(()) => {
                        done += 1;
                        names.extend(files);
                    }
                    // It is met again in the next round.
                    Err(StoreError::Conflict | StoreError::Unknown) => drop(passed.insert(id)),
                    Err(fault) => return Err(fault),
                }
            }
            self.settle()?;
            self.shared.remove(names.iter().map(|name| content::file_path(&self.shared.root, *name)))?;
            self.pause(step)?;
        }
    }

    /// A record; `None`, and a report, where it can't be read.
    pub(super) fn record(&self, index: &Index, id: &MessageId) -> Result<Option<Record>, StoreError> {
        match index.get(id) {
            Ok(record) => Ok(record),
            Err(fault @ (IndexFault::Record(_) | IndexFault::Entry(..))) => {
                self.shared.suspect(&fault);
                Ok(None)
            }
            Err(fault) => Err(self.fault(fault)),
        }
    }
}

/// What the committer will say.
enum Answer {
    Record(oneshot::Receiver<Result<std::sync::Arc<Record>, StoreError>>),
    Plain(oneshot::Receiver<Result<(), StoreError>>),
}

impl Answer {
    fn wait(self) -> Result<(), StoreError> {
        let gone = |_| Err(StoreError::Closed("it is shutting down".to_owned()));
        match self {
            Self::Record(answer) => answer.blocking_recv().map_or_else(gone, |done| done.map(|_| ())),
            Self::Plain(answer) => answer.blocking_recv().unwrap_or_else(gone),
        }
    }
}
