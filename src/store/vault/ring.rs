//! Sealed values: records and settings in ledger and index, receipts and transport orders.
//!
//! Each start, and each rotation, begins a run: a random name from which HMAC-SHA-256 under the
//! newest record key makes the run's own key. Under that, nonces are a counter: none can come twice,
//! though numbers of frames may (a torn end of the ledger is written anew).
//!
//! A sealed value is `128, sequence u64, slot u64, generation u32, run [16], counter u64, encrypted
//! octets, tag [16], CRC32C u32`, little-endian. Sequence and slot are those of the record inside (0
//! where there is none): a rebuild needs them before it needs the rest. All before the encrypted
//! octets is bound to them. The nonce is four octets zero and the counter, big-endian.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;

use super::VaultFault;
use super::cipher::{Cipher, NONCE, Secret, TAG, random};

/// First octet of a sealed value; those in plain count up from 1 (see `codec`).
pub(crate) const SEALED: u8 = 0x80;
/// Octets of a stamp.
pub(crate) const STAMP: usize = 4 + 16 + 8;
/// Octets before the encrypted ones.
const HEAD: usize = 1 + 8 + 8 + STAMP;
/// Octets of the checksum.
const CRC: usize = 4;
/// What a run's key is made for.
const PURPOSE: &[u8] = b"amtsweg run 1";
/// Keys of earlier runs kept at hand at most.
const RUNS: usize = 64;

/// Which key and nonce octets were sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    generation: u32,
    run: [u8; 16],
    counter: u64,
}

impl Stamp {
    pub(crate) fn octets(&self) -> [u8; STAMP] {
        let mut out = [0; STAMP];
        out[..4].copy_from_slice(&self.generation.to_le_bytes());
        out[4..20].copy_from_slice(&self.run);
        out[20..].copy_from_slice(&self.counter.to_le_bytes());
        out
    }

    pub(crate) fn of(octets: &[u8; STAMP]) -> Self {
        let mut stamp = Self { generation: 0, run: [0; 16], counter: 0 };
        stamp.generation = u32::from_le_bytes([octets[0], octets[1], octets[2], octets[3]]);
        stamp.run.copy_from_slice(&octets[4..20]);
        stamp.counter = octets[20..].iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
        stamp
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }
}

/// The present run.
struct Run {
    generation: u32,
    name: [u8; 16],
    cipher: Arc<Cipher>,
    counter: AtomicU64,
}

/// Keys of finished runs by generation and name.
type Runs = HashMap<(u32, [u8; 16]), Arc<Cipher>>;

/// The record keys.
pub(crate) struct Ring {
    keys: BTreeMap<u32, Secret>,
    run: Run,
    opened: Mutex<Runs>,
}

/// What the head of a sealed value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Acceptance number of the record inside.
    pub(crate) sequence: u64,
    /// Slot of its message key.
    pub(crate) slot: Option<u64>,
}

fn run_key(key: &Secret, name: &[u8; 16]) -> Result<Cipher, VaultFault> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.octets()), &[PURPOSE, name].concat());
    Cipher::new(&Secret::of(tag.as_ref()).ok_or(VaultFault::Cipher)?)
}

impl Ring {
    /// Begins a run under the newest of `keys`.
    pub(crate) fn new(keys: BTreeMap<u32, Secret>) -> Result<Self, VaultFault> {
        let (generation, newest) = keys.last_key_value().ok_or(VaultFault::Generation(0))?;
        let mut name = [0; 16];
        random(&mut name)?;
        let run = Run {
            generation: *generation,
            name,
            cipher: Arc::new(run_key(newest, &name)?),
            counter: AtomicU64::new(0),
        };
        Ok(Self { keys, run, opened: Mutex::default() })
    }

    /// A stamp that no other octets have, and its key.
    pub(crate) fn stamp(&self) -> (Stamp, Arc<Cipher>) {
        let Run { generation, name, cipher, counter } = &self.run;
        let counter = counter.fetch_add(1, Ordering::Relaxed);
        (Stamp { generation: *generation, run: *name, counter }, Arc::clone(cipher))
    }

