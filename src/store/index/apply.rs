//! What a group of commits does to the index: one batch, and what is kept in memory besides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::record::ContentPlace;
use crate::domain::{Digest, EndpointControl, Record};

use super::super::codec;
use super::super::keys::{self, Key, kind};
use super::super::ledger::Place;
use super::super::records;
use super::super::vault::Vault;
use super::{IndexFault, Meta, Step, weight, write_place};

/// Messages by endpoint and state octet.
pub(super) type Counts = BTreeMap<(String, u8), u64>;

/// Small enough to be kept in memory; changes only together with what is in sled.
pub(super) struct Derived {
    pub(super) vault: Arc<Vault>,
    pub(super) meta: Meta,
    pub(super) counts: Counts,
    /// Operators' settings by key, sealed.
    pub(super) controls: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Octets that records name, by content segment.
    pub(super) living: BTreeMap<u64, u64>,
    /// Octets of entries that came or went since the index was opened.
    pub(super) written: u64,
}

/// A batch in the making.
#[derive(Default)]
struct Draft {
    batch: sled::Batch,
    counts: HashMap<(String, u8), u64>,
    segments: BTreeSet<u64>,
}

impl Derived {
    /// What `steps` write, with all that is kept in memory brought up to it.
    pub(super) fn batch(
        &mut self,
        steps: &[Step],
        applied: u64,
        head: Digest,
    ) -> Result<sled::Batch, IndexFault> {
        let mut draft = Draft::default();
        for step in steps {
            match step {
                Step::Record { old, new, place } => self.record(&mut draft, old.as_deref(), new, place),
                Step::Control(control) => self.control(&mut draft, control)?,
                Step::Forget { sequence, old, .. } => {
                    self.accepted(*sequence);
                    if let Some(old) = old {
                        self.forget(&mut draft, old);
                    }
                }
                Step::Trimmed(first, next) => {
                    self.meta.trimmed = self.meta.trimmed.max(*first);
                    self.meta.next_sequence = self.meta.next_sequence.max(*next);
                }
            }
        }
        let Draft { mut batch, counts, segments } = draft;
        for ((endpoint, state), count) in counts {
            batch.insert(keys::count(&endpoint, state), &count.to_be_bytes());
        }
        for segment in segments {
            match self.living.get(&segment) {
                Some(octets) => batch.insert(keys::segment(segment), &octets.to_be_bytes()),
                None => batch.remove(keys::segment(segment)),
            }
        }
        self.meta.applied = applied;
        self.meta.head = head;
        let meta = codec::seal(0, &self.meta).map_err(|f| IndexFault::Entry("the head", f))?;
        batch.insert(Key::of(kind::META).done(), meta);
        Ok(batch)
    }

    fn accepted(&mut self, sequence: u64) {
        self.meta.next_sequence = self.meta.next_sequence.max(sequence.saturating_add(1));
    }

    fn added(&mut self, key: &[u8], value: &[u8]) {
        self.meta.sum = self.meta.sum.wrapping_add(weight(key, value));
        self.meta.octets += (key.len() + value.len()) as u64;
        self.written += (key.len() + value.len()) as u64;
    }

    fn removed(&mut self, key: &[u8], value: &[u8]) {
        self.meta.sum = self.meta.sum.wrapping_sub(weight(key, value));
        self.meta.octets = self.meta.octets.saturating_sub((key.len() + value.len()) as u64);
        self.written += (key.len() + value.len()) as u64;
    }

    fn control(&mut self, draft: &mut Draft, control: &EndpointControl) -> Result<(), IndexFault> {
        let key = keys::control(&control.endpoint);
        let sealed = records::encode_control(&self.vault, control);
        let sealed = sealed.map_err(|f| IndexFault::Entry("a setting", f))?;
        self.added(&key, &sealed);
        if let Some(old) = self.controls.insert(key.clone(), sealed.clone()) {
            self.removed(&key, &old);
        }
        draft.batch.insert(key, sealed);
        Ok(())
    }

    fn record(&mut self, draft: &mut Draft, old: Option<&Record>, new: &Record, place: &Place) {
        let difference = keys::difference(old, new);
        for (key, value) in difference.removed {
            let key = hidden(&self.vault, key);
            self.removed(&key, &value);
            draft.batch.remove(key);
        }
        for (key, value) in difference.added {
            let key = hidden(&self.vault, key);
            self.added(&key, &value);
            draft.batch.insert(key, value);
        }
        let key = keys::message(&new.id);
        self.added(&key, &new.version.to_le_bytes());
        match old {
            Some(old) => self.removed(&key, &old.version.to_le_bytes()),
            None => {
                self.meta.messages += 1;
                self.accepted(new.sequence);
            }
        }
        self.meta.content_end = self.meta.content_end.max(content_end(new));
        draft.batch.insert(key, write_place(new.version, place));
        self.lives(draft, old, Some(new));
        let (before, after) = (old.map(slot), slot(new));
        if before.as_ref() != Some(&after) {
            if let Some(slot) = before {
                self.count(draft, slot, false);
            }
            self.count(draft, after, true);
        }
    }

    fn forget(&mut self, draft: &mut Draft, old: &Record) {
        let message = (keys::message(&old.id), old.version.to_le_bytes().to_vec());
        for (key, value) in keys::moving(old).into_iter().chain(keys::fixed(old)).chain([message]) {
            let key = hidden(&self.vault, key);
            self.removed(&key, &value);
            draft.batch.remove(key);
        }
        self.meta.messages = self.meta.messages.saturating_sub(1);
        self.lives(draft, Some(old), None);
        self.count(draft, slot(old), false);
    }

    fn count(&mut self, draft: &mut Draft, slot: (String, u8), more: bool) {
        let count = self.counts.entry(slot.clone()).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        draft.counts.insert(slot, *count);
    }

    /// Keeps account of what lives in content segments.
    fn lives(&mut self, draft: &mut Draft, old: Option<&Record>, new: Option<&Record>) {
        let all = |record: Option<&Record>| -> Vec<(u64, u64)> {
            record.into_iter().flat_map(keys::inline).collect()
        };
        let (before, after) = (all(old), all(new));
        if before == after {
            return;
        }
        for (segment, octets) in after {
            *self.living.entry(segment).or_default() += octets;
            draft.segments.insert(segment);
        }
        for (segment, octets) in before {
            let living = self.living.entry(segment).or_default();
            *living = living.saturating_sub(octets);
            if *living == 0 {
                self.living.remove(&segment);
            }
            draft.segments.insert(segment);
        }
    }
}

fn slot(record: &Record) -> (String, u8) {
    (record.placement.endpoint.as_str().to_owned(), keys::state_octet(&record.state))
}

/// The key as it stands in the index: one that tells author and UUID is hidden where the store has
/// keys.
pub(super) fn hidden(vault: &Vault, key: Vec<u8>) -> Vec<u8> {
    if key.first() != Some(&kind::DUPLICATE) {
        return key;
    }
    match vault.blind(&key) {
        None => key,
        Some(tag) => [&[kind::DUPLICATE], tag.as_slice()].concat(),
    }
}

/// The last place in content segments that this record names.
fn content_end(record: &Record) -> (u64, u64) {
    let ends = record.contents().filter_map(|content| match content.place {
        ContentPlace::Segment { segment, offset } => Some((segment, offset)),
        ContentPlace::File { .. } | ContentPlace::Dropped => None,
    });
    ends.max().unwrap_or_default()
}
