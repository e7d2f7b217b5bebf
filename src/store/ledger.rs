//! The ledger: append-only segments of chained frames (see `frame`), the write-ahead log and the
//! audit trail in one. A segment is named after its first frame and begins with 64 octets:
//! magic, format version, first number, digest of the frame before it, checksum.
//!
//! Only the end of the last segment may be torn, by a process or machine that stopped while it
//! wrote: such frames were never acknowledged and are cut off. Anything else that doesn't fit is
//! damage, and stops the start.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::domain::{Digest, Timestamp};

use super::codec::CodecFault;
use super::frame::{self, Body, BodyFault, HEADER, MAX_BODY};
use super::room;

mod read;
mod tail;
mod write;

pub(crate) use read::{ReadFault, Reader};
pub use tail::{Frame, Tail, TailFault, Told};
pub(crate) use write::Writer;

const MAGIC: &[u8; 8] = b"AMTSLEDG";
/// Version of the segment's layout.
const FORMAT: u32 = 1;
/// Octets before the first frame.
const SEGMENT_HEAD: u64 = 64;

/// Why a ledger can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// Written by a later program.
    #[error("{path} was written by a newer amtsweg ({what}): start that one, this one can't read it")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// What is unknown.
        what: String,
    },
    /// Frames that were on disk are damaged or gone.
    #[error(
        "{path} is damaged at octet {offset} ({why}): messages that were acknowledged may be in there, so nothing \
         was changed; bring the ledger folder back from the backup, or copy the damaged file away and ask for help"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// How it shows.
        why: String,
    },
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LedgerFault + '_ {
    move |source| LedgerFault::Io { path: path.to_owned(), source }
}

/// One segment file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Number of its first frame.
    pub(crate) first: u64,
    /// Octets in it.
    pub(crate) len: u64,
    /// Digest of the frame before its first.
    pub(crate) previous: Digest,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the segment's first frame.
    pub(crate) segment: u64,
    /// Offset of the frame.
    pub(crate) offset: u64,
    /// Octets of the frame.
    pub(crate) len: u32,
}

/// How far a ledger goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Segment files.
    pub segments: usize,
    /// Frames walked.
    pub frames: u64,
    /// Number of the last intact frame; 0 when there is none.
    pub last: u64,
    /// Digest of the last intact frame: whoever notes it down can prove later that nothing
    /// before it was changed.
    pub head: Digest,
    /// Octets of intact frames and segment heads.
    pub octets: u64,
    /// Octets behind the last intact frame: a write that was never finished, or is under way.
    pub torn: u64,
    /// Octets behind those: room kept for the next frames, all zero.
    pub room: u64,
}

/// Walks all frames of the ledger in `folder` (`…/ledger`) and checks numbers, checksums and
/// chain. Changes nothing and may run beside a working gateway.
///
/// # Errors
/// [`LedgerFault`], each with a sentence that says what to do.
pub fn verify(folder: &Path) -> Result<Summary, LedgerFault> {
    let segments = segments(folder)?;
    walk(&segments, |_, _, body, _| body.changes().map(|_| ()))
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.ledger"))
}

/// The segments of a folder in order, heads checked. A last one that never got a whole head
/// (the process was killed while it made it) is left out.
pub(crate) fn segments(folder: &Path) -> Result<Vec<Segment>, LedgerFault> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let first = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.strip_suffix(".ledger"))
            .and_then(|n| n.parse::<u64>().ok());
        if let Some(first) = first {
            names.push((first, path));
        }
    }
    names.sort();
    let count = names.len();
    let mut out: Vec<Segment> = Vec::with_capacity(count);
    for (at, (first, path)) in names.into_iter().enumerate() {
        let last = at + 1 == count;
        match read_head(&path, first)? {
            Some(segment) => out.push(segment),
            None if last => {}
            None => return Err(damaged(&path, 0, "the segment has no whole head")),
        }
    }
    Ok(out)
}

/// Damage in the frame at `place`.
pub(crate) fn damaged_at(folder: &Path, place: Place, why: String) -> LedgerFault {
    damaged(&segment_path(folder, place.segment), place.offset, why)
}

