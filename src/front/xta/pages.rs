//! Answers that are asked for page by page: what a request id stands for. Kept in memory, bounded in
//! number and age; an id that is forgotten is answered with `RequestIdInvalid`, and the client asks anew.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{Identifier, Record, Timestamp};

/// Request ids of one account that are remembered.
const MOST: usize = 32;
/// How long one is remembered after it was used last.
const AGE: Duration = Duration::from_secs(15 * 60);

/// What is selected of a mailbox (`MsgSelector`); what is empty selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    /// These messages.
    pub ids: Vec<String>,
    /// Messages that refer to one of these.
    pub relates_to: Vec<String>,
    /// That came then or later.
    pub from: Option<Timestamp>,
    /// That came then or earlier.
    pub to: Option<Timestamp>,
    /// That were never fetched.
    pub new: bool,
    /// There are criteria of somebody's own (`Extension`), which mean nothing here: it selects nothing.
    pub unknown: bool,
}

impl Selector {
    /// Whether it selects a message.
    pub(crate) fn selects(&self, record: &Record) -> bool {
        let came = record.starts(record.accepted_at);
        let refers = || {
            let relates = record.order.iter().flat_map(|order| &order.terms.relates_to);
            relates.into_iter().any(|id| self.relates_to.contains(id))
        };
        (self.ids.is_empty() || self.ids.iter().any(|id| id == record.id.as_str()))
            && (self.relates_to.is_empty() || refers())
            && self.from.is_none_or(|from| from <= came)
            && self.to.is_none_or(|to| came <= to)
            && !(self.new && record.attempts > 0)
    }
}

/// How far an answer has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// As whom the account asked.
    pub author: Option<Identifier>,
    /// What it asked for.
    pub selector: Selector,
    /// The last message it got, by its number.
    pub after: u64,
    /// Messages of one page.
    pub items: usize,
    /// Metadata, not attributes.
    pub metadata: bool,
}

/// All pages.
#[derive(Default)]
pub(crate) struct Pages(Mutex<HashMap<String, VecDeque<Entry>>>);

struct Entry {
    id: String,
    page: Page,
    used: Instant,
}

impl Pages {
    /// Remembers a page of an account under an id, in place of what stood there; the account's oldest goes
    /// when there are too many.
    pub(crate) fn put(&self, account: &str, id: &str, page: Page, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(account.to_owned()).or_default();
        own.retain(|entry| entry.id != id && now.saturating_duration_since(entry.used) < AGE);
        if own.len() >= MOST {
            own.pop_front();
        }
        own.push_back(Entry { id: id.to_owned(), page, used: now });
    }

    /// The page of an account under an id.
    pub(crate) fn get(&self, account: &str, id: &str, now: Instant) -> Option<Page> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(account)?.iter().find(|entry| entry.id == id)?;
        (now.saturating_duration_since(found.used) < AGE).then(|| found.page.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_forgotten_by_number_and_age_and_are_their_accounts_own() {
        let page = Page { author: None, selector: Selector::default(), after: 0, items: 1, metadata: true };
        let (pages, now) = (Pages::default(), Instant::now());
        for number in 0..=MOST {
            pages.put("a", &number.to_string(), page.clone(), now);
        }
        assert_eq!(pages.get("a", "0", now), None);
        assert!(pages.get("a", "1", now).is_some() && pages.get("b", "1", now).is_none());
        assert_eq!(pages.get("a", "1", now + AGE), None);
    }
}
