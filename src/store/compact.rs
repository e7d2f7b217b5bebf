//! Content that nobody needs any more: segments in which nothing lives are dropped, the last few that
//! live in a segment are copied forward, files that no record names are removed.
//!
//! What a copy-forward writes goes through the committer like any content: the copy is synced before the
//! frame that names it, and the old segment goes after that frame is synced and in the index.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, MessageId, Record, Timestamp};

use super::StoreError;
use super::accept::{Draft, Slot};
use super::content::{self, segment_path, segments_folder};
use super::house::{House, Kept};
use super::layout;
use super::queue::Request;
use super::retention::STEP;

/// Octets of content that one step copies at most.
const STEP_OCTETS: u64 = 2 << 20;

/// The contents of a record with their slots.
fn slots(record: &Record) -> Vec<(Slot, &ContentRef)> {
    let mut out = vec![(Slot::Document, &record.document), (Slot::Receipt, &record.receipt)];
    out.extend(record.attachments.iter().enumerate().map(|(at, a)| (Slot::Attachment(at), &a.content)));
    out.extend(record.order.as_ref().map(|order| (Slot::Envelope, &order.envelope)));
    out
}

fn lies_in(content: &ContentRef, number: u64) -> bool {
    matches!(content.place, ContentPlace::Segment { segment, .. } if segment == number)
}

impl House {
    /// Drops segments in which nothing lives, after copying what little still does.
    pub(super) fn compact(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let (numbers, living) = self.closed_segments()?;
        let folder = segments_folder(&self.shared.root);
        for number in numbers {
            let path = segment_path(&folder, number);
            let Ok(about) = std::fs::metadata(&path) else { continue };
            let octets = living.get(&number).copied().unwrap_or_default();
            if octets > 0 && octets * 2 < about.len() {
                kept.moved += self.empty(number)?;
            }
            if octets * 2 < about.len() && !self.shared.index()?.living().contains_key(&number) {
                let mut retired = self.shared.retired.lock().unwrap_or_else(PoisonError::into_inner);
                retired.insert(number);
                drop(retired);
                kept.segments += self.shared.remove([path].into_iter())?;
            }
        }
        Ok(())
    }

    /// Segments that nothing is written to any more, and what lives in all of them. The order counts: what
    /// was written before the present segment was begun is in the index afterwards.
    fn closed_segments(&self) -> Result<(Vec<u64>, BTreeMap<u64, u64>), StoreError> {
        let present = self.shared.content_at.load(Ordering::Acquire);
        self.settle()?;
        let folder = segments_folder(&self.shared.root);
        let mut numbers = content::numbers(&folder).map_err(content::io("looking at content segments"))?;
        numbers.retain(|number| *number < present);
        Ok((numbers, self.shared.index()?.living()))
    }

    /// Copies what lives in a segment forward. Gives how many messages that were; what can't be read stays.
    fn empty(&self, number: u64) -> Result<u64, StoreError> {
        let mut moved = 0;
        let mut walk = Walk::open(self, number)?;
        loop {
            let step = self.step();
            let mut asked = Vec::new();
            let (mut octets, mut ids) = (0, HashSet::new());
            while asked.len() < STEP && octets < STEP_OCTETS {
                let Some(owner) = walk.next(self)? else { break };
                if !ids.insert(owner.clone()) {
                    continue;
                }
                let index = self.shared.index()?;
                let Some(draft) = self.record(&index, &owner)?.and_then(|r| self.elsewhere(&r, number))
                else {
                    continue;
                };
                octets += draft.inline_octets() as u64;
                let (to, answer) = oneshot::channel();
                self.send(Request::Place(Box::new(draft), to))?;
                asked.push(answer);
            }
            let over = asked.is_empty();
            for answer in asked {
                match answer.blocking_recv().unwrap_or_else(|_| Err(self.shared.health.fault())) {
                    Ok(_) => moved += 1,
                    // Met again in the next round.
                    Err(StoreError::Conflict | StoreError::Unknown) => {}
                    Err(fault) => return Err(fault),
                }
            }
            self.settle()?;
            if over {
                return Ok(moved);
            }
            self.pause(step)?;
        }
    }

    /// The record with all that it has in segment `number` laid in the present one, as it lies there: what is
    /// encrypted stays under its key. `None` where it has nothing there, or something can't be read.
    fn elsewhere(&self, record: &Record, number: u64) -> Option<Draft> {
        let mut inline = Vec::new();
        for (slot, content) in slots(record).into_iter().filter(|(_, content)| lies_in(content, number)) {
            match content::payload(&self.shared.root, content) {
                Ok(payload) => inline.push((slot, payload)),
                Err(fault) => {
                    self.broken(&record.id, &fault);
                    return None;
                }
            }
        }
        if inline.is_empty() {
            return None;
        }
        let mut next = record.clone();
        next.version = next.version.saturating_add(1);
        Some(Draft { record: next, inline, files: Vec::new(), hold: None })
    }

    /// Removes files that no record names and nobody is staging.
    pub(super) fn strays(&self, kept: &mut Kept) -> Result<(), StoreError> {
        layout::let_go(&self.shared.root, Timestamp::now());
        let sweeping = content::io("looking for stray files");
        let left = self.shared.files.idle(None).map_err(sweeping)?;
        kept.strays += self.shared.remove(left.into_iter().map(|(_, path)| path))?;
        for octet in 0..=u8::MAX {
            let idle = self.shared.files.idle(Some(octet)).map_err(content::io("looking for stray files"))?;
            if idle.is_empty() {
                continue;
            }
            // Whoever is not staged any more is named in the index now, if any record names it.
            self.settle()?;
            let index = self.shared.index()?;
            let mut strays = Vec::new();
            for (name, path) in idle {
                if !index.has_file(name).map_err(|f| self.fault(f))? {
                    strays.push(path);
                }
            }
            drop(index);
            kept.strays += self.shared.remove(strays.into_iter())?;
        }
        Ok(())
    }
}

/// Goes from entry to entry of a segment.
struct Walk {
    file: File,
    number: u64,
    at: u64,
    len: u64,
}

impl Walk {
    fn open(house: &House, number: u64) -> Result<Self, StoreError> {
        let path = segment_path(&segments_folder(&house.shared.root), number);
        let reading = || content::io("reading a content segment");
        let file = File::open(path).map_err(reading())?;
        let len = file.metadata().map_err(reading())?.len();
        Ok(Self { file, number, at: content::FIRST as u64, len })
    }

    /// The owner of the next entry; `None` at the end. What is no entry ends the walk and is reported: what
    /// lies behind it stays where it is.
    fn next(&mut self, house: &House) -> Result<Option<MessageId>, StoreError> {
        if self.at >= self.len {
            return Ok(None);
        }
        let mut found = vec![0; content::MAX_HEAD.min((self.len - self.at) as usize)];
        self.file.read_exact_at(&mut found, self.at).map_err(content::io("reading a content segment"))?;
        if found.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        let read = content::owner(&found).and_then(|(owner, len)| {
            Some((std::str::from_utf8(owner).ok()?.parse::<MessageId>().ok()?, len))
        });
        let Some((owner, len)) = read else {
            house.damaged("content", format!("content segment {} at octet {}", self.number, self.at));
            self.at = self.len;
            return Ok(None);
        };
        self.at += len;
        Ok(Some(owner))
    }
}