/// When the first frame of a segment was written; `None` while it has none. Its checksum is looked at, its
/// place in the chain is not.
pub(crate) fn first_at(segment: &Segment) -> Result<Option<Timestamp>, LedgerFault> {
    let path = &segment.path;
    let file = File::open(path).map_err(io(path))?;
    let len = usize::try_from(segment.len - SEGMENT_HEAD).unwrap_or(usize::MAX);
    let mut head = [0; HEADER];
    if len < HEADER {
        return Ok(None);
    }
    file.read_exact_at(&mut head, SEGMENT_HEAD).map_err(io(path))?;
    let mut body = vec![0; frame::head(&head).0.min(len - HEADER).min(MAX_BODY)];
    file.read_exact_at(&mut body, SEGMENT_HEAD + HEADER as u64).map_err(io(path))?;
    if !frame::intact(&head, &body) {
        return Ok(None);
    }
    Ok(Body::read(&body).ok().map(|body| body.at))
}

fn damaged(path: &Path, offset: u64, why: impl Into<String>) -> LedgerFault {
    LedgerFault::Damaged { path: path.to_owned(), offset, why: why.into() }
}

/// A segment by its head; `None` when it holds nothing behind a broken head.
fn read_head(path: &Path, first: u64) -> Result<Option<Segment>, LedgerFault> {
    let file = File::open(path).map_err(io(path))?;
    let len = file.metadata().map_err(io(path))?.len();
    let mut head = [0; SEGMENT_HEAD as usize];
    if len < SEGMENT_HEAD {
        return Ok(None);
    }
    file.read_exact_at(&mut head, 0).map_err(io(path))?;
    let whole = head[..8] == *MAGIC && crc32c::crc32c(&head[..60]).to_le_bytes() == head[60..];
    if !whole {
        return if len == SEGMENT_HEAD { Ok(None) } else { Err(damaged(path, 0, "its head is broken")) };
    }
    let format = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if format != FORMAT {
        return Err(LedgerFault::Newer { path: path.to_owned(), what: format!("segment format {format}") });
    }
    let mut number = [0; 8];
    number.copy_from_slice(&head[12..20]);
    if u64::from_le_bytes(number) != first {
        return Err(damaged(path, 12, "its name and its first frame's number differ"));
    }
    let mut previous = Digest::default();
    previous.0.copy_from_slice(&head[20..52]);
    Ok(Some(Segment { path: path.to_owned(), first, len, previous }))
}

/// Walks `segments` (a contiguous end of the ledger) frame by frame. `visit` gets number, digest,
/// body and length of each.
pub(crate) fn walk(
    segments: &[Segment],
    mut visit: impl FnMut(u64, &Digest, &Body, Place) -> Result<(), BodyFault>,
) -> Result<Summary, LedgerFault> {
    let Some(first) = segments.first() else {
        return Ok(Summary {
            segments: 0,
            frames: 0,
            last: 0,
            head: Digest::default(),
            octets: 0,
            torn: 0,
            room: 0,
        });
    };
    let mut sum = Summary {
        segments: segments.len(),
        frames: 0,
        last: first.first.saturating_sub(1),
        head: first.previous,
        octets: 0,
        torn: 0,
        room: 0,
    };
    for (at, segment) in segments.iter().enumerate() {
        if segment.first != sum.last + 1 || segment.previous != sum.head {
            return Err(damaged(&segment.path, 0, format!("frame {} should come next", sum.last + 1)));
        }
        let last = at + 1 == segments.len();
        let end = if last {
            walk_last(segment, &mut sum, &mut visit)?
        } else {
            walk_segment(segment, SEGMENT_HEAD, &mut sum, &mut visit)?
        };
        if !last && end < segment.len {
            return Err(damaged(&segment.path, end, format!("frame {} is broken", sum.last + 1)));
        }
        sum.octets += end;
    }
    Ok(sum)
}

/// Walks the last segment, and says what is behind its last whole frame. A gateway may be writing there: a frame
/// that was broken when it was read, and that a later one says was on disk, is read again before it counts as damage.
fn walk_last(
    segment: &Segment,
    sum: &mut Summary,
    visit: &mut impl FnMut(u64, &Digest, &Body, Place) -> Result<(), BodyFault>,
) -> Result<u64, LedgerFault> {
    let path = &segment.path;
    let (mut at, mut broken) = (SEGMENT_HEAD, None);
    loop {
        let end = walk_segment(segment, at, sum, visit)?;
        let expected = sum.last + 1;
        let file = File::open(path).map_err(io(path))?;
        let len = file.metadata().map_err(io(path))?.len().min(segment.len);
        let written = room::written(&file, end).map_err(io(path))?.min(len);
        let later = if written > end { later_frame(path, end, len, expected)? } else { None };
        match later {
            None => {
                sum.torn = written.saturating_sub(end);
                sum.room = len.saturating_sub(written.max(end));
                return Ok(end);
            }
            Some(later) if broken == Some(end) => {
                let why = format!("frame {expected} is broken, but was on disk before frame {later}");
                return Err(damaged(path, end, why));
            }
            Some(_) => (at, broken) = (end, Some(end)),
        }
    }
}

