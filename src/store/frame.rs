//! The ledger's frames: `length u32, number u64, CRC32C u32, body`, all little-endian; the
//! checksum covers length, number and body.
//!
//! A body is one commit, all that one step changes: `kind u8, version u8, synced u64,
//! previous [32], at u64, changes`. `previous` is the SHA-256 of the whole frame before, which
//! chains them; `synced` is the last frame that was known to be on disk when this one was
//! written, which tells a torn tail (never acknowledged) from damage.
//!
//! Other kinds (snapshots, retention marks) will get their own octet; a reader that
//! meets a kind or version it doesn't know refuses it as newer.

use crate::domain::{Digest, MessageId, Timestamp};

use super::codec;

/// Octets before a body.
pub(crate) const HEADER: usize = 16;
/// Octets of a body at most: a bound for readers, far above what a record can reach.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// Kind: one commit.
const COMMIT: u8 = 1;
/// Tags of what retention does.
const FORGOTTEN: u8 = 16;
const TRIMMED: u8 = 17;
/// Version of the commit's layout.
const VERSION: u8 = 1;
/// Octets of a body before its changes.
const BODY_HEAD: usize = 2 + 8 + 32 + 8;
/// Octets of a change before its value: tag, facts added, length.
const CHANGE_HEAD: usize = 1 + 4 + 4;

/// One change within a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A message was accepted: its sealed record.
    Accepted(Vec<u8>),
    /// A message changed: how many facts are new, and its sealed record.
    Changed(u32, Vec<u8>),
    /// An operator's setting, sealed.
    Control(Vec<u8>),
    /// The retention of a message's record has ended: its acceptance number and its id.
    Forgotten(u64, MessageId),
    /// Frames before this number are not needed any more and may be gone; the number that the next
    /// accepted message gets.
    Trimmed(u64, u64),
}

/// A commit as read from the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// Last frame known to be on disk when this was written.
    pub(crate) synced: u64,
    /// Digest of the frame before.
    pub(crate) previous: Digest,
    /// When it was written.
    pub(crate) at: Timestamp,
    /// Where its changes begin in the body.
    changes: Vec<u8>,
}

/// Why a body can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    /// A kind or layout of a later program.
    #[error("kind {0} version {1} is newer than this program knows")]
    Newer(u8, u8),
    /// Octets missing or too many.
    #[error("its parts don't fit its length")]
    Shape,
    /// A value inside it is broken.
    #[error("{0}")]
    Value(#[from] codec::CodecFault),
}

/// What a frame says besides its changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    /// Its number.
    pub(crate) number: u64,
    /// Last frame known to be on disk.
    pub(crate) synced: u64,
    /// Digest of the frame before.
    pub(crate) previous: Digest,
    /// Time of writing.
    pub(crate) at: Timestamp,
}

/// Appends a frame to `out` and gives its digest, the next one's `previous`.
pub(crate) fn write(out: &mut Vec<u8>, heading: Heading, change: &Change) -> Result<Digest, BodyFault> {
    let sealed;
    let (tag, added, value) = match change {
        Change::Accepted(record) => (1_u8, 0, record.as_slice()),
        Change::Changed(added, record) => (2, *added, record.as_slice()),
        Change::Control(setting) => (3, 0, setting.as_slice()),
        Change::Forgotten(sequence, id) => {
            sealed = codec::seal(0, &(sequence, id))?;
            (FORGOTTEN, 0, sealed.as_slice())
        }
        Change::Trimmed(first, next) => {
            sealed = codec::seal(0, &(first, next))?;
            (TRIMMED, 0, sealed.as_slice())
        }
    };
    let body = BODY_HEAD + CHANGE_HEAD + value.len();
    if body > MAX_BODY {
        return Err(BodyFault::Shape);
    }
    // Both fit: they are below the bound.
    let (length, len) = (body as u32, value.len() as u32);
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(&[COMMIT, VERSION]);
    out.extend_from_slice(&heading.synced.to_le_bytes());
    out.extend_from_slice(&heading.previous.0);
    out.extend_from_slice(&heading.at.0.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&added.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    out[begin + 4..begin + 12].copy_from_slice(&heading.number.to_le_bytes());
    let crc = checksum(&out[begin..begin + 12], &out[begin + HEADER..]);
    out[begin + 12..begin + HEADER].copy_from_slice(&crc.to_le_bytes());
    Ok(Digest::of(&out[begin..]))
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), body)
}

