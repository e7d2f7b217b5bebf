//! The octets of messages: small ones in content segments, large ones in files of their own.
//!
//! An entry of a segment is `length u32, CRC32C u32, kind u8, length of the owner's id u8, 2 octets
//! zero, id, octets`; the checksum covers everything but itself. A record names the first octet behind
//! that head. The owner stands there so that a segment can be emptied without asking every record
//! where its contents lie. Both segments and files are on disk before the ledger names what is in them.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};

use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, Digest, MessageId};
use crate::observe::Metrics;

use super::ledger::sync_folder;
use super::room::{self, Room};
use super::{ContentReader, StoreError};

const MAGIC: &[u8; 8] = b"AMTSCONT";
const FORMAT: u32 = 1;
const SEGMENT_HEAD: u64 = 32;
const ENTRY_HEAD: u64 = 12;
/// Kind of an entry: octets as they came. Encrypted ones will get another.
const PLAIN: u8 = 1;
/// Octets of an owner's id at most.
const MAX_OWNER: u64 = u8::MAX as u64;
/// Octets handed out at once.
const CHUNK: usize = 64 << 10;

pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io { what: what.to_owned(), source },
    }
}

fn corrupt(why: &str) -> StoreError {
    StoreError::Corrupt { what: "stored content".to_owned(), why: why.to_owned() }
}

/// The folder of content segments.
pub(crate) fn segments_folder(root: &Path) -> PathBuf {
    root.join("content").join("segments")
}

/// The place of a content file.
pub(crate) fn file_path(root: &Path, name: uuid::Uuid) -> PathBuf {
    let octet = name.as_bytes().last().copied().unwrap_or_default();
    root.join("content").join("files").join(format!("{octet:02x}")).join(name.to_string())
}

pub(crate) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.content"))
}

/// The segments in a folder, in order.
pub(crate) fn numbers(folder: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|n| n.strip_suffix(".content")).and_then(|n| n.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Octets before the first entry of a segment.
pub(crate) const FIRST: usize = SEGMENT_HEAD as usize;

/// The end of the content segments, where the committer appends.
pub(crate) struct Segments {
    folder: PathBuf,
    bound: u64,
    file: Option<File>,
    number: u64,
    len: u64,
    room: Room,
    pending: Vec<u8>,
}

impl Segments {
    /// Continues behind the last octet that a record names, if only room follows there. If
    /// anything else does (a group that was never acknowledged), it stays: a new segment is begun.
    pub(crate) fn open(root: &Path, end: (u64, u64), bound: u64) -> std::io::Result<Self> {
        let folder = segments_folder(root);
        let highest = numbers(&folder)?.last().copied().unwrap_or_default();
        let mut segments = Self {
            folder,
            bound,
            file: None,
            number: highest,
            len: 0,
            room: Room::default(),
            pending: Vec::new(),
        };
        if highest > 0 && highest == end.0 {
            let path = segment_path(&segments.folder, highest);
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let len = file.metadata()?.len();
            let mut room = Room::of(len);
            let written = room::written(&file, end.1.min(len))?;
            if written == end.1 {
                segments.len = end.1;
                segments.room = room;
                segments.file = Some(file);
            } else {
                room.give_back(&file, written)?;
            }
        }
        Ok(segments)
    }

    /// Makes room for a group of at most `octets` in `entries`: a group stays in one segment.
    pub(crate) fn begin(&mut self, entries: usize, octets: usize) -> std::io::Result<()> {
        self.pending.clear();
        let need = octets as u64 + entries as u64 * ENTRY_HEAD;
        if self.file.is_none() || (self.len + need > self.bound && self.len > SEGMENT_HEAD) {
            self.finish()?;
            let number = self.number + 1;
            self.file = Some(create(&self.folder, number)?);
            self.number = number;
            self.len = SEGMENT_HEAD;
            self.room = Room::of(SEGMENT_HEAD);
        }
        match &self.file {
            Some(file) => self.room.prepare(file, self.len, need, self.bound),
            None => Ok(()),
        }
    }

    /// Lays octets out in the group; gives where they will lie.
    pub(crate) fn put(&mut self, owner: &MessageId, octets: &[u8]) -> ContentPlace {
        let offset = self.len + self.pending.len() as u64 + ENTRY_HEAD;
        let owner = owner.as_str().as_bytes();
        self.pending.extend_from_slice(&entry_head(owner, octets));
        self.pending.extend_from_slice(owner);
        self.pending.extend_from_slice(octets);
        ContentPlace::Segment { segment: self.number, offset }
    }

    /// The segment that is written to.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Octets laid out.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes the group. After an error nothing of it is left.
    pub(crate) fn write(&mut self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Err(fault) = file.write_all_at(&self.pending, self.len) {
            file.set_len(self.len)?;
            self.room = Room::of(self.len);
            return Err(fault);
        }
        self.len += self.pending.len() as u64;
        Ok(())
    }

    /// Gives the room ahead back: at a clean stop, and before the next segment begins.
    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| self.room.give_back(file, self.len))
    }

    /// Makes it durable. After an error the caller must not go on.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

