//! Message keys in slots that can be overwritten in place: a wiped slot is the erasure.
//!
//! A file holds the slots of one generation: 64 octets of head (magic, format, generation, zeros,
//! CRC32C), then slot n at octet 64 n, from 1 on: nonce [12], encrypted key [32], tag [16], CRC32C
//! over slot number and octets before it. The key is encrypted under the generation's slot key, bound
//! to generation and number. An empty slot is all zero.
//!
//! A slot that is in use is never written to but to be wiped: a new master key gets a new file, and
//! slots move there one by one. So a write that a power cut tears can only hurt a slot that nobody
//! relies on.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::cipher::{Cipher, Secret};
use super::{VaultFault, io, master};
use crate::store::ledger::sync_folder;

const MAGIC: &[u8; 8] = b"AMTSSLOT";
const FORMAT: u32 = 1;
/// Octets of a slot, and of the head.
pub(super) const SLOT: usize = 64;
/// Octets of a wrapped key.
const WRAPPED: usize = 60;

/// What a slot holds.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing: never used, or wiped.
    Empty,
    /// Octets that are no key of this file.
    Damaged,
    /// A message key.
    Key(Secret),
}

/// The slots of one generation.
#[derive(Debug)]
pub(super) struct SlotFile {
    pub(super) generation: u32,
    path: PathBuf,
    file: File,
    cipher: Cipher,
}

/// The file of a generation.
pub(super) fn path(folder: &Path, generation: u32) -> PathBuf {
    folder.join(format!("{generation:06}.slots"))
}

fn head(generation: u32, format: u32) -> [u8; SLOT] {
    let mut head = [0; SLOT];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&format.to_le_bytes());
    head[12..16].copy_from_slice(&generation.to_le_bytes());
    let crc = crc32c::crc32c(&head[..WRAPPED]);
    head[WRAPPED..].copy_from_slice(&crc.to_le_bytes());
    head
}

impl SlotFile {
    /// A new file without slots, on disk with its name.
    pub(super) fn create(folder: &Path, generation: u32, key: &Secret) -> Result<Self, VaultFault> {
        let path = path(folder, generation);
        let made = || -> std::io::Result<File> {
            let options = &mut OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
            file.write_all_at(&head(generation, FORMAT), 0)?;
            file.sync_all()?;
            sync_folder(folder)?;
            Ok(file)
        };
        let file = made().map_err(io(&path))?;
        Ok(Self { generation, path, file, cipher: Cipher::new(key)? })
    }

    /// The file that is there. What a killed process left unsynced is made durable.
    pub(super) fn open(folder: &Path, generation: u32, key: &Secret) -> Result<Self, VaultFault> {
        let path = path(folder, generation);
        let opened = || -> std::io::Result<(File, [u8; SLOT])> {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let mut found = [0; SLOT];
            file.read_exact_at(&mut found, 0)?;
            file.sync_all()?;
            Ok((file, found))
        };
        let (file, found) = opened().map_err(|fault| match fault.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof => {
                VaultFault::Slots(path.clone())
            }
            _ => io(&path)(fault),
        })?;
        if found != head(generation, FORMAT) {
            let format = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
            let newer = format > FORMAT && found == head(generation, format);
            return Err(if newer { VaultFault::Newer(path) } else { VaultFault::Slots(path) });
        }
        Ok(Self { generation, path, file, cipher: Cipher::new(key)? })
    }

    /// The file that is there, for somebody who only reads.
    pub(super) fn read_only(folder: &Path, generation: u32, key: &Secret) -> Result<Self, VaultFault> {
        let path = path(folder, generation);
        let file = File::open(&path).map_err(io(&path))?;
        Ok(Self { generation, path, file, cipher: Cipher::new(key)? })
    }

    /// The number of the last slot that the file has room for.
    pub(super) fn last(&self) -> Result<u64, VaultFault> {
        let len = self.file.metadata().map_err(io(&self.path))?.len();
        Ok(len.div_ceil(SLOT as u64).saturating_sub(1))
    }

    fn bound(&self, slot: u64) -> [u8; 12] {
        let mut bound = [0; 12];
        bound[..4].copy_from_slice(&self.generation.to_le_bytes());
        bound[4..].copy_from_slice(&slot.to_le_bytes());
        bound
    }

    /// A slot's octets.
    pub(super) fn filled(&self, slot: u64, key: &Secret) -> Result<[u8; SLOT], VaultFault> {
        let wrapped = master::wrap(&self.cipher, &self.bound(slot), key)?;
        let mut out = [0; SLOT];
        let (octets, crc) = out.split_at_mut(WRAPPED);
        octets.copy_from_slice(wrapped.get(..WRAPPED).ok_or(VaultFault::Cipher)?);
        crc.copy_from_slice(&checksum(slot, octets).to_le_bytes());
        Ok(out)
    }

    /// What is in a slot.
    pub(super) fn read(&self, slot: u64) -> Result<Found, VaultFault> {
        let mut octets = [0; SLOT];
        let mut have = 0;
        // The last slot may be cut short by a cut of the power; it is nobody's then.
        while have < SLOT {
            match self
                .file
                .read_at(&mut octets[have..], slot * SLOT as u64 + have as u64)
                .map_err(io(&self.path))?
            {
                0 => break,
                more => have += more,
            }
        }
        if octets == [0; SLOT] {
            return Ok(Found::Empty);
        }
        let (wrapped, crc) = octets.split_at(WRAPPED);
        if checksum(slot, wrapped).to_le_bytes() != crc {
            return Ok(Found::Damaged);
        }
        match master::unwrap(&self.cipher, &self.bound(slot), wrapped) {
            Ok(key) => Ok(Found::Key(key)),
            Err(VaultFault::Unopened) => Ok(Found::Damaged),
            Err(fault) => Err(fault),
        }
    }

    /// Writes slots given in rising order, those side by side at once. Not durable yet.
    pub(super) fn write(&self, slots: &[(u64, [u8; SLOT])]) -> Result<(), VaultFault> {
        let mut rest = slots;
        while let Some((first, _)) = rest.first() {
            let side_by_side = rest.iter().zip(*first..).take_while(|((slot, _), n)| slot == n).count();
            let (now, later) = rest.split_at(side_by_side);
            let octets: Vec<u8> = now.iter().flat_map(|(_, octets)| octets).copied().collect();
            self.file.write_all_at(&octets, first * SLOT as u64).map_err(io(&self.path))?;
            rest = later;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), VaultFault> {
        self.file.sync_data().map_err(io(&self.path))
    }

    /// Overwrites all slots with zeros, durably.
    pub(super) fn wipe_all(&self) -> Result<(), VaultFault> {
        let len = self.file.metadata().map_err(io(&self.path))?.len();
        let zeros = vec![0; 256 << 10];
        let mut at = SLOT as u64;
        while at < len {
            let part = usize::try_from(len - at).unwrap_or(zeros.len()).min(zeros.len());
            self.file.write_all_at(&zeros[..part], at).map_err(io(&self.path))?;
            at += part as u64;
        }
        self.sync()
    }

    /// Removes the file.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), VaultFault> {
        std::fs::remove_file(&self.path).and_then(|()| sync_folder(folder)).map_err(io(&self.path))
    }
}

