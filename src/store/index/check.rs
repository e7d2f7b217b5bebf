//! Whether an index is whole: every entry there, every one intact, none too many, all of one
//! point in time.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::domain::EndpointControl;

use super::super::keys::{self, kind};
use super::super::records;
use super::{Counts, Index, IndexFault, guarded, read_place, weight};

/// Entries between two looks at the clock.
const STRIDE: u64 = 512;

impl Index {
    /// Whether another index holds the same entries, of the same frame.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let whole = |index: &Self| {
            let derived = index.derived();
            let meta = derived.meta.clone();
            let counts = derived.counts.iter().filter(|(_, n)| **n > 0);
            let counts: Vec<((String, u8), u64)> = counts.map(|(slot, n)| (slot.clone(), *n)).collect();
            // Settings that are encrypted look different each time: what they say counts.
            let sealed = derived.controls.iter();
            let sum = sealed.fold(meta.sum, |sum, (key, value)| sum.wrapping_sub(weight(key, value)));
            let read = |value: &Vec<u8>| records::decode_control(&index.vault, value).ok();
            let controls: Option<Vec<EndpointControl>> = derived.controls.values().map(read).collect();
            let sums = (meta.applied, meta.head, meta.next_sequence, sum, meta.messages);
            controls.map(|controls| (sums, counts, controls, derived.living.clone()))
        };
        let own = whole(self);
        own.is_some() && own == whole(other)
    }

    /// Walks all entries until `deadline`; gives whether it came to the end. Ends early (and
    /// trusts the rest) so that a large index does not hold up the start.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check(&self, deadline: Instant) -> Result<bool, IndexFault> {
        guarded(|| {
            let (mut sum, mut messages, mut counts) = (0_u64, 0_u64, Counts::new());
            for (at, entry) in (0_u64..).zip(self.db.iter()) {
                if at % STRIDE == 0 && Instant::now() > deadline {
                    return Ok(false);
                }
                let (key, value) = entry?;
                match key.first().copied().unwrap_or_default() {
                    kind::MESSAGE => {
                        let (version, _) = read_place(&value)?;
                        messages += 1;
                        sum = sum.wrapping_add(weight(&key, &version.to_le_bytes()));
                    }
                    kind::COUNT | kind::META | kind::SEGMENT => {}
                    kind::LISTING => {
                        sum = sum.wrapping_add(weight(&key, &value));
                        *counts.entry(slot(&key, &value)?).or_default() += 1;
                    }
                    _ => sum = sum.wrapping_add(weight(&key, &value)),
                }
            }
            self.compare(sum, messages, counts)
        })
    }

    fn compare(&self, sum: u64, messages: u64, counts: Counts) -> Result<bool, IndexFault> {
        let derived = self.derived();
        if messages != derived.meta.messages {
            return Err(IndexFault::Inconsistent("records are missing"));
        }
        if sum != derived.meta.sum {
            return Err(IndexFault::Inconsistent("entries are missing or stale"));
        }
        let known: BTreeMap<_, _> =
            derived.counts.iter().filter(|(_, n)| **n > 0).map(|(s, n)| (s.clone(), *n)).collect();
        if known != counts {
            return Err(IndexFault::Inconsistent("counts differ from what they count"));
        }
        Ok(true)
    }
}

/// Endpoint and state octet of a listing: its key is kind, length, endpoint, slot, sequence.
fn slot(key: &[u8], value: &[u8]) -> Result<(String, u8), IndexFault> {
    let fault = || IndexFault::Inconsistent("a listing is broken");
    let rest = key.get(2..).ok_or_else(fault)?;
    let (rest, _) = rest.split_last_chunk::<8>().ok_or_else(fault)?;
    let (_, endpoint) = rest.split_last().ok_or_else(fault)?;
    let endpoint = std::str::from_utf8(endpoint).map_err(|_| fault())?;
    let (state, ..) = keys::listed(value).ok_or_else(fault)?;
    Ok((endpoint.to_owned(), state))
}
