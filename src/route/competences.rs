//! The competences, sorted so that those of one area and one service key stand together: found with
//! one hash of the area and a binary search among its rows.

use std::collections::HashMap;
use std::ops::Range;

use super::keys::{AreaKey, ServicePattern, Validity};

/// One row of `competences.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Competence {
    pub(super) area: AreaKey,
    pub(super) pattern: ServicePattern,
    /// Place of the authority in the directory.
    pub(super) authority: u32,
    /// Line in the file.
    pub(super) line: u32,
    pub(super) validity: OrderedValidity,
}

/// A validity that can be sorted, for a stable order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderedValidity(pub(super) Validity);

impl PartialOrd for OrderedValidity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedValidity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.from, self.0.to).cmp(&(other.0.from, other.0.to))
    }
}

/// All competences.
#[derive(Default)]
pub(super) struct Competences {
    rows: Vec<Competence>,
    areas: HashMap<AreaKey, Range<usize>>,
}

impl Competences {
    /// Sorts and indexes the rows.
    pub(super) fn new(mut rows: Vec<Competence>) -> Self {
        rows.sort_unstable();
        let mut areas: HashMap<AreaKey, Range<usize>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            areas.entry(row.area).and_modify(|range| range.end = at + 1).or_insert(at..at + 1);
        }
        Self { rows, areas }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows, sorted by area, service key and authority.
    pub(super) fn all(&self) -> &[Competence] {
        &self.rows
    }

    /// The rows of an area, sorted by service key.
    pub(super) fn of_area(&self, area: AreaKey) -> &[Competence] {
        self.areas.get(&area).and_then(|range| self.rows.get(range.clone())).unwrap_or_default()
    }
}

/// Those of the rows of one area that have exactly this service key or group.
pub(super) fn with_pattern(rows: &[Competence], pattern: ServicePattern) -> &[Competence] {
    between(rows, pattern, pattern)
}

/// Those of the rows of one area whose service key lies between two, both inclusive.
pub(super) fn between(rows: &[Competence], low: ServicePattern, high: ServicePattern) -> &[Competence] {
    let from = rows.partition_point(|row| row.pattern < low);
    let rest = rows.get(from..).unwrap_or_default();
    let len = rest.partition_point(|row| row.pattern <= high);
    rest.get(..len).unwrap_or_default()
}
