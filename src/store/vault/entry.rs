//! Encrypted entries of content segments, and whose key encrypts what.
//!
//! Behind the head of an entry of kind 2 or 3 stand `owner [40], tag [16]`, then the encrypted
//! octets, as many as the content has.
//!
//! Owner and nonce: kind 2 (message key) has `slot u64, number u32, check [8]`, zeros; the nonce is the
//! number, big-endian, and eight octets zero: a message's contents are numbered, and no number is used
//! twice. The check is the begin of HMAC-SHA-256 over a fixed text under the message's key: it tells
//! content whose key was erased, and whose slot another message has now, from damage.
//! Kind 3 (record key) has a run's stamp (see `ring`), zeros, and its nonce. Bound to the octets are
//! kind, owner and length (u64).

use aws_lc_rs::hmac;

use super::VaultFault;
use super::chunks::{OWNER, Owner};
use super::cipher::{Cipher, NONCE, Secret, TAG};
use super::ring::{STAMP, Stamp};

/// Kind: encrypted under the message's key.
pub(crate) const MESSAGE: u8 = 2;
/// Kind: encrypted under a run's key.
pub(crate) const RECORDS: u8 = 3;
/// Octets of a key's check.
const CHECK: usize = 8;
/// Octets between an entry's head and its encrypted octets.
pub(crate) const PREFIX: usize = OWNER + TAG;

/// The owner of the `number`th content of the message whose key is in `slot`.
pub(super) fn message_owner(slot: u64, number: u32, check: [u8; CHECK]) -> Owner {
    let mut octets = [0; OWNER];
    octets[..8].copy_from_slice(&slot.to_le_bytes());
    octets[8..12].copy_from_slice(&number.to_le_bytes());
    octets[12..12 + CHECK].copy_from_slice(&check);
    let mut nonce = [0; NONCE];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    Owner { kind: MESSAGE, octets, nonce }
}

pub(super) fn records_owner(stamp: &Stamp) -> Owner {
    let mut octets = [0; OWNER];
    octets[..STAMP].copy_from_slice(&stamp.octets());
    Owner { kind: RECORDS, octets, nonce: stamp.nonce() }
}

/// What tells a message's key from others, without telling it.
pub(super) fn check(key: &Secret) -> [u8; CHECK] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.octets()), b"amtsweg message key");
    let mut check = [0; CHECK];
    check.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    check
}

/// What an owner's octets say.
pub(super) enum Read {
    /// The slot of a message's key, and that key's check.
    Slot(Owner, u64, [u8; CHECK]),
    Stamp(Owner, Stamp),
}

pub(super) fn read_owner(kind: u8, octets: &[u8; OWNER]) -> Result<Read, VaultFault> {
    let number =
        |at: usize, len: usize| octets[at..at + len].iter().rev().fold(0_u64, |n, o| n << 8 | u64::from(*o));
    let read = match kind {
        MESSAGE => {
            let (slot, content) = (number(0, 8), number(8, 4) as u32);
            let mut check = [0; CHECK];
            check.copy_from_slice(&octets[12..12 + CHECK]);
            Read::Slot(message_owner(slot, content, check), slot, check)
        }
        RECORDS => {
            let stamp = octets.first_chunk::<STAMP>().map(Stamp::of).ok_or(VaultFault::Damaged)?;
            Read::Stamp(records_owner(&stamp), stamp)
        }
        _ => return Err(VaultFault::Damaged),
    };
    let (Read::Slot(owner, ..) | Read::Stamp(owner, _)) = &read;
    if owner.octets == *octets { Ok(read) } else { Err(VaultFault::Damaged) }
}

/// An entry ready to be laid out in a segment.
#[derive(Debug)]
pub(crate) struct SealedEntry {
    pub(crate) kind: u8,
    pub(crate) prefix: [u8; PREFIX],
    pub(crate) octets: Vec<u8>,
}

fn bound(kind: u8, owner: &[u8; OWNER], len: usize) -> [u8; 1 + OWNER + 8] {
    let mut bound = [0; 1 + OWNER + 8];
    bound[0] = kind;
    bound[1..=OWNER].copy_from_slice(owner);
    bound[1 + OWNER..].copy_from_slice(&(len as u64).to_le_bytes());
    bound
}

impl SealedEntry {
    /// Encrypts a content.
    pub(crate) fn seal(owner: &Owner, cipher: &Cipher, plain: &[u8]) -> Result<Self, VaultFault> {
        let mut octets = plain.to_vec();
        let tag = cipher.seal(owner.nonce, &bound(owner.kind, &owner.octets, plain.len()), &mut octets)?;
        let mut prefix = [0; PREFIX];
        prefix[..OWNER].copy_from_slice(&owner.octets);
        prefix[OWNER..].copy_from_slice(&tag);
        Ok(Self { kind: owner.kind, prefix, octets })
    }

    /// The owner that it names.
    pub(crate) fn owner(&self) -> Result<[u8; OWNER], VaultFault> {
        self.prefix.first_chunk().copied().ok_or(VaultFault::Damaged)
    }
}

/// The octets of an entry in plain.
pub(crate) fn open_entry(owner: &Owner, cipher: &Cipher, entry: SealedEntry) -> Result<Vec<u8>, VaultFault> {
    let SealedEntry { prefix, mut octets, .. } = entry;
    let bound = bound(owner.kind, &owner.octets, octets.len());
    octets.extend_from_slice(&prefix[OWNER..]);
    let len = cipher.open(owner.nonce, &bound, &mut octets)?;
    octets.truncate(len);
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn opens_for_its_owner_alone_and_unchanged(
            plain: Vec<u8>, slot in 1..u64::MAX, number: u32, at: prop::sample::Index, bit in 0..8_u8,
        ) {
            let key = Secret::random().unwrap();
            let (cipher, check) = (Cipher::new(&key).unwrap(), check(&key));
            let owner = message_owner(slot, number, check);
            let sealed = || SealedEntry::seal(&owner, &cipher, &plain).unwrap();
            let named = sealed().owner().unwrap();
            let read = read_owner(MESSAGE, &named).unwrap();
            prop_assert!(matches!(read, Read::Slot(found, of, by) if found == owner && of == slot && by == check));
            prop_assert_eq!(open_entry(&owner, &cipher, sealed()).unwrap(), plain.clone());
            for other in [message_owner(slot ^ 1, number, check), message_owner(slot, number ^ 1, check)] {
                prop_assert!(open_entry(&other, &cipher, sealed()).is_err());
            }
            let mut flipped = sealed();
            let at = at.index(TAG + plain.len());
            match flipped.prefix[OWNER..].get_mut(at) {
                Some(octet) => *octet ^= 1_u8 << bit,
                None => flipped.octets[at - TAG] ^= 1_u8 << bit,
            }
            prop_assert!(open_entry(&owner, &cipher, flipped).is_err());
            // Octets that no owner writes are nobody's.
            let mut strange = named;
            strange[OWNER - 1] = 1;
            prop_assert!(read_owner(MESSAGE, &strange).is_err() && read_owner(9, &named).is_err());
        }
    }
}
