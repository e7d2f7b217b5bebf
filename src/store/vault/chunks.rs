//! Content files, encrypted chunk by chunk (the STREAM construction of Hoang, Reyhanitabar, Rogaway
//! and Vizár): a reader needs one chunk of memory, and sees chunks that were changed, swapped,
//! repeated, left out or cut off.
//!
//! A file has a key of its own, since it is written before anybody knows whose it is. Layout: a head
//! of 128 octets, then the chunks, each with its tag of 16 octets; all but the last are of 65,536
//! octets, and there is a last one in any case. The nonce of a chunk is seven octets zero, its number
//! (u32, big-endian), and 1 for the last one, else 0; bound to each is the file's name.
//!
//! The head: magic [8], format u32, kind u8, 3 octets zero, owner [40], octets of a chunk u32, 4 octets
//! zero; then the file's key, encrypted [32] with its tag [16], length of the content u64, 4 octets zero,
//! CRC32C u32. Owner and nonce are those of an entry (`content/sealed`); bound to the key are the 64
//! octets before it, the length, and the file's name.

use std::fs::File;
use std::io::{Read, Write};

use bytes::Bytes;

use super::VaultFault;
use super::cipher::{Cipher, NONCE, Secret, TAG};

/// Octets of a chunk.
pub(crate) const CHUNK: usize = 64 << 10;
/// Octets before the first chunk.
pub(crate) const HEAD: usize = 128;
const MAGIC: &[u8; 8] = b"AMTSFILE";
const FORMAT: u32 = 1;
/// Octets of an owner.
pub(crate) const OWNER: usize = 40;
/// Where the wrapped key begins and ends.
const KEY_AT: usize = 64;
const KEY_END: usize = KEY_AT + 32 + TAG;

/// The length of a file with so many octets of content.
pub(crate) fn sealed_len(len: u64) -> u64 {
    HEAD as u64 + len + len.div_ceil(CHUNK as u64).max(1) * TAG as u64
}

fn nonce(counter: u32, last: bool) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[7..11].copy_from_slice(&counter.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Whose a file is: which key wraps its own, and with which nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) kind: u8,
    pub(crate) octets: [u8; OWNER],
    pub(crate) nonce: [u8; NONCE],
}

