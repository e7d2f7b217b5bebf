//! What stands for a value that has been seen: a keyed hash of 128 bits. Values can be long and are remembered by the ten thousand;
//! their marks all have one small size, and looking one up touches no other memory.
//!
//! Two values of a document have the same mark with a probability of 2^-128. Nobody can look for such two: each
//! document has keys of its own (SipHash, as in the standard library's maps), which nobody is told.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// Stands for a value. Equal for equal values, within one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64, u64);

impl Hash for Mark {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// A map by marks.
pub(super) type Marked<T> = HashMap<Mark, T, BuildHasherDefault<Itself>>;

/// A set of marks.
pub(super) type Marks = HashSet<Mark, BuildHasherDefault<Itself>>;

/// The keys of one document.
#[derive(Default)]
pub(super) struct Marker(RandomState, RandomState);

impl Marker {
    /// The mark of a value.
    pub(super) fn mark<T: Hash + ?Sized>(&self, value: &T) -> Mark {
        Mark(self.0.hash_one(value), self.1.hash_one(value))
    }

    /// The mark of several values in their order.
    pub(super) fn together(&self, marks: impl Iterator<Item = Mark>) -> Mark {
        let (mut first, mut second) = (self.0.build_hasher(), self.1.build_hasher());
        for Mark(a, b) in marks {
            for hasher in [&mut first, &mut second] {
                hasher.write_u64(a);
                hasher.write_u64(b);
            }
        }
        Mark(first.finish(), second.finish())
    }
}

/// A mark is a hash already.
#[derive(Default)]
pub(super) struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_equal_for_equal_values_and_for_no_others() {
        let marker = Marker::default();
        let mut seen = Marks::default();
        for n in 0..100_000 {
            assert_eq!(marker.mark(&n.to_string()), marker.mark(&n.to_string()));
            assert!(seen.insert(marker.mark(&n.to_string())), "{n}");
        }
        let pairs: Vec<[Mark; 2]> = [["a", "b"], ["b", "a"], ["a", "a"], ["ab", ""], ["", "ab"]]
            .map(|p| p.map(|v| marker.mark(v)))
            .into();
        for (n, pair) in pairs.iter().enumerate() {
            assert!(seen.insert(marker.together(pair.iter().copied())), "{n}");
        }
        assert!(seen.insert(marker.together(pairs.iter().flatten().copied())));
    }

    #[test]
    fn documents_have_different_marks() {
        assert_ne!(Marker::default().mark("a"), Marker::default().mark("a"));
    }
}
