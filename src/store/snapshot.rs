//! Snapshots: where the newest record of each living message lies in the ledger, as of the end of a
//! segment. With one a rebuild reads those records and the frames behind it, not the whole ledger.
//!
//! A snapshot is folded from the one before and the ledger segments that were closed since, all of them
//! files that never change: nobody who works with the store notices. It is written to a draft, synced,
//! renamed, and its folder synced. It is never needed: without one, or with a broken one, the ledger
//! is walked. Where the store encrypts, the head is encrypted; places tell nothing. `AMTSSNAP, format u32, length u32, head`, then blocks of `count u32, CRC32C u32, places`, the
//! last one empty and followed by `all places u64, CRC32C of all blocks' checksums u32`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{Digest, EndpointControl};

use super::codec::{self, CodecFault};
use super::frame::Change;
use super::ledger::{self, LedgerFault, Place, Segment, sync_folder};
use super::records;
use super::vault::{Heading, Vault};

const MAGIC: &[u8; 8] = b"AMTSSNAP";
const FORMAT: u32 = 1;
/// Octets of a head at most.
const MAX_HEAD: usize = 16 << 20;
/// Octets of one place: acceptance number, segment, offset, length.
const PLACE: usize = 8 + 8 + 8 + 4;
/// Places in a block.
const BLOCK: usize = 4096;
/// Snapshots kept: the newest, and one in case that it breaks.
const KEPT: usize = 2;

/// Why there is no snapshot to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotFault {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Ledger(#[from] LedgerFault),
    #[error("{0}")]
    Broken(&'static str),
    #[error("its head: {0}")]
    Head(#[from] CodecFault),
    #[error("format {0} is newer than this program knows")]
    Newer(u32),
}

/// What a snapshot says besides the places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The first frame that it does not know: a segment begins with it.
    pub(crate) next: u64,
    /// Digest of the frame before.
    pub(crate) digest: Digest,
    /// The number that the next accepted message gets.
    pub(crate) next_sequence: u64,
    /// The ledger may begin with this frame.
    pub(crate) trimmed: u64,
    /// What operators have set.
    pub(crate) controls: Vec<EndpointControl>,
}

/// A snapshot whose head was read.
pub(crate) struct Snapshot {
    pub(crate) head: Head,
    path: PathBuf,
    from: BufReader<File>,
}

/// The folder of snapshots.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join("snapshot")
}

/// All snapshots, newest first.
pub(crate) fn all(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(root)).into_iter().flatten().flatten();
    let mut out: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "snapshot")).collect();
    out.sort();
    out.reverse();
    out
}

fn number(octets: &[u8]) -> u64 {
    octets.iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

impl Snapshot {
    /// Opens one and reads its head.
    pub(crate) fn open(path: &Path, vault: &Vault) -> Result<Self, SnapshotFault> {
        let mut from = BufReader::with_capacity(256 << 10, File::open(path)?);
        let mut fixed = [0; 16];
        from.read_exact(&mut fixed)?;
        if fixed[..8] != *MAGIC {
            return Err(SnapshotFault::Broken("it does not begin as one"));
        }
        let format = number(&fixed[8..12]);
        if format != u64::from(FORMAT) {
            return Err(SnapshotFault::Newer(u32::try_from(format).unwrap_or(u32::MAX)));
        }
        let len = number(&fixed[12..]) as usize;
        if len > MAX_HEAD {
            return Err(SnapshotFault::Broken("its head is too long"));
        }
        let mut head = vec![0; len];
        from.read_exact(&mut head)?;
        let head = vault.unseal(&head).map_err(CodecFault::from)?;
        let head = codec::unseal(&head)?.1;
        Ok(Self { head, path: path.to_owned(), from })
    }

    /// Reads all of it once: afterwards nothing in it is in doubt.
    pub(crate) fn check(path: &Path, vault: &Vault) -> Result<Self, SnapshotFault> {
        Self::open(path, vault)?.each(|_, _| Ok::<_, SnapshotFault>(()))?;
        Self::open(path, vault)
    }

    /// Whether it ends where this segment begins.
    pub(crate) fn fits(&self, segment: &Segment) -> bool {
        segment.first == self.head.next && segment.previous == self.head.digest
    }

    /// Octets of the file.
    pub(crate) fn octets(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |about| about.len())
    }

    /// Hands all places out, in the order in which they lie in the ledger, with their messages' numbers.
    pub(crate) fn each<E: From<SnapshotFault>>(
        mut self,
        mut visit: impl FnMut(u64, Place) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut block = vec![0; BLOCK * PLACE];
        let (mut places, mut sum) = (0, 0);
        let read = |from: &mut BufReader<File>, octets: &mut [u8]| -> Result<(), E> {
            from.read_exact(octets).map_err(|e| SnapshotFault::from(e).into())
        };
        loop {
            let mut head = [0; 8];
            read(&mut self.from, &mut head)?;
            let count = number(&head[..4]) as usize;
            let octets = block.get_mut(..count * PLACE);
            let octets = octets.ok_or(SnapshotFault::Broken("a block is too long"))?;
            read(&mut self.from, octets)?;
            let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..4]), octets);
            if u64::from(crc) != number(&head[4..]) {
                return Err(SnapshotFault::Broken("a block fails its checksum").into());
            }
            sum = crc32c::crc32c_append(sum, &crc.to_le_bytes());
            if count == 0 {
                let mut end = [0; 12];
                read(&mut self.from, &mut end)?;
                let whole = number(&end[..8]) == places && number(&end[8..]) == u64::from(sum);
                return if whole { Ok(()) } else { Err(SnapshotFault::Broken("blocks are missing").into()) };
            }
            places += count as u64;
            for place in octets.chunks_exact(PLACE) {
                let at = |from: usize, len: usize| number(&place[from..from + len]);
                let len = u32::try_from(at(24, 4)).unwrap_or(u32::MAX);
                visit(at(0, 8), Place { segment: at(8, 8), offset: at(16, 8), len })?;
            }
        }
    }
}

