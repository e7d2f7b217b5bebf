//! Follows the ledger frame by frame, beside a working gateway or over a folder at rest: for those who
//! prove, export or copy what is in it. Reads no further than it is told: what is not synced yet may
//! still go.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::domain::{Digest, EndpointControl, MessageId, Record, Timestamp};

use super::super::frame::{self, Body, Change, HEADER, MAX_BODY};
use super::super::records;
use super::super::vault::ReadingKeys;
use super::{LedgerFault, SEGMENT_HEAD, Segment, body_fault, io, segments};

/// Octets read at once.
const CHUNK: usize = 256 << 10;

/// One commit.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its number; they count from 1 without a gap.
    pub number: u64,
    /// SHA-256 of the whole frame, which the next one holds.
    pub digest: Digest,
    /// SHA-256 of the frame before.
    pub previous: Digest,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub told: Vec<Told>,
}

/// What a frame says.
#[derive(Clone, Debug)]
pub enum Told {
    /// A message as it is after the step.
    Message {
        /// It was accepted with this frame.
        new: bool,
        /// So many of its last facts are this step's.
        added: u32,
        /// All of it.
        record: Box<Record>,
    },
    /// An operator's setting.
    Setting(EndpointControl),
    /// A message's record was removed when its retention had ended.
    Forgotten {
        /// Its acceptance number.
        sequence: u64,
        /// Which.
        id: MessageId,
    },
    /// Frames before this number may be gone: their retention has ended.
    Trimmed(u64),
}

/// Why a ledger can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailFault {
    /// It is damaged or can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    /// The frame was let go with its segment.
    #[error("frame {wanted} is no longer in the ledger, which begins with frame {first}")]
    Gone {
        /// The frame asked for.
        wanted: u64,
        /// The first one that is there.
        first: u64,
    },
    /// The frame is not there yet, or no more.
    #[error("frame {0} is not in the ledger, though it was said to be there")]
    Missing(u64),
}

/// A place in the ledger.
pub struct Tail {
    folder: PathBuf,
    keys: ReadingKeys,
    segment: Option<(Segment, File)>,
    /// Offset of the next frame in the segment.
    offset: u64,
    next: u64,
    /// Octets of the segment from `offset` on.
    buffer: Vec<u8>,
    /// How many of them are used up.
    used: usize,
}

impl Tail {
    /// Before frame `next` of the ledger in `folder` (`…/ledger`).
    ///
    /// # Errors
    /// [`TailFault::Gone`] when the ledger begins later; [`TailFault::Ledger`].
    pub fn open(folder: &Path, next: u64, keys: &ReadingKeys) -> Result<Self, TailFault> {
        let mut tail = Self {
            folder: folder.to_owned(),
            keys: keys.clone(),
            segment: None,
            offset: SEGMENT_HEAD,
            next,
            buffer: Vec::new(),
            used: 0,
        };
        let all = segments(folder)?;
        let Some(first) = all.first().map(|s| s.first) else { return Ok(tail) };
        if first > next {
            return Err(TailFault::Gone { wanted: next, first });
        }
        if let Some(segment) = all.into_iter().rfind(|s| s.first <= next) {
            tail.next = segment.first;
            tail.enter(segment)?;
            while tail.next < next && tail.newly()?.is_some() {}
            if tail.next < next {
                return Err(TailFault::Missing(tail.next));
            }
        }
        Ok(tail)
    }

    /// Number of the first frame that is there, if there is a segment.
    ///
    /// # Errors
    /// [`TailFault::Ledger`].
    pub fn first(folder: &Path) -> Result<Option<u64>, TailFault> {
        Ok(segments(folder)?.first().map(|s| s.first))
    }

    /// Number of the next frame.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next frame, if its number is at most `upto`.
    ///
    /// # Errors
    /// [`TailFault::Missing`] when it should be there and is not; [`TailFault::Ledger`].
    pub fn read(&mut self, upto: u64) -> Result<Option<Frame>, TailFault> {
        if self.next > upto {
            return Ok(None);
        }
        self.any()?.map(Some).ok_or(TailFault::Missing(self.next))
    }

    /// The next frame, whatever its number; `None` at the end.
    ///
    /// # Errors
    /// [`TailFault::Ledger`].
    pub fn any(&mut self) -> Result<Option<Frame>, TailFault> {
        if self.segment.is_none() && !self.advance()? {
            return Ok(None);
        }
        loop {
            match self.newly()? {
                Some(octets) => return Ok(Some(self.told(&octets)?)),
                None if self.advance()? => {}
                None => return Ok(None),
            }
        }
    }

