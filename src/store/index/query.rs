//! Listings of the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{EndpointControl, EndpointId, MessageId, Record, Timestamp};
use crate::store::{Depth, Due, Filter, records};

use super::super::keys::{self, Class, Key, STATES, kind};
use super::{Index, IndexFault, guarded};

/// Entries of one answer at most, whatever was asked for.
const MAX_ENTRIES: usize = 10_000;

/// A broken entry met on the way, left out of the answer.
pub(crate) type SetAside = Vec<IndexFault>;

fn number(octets: &[u8]) -> Option<u64> {
    octets.last_chunk::<8>().map(|n| u64::from_be_bytes(*n))
}

/// Entries of one prefix in order of acceptance: number and id.
type Listing = std::iter::Peekable<Box<dyn Iterator<Item = Result<(u64, MessageId), IndexFault>>>>;

impl Index {
    /// What can be claimed of an endpoint at `now`, due longest first.
    pub(crate) fn due(
        &self,
        endpoint: &EndpointId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, IndexFault> {
        guarded(|| {
            let key = || Key::of(kind::DUE).text(endpoint.as_str());
            let range = key().done()..key().number(now.0.saturating_add(1)).done();
            let mut out = Vec::new();
            for entry in self.db.range(range).take(limit.min(MAX_ENTRIES)) {
                let (key, value) = entry?;
                out.push(due_entry(&key, &value).ok_or(IndexFault::Inconsistent("a due entry is broken"))?);
            }
            Ok(out)
        })
    }

    /// Messages of a class that ended at `until` or before, longest ago first.
    pub(crate) fn expired(
        &self,
        class: Class,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<MessageId>, IndexFault> {
        guarded(|| {
            let key = || Key::of(kind::EXPIRY).octet(class as u8);
            let range = key().done()..key().number(until.0.saturating_add(1)).done();
            let entries = self.db.range(range).take(limit);
            let read = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
                keys::unpacked(&entry?.1).ok_or(IndexFault::Inconsistent("an end is broken"))
            };
            entries.map(read).collect()
        })
    }

    /// The message whose record names this slot of the vault.
    pub(crate) fn owner_of_slot(&self, slot: u64) -> Result<Option<MessageId>, IndexFault> {
        guarded(|| {
            let Some(id) = self.db.get(keys::slot_of_key(slot))? else { return Ok(None) };
            keys::unpacked(&id).map(Some).ok_or(IndexFault::Inconsistent("the owner of a key is broken"))
        })
    }

    /// The highest slot of the vault that a record names; 0 where none does.
    pub(crate) fn last_slot(&self) -> Result<u64, IndexFault> {
        guarded(|| {
            let last = self.db.scan_prefix(Key::of(kind::SLOT).done()).next_back().transpose()?;
            Ok(last.and_then(|(key, _)| number(&key)).unwrap_or_default())
        })
    }

    /// Octets that records name, by content segment.
    pub(crate) fn living(&self) -> BTreeMap<u64, u64> {
        self.derived().living.clone()
    }

    /// When the next message of an endpoint can be claimed.
    pub(crate) fn next_due(&self, endpoint: &EndpointId) -> Result<Option<Timestamp>, IndexFault> {
        guarded(|| {
            let prefix = Key::of(kind::DUE).text(endpoint.as_str()).done();
            let Some(entry) = self.db.scan_prefix(prefix).next() else { return Ok(None) };
            let (key, value) = entry?;
            let due = due_entry(&key, &value).ok_or(IndexFault::Inconsistent("a due entry is broken"))?;
            Ok(Some(due.at))
        })
    }

    /// Messages by filter, in order of acceptance; broken records are left out and told.
    pub(crate) fn list(&self, filter: &Filter) -> Result<(Vec<Arc<Record>>, SetAside), IndexFault> {
        guarded(|| {
            let mut lists = self.listings(filter);
            let mut out = Vec::new();
            let mut set_aside = Vec::new();
            while out.len() < filter.limit.min(MAX_ENTRIES) {
                let Some(id) = next_of(&mut lists)? else { break };
                match self.get(&id) {
                    Ok(Some(record)) if wanted(&record, filter) => out.push(Arc::new(record)),
                    Ok(Some(_)) => {}
                    Ok(None) => set_aside.push(IndexFault::Inconsistent("a listed record is missing")),
                    Err(fault @ (IndexFault::Entry(..) | IndexFault::Record(_))) => set_aside.push(fault),
                    Err(fault) => return Err(fault),
                }
                if set_aside.len() > MAX_ENTRIES {
                    break;
                }
            }
            Ok((out, set_aside))
        })
    }

    /// The narrowest entries that hold everything a filter wants.
    fn listings(&self, filter: &Filter) -> Vec<Listing> {
        let after = filter.after.map_or(0, |n| n.saturating_add(1));
        let name = |octet: u8| STATES.get(usize::from(octet)).copied().unwrap_or_default();
        if let (None, None, Some(account)) = (&filter.endpoint, &filter.state, &filter.account) {
            let key = Key::of(kind::ACCOUNT).text(account.as_str()).done();
            return vec![self.listing(key, after, |value| Some((true, value)))];
        }
        let slots: BTreeSet<(String, u8)> = self
            .derived()
            .counts
            .iter()
            .filter(|((endpoint, octet), count)| {
                **count > 0
                    && filter.endpoint.as_ref().is_none_or(|e| e.as_str() == endpoint)
                    && in_state(name(*octet), filter)
            })
            .map(|((endpoint, octet), _)| (endpoint.clone(), keys::slot(*octet)))
            .collect();
        let of = |(endpoint, slot): (String, u8)| {
            let key = Key::of(kind::LISTING).text(&endpoint).octet(slot).done();
            let filter = filter.clone();
            self.listing(key, after, move |value| {
                let (octet, _, id) = keys::listed(value)?;
                Some((in_state(name(octet), &filter), id))
            })
        };
        slots.into_iter().map(of).collect()
    }

    /// Entries under `key` after a number; `take` says whether a value is wanted, and its id.
    fn listing(
        &self,
        key: Vec<u8>,
        after: u64,
        take: impl Fn(&[u8]) -> Option<(bool, &[u8])> + 'static,
    ) -> Listing {
        let begin = [key.as_slice(), &after.to_be_bytes()].concat();
        let end = [key.as_slice(), &[0xff; 9]].concat();
        let entries = self.db.range(begin..end).filter_map(move |entry| {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(fault) => return Some(Err(fault.into())),
            };
            let read =
                take(&value).and_then(|(wanted, id)| Some((wanted, number(&key)?, keys::unpacked(id)?)));
            match read {
                Some((true, number, id)) => Some(Ok((number, id))),
                Some((false, ..)) => None,
                None => Some(Err(IndexFault::Inconsistent("a listing is broken"))),
            }
        });
        (Box::new(entries) as Box<dyn Iterator<Item = _>>).peekable()
    }