/// The head of a frame, unchecked: body length and number.
pub(crate) fn head(octets: &[u8; HEADER]) -> (usize, u64) {
    (number_at(octets, 0, 4) as usize, number_at(octets, 4, 8))
}

/// Whether head and body belong together.
pub(crate) fn intact(head: &[u8; HEADER], body: &[u8]) -> bool {
    u64::from(checksum(&head[..12], body)) == number_at(head, 12, 4)
}

/// A little-endian number; octets beyond the end count as zero.
fn number_at(octets: &[u8], at: usize, len: usize) -> u64 {
    octets.iter().skip(at).take(len).rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

impl Body {
    /// Reads an intact body.
    pub(crate) fn read(octets: &[u8]) -> Result<Self, BodyFault> {
        let (Some(kind), Some(version)) = (octets.first(), octets.get(1)) else {
            return Err(BodyFault::Shape);
        };
        if (*kind, *version) != (COMMIT, VERSION) {
            return Err(BodyFault::Newer(*kind, *version));
        }
        if octets.len() < BODY_HEAD {
            return Err(BodyFault::Shape);
        }
        let mut previous = Digest::default();
        previous.0.copy_from_slice(&octets[10..42]);
        Ok(Self {
            synced: number_at(octets, 2, 8),
            previous,
            at: Timestamp(number_at(octets, 42, 8)),
            changes: octets[BODY_HEAD..].to_vec(),
        })
    }

    /// Its changes.
    pub(crate) fn changes(&self) -> Result<Vec<Change>, BodyFault> {
        let mut rest = self.changes.as_slice();
        let mut out = Vec::new();
        while !rest.is_empty() {
            if rest.len() < CHANGE_HEAD {
                return Err(BodyFault::Shape);
            }
            let added = u32::try_from(number_at(rest, 1, 4)).map_err(|_| BodyFault::Shape)?;
            let len = number_at(rest, 5, 4) as usize;
            let value = rest.get(CHANGE_HEAD..CHANGE_HEAD + len).ok_or(BodyFault::Shape)?;
            out.push(match rest[0] {
                1 => Change::Accepted(value.to_vec()),
                2 => Change::Changed(added, value.to_vec()),
                3 => Change::Control(value.to_vec()),
                FORGOTTEN => {
                    let (sequence, id) = codec::unseal(value)?.1;
                    Change::Forgotten(sequence, id)
                }
                TRIMMED => {
                    let (first, next) = codec::unseal(value)?.1;
                    Change::Trimmed(first, next)
                }
                tag => return Err(BodyFault::Newer(COMMIT, tag)),
            });
            rest = &rest[CHANGE_HEAD + len..];
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(number: u64, value: Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        let heading = Heading { number, synced: 1, previous: Digest([7; 32]), at: Timestamp(5) };
        write(&mut out, heading, &Change::Changed(3, value)).unwrap();
        out
    }

    fn is_whole(octets: &[u8]) -> bool {
        let Some(first) = octets.first_chunk::<HEADER>() else { return false };
        let (len, _) = head(first);
        octets.len() == HEADER + len && intact(first, &octets[HEADER..])
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(number: u64, value: Vec<u8>) {
            let octets = sample(number, value.clone());
            prop_assert!(is_whole(&octets));
            let body = Body::read(&octets[HEADER..]).unwrap();
            prop_assert_eq!(body.previous, Digest([7; 32]));
            prop_assert_eq!((body.synced, body.at), (1, Timestamp(5)));
            prop_assert_eq!(body.changes().unwrap(), vec![Change::Changed(3, value)]);
        }

        #[test]
        fn notices_every_flipped_bit_and_every_cut(value: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let octets = sample(9, value);
            let mut flipped = octets.clone();
            let at = at.index(octets.len());
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(!is_whole(&flipped));
            prop_assert!(!is_whole(&octets[..at]));
        }
    }
}