    fn enter(&mut self, segment: Segment) -> Result<(), TailFault> {
        let file = File::open(&segment.path).map_err(io(&segment.path))?;
        self.segment = Some((segment, file));
        self.offset = SEGMENT_HEAD;
        self.buffer.clear();
        self.used = 0;
        Ok(())
    }

    /// Goes on to the segment that begins with the next frame.
    fn advance(&mut self) -> Result<bool, TailFault> {
        let following = segments(&self.folder)?.into_iter().find(|s| s.first == self.next);
        let Some(segment) = following else { return Ok(false) };
        if self.segment.as_ref().is_some_and(|(here, _)| here.first == segment.first) {
            return Ok(false);
        }
        self.enter(segment)?;
        Ok(true)
    }

    /// The octets of the next frame of this segment. The buffer may be from before it was written:
    /// what is not in there is looked for in the file.
    fn newly(&mut self) -> Result<Option<Vec<u8>>, TailFault> {
        match self.frame()? {
            Some(octets) => Ok(Some(octets)),
            None => self.frame(),
        }
    }

    /// The octets of the next frame of this segment, by what the buffer holds.
    fn frame(&mut self) -> Result<Option<Vec<u8>>, TailFault> {
        let Some(len) = self.whole(HEADER)? else { return Ok(None) };
        let Some(wanted) = self.whole(len)? else { return Ok(None) };
        let octets = self.buffer.get(self.used..self.used + wanted).unwrap_or_default().to_vec();
        let Some((head, body)) = octets.split_first_chunk::<HEADER>() else { return Ok(None) };
        if frame::head(head).1 != self.next || !frame::intact(head, body) {
            // Room, a torn write, or damage: whoever knows that it must be there says which.
            self.buffer.clear();
            self.used = 0;
            return Ok(None);
        }
        self.used += wanted;
        self.offset += wanted as u64;
        self.next += 1;
        Ok(Some(octets))
    }

    /// Has so many octets in the buffer; gives the length of the frame that they begin.
    fn whole(&mut self, wanted: usize) -> Result<Option<usize>, TailFault> {
        if self.buffer.len() - self.used < wanted {
            let Some((segment, file)) = &self.segment else { return Ok(None) };
            let path = &segment.path;
            self.buffer.resize(CHUNK.max(wanted), 0);
            self.used = 0;
            let read = read_full(file, &mut self.buffer, self.offset).map_err(io(path))?;
            self.buffer.truncate(read);
            if read < wanted {
                return Ok(None);
            }
        }
        let head = self.buffer.get(self.used..).and_then(|rest| rest.first_chunk::<HEADER>());
        let Some(head) = head else { return Ok(None) };
        let (len, number) = frame::head(head);
        if number != self.next || len > MAX_BODY {
            self.buffer.clear();
            self.used = 0;
            return Ok(None);
        }
        Ok(Some(HEADER + len))
    }

    fn told(&self, octets: &[u8]) -> Result<Frame, TailFault> {
        let path = self.segment.as_ref().map(|(s, _)| s.path.clone()).unwrap_or_default();
        let at = self.offset - octets.len() as u64;
        let fault = |f| TailFault::Ledger(body_fault(&path, at, f));
        let body = Body::read(octets.get(HEADER..).unwrap_or_default()).map_err(fault)?;
        let record =
            |sealed: &[u8]| records::decode(&self.keys.0, sealed).map(Box::new).map_err(|f| fault(f.into()));
        let mut told = Vec::with_capacity(1);
        for change in body.changes().map_err(fault)? {
            told.push(match change {
                Change::Accepted(sealed) => Told::Message { new: true, added: 1, record: record(&sealed)? },
                Change::Changed(added, sealed) => {
                    Told::Message { new: false, added, record: record(&sealed)? }
                }
                Change::Control(sealed) => {
                    let control = records::decode_control(&self.keys.0, &sealed);
                    Told::Setting(control.map_err(|f| fault(f.into()))?)
                }
                Change::Forgotten(sequence, id) => Told::Forgotten { sequence, id },
                Change::Trimmed(first, _) => Told::Trimmed(first),
            });
        }
        let (previous, when) = (body.previous, body.at);
        Ok(Frame { number: self.next - 1, digest: Digest::of(octets), previous, at: when, told })
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