fn entry_head(owner: &[u8], octets: &[u8]) -> [u8; ENTRY_HEAD as usize] {
    let mut head = [0; ENTRY_HEAD as usize];
    let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&len.to_le_bytes());
    head[8] = PLAIN;
    // No id is longer than 100 characters.
    head[9] = u8::try_from(owner.len()).unwrap_or(u8::MAX);
    let crc = crc32c::crc32c_append(checksum(&head, owner), octets);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head
}

fn checksum(head: &[u8; ENTRY_HEAD as usize], rest: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&head[..4]);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &head[8..]), rest)
}

/// Octets of a whole entry.
pub(crate) fn entry_octets(owner: &MessageId, len: u64) -> u64 {
    len.saturating_add(ENTRY_HEAD + owner.as_str().len() as u64)
}

/// Octets of an entry's head and its owner at most.
pub(crate) const MAX_HEAD: usize = (ENTRY_HEAD + MAX_OWNER) as usize;

/// The owner of the entry that begins here, and the whole entry's length; not checked, its octets may be
/// missing.
pub(crate) fn owner(at: &[u8]) -> Option<(&[u8], u64)> {
    let (head, rest) = at.split_first_chunk::<{ ENTRY_HEAD as usize }>()?;
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let owner = rest.get(..usize::from(head[9])).filter(|_| head[8] == PLAIN)?;
    Some((owner, ENTRY_HEAD + owner.len() as u64 + u64::from(len)))
}

/// Where the octets of the entry lie that `at` begins with; the reason why there is none.
fn entry(at: &[u8]) -> Result<Range<usize>, &'static str> {
    let Some((head, rest)) = at.split_first_chunk::<{ ENTRY_HEAD as usize }>() else {
        return Err("its segment ends before it");
    };
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let owner = usize::from(head[9]);
    let Some(rest) = rest.get(..owner + len) else { return Err("its segment ends before it") };
    if checksum(head, rest).to_le_bytes() != head[4..8] {
        return Err("its checksum differs");
    }
    if head[8] != PLAIN {
        return Err("it is of a kind that a newer program wrote");
    }
    let begin = ENTRY_HEAD as usize + owner;
    Ok(begin..begin + len)
}

fn create(folder: &Path, number: u64) -> std::io::Result<File> {
    let mut head = [0; SEGMENT_HEAD as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..20].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&head[..28]);
    head[28..].copy_from_slice(&crc.to_le_bytes());
    let path = segment_path(folder, number);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(&head, 0)?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok(file)
}