/// The octets before the wrapped key.
fn front(kind: u8, owner: &[u8; OWNER]) -> [u8; KEY_AT] {
    let mut front = [0; KEY_AT];
    front[..8].copy_from_slice(MAGIC);
    front[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    front[12] = kind;
    front[16..16 + OWNER].copy_from_slice(owner);
    front[56..60].copy_from_slice(&(CHUNK as u32).to_le_bytes());
    front
}

fn bound(front: &[u8], len: u64, name: &uuid::Uuid) -> Vec<u8> {
    [front, &len.to_le_bytes(), name.as_bytes()].concat()
}

/// The head of a file of `len` octets of content.
pub(crate) fn head(
    owner: &Owner,
    wrapping: &Cipher,
    key: &Secret,
    len: u64,
    name: &uuid::Uuid,
) -> Result<[u8; HEAD], VaultFault> {
    let mut head = [0; HEAD];
    head[..KEY_AT].copy_from_slice(&front(owner.kind, &owner.octets));
    head[KEY_AT..KEY_AT + 32].copy_from_slice(key.octets());
    let (front, rest) = head.split_at_mut(KEY_AT);
    let tag = wrapping.seal(owner.nonce, &bound(front, len, name), &mut rest[..32])?;
    head[KEY_END - TAG..KEY_END].copy_from_slice(&tag);
    head[KEY_END..KEY_END + 8].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c(&head[..HEAD - 4]);
    head[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
    Ok(head)
}

/// Kind and owner that a head names.
pub(crate) fn owner(head: &[u8; HEAD]) -> Result<(u8, [u8; OWNER]), VaultFault> {
    let whole = crc32c::crc32c(&head[..HEAD - 4]).to_le_bytes() == head[HEAD - 4..];
    let mut owner = [0; OWNER];
    owner.copy_from_slice(&head[16..16 + OWNER]);
    if whole && head[..KEY_AT] == front(head[12], &owner) {
        Ok((head[12], owner))
    } else {
        Err(VaultFault::Damaged)
    }
}

/// The file's key, once its owner's is known.
pub(crate) fn key(
    head: &[u8; HEAD],
    owner: &Owner,
    wrapping: &Cipher,
    len: u64,
    name: &uuid::Uuid,
) -> Result<Secret, VaultFault> {
    let mut wrapped = head[KEY_AT..KEY_END].to_vec();
    let len = wrapping.open(owner.nonce, &bound(&head[..KEY_AT], len, name), &mut wrapped)?;
    let key = wrapped.get(..len).and_then(Secret::of).ok_or(VaultFault::Damaged);
    wrapped.fill(0);
    key
}

/// Writes content as it comes; behind a head that is still zero.
pub(crate) struct ChunkWriter {
    file: File,
    cipher: Cipher,
    name: uuid::Uuid,
    counter: u32,
    chunk: Vec<u8>,
}

impl ChunkWriter {
    /// Begins a file.
    pub(crate) fn new(mut file: File, key: &Secret, name: uuid::Uuid) -> std::io::Result<Self> {
        let cipher = Cipher::new(key).map_err(std::io::Error::other)?;
        file.write_all(&[0; HEAD])?;
        Ok(Self { file, cipher, name, counter: 0, chunk: Vec::with_capacity(CHUNK + TAG) })
    }

    /// Takes octets in. Whole chunks go to the file once it is known that they are not the last.
    pub(crate) fn write_all(&mut self, mut octets: &[u8]) -> std::io::Result<()> {
        while !octets.is_empty() {
            if self.chunk.len() == CHUNK {
                self.seal(false)?;
            }
            let (now, later) = octets.split_at(octets.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            octets = later;
        }
        Ok(())
    }

    fn seal(&mut self, last: bool) -> std::io::Result<()> {
        let nonce = nonce(self.counter, last);
        let tag =
            self.cipher.seal(nonce, self.name.as_bytes(), &mut self.chunk).map_err(std::io::Error::other)?;
        self.chunk.extend_from_slice(&tag);
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        self.counter = self.counter.checked_add(1).ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    /// Writes the last chunk and syncs. The head is still to come.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        self.seal(true)?;
        self.file.sync_data()
    }
}

/// Reads content chunk by chunk.
pub(crate) struct ChunkReader {
    file: File,
    cipher: Cipher,
    name: uuid::Uuid,
    counter: u32,
    /// Octets of content still to come; the last chunk may be empty.
    left: u64,
    ended: bool,
}

impl ChunkReader {
    /// Reads from `file`, which stands behind its head, `len` octets of content.
    pub(crate) fn new(file: File, key: &Secret, name: uuid::Uuid, len: u64) -> Result<Self, VaultFault> {
        Ok(Self { file, cipher: Cipher::new(key)?, name, counter: 0, left: len, ended: false })
    }

    /// The next chunk, `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, ChunkFault> {
        if self.ended {
            return Ok(None);
        }
        let last = self.left <= CHUNK as u64;
        let len = usize::try_from(self.left.min(CHUNK as u64)).unwrap_or(CHUNK);
        let mut chunk = vec![0; len + TAG];
        self.file.read_exact(&mut chunk)?;
        let len = self.cipher.open(nonce(self.counter, last), self.name.as_bytes(), &mut chunk)?;
        chunk.truncate(len);
        self.left -= len as u64;
        self.ended = last;
        self.counter = self.counter.wrapping_add(1);
        Ok(Some(Bytes::from(chunk)).filter(|chunk| !chunk.is_empty()))
    }
}

/// Why a chunk can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChunkFault {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Vault(#[from] VaultFault),
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use proptest::prelude::*;

    use super::*;

    const NAME: uuid::Uuid = uuid::Uuid::from_u128(7);

    fn write(plain: &[u8], key: &Secret, piece: usize) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ChunkWriter::new(file.try_clone().unwrap(), key, NAME).unwrap();
        plain.chunks(piece.max(1)).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap();
        let mut octets = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut octets).unwrap();
        octets
    }

    fn read(octets: &[u8], key: &Secret, name: uuid::Uuid, len: u64) -> Result<Vec<u8>, ChunkFault> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(octets).unwrap();
        file.seek(SeekFrom::Start(HEAD as u64)).unwrap();
        let mut reader = ChunkReader::new(file, key, name, len)?;
        let mut out = Vec::new();
        while let Some(chunk) = reader.next()? {
            out.extend_from_slice(&chunk);
        }
        Ok(out)
    }

    fn filling(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn every_length_comes_back_however_it_was_cut() {
        let key = Secret::random().unwrap();
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5] {
            let plain = filling(len);
            for piece in [len.max(1), 1000, CHUNK, CHUNK + 1] {
                let sealed = write(&plain, &key, piece);
                assert_eq!(sealed.len() as u64, sealed_len(len as u64));
                assert_eq!(read(&sealed, &key, NAME, len as u64).unwrap(), plain, "{len} octets by {piece}");
            }
        }
    }

    #[test]
    fn chunks_can_be_neither_swapped_nor_repeated_nor_left_out_nor_cut_off() {
        let key = Secret::random().unwrap();
        let sealed = write(&filling(3 * CHUNK), &key, CHUNK);
        let len = 3 * CHUNK as u64;
        let whole = CHUNK + TAG;
        let (head, chunks) = sealed.split_at(HEAD);
        let parts: Vec<&[u8]> = chunks.chunks(whole).collect();
        let with = |order: &[usize]| {
            let mut out = head.to_vec();
            order.iter().for_each(|at| out.extend_from_slice(parts[*at]));
            out
        };
        assert!(read(&with(&[0, 1, 2]), &key, NAME, len).is_ok());
        for order in [&[1, 0, 2][..], &[0, 0, 2], &[0, 2, 1], &[2, 1, 0], &[0, 1, 1]] {
            assert!(read(&with(order), &key, NAME, len).is_err(), "{order:?}");
        }
        // Who cuts at a chunk's end, and says so, is found out by the mark of the last one.
        for (order, len) in [(&[0, 1][..], 2), (&[0], 1), (&[1, 2], 2), (&[0, 1, 2, 2], 4)] {
            assert!(read(&with(order), &key, NAME, len * CHUNK as u64).is_err(), "{order:?}");
        }
        assert!(read(&sealed, &key, uuid::Uuid::from_u128(8), len).is_err(), "another file's name");
        assert!(read(&sealed, &Secret::random().unwrap(), NAME, len).is_err(), "another key");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_flipped_bit_is_seen(len in 0..3 * CHUNK, at: prop::sample::Index, bit in 0..8_u8) {
            let key = Secret::random().unwrap();
            let mut sealed = write(&filling(len), &key, 9999);
            let at = HEAD + at.index(sealed.len() - HEAD);
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(read(&sealed, &key, NAME, len as u64).is_err());
            prop_assert!(read(&sealed[..at], &key, NAME, len as u64).is_err());
        }

        #[test]
        fn a_head_gives_its_key_to_its_owner_alone(
            octets: [u8; OWNER], len: u64, at in 0..HEAD, bit in 0..8_u8,
        ) {
            let (key, owners) = (Secret::random().unwrap(), Secret::random().unwrap());
            let wrapping = Cipher::new(&owners).unwrap();
            let owner = Owner { kind: 2, octets, nonce: nonce(5, false) };
            let head = super::head(&owner, &wrapping, &key, len, &NAME).unwrap();
            prop_assert_eq!(super::owner(&head).unwrap(), (2, octets));
            prop_assert_eq!(super::key(&head, &owner, &wrapping, len, &NAME).unwrap(), key.clone());
            prop_assert!(super::key(&head, &owner, &wrapping, len ^ 1, &NAME).is_err());
            prop_assert!(super::key(&head, &owner, &wrapping, len, &uuid::Uuid::nil()).is_err());
            prop_assert!(!head.windows(32).any(|part| part == key.octets()));
            let mut flipped = head;
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(super::owner(&flipped).is_err());
        }
    }
}