    /// All queues in numbers; costs the same however many messages there are.
    pub(crate) fn depths(&self) -> Result<Vec<Depth>, IndexFault> {
        guarded(|| {
            let counts = self.derived().counts.clone();
            let mut out: Vec<Depth> = Vec::new();
            for ((endpoint, octet), count) in counts {
                let Some(state) = STATES.get(usize::from(octet)).copied() else { continue };
                if out.last().is_none_or(|d| d.endpoint.as_str() != endpoint) {
                    let id = endpoint.parse().map_err(|_| IndexFault::Inconsistent("a count is broken"))?;
                    let oldest = self.oldest(&endpoint)?;
                    out.push(Depth { endpoint: id, by_state: Default::default(), oldest });
                }
                if let Some(depth) = out.last_mut()
                    && count > 0
                {
                    depth.by_state.insert(state, count);
                }
            }
            Ok(out)
        })
    }

    fn oldest(&self, endpoint: &str) -> Result<Option<Timestamp>, IndexFault> {
        let prefix = Key::of(kind::LISTING).text(endpoint).octet(keys::OPEN).done();
        let Some(entry) = self.db.scan_prefix(prefix).next() else { return Ok(None) };
        let (_, value) = entry?;
        Ok(keys::listed(&value).map(|(_, at, _)| Timestamp(at)))
    }

    /// What operators have set.
    pub(crate) fn controls(&self) -> Result<Vec<EndpointControl>, IndexFault> {
        guarded(|| {
            let sealed = self.derived().controls.clone();
            let open = |value: &Vec<u8>| records::decode_control(&self.vault, value);
            sealed.values().map(open).collect::<Result<_, _>>().map_err(|f| IndexFault::Entry("a setting", f))
        })
    }
}

/// Takes the entry with the smallest number off the listings.
fn next_of(lists: &mut [Listing]) -> Result<Option<MessageId>, IndexFault> {
    let mut best: Option<(u64, usize)> = None;
    for (at, list) in lists.iter_mut().enumerate() {
        match list.peek() {
            Some(Ok((number, _))) if best.is_none_or(|(least, _)| *number < least) => {
                best = Some((*number, at));
            }
            Some(Err(fault)) => return Err(fault.clone()),
            _ => {}
        }
    }
    let Some(list) = best.and_then(|(_, at)| lists.get_mut(at)) else { return Ok(None) };
    list.next().transpose().map(|entry| entry.map(|(_, id)| id))
}

fn in_state(state: &str, filter: &Filter) -> bool {
    filter.state.as_deref().is_none_or(|wanted| wanted == state)
        && (filter.any_of.is_empty() || filter.any_of.contains(&state))
}

fn wanted(record: &Record, filter: &Filter) -> bool {
    filter.endpoint.as_ref().is_none_or(|e| *e == record.placement.endpoint)
        && in_state(record.state.name(), filter)
        && filter.account.as_ref().is_none_or(|a| *a == record.account)
}

fn due_entry(key: &[u8], value: &[u8]) -> Option<Due> {
    let (rest, sequence) = key.split_last_chunk::<8>()?;
    Some(Due {
        id: keys::unpacked(value)?,
        at: Timestamp(number(rest)?),
        sequence: u64::from_be_bytes(*sequence),
    })
}

/// Used by tests: the key of a message's record.
#[cfg(test)]
pub(crate) fn overwrite(index: &Index, id: &MessageId, value: &[u8]) {
    index.db.insert(keys::message(id), value).unwrap();
}