/// Walks one segment from a frame on, to its end or to the first frame that isn't whole; gives that offset.
fn walk_segment(
    segment: &Segment,
    from: u64,
    sum: &mut Summary,
    visit: &mut impl FnMut(u64, &Digest, &Body, Place) -> Result<(), BodyFault>,
) -> Result<u64, LedgerFault> {
    let path = &segment.path;
    let mut file = File::open(path).map_err(io(path))?;
    file.seek(SeekFrom::Start(from)).map_err(io(path))?;
    let mut reader = BufReader::with_capacity(256 << 10, file.take(segment.len.saturating_sub(from)));
    // Room may be given back while it is read.
    let mut whole = |octets: &mut [u8]| match reader.read_exact(octets) {
        Err(fault) if fault.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map_err(io(path)).map(|()| true),
    };
    let mut at = from;
    let mut frame = Vec::new();
    while segment.len - at >= HEADER as u64 {
        frame.resize(HEADER, 0);
        if !whole(&mut frame)? {
            break;
        }
        let Some(head) = frame.first_chunk::<HEADER>().copied() else { break };
        let (len, number) = frame::head(&head);
        if len > MAX_BODY || len as u64 > segment.len - at - HEADER as u64 {
            break;
        }
        frame.resize(HEADER + len, 0);
        if !whole(&mut frame[HEADER..])? || !frame::intact(&head, &frame[HEADER..]) {
            break;
        }
        let body = Body::read(&frame[HEADER..]).map_err(|f| body_fault(path, at, f))?;
        if number != sum.last + 1 || body.previous != sum.head {
            return Err(damaged(path, at, format!("frame {number} does not follow frame {}", sum.last)));
        }
        sum.head = Digest::of(&frame);
        sum.last = number;
        sum.frames += 1;
        let place = Place { segment: segment.first, offset: at, len: (HEADER + len) as u32 };
        visit(number, &sum.head, &body, place).map_err(|f| body_fault(path, at, f))?;
        at += frame.len() as u64;
    }
    Ok(at)
}

fn body_fault(path: &Path, offset: u64, fault: BodyFault) -> LedgerFault {
    match fault {
        BodyFault::Newer(..) | BodyFault::Value(CodecFault::Newer(_)) => {
            LedgerFault::Newer { path: path.to_owned(), what: fault.to_string() }
        }
        _ => damaged(path, offset, fault.to_string()),
    }
}

/// An intact frame behind the broken one at `from` that proves that this one, `expected`, had been on disk: only then
/// is it damage and not a torn write of frames that nobody was told about. The segment's octets end at `until`.
fn later_frame(path: &Path, from: u64, until: u64, expected: u64) -> Result<Option<u64>, LedgerFault> {
    let file = File::open(path).map_err(io(path))?;
    let mut rest = vec![0; usize::try_from(until.saturating_sub(from)).unwrap_or(usize::MAX)];
    let read = tail::read_full(&file, &mut rest, from).map_err(io(path))?;
    rest.truncate(read);
    for at in 1..rest.len().saturating_sub(HEADER) {
        let tail = &rest[at..];
        let Some(head) = tail.first_chunk::<HEADER>() else { break };
        let (len, number) = frame::head(head);
        // A number far beyond can't be a frame of this segment: no need to look closer.
        if number <= expected || number - expected > until || len > MAX_BODY {
            continue;
        }
        let Some(body) = tail.get(HEADER..HEADER + len) else { continue };
        if frame::intact(head, body) && Body::read(body).is_ok_and(|b| b.synced >= expected) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Whether the process (EMFILE), the system (ENFILE) or the memory (ENOMEM) is exhausted: that passes,
/// and says nothing of the disk.
pub(crate) fn exhausted(fault: &std::io::Error) -> bool {
    matches!(fault.raw_os_error(), Some(24 | 23 | 12))
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