/// Opens content for reading. Blocking.
pub(crate) fn open(root: &Path, content: &ContentRef) -> Result<Source, StoreError> {
    let missing = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => corrupt("its file is missing"),
        std::io::ErrorKind::UnexpectedEof => corrupt("its segment ends before it"),
        _ => io("reading content")(e),
    };
    match content.place {
        ContentPlace::Segment { segment, offset } => {
            let file = File::open(segment_path(&segments_folder(root), segment)).map_err(missing)?;
            let start = offset.checked_sub(ENTRY_HEAD).ok_or_else(|| corrupt("its place is impossible"))?;
            let most = content.len.saturating_add(ENTRY_HEAD + MAX_OWNER);
            let there = file.metadata().map_err(missing)?.len().saturating_sub(start);
            let mut found =
                vec![0; usize::try_from(most.min(there)).map_err(|_| corrupt("its length is impossible"))?];
            file.read_exact_at(&mut found, start).map_err(missing)?;
            let octets = entry(&found).map_err(corrupt)?;
            let octets = Bytes::from(found).slice(octets);
            if Digest::of(&octets) != content.sha256 {
                return Err(corrupt("its digest differs"));
            }
            Ok(Source::Memory(octets))
        }
        ContentPlace::File { name } => {
            let file = File::open(file_path(root, name)).map_err(missing)?;
            if file.metadata().map_err(missing)?.len() != content.len {
                return Err(corrupt("its length differs"));
            }
            Ok(Source::File(Box::new(Hashed { file, hash: Context::new(&SHA256), sha256: content.sha256 })))
        }
        ContentPlace::Dropped => Err(StoreError::Dropped),
    }
}

/// Opened content.
pub(crate) enum Source {
    /// Read whole, digest checked.
    Memory(Bytes),
    /// Read chunk by chunk, digest checked at the end.
    File(Box<Hashed>),
}

/// Reads opened content of a segment, which is in memory already, or a file to its end. Blocking.
pub(crate) fn read_whole(source: Source) -> Result<Bytes, StoreError> {
    match source {
        Source::Memory(octets) => Ok(octets),
        Source::File(mut file) => {
            let mut out = BytesMut::new();
            while let Some(chunk) = file.next()? {
                out.extend_from_slice(&chunk);
            }
            Ok(out.freeze())
        }
    }
}

/// A file that is hashed while it is read.
pub(crate) struct Hashed {
    file: File,
    hash: Context,
    sha256: Digest,
}

impl Hashed {
    /// The next chunk; after the last one the digest is checked.
    fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut part = Read::by_ref(&mut self.file).take(CHUNK as u64);
        part.read_to_end(&mut chunk).map_err(io("reading content"))?;
        if chunk.is_empty() {
            let right = self.hash.clone().finish().as_ref() == self.sha256.0;
            return if right { Ok(None) } else { Err(corrupt("its digest differs")) };
        }
        self.hash.update(&chunk);
        Ok(Some(Bytes::from(chunk)))
    }
}

/// Hands opened content out.
pub(crate) struct Reader {
    source: Option<Source>,
    metrics: Metrics,
}

impl Reader {
    pub(crate) fn new(source: Source, metrics: Metrics) -> Self {
        Self { source: Some(source), metrics }
    }
}

#[async_trait]
impl ContentReader for Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.source.take() {
            Some(Source::Memory(mut octets)) => {
                if octets.is_empty() {
                    return Ok(None);
                }
                let chunk = octets.split_to(octets.len().min(CHUNK));
                self.source = Some(Source::Memory(octets));
                Ok(Some(chunk))
            }
            Some(Source::File(mut file)) => {
                let read = tokio::task::spawn_blocking(move || (file.next(), file)).await;
                let (chunk, file) = read.map_err(|e| StoreError::Closed(e.to_string()))?;
                match &chunk {
                    Ok(Some(_)) => self.source = Some(Source::File(file)),
                    Ok(None) => {}
                    Err(StoreError::Corrupt { .. }) => self.metrics.corrupt("content"),
                    Err(_) => {}
                }
                chunk
            }
            None => Ok(None),
        }
    }
}
