//! Reading content back: whole from a segment, chunk by chunk from a file, in plain whichever way it lies
//! there.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::domain::record::ContentPlace;
use crate::domain::{ContentRef, Digest};
use crate::observe::Metrics;

use super::super::vault::{
    ChunkFault, ChunkReader, FILE_HEAD, MESSAGE, PREFIX, RECORDS, SealedEntry, Vault, VaultFault, file_key,
    file_owner, open_entry, sealed_len,
};
use super::super::{ContentReader, StoreError};
use super::{
    ENTRY_HEAD, MAX_OWNER, PLAIN, Payload, checksum, corrupt, file_path, io, segment_path, segments_folder,
    vault_fault,
};

/// Octets handed out at once.
const CHUNK: usize = 64 << 10;

fn missing(fault: std::io::Error) -> StoreError {
    match fault.kind() {
        std::io::ErrorKind::NotFound => corrupt("its file is missing"),
        std::io::ErrorKind::UnexpectedEof => corrupt("its segment ends before it"),
        _ => io("reading content")(fault),
    }
}

/// Why content can't be opened.
pub(crate) enum Unread {
    /// Its key is not in its slot: it was erased, or the key is lost. The record tells which.
    NoKey(u64),
    /// Its file is not there: likewise.
    NoFile(uuid::Uuid),
    /// All else.
    Store(StoreError),
}

impl From<StoreError> for Unread {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

impl From<VaultFault> for Unread {
    fn from(fault: VaultFault) -> Self {
        match fault {
            VaultFault::NoKey(slot) => Self::NoKey(slot),
            fault => Self::Store(vault_fault(fault)),
        }
    }
}

impl From<Unread> for StoreError {
    /// Takes a key or a file that is not there for a lost one.
    fn from(fault: Unread) -> Self {
        match fault {
            Unread::NoKey(slot) => vault_fault(VaultFault::NoKey(slot)),
            Unread::NoFile(_) => corrupt("its file is missing"),
            Unread::Store(fault) => fault,
        }
    }
}

/// Opens content for reading. Blocking.
pub(crate) fn open(root: &Path, vault: &Vault, content: &ContentRef) -> Result<Source, Unread> {
    match content.place {
        ContentPlace::Segment { .. } => {
            let octets = match payload(root, content)? {
                Payload::Plain(octets) => octets,
                Payload::Sealed(entry) => unsealed(vault, entry)?,
            };
            if Digest::of(&octets) != content.sha256 {
                return Err(corrupt("its digest differs").into());
            }
            Ok(Source::Memory(octets))
        }
        ContentPlace::Dropped => Err(StoreError::Dropped.into()),
        ContentPlace::File { name } => {
            let file = match File::open(file_path(root, name)) {
                Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Unread::NoFile(name));
                }
                opened => opened.map_err(missing)?,
            };
            let len = file.metadata().map_err(missing)?.len();
            let octets = if len == content.len {
                Octets::Plain(file)
            } else if len == sealed_len(content.len) {
                Octets::Sealed(chunks(file, vault, name, content.len)?)
            } else {
                return Err(corrupt("its length differs").into());
            };
            Ok(Source::File(Box::new(Hashed { octets, hash: Context::new(&SHA256), sha256: content.sha256 })))
        }
    }
}

/// What lies at a place in a segment, as it lies there: its checksum is looked at, its digest is not.
pub(crate) fn payload(root: &Path, content: &ContentRef) -> Result<Payload, StoreError> {
    let ContentPlace::Segment { segment, offset } = content.place else {
        return Err(corrupt("it does not lie in a segment"));
    };
    let file = File::open(segment_path(&segments_folder(root), segment)).map_err(missing)?;
    let start = offset.checked_sub(ENTRY_HEAD).ok_or_else(|| corrupt("its place is impossible"))?;
    let most = content.len.saturating_add(ENTRY_HEAD + MAX_OWNER + PREFIX as u64);
    let there = file.metadata().map_err(missing)?.len().saturating_sub(start);
    let len = usize::try_from(most.min(there)).map_err(|_| corrupt("its length is impossible"))?;
    let mut found = vec![0; len];
    file.read_exact_at(&mut found, start).map_err(missing)?;
    let (kind, octets) = entry(&found).map_err(corrupt)?;
    let prefix = if kind == PLAIN { 0 } else { PREFIX };
    if content.len.checked_add(prefix as u64) != Some(octets.len() as u64) {
        return Err(corrupt("its length differs"));
    }
    if kind == PLAIN {
        return Ok(Payload::Plain(Bytes::from(found).slice(octets)));
    }
    let (prefix, octets) = found[octets].split_first_chunk().ok_or_else(|| corrupt("its length differs"))?;
    Ok(Payload::Sealed(SealedEntry { kind, prefix: *prefix, octets: octets.to_vec() }))
}

