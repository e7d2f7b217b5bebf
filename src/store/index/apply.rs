//! What a group of commits does to the index: one batch, and what is kept in memory besides.

use std::collections::{BTreeMap, HashMap};
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
}

impl Derived {
    /// What `steps` write, with all that is kept in memory brought up to it.
    pub(super) fn batch(
        &mut self,
        steps: &[Step],
        applied: u64,
        head: Digest,
    ) -> Result<sled::Batch, IndexFault> {
        let mut batch = sled::Batch::default();
        let mut touched = HashMap::new();
        for step in steps {
            match step {
                Step::Record { old, new, place } => {
                    apply_record(&mut batch, self, &mut touched, old.as_deref(), new, place);
                }
                Step::Control(control) => apply_control(&mut batch, self, control)?,
            }
        }
        for ((endpoint, state), count) in touched {
            batch.insert(keys::count(&endpoint, state), &count.to_be_bytes());
        }
        self.meta.applied = applied;
        self.meta.head = head;
        let meta = codec::seal(0, &self.meta).map_err(|f| IndexFault::Entry("the head", f))?;
        batch.insert(Key::of(kind::META).done(), meta);
        Ok(batch)
    }
}

fn apply_control(
    batch: &mut sled::Batch,
    derived: &mut Derived,
    control: &EndpointControl,
) -> Result<(), IndexFault> {
    let key = keys::control(&control.endpoint);
    let sealed = records::encode_control(&derived.vault, control);
    let sealed = sealed.map_err(|f| IndexFault::Entry("a setting", f))?;
    let meta = &mut derived.meta;
    meta.sum = meta.sum.wrapping_add(weight(&key, &sealed));
    if let Some(old) = derived.controls.insert(key.clone(), sealed.clone()) {
        meta.sum = meta.sum.wrapping_sub(weight(&key, &old));
    }
    batch.insert(key, sealed);
    Ok(())
}

fn apply_record(
    batch: &mut sled::Batch,
    derived: &mut Derived,
    touched: &mut HashMap<(String, u8), u64>,
    old: Option<&Record>,
    new: &Record,
    place: &Place,
) {
    let difference = keys::difference(old, new);
    let meta = &mut derived.meta;
    for (key, value) in difference.removed {
        let key = hidden(&derived.vault, key);
        meta.sum = meta.sum.wrapping_sub(weight(&key, &value));
        batch.remove(key);
    }
    for (key, value) in difference.added {
        let key = hidden(&derived.vault, key);
        meta.sum = meta.sum.wrapping_add(weight(&key, &value));
        batch.insert(key, value);
    }
    let key = keys::message(&new.id);
    meta.sum = meta.sum.wrapping_add(weight(&key, &new.version.to_le_bytes()));
    match old {
        Some(old) => meta.sum = meta.sum.wrapping_sub(weight(&key, &old.version.to_le_bytes())),
        None => {
            meta.messages += 1;
            meta.next_sequence = meta.next_sequence.max(new.sequence.saturating_add(1));
            meta.content_end = meta.content_end.max(content_end(new));
        }
    }
    batch.insert(key, write_place(new.version, place));
    let slot = |r: &Record| (r.placement.endpoint.as_str().to_owned(), keys::state_octet(&r.state));
    let (before, after) = (old.map(slot), slot(new));
    if before.as_ref() != Some(&after) {
        if let Some(slot) = before {
            let count = derived.counts.entry(slot.clone()).or_default();
            *count = count.saturating_sub(1);
            touched.insert(slot, *count);
        }
        let count = derived.counts.entry(after.clone()).or_default();
        *count += 1;
        touched.insert(after, *count);
    }
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
        ContentPlace::File { .. } => None,
    });
    ends.max().unwrap_or_default()
}
