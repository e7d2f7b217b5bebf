//! The Merkle tree over the events, hashed as RFC 9162, section 2.1.1 does: a leaf is
//! `SHA-256(0x00 || event)`, a node `SHA-256(0x01 || left || right)`.
//!
//! Of a tree of `n` events only its peaks are kept: the roots of the full subtrees that `n` is made
//! of. They are enough to go on, for the root, and with the leaves behind them for every inclusion
//! proof of these: the ledger before may be gone.

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::Digest;

/// The hash of an event.
#[must_use]
pub fn leaf(event: &[u8]) -> Digest {
    hash(0, &[event])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    hash(1, &[&left.0, &right.0])
}

fn hash(prefix: u8, parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&[prefix]);
    parts.iter().for_each(|part| context.update(part));
    let mut out = Digest::default();
    out.0.copy_from_slice(context.finish().as_ref());
    out
}

/// A tree by its size and its peaks, the largest subtree first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    size: u64,
    peaks: Vec<Digest>,
}

impl Peaks {
    /// A tree again; `None` when a tree of this size has not so many peaks.
    #[must_use]
    pub fn new(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() as u32 == size.count_ones()).then_some(Self { size, peaks })
    }

    /// Events in it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its peaks.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Adds an event's hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut new = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                new = node(&left, &new);
            }
        }
        self.peaks.push(new);
        self.size += 1;
    }

    /// The root. That of no events is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Digest::of(&[]) };
        peaks.fold(*last, |right, left| node(left, &right))
    }

    /// The peak that is the subtree over `[from, to)`.
    fn peak(&self, from: u64, to: u64) -> Option<Digest> {
        let mut begin = 0;
        let bits = (0..u64::BITS).rev().filter(|bit| self.size >> bit & 1 == 1);
        for (bit, peak) in bits.zip(&self.peaks) {
            if begin == from && begin + (1 << bit) == to {
                return Some(*peak);
            }
            begin += 1 << bit;
        }
        None
    }

    /// The path from event `index` (one of `leaves`) to the root of the tree that these make with
    /// what was before them (RFC 9162, section 2.1.3.1). `None` when `index` is none of them.
    #[must_use]
    pub fn path(&self, leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
        let size = self.size.checked_add(leaves.len() as u64)?;
        if index < self.size || index >= size {
            return None;
        }
        let (mut from, mut to) = (0, size);
        let mut path = Vec::new();
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.subtree(leaves, middle, to)?);
                to = middle;
            } else {
                path.push(self.subtree(leaves, from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The root over `[from, to)`: a full subtree where it lies among the peaks.
    fn subtree(&self, leaves: &[Digest], from: u64, to: u64) -> Option<Digest> {
        if to <= self.size {
            return self.peak(from, to);
        }
        if to - from == 1 {
            return leaves.get(usize::try_from(from - self.size).ok()?).copied();
        }
        let middle = from + split(to - from);
        Some(node(&self.subtree(leaves, from, middle)?, &self.subtree(leaves, middle, to)?))
    }
}

/// The largest power of two below `size` (which is above 1).
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root to which `path` leads from event `index` of a tree of `size` (RFC 9162, section
/// 2.1.3.2); `None` when the path does not fit the tree.
#[must_use]
pub fn climb(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    let mut last = size.checked_sub(1).filter(|last| index <= *last)?;
    let (mut at, mut here) = (index, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            here = node(sibling, &here);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            here = node(&here, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(here)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(size: u64) -> Vec<Digest> {
        (0..size).map(|n| leaf(&n.to_le_bytes())).collect()
    }

    /// The root as RFC 9162, section 2.1.1 defines it.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn tree(leaves: &[Digest]) -> Peaks {
        let mut tree = Peaks::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree
    }

    #[test]
    fn knows_the_roots_of_certificate_transparency() {
        // The test vectors of the reference implementations: eight inputs, root of each prefix.
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let tree = tree(&inputs.map(leaf));
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(tree.root().to_string(), root);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Peaks::default().root().to_string(), empty);
    }

    proptest! {
        #[test]
        fn the_root_is_the_defined_one_and_every_path_leads_to_it(
            before in 0..70_u64, more in 1..70_u64, index: prop::sample::Index, other: prop::sample::Index,
        ) {
            let all = leaves(before + more);
            let (old, new) = all.split_at(before as usize);
            let kept = tree(old);
            let whole = tree(&all);
            prop_assert_eq!(whole.root(), defined(&all));
            prop_assert_eq!(Peaks::new(kept.size(), kept.peaks().to_vec()).unwrap(), kept.clone());
            let index = before + index.index(new.len()) as u64;
            let path = kept.path(new, index).unwrap();
            let size = whole.size();
            let found = all[index as usize];
            prop_assert_eq!(climb(found, index, size, &path), Some(whole.root()));
            // No other event, place, size or path gets there.
            let other = other.index(all.len());
            if other as u64 != index {
                prop_assert_ne!(climb(all[other], index, size, &path), Some(whole.root()));
                prop_assert_ne!(climb(found, other as u64, size, &path), Some(whole.root()));
            }
            prop_assert_ne!(climb(leaf(b"else"), index, size, &path), Some(whole.root()));
            let mut longer = path.clone();
            longer.push(Digest::default());
            prop_assert_ne!(climb(found, index, size, &longer), Some(whole.root()));
            for at in 0..path.len() {
                let mut wrong = path.clone();
                wrong[at].0[7] ^= 1;
                prop_assert_ne!(climb(found, index, size, &wrong), Some(whole.root()));
                wrong.remove(at);
                prop_assert_ne!(climb(found, index, size, &wrong), Some(whole.root()));
            }
            prop_assert_eq!(climb(found, size, size, &path), None);
            prop_assert_eq!(kept.path(new, size), None);
            prop_assert!(before == 0 || kept.path(new, before - 1).is_none());
        }
    }
}
