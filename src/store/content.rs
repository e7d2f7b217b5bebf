//! The octets of messages: small ones in content segments, large ones in files of their own.
//!
//! An entry of a segment is `length u32, CRC32C u32, kind u8, length of the owner's id u8, 2 octets
//! zero, id, octets`; the length is that of the octets, the checksum covers everything but itself. A record
//! names the first octet behind that head. The owner stands there so that a segment can be emptied without
//! asking every record where its contents lie. Both segments and files are on disk before the ledger names
//! what is in them. What is encrypted has a kind of its own (see `vault/entry`); a file says by its length
//! whether it is (see `vault/chunks`).

mod read;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::domain::MessageId;
use crate::domain::record::ContentPlace;

use super::StoreError;
use super::ledger::sync_folder;
use super::room::{self, Room};
use super::vault::{MESSAGE, PREFIX, RECORDS, SealedEntry, VaultFault};

pub(crate) use read::{Reader, Unread, drain, open, payload};

const MAGIC: &[u8; 8] = b"AMTSCONT";
const FORMAT: u32 = 1;
const SEGMENT_HEAD: u64 = 32;
const ENTRY_HEAD: u64 = 12;
/// Kind of an entry: octets as they came.
const PLAIN: u8 = 1;
/// Octets of an owner's id at most.
const MAX_OWNER: u64 = u8::MAX as u64;

pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io { what: what.to_owned(), source },
    }
}

fn corrupt(why: &str) -> StoreError {
    StoreError::Corrupt { what: "stored content".to_owned(), why: why.to_owned() }
}

/// What the vault says of content.
pub(crate) fn vault_fault(fault: VaultFault) -> StoreError {
    match fault {
        VaultFault::Io { path: _, source } => io("using the keys of messages")(source),
        VaultFault::Closed => StoreError::Closed(fault.to_string()),
        VaultFault::Random | VaultFault::Cipher => {
            StoreError::Io { what: "encrypting".to_owned(), source: std::io::Error::other(fault.to_string()) }
        }
        fault => corrupt(&fault.to_string()),
    }
}

/// Content on its way into a segment.
#[derive(Debug)]
pub(crate) enum Payload {
    /// As it came.
    Plain(Bytes),
    /// Encrypted.
    Sealed(SealedEntry),
}

impl Payload {
    /// Octets behind the entry's head.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(octets) => octets.len(),
            Self::Sealed(entry) => PREFIX + entry.octets.len(),
        }
    }

    fn parts(&self) -> (u8, &[u8], &[u8]) {
        match self {
            Self::Plain(octets) => (PLAIN, &[], octets),
            Self::Sealed(entry) => (entry.kind, &entry.prefix, &entry.octets),
        }
    }
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
    /// Continues behind the last entry that a record names (given as that does), if only room follows
    /// there. If anything else does (a group that was never acknowledged), it stays: a new segment is
    /// begun.
    pub(crate) fn open(root: &Path, last: (u64, u64), bound: u64) -> std::io::Result<Self> {
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
        if highest > 0 && highest == last.0 {
            let path = segment_path(&segments.folder, highest);
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let len = file.metadata()?.len();
            let mut room = Room::of(len);
            let end = end_of(&file, last.1)?;
            let written = room::written(&file, end.min(len))?;
            if written == end {
                segments.len = end;
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

    /// Lays content out in the group; gives where it will lie.
    pub(crate) fn put(&mut self, owner: &MessageId, payload: &Payload) -> ContentPlace {
        let offset = self.len + self.pending.len() as u64 + ENTRY_HEAD;
        let owner = owner.as_str().as_bytes();
        let (kind, prefix, octets) = payload.parts();
        self.pending.extend_from_slice(&entry_head(kind, owner, prefix, octets));
        self.pending.extend_from_slice(owner);
        self.pending.extend_from_slice(prefix);
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

fn entry_head(kind: u8, owner: &[u8], prefix: &[u8], octets: &[u8]) -> [u8; ENTRY_HEAD as usize] {
    let mut head = [0; ENTRY_HEAD as usize];
    let len = u32::try_from(prefix.len() + octets.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&len.to_le_bytes());
    head[8] = kind;
    // No id is longer than 100 characters.
    head[9] = u8::try_from(owner.len()).unwrap_or(u8::MAX);
    let crc = crc32c::crc32c_append(checksum(&head, owner), prefix);
    let crc = crc32c::crc32c_append(crc, octets);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head
}

fn checksum(head: &[u8; ENTRY_HEAD as usize], octets: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&head[..4]);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &head[8..]), octets)
}

/// Octets of a whole entry; `sealed` where its octets are encrypted.
pub(crate) fn entry_octets(owner: &MessageId, len: u64, sealed: bool) -> u64 {
    let prefix = if sealed { PREFIX as u64 } else { 0 };
    len.saturating_add(ENTRY_HEAD + owner.as_str().len() as u64 + prefix)
}

/// Octets of an entry's head and its owner at most.
pub(crate) const MAX_HEAD: usize = (ENTRY_HEAD + MAX_OWNER) as usize;

/// The owner of the entry that begins here, and the whole entry's length; not checked, its octets may be
/// missing.
pub(crate) fn owner(at: &[u8]) -> Option<(&[u8], u64)> {
    let (head, rest) = at.split_first_chunk::<{ ENTRY_HEAD as usize }>()?;
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let known = matches!(head[8], PLAIN | MESSAGE | RECORDS);
    let owner = rest.get(..usize::from(head[9])).filter(|_| known)?;
    Some((owner, ENTRY_HEAD + owner.len() as u64 + u64::from(len)))
}

/// Where the entry ends that a record names by `offset`; beyond all files where the file ends before it.
fn end_of(file: &File, offset: u64) -> std::io::Result<u64> {
    let mut head = [0; ENTRY_HEAD as usize];
    let Some(begin) = offset.checked_sub(ENTRY_HEAD) else { return Ok(SEGMENT_HEAD) };
    match file.read_exact_at(&mut head, begin) {
        Ok(()) => {}
        Err(fault) if fault.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(u64::MAX),
        Err(fault) => return Err(fault),
    }
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    Ok(offset.saturating_add(u64::from(head[9]) + u64::from(len)))
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