    /// The key of a stamp.
    pub(crate) fn cipher(&self, stamp: &Stamp) -> Result<Arc<Cipher>, VaultFault> {
        if (stamp.generation, &stamp.run) == (self.run.generation, &self.run.name) {
            return Ok(Arc::clone(&self.run.cipher));
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (stamp.generation, stamp.run);
        if let Some(cipher) = opened.get(&name) {
            return Ok(Arc::clone(cipher));
        }
        let key = self.keys.get(&stamp.generation).ok_or(VaultFault::Generation(stamp.generation))?;
        let cipher = Arc::new(run_key(key, &stamp.run)?);
        if opened.len() >= RUNS {
            opened.clear();
        }
        opened.insert(name, Arc::clone(&cipher));
        Ok(cipher)
    }

    /// Seals a value.
    pub(crate) fn seal(&self, heading: Heading, plain: &[u8]) -> Result<Vec<u8>, VaultFault> {
        let (stamp, cipher) = self.stamp();
        let mut out = Vec::with_capacity(HEAD + plain.len() + TAG + CRC);
        out.push(SEALED);
        out.extend_from_slice(&heading.sequence.to_le_bytes());
        out.extend_from_slice(&heading.slot.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&stamp.octets());
        out.extend_from_slice(plain);
        let (head, body) = out.split_at_mut(HEAD);
        let tag = cipher.seal(stamp.nonce(), head, body)?;
        out.extend_from_slice(&tag);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(out)
    }

    /// The value again.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, VaultFault> {
        heading(sealed)?;
        let (head, rest) = sealed.split_first_chunk::<HEAD>().ok_or(VaultFault::Damaged)?;
        let stamp = head.last_chunk::<STAMP>().map(Stamp::of).ok_or(VaultFault::Damaged)?;
        let mut octets = rest.get(..rest.len() - CRC).ok_or(VaultFault::Damaged)?.to_vec();
        let len = self.cipher(&stamp)?.open(stamp.nonce(), head, &mut octets)?;
        octets.truncate(len);
        Ok(octets)
    }
}

/// Whether a value is sealed.
pub(crate) fn is_sealed(value: &[u8]) -> bool {
    value.first() == Some(&SEALED)
}

/// What the head of a sealed value says, once its checksum is right. Needs no key.
pub(crate) fn heading(sealed: &[u8]) -> Result<Heading, VaultFault> {
    let (octets, crc) = sealed.split_last_chunk::<CRC>().ok_or(VaultFault::Damaged)?;
    let whole =
        is_sealed(sealed) && octets.len() >= HEAD + TAG && crc32c::crc32c(octets).to_le_bytes() == *crc;
    if !whole {
        return Err(VaultFault::Damaged);
    }
    let number =
        |at: usize| octets[at..at + 8].iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    Ok(Heading { sequence: number(1), slot: Some(number(9)).filter(|slot| *slot != 0) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(keys: &[Secret]) -> Ring {
        Ring::new((1..).zip(keys.iter().cloned()).collect()).unwrap()
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed_and_nothing_else(
            plain: Vec<u8>,
            sequence: u64,
            slot in prop::option::of(1..u64::MAX),
            at: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let key = Secret::random().unwrap();
            let (ring, stranger) = (ring(std::slice::from_ref(&key)), ring(&[Secret::random().unwrap()]));
            let heading = Heading { sequence, slot };
            let sealed = ring.seal(heading, &plain).unwrap();
            prop_assert_eq!(super::heading(&sealed).unwrap(), heading);
            prop_assert_eq!(&ring.open(&sealed).unwrap(), &plain);
            prop_assert!(plain.len() < 8 || !sealed[HEAD..].windows(plain.len()).any(|part| part == plain));
            prop_assert!(matches!(stranger.open(&sealed), Err(VaultFault::Unopened)));
            let at = at.index(sealed.len());
            let mut flipped = sealed.clone();
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(ring.open(&flipped).is_err() && ring.open(&sealed[..at]).is_err());
            // With the checksum put right the cipher still sees it.
            let end = flipped.len() - CRC;
            let crc = crc32c::crc32c(&flipped[..end]);
            flipped[end..].copy_from_slice(&crc.to_le_bytes());
            prop_assert!(at >= end || ring.open(&flipped).is_err());
        }
    }

    #[test]
    fn every_run_and_generation_stays_readable_and_no_stamp_comes_twice() {
        let keys = [Secret::random().unwrap(), Secret::random().unwrap()];
        let heading = Heading { sequence: 7, slot: None };
        let mut stamps = std::collections::HashSet::new();
        let mut sealed = Vec::new();
        for generations in [1, 1, 2, 2] {
            let ring = ring(&keys[..generations]);
            for _ in 0..100 {
                let value = ring.seal(heading, b"value").unwrap();
                assert!(stamps.insert(value[17..17 + STAMP].to_vec()));
                sealed.push(value);
            }
        }
        let last = ring(&keys);
        assert!(sealed.iter().all(|value| last.open(value).unwrap() == b"value"));
        let first = ring(&keys[..1]);
        assert!(matches!(first.open(&sealed[399]), Err(VaultFault::Generation(2))));
    }
}