fn checksum(slot: u64, octets: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&slot.to_le_bytes()), octets)
}

/// Removes files of generations that are not `known`: made by a rotation that went no further, or
/// wiped at the end of one.
pub(super) fn remove_unknown(folder: &Path, known: &[u32]) -> Result<(), VaultFault> {
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".slots"));
        if let Some(generation) = number.and_then(|n| n.parse::<u32>().ok())
            && !known.contains(&generation)
        {
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_read_and_wiped_and_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let key = Secret::random().unwrap();
        let slots = SlotFile::create(folder.path(), 1, &key).unwrap();
        assert_eq!(slots.last().unwrap(), 0);
        let keys: Vec<Secret> = (0..5).map(|_| Secret::random().unwrap()).collect();
        let filled: Vec<_> = [1, 2, 3, 7, 8]
            .into_iter()
            .zip(&keys)
            .map(|(n, key)| (n, slots.filled(n, key).unwrap()))
            .collect();
        slots.write(&filled).unwrap();
        slots.sync().unwrap();
        assert_eq!(slots.last().unwrap(), 8);
        let again = SlotFile::open(folder.path(), 1, &key).unwrap();
        for ((slot, _), key) in filled.iter().zip(&keys) {
            assert!(matches!(again.read(*slot).unwrap(), Found::Key(found) if found == *key));
        }
        assert!(
            matches!(again.read(5).unwrap(), Found::Empty) && matches!(again.read(99).unwrap(), Found::Empty)
        );
        again.write(&[(2, [0; SLOT])]).unwrap();
        assert!(matches!(again.read(2).unwrap(), Found::Empty));
        // A slot's octets in another's place, or changed, are no key.
        again.write(&[(2, filled[0].1)]).unwrap();
        assert!(matches!(again.read(2).unwrap(), Found::Damaged));
        for at in 0..SLOT {
            let mut flipped = filled[2].1;
            flipped[at] ^= 4;
            again.write(&[(3, flipped)]).unwrap();
            assert!(matches!(again.read(3).unwrap(), Found::Damaged));
        }
        // Nor are they under another key.
        let other = SlotFile::open(folder.path(), 1, &Secret::random().unwrap()).unwrap();
        assert!(matches!(other.read(1).unwrap(), Found::Damaged));
        again.wipe_all().unwrap();
        let octets = std::fs::read(path(folder.path(), 1)).unwrap();
        assert!(octets[SLOT..].iter().all(|octet| *octet == 0));
        assert!(SlotFile::open(folder.path(), 2, &key).is_err());
        remove_unknown(folder.path(), &[2]).unwrap();
        assert!(!path(folder.path(), 1).exists());
    }
}