/// Kind of the entry that `at` begins with, and where its octets lie; the reason why there is none.
fn entry(at: &[u8]) -> Result<(u8, Range<usize>), &'static str> {
    let Some((head, rest)) = at.split_first_chunk::<{ ENTRY_HEAD as usize }>() else {
        return Err("its segment ends before it");
    };
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let owner = usize::from(head[9]);
    let Some(rest) = rest.get(..owner + len) else { return Err("its segment ends before it") };
    if checksum(head, rest).to_le_bytes() != head[4..8] {
        return Err("its checksum differs");
    }
    if !matches!(head[8], PLAIN | MESSAGE | RECORDS) {
        return Err("it is of a kind that a newer program wrote");
    }
    let begin = ENTRY_HEAD as usize + owner;
    Ok((head[8], begin..begin + len))
}

fn unsealed(vault: &Vault, entry: SealedEntry) -> Result<Bytes, VaultFault> {
    let (owner, cipher) = vault.owner(entry.kind, entry.owner()?)?;
    open_entry(&owner, &cipher, entry).map(Bytes::from)
}

/// A reader of an encrypted file.
fn chunks(mut file: File, vault: &Vault, name: uuid::Uuid, len: u64) -> Result<ChunkReader, Unread> {
    let mut head = [0; FILE_HEAD];
    file.read_exact(&mut head).map_err(missing)?;
    let (kind, owner) = file_owner(&head)?;
    let (owner, cipher) = vault.owner(kind, owner)?;
    Ok(ChunkReader::new(file, &file_key(&head, &owner, &cipher, len, &name)?, name, len)?)
}

/// Opened content.
pub(crate) enum Source {
    /// Read whole, digest checked.
    Memory(Bytes),
    /// Read chunk by chunk, digest checked at the end.
    File(Box<Hashed>),
}

/// Octets of a file.
enum Octets {
    Plain(File),
    Sealed(ChunkReader),
}

impl Octets {
    /// The next chunk; an empty one behind the last.
    fn next(&mut self) -> Result<Bytes, StoreError> {
        match self {
            Self::Plain(file) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                let mut part = Read::by_ref(file).take(CHUNK as u64);
                part.read_to_end(&mut chunk).map_err(io("reading content"))?;
                Ok(Bytes::from(chunk))
            }
            Self::Sealed(chunks) => match chunks.next() {
                Ok(chunk) => Ok(chunk.unwrap_or_default()),
                Err(ChunkFault::Io(fault)) => Err(missing(fault)),
                Err(ChunkFault::Vault(fault)) => Err(vault_fault(fault)),
            },
        }
    }
}

/// A file that is hashed while it is read.
pub(crate) struct Hashed {
    octets: Octets,
    hash: Context,
    sha256: Digest,
}

impl Hashed {
    /// The next chunk; after the last one the digest is checked.
    fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let chunk = self.octets.next()?;
        if chunk.is_empty() {
            let right = self.hash.clone().finish().as_ref() == self.sha256.0;
            return if right { Ok(None) } else { Err(corrupt("its digest differs")) };
        }
        self.hash.update(&chunk);
        Ok(Some(chunk))
    }
}

/// Reads opened content to its end, where its digest shows.
pub(crate) fn drain(source: Source) -> Result<(), StoreError> {
    match source {
        Source::Memory(_) => Ok(()),
        Source::File(mut file) => {
            while file.next()?.is_some() {}
            Ok(())
        }
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
