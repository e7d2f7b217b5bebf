//! The ledger as one file of lines, for those who check it elsewhere.
//!
//! ```text
//! ledger {"format":"amtsweg-ledger-1","ledger":"…","first":1,"from":1}
//! start {…}                a signed checkpoint, where the export begins later than the ledger did
//! event HASH {…}           one per frame, HASH = SHA-256(0x00 || the octets behind it), hexadecimal
//! checkpoint {…}           behind the last event that it covers
//! end {"events":…,"checkpoints":…}
//! ```
//!
//! It ends with the last checkpoint: what is not sealed yet is in the next export.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::ReadingKeys;
use crate::store::ledger::{Tail, TailFault};

use super::book::{self, BookFault, Identity, Noted, Page};
use super::checkpoint::{Checkpoint, Numbers};
use super::event::Event;
use super::tree;

/// The format's name.
pub const FORMAT: &str = "amtsweg-ledger-1";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// The ledger's own id.
    pub ledger: uuid::Uuid,
    /// Frame of the tree's first event.
    pub first: u64,
    /// Frame of the export's first event.
    pub from: u64,
}

/// The last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Events in it.
    pub events: u64,
    /// Checkpoints in it, without the one with which it starts.
    pub checkpoints: u64,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// Nothing is sealed yet.
    #[error(
        "nothing is sealed yet: the gateway makes the first checkpoint within a minute of its first message"
    )]
    Nothing,
    /// The frame asked for is not behind a checkpoint that is there.
    #[error("no checkpoint is left from which an export could begin: the ledger begins with frame {0}")]
    NoStart(u64),
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] TailFault),
    /// Checkpoints can't be read.
    #[error(transparent)]
    Book(#[from] BookFault),
    /// The lines can't be written.
    #[error("writing the export: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes the ledger of the store in `data`, line by line, from the last checkpoint at or before frame
/// `from` on; where older frames were let go, from the first one on that is possible. May run beside a
/// working gateway.
///
/// # Errors
/// [`ExportFault`].
pub fn export(
    data: &Path,
    keys: &ReadingKeys,
    from: u64,
    line: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<End, ExportFault> {
    let identity = Identity::read(data)?.ok_or(ExportFault::Nothing)?;
    let folder = data.join("ledger");
    let least = Tail::first(&folder)?.unwrap_or(1);
    let (pages, start) = pages(data, &identity, least, from)?;
    let begin = start.as_ref().map_or(identity.first, |start| start.statement.frame() + 1);
    if begin < least {
        return Err(ExportFault::NoStart(least));
    }
    let head =
        Head { format: FORMAT.to_owned(), ledger: identity.ledger, first: identity.first, from: begin };
    line(format!("ledger {}\n", json(&head)?).as_bytes())?;
    let mut numbers = Numbers::default();
    let mut tail = Tail::open(&folder, begin, keys)?;
    if let Some(start) = &start {
        numbers.put(&start.checkpoint.numbers);
        line(format!("start {}\n", json(&start.checkpoint)?).as_bytes())?;
    }
    let mut end = End::default();
    for path in pages {
        for noted in book::page(&path)?.noted {
            let last = noted.statement.frame();
            while let Some(frame) = tail.read(last)? {
                let mut event = Event::of(&frame);
                event.number = numbers.next(&event.endpoint);
                let text = event.line();
                line(format!("event {} {text}\n", tree::leaf(text.as_bytes())).as_bytes())?;
                end.events += 1;
            }
            if last >= begin {
                line(format!("checkpoint {}\n", json(&noted.checkpoint)?).as_bytes())?;
                end.checkpoints += 1;
            }
        }
    }
    line(format!("end {}\n", json(&end)?).as_bytes())?;
    Ok(end)
}

fn json<T: Serialize>(value: &T) -> std::io::Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// The files to go through, and the checkpoint to start with (with the numbers of all destinations),
/// if it is not the ledger's begin: the last one before frame `from` whose next frame is there.
fn pages(
    data: &Path,
    identity: &Identity,
    least: u64,
    from: u64,
) -> Result<(Vec<std::path::PathBuf>, Option<Noted>), ExportFault> {
    let mut files = book::files(data)?;
    if files.is_empty() {
        return Err(ExportFault::Nothing);
    }
    if from.max(least) <= identity.first {
        return Ok((files.into_iter().map(|(_, path)| path).collect(), None));
    }
    let wanted = from.max(least);
    while let Some((_, path)) = files.last() {
        let page = book::page(path)?;
        if let Some(noted) = start(&page, wanted, least) {
            // A checkpoint of this file is behind it.
            let keep = files.iter().position(|(size, _)| *size >= noted.statement.size);
            let begin = keep.unwrap_or(files.len()).saturating_sub(1);
            let all = book::files(data)?.into_iter().skip(begin).map(|(_, path)| path).collect();
            return Ok((all, Some(noted)));
        }
        files.pop();
    }
    if identity.first >= least {
        return Ok((book::files(data)?.into_iter().map(|(_, path)| path).collect(), None));
    }
    Err(ExportFault::NoStart(least))
}

/// The last checkpoint of a file after which frame `wanted` or an earlier one that is there comes; the
/// first one after which a frame that is there comes, where `wanted` is too early.
fn start(page: &Page, wanted: u64, least: u64) -> Option<Noted> {
    let all = || page.start.iter().chain(&page.noted);
    let there = |noted: &&Noted| noted.statement.frame() + 1 >= least;
    let found = all().filter(there).rfind(|noted| noted.statement.frame() < wanted).or_else(|| {
        // The ledger was let go up to within a checkpoint's events.
        all().find(there).filter(|_| all().any(|noted| noted.statement.frame() < least))
    })?;
    let numbers = page.numbers(found.statement.size).all().clone();
    let checkpoint = Checkpoint { numbers, ..found.checkpoint.clone() };
    Some(Noted { checkpoint, statement: found.statement.clone() })
}