/// What segments change: where the newest record of each message lies, `None` for those forgotten.
struct Delta {
    places: HashMap<u64, Option<Place>>,
    head: Head,
}

impl Delta {
    fn of(segments: &[Segment], next: &Segment, vault: &Vault, head: Head) -> Result<Self, SnapshotFault> {
        let mut delta = Self { places: HashMap::new(), head };
        let end = ledger::walk(segments, |_, _, body, place| {
            for change in body.changes()? {
                match change {
                    Change::Accepted(sealed) | Change::Changed(_, sealed) => {
                        let sequence = records::sequence(&sealed)?;
                        delta.places.insert(sequence, Some(place));
                        delta.head.next_sequence = delta.head.next_sequence.max(sequence.saturating_add(1));
                    }
                    Change::Forgotten(sequence, _) => {
                        delta.places.insert(sequence, None);
                        delta.head.next_sequence = delta.head.next_sequence.max(sequence.saturating_add(1));
                    }
                    Change::Trimmed(first, next) => {
                        delta.head.trimmed = delta.head.trimmed.max(first);
                        delta.head.next_sequence = delta.head.next_sequence.max(next);
                    }
                    Change::Control(sealed) => {
                        let control = records::decode_control(vault, &sealed)?;
                        delta.head.controls.retain(|c| c.endpoint != control.endpoint);
                        delta.head.controls.push(control);
                    }
                }
            }
            Ok(())
        })?;
        if end.last + 1 != next.first || end.head != next.previous {
            return Err(SnapshotFault::Broken("the segments before it do not lead to it"));
        }
        (delta.head.next, delta.head.digest) = (next.first, next.previous);
        Ok(delta)
    }
}

/// Takes a snapshot of all segments but the last, from the snapshot before if it is given. `false` where
/// there is nothing new. Blocking.
pub(crate) fn take(
    root: &Path,
    vault: &Vault,
    segments: &[Segment],
    before: Option<Snapshot>,
) -> Result<bool, SnapshotFault> {
    let Some((next, closed)) = segments.split_last() else { return Ok(false) };
    let goes_on = |b: &Snapshot| segments.iter().any(|s| b.fits(s));
    let before = before.filter(goes_on);
    let known = before.as_ref().map_or(0, |b| b.head.next);
    let closed = closed.get(closed.partition_point(|s| s.first < known)..).unwrap_or_default();
    if closed.is_empty() {
        return Ok(false);
    }
    let new = Head { next: 0, digest: Digest::default(), next_sequence: 1, trimmed: 1, controls: Vec::new() };
    let delta = Delta::of(closed, next, vault, before.as_ref().map_or(new, |b| b.head.clone()))?;
    let path = folder(root).join(format!("{:020}.snapshot", next.first));
    let draft = path.with_extension("new");
    std::fs::create_dir_all(folder(root))?;
    sync_folder(root)?;
    let mut out = Blocks::begin(&draft, vault, &delta.head)?;
    if let Some(before) = before {
        before.each(|sequence, place| match delta.places.contains_key(&sequence) {
            true => Ok(()),
            false => out.put(sequence, place),
        })?;
    }
    let mut newer: Vec<(u64, Place)> =
        delta.places.into_iter().filter_map(|(sequence, place)| Some((sequence, place?))).collect();
    newer.sort_unstable_by_key(|(_, place)| (place.segment, place.offset));
    newer.into_iter().try_for_each(|(sequence, place)| out.put(sequence, place))?;
    out.end()?;
    std::fs::rename(&draft, &path)?;
    sync_folder(&folder(root))?;
    for old in all(root).into_iter().skip(KEPT) {
        std::fs::remove_file(old)?;
    }
    Ok(true)
}

/// A snapshot being written.
struct Blocks {
    out: BufWriter<File>,
    block: Vec<u8>,
    places: u64,
    sum: u32,
}

impl Blocks {
    fn begin(path: &Path, vault: &Vault, head: &Head) -> Result<Self, SnapshotFault> {
        let mut out = BufWriter::with_capacity(256 << 10, File::create(path)?);
        let plain = codec::seal(0, head)?;
        let head = vault.seal(Heading { sequence: 0, slot: None }, plain).map_err(CodecFault::from)?;
        let len = u32::try_from(head.len()).map_err(|_| SnapshotFault::Broken("its head is too long"))?;
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        out.write_all(&len.to_le_bytes())?;
        out.write_all(&head)?;
        Ok(Self { out, block: Vec::with_capacity(BLOCK * PLACE), places: 0, sum: 0 })
    }

    fn put(&mut self, sequence: u64, place: Place) -> Result<(), SnapshotFault> {
        self.block.extend_from_slice(&sequence.to_le_bytes());
        self.block.extend_from_slice(&place.segment.to_le_bytes());
        self.block.extend_from_slice(&place.offset.to_le_bytes());
        self.block.extend_from_slice(&place.len.to_le_bytes());
        self.places += 1;
        if self.block.len() >= BLOCK * PLACE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SnapshotFault> {
        let count = u32::try_from(self.block.len() / PLACE).unwrap_or(u32::MAX).to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&count), &self.block);
        self.sum = crc32c::crc32c_append(self.sum, &crc.to_le_bytes());
        self.out.write_all(&count)?;
        self.out.write_all(&crc.to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn end(mut self) -> Result<(), SnapshotFault> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        self.flush()?;
        self.out.write_all(&self.places.to_le_bytes())?;
        self.out.write_all(&self.sum.to_le_bytes())?;
        let file = self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}
