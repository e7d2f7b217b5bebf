//! The areas with their validity, and where a retired key leads.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;

use super::faults::Faults;
use super::files::AREAS;
use super::keys::{AreaKey, Validity};
use super::load::{validity, words};
use super::table;
use crate::domain::Ars;

/// Steps from a retired key to its successor's successor at most.
const MAX_STEPS: usize = 16;

/// Rows of one key at most.
const MAX_ROWS_OF_A_KEY: usize = 64;

/// One row of `areas.csv`.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) name: String,
    pub(super) validity: Validity,
    pub(super) successor: Option<AreaKey>,
    pub(super) line: usize,
}

/// All areas. A key has several rows when it was given again or its name changed; their
/// validities don't overlap.
#[derive(Default)]
pub(super) struct Areas {
    rows: HashMap<AreaKey, Vec<Area>>,
    /// Keys of Bezirk and Verband, which have no rows: they exist by the areas below them.
    above: HashSet<AreaKey>,
    len: usize,
}

/// Where a key leads on a day.
pub(super) enum Resolved<'d> {
    /// To this area; the retired rows on the way to it.
    Area(AreaKey, Vec<(AreaKey, &'d Area)>),
    /// Nowhere; the reason as a sentence, and the retired rows up to there.
    Nowhere(String, Vec<(AreaKey, &'d Area)>),
}

impl Areas {
    /// Reads `areas.csv`.
    pub(super) fn read(text: &str, faults: &mut Faults) -> Self {
        let mut areas = Self::default();
        let columns = ["ars", "name", "kind", "valid_from", "valid_to", "successor"];
        for row in table::rows(AREAS, text, columns, faults) {
            let [ars, name, _kind, from, to, successor] = &row.cells;
            let line = row.line;
            let key = faults.take(AREAS, line, ars.parse::<Ars>()).map(|ars| AreaKey::of(&ars));
            let name = words(AREAS, line, "name", name, faults);
            let validity = validity(AREAS, line, from, to, faults);
            let successor = match successor.as_ref() {
                "" => Some(None),
                text => faults.take(AREAS, line, text.parse::<Ars>()).map(|ars| Some(AreaKey::of(&ars))),
            };
            areas.len += 1;
            if let (Some(key), Some(name), Some(validity), Some(successor)) = (key, name, validity, successor)
            {
                areas.insert(key, Area { name, validity, successor, line }, faults);
            }
        }
        areas.check_successors(faults);
        areas
    }

    fn insert(&mut self, key: AreaKey, area: Area, faults: &mut Faults) {
        let rows = self.rows.entry(key).or_default();
        if let Some(other) = rows.iter().find(|row| row.validity.overlaps(&area.validity)) {
            faults.add(
                AREAS,
                area.line,
                format_args!(
                    "area {key} stands in line {} too, valid on the same days; remove one or part their validities",
                    other.line
                ),
            );
            return;
        }
        if rows.len() >= MAX_ROWS_OF_A_KEY {
            let text = format!("area {key} has more than {MAX_ROWS_OF_A_KEY} rows; remove the oldest");
            faults.add(AREAS, area.line, text);
            return;
        }
        rows.push(area);
        rows.sort_by_key(|row| row.validity.from);
        self.above.extend(key.climb().filter(|above| !above.is_listed_level()));
    }

    /// A successor must be listed and valid on the day after the retired area ended. So each step
    /// leads to a row that ends later, and a circle is impossible.
    fn check_successors(&self, faults: &mut Faults) {
        let mut found: Vec<(usize, String)> = Vec::new();
        for (key, area) in self.rows.iter().flat_map(|(key, rows)| rows.iter().map(move |row| (*key, row))) {
            let Some(successor) = area.successor else { continue };
            let Some(to) = area.validity.to else {
                let text = format!("area {key} has a successor but no valid_to; write its last day");
                found.push((area.line, text));
                continue;
            };
            if !self.rows.contains_key(&successor) {
                let text = format!("the successor {successor} of area {key} is not in this file; add it");
                found.push((area.line, text));
                continue;
            }
            let next = to.tomorrow().unwrap_or(to);
            if self.valid(successor, next).is_none() {
                found.push((
                    area.line,
                    format!(
                        "the successor {successor} of area {key} is not valid on {next}, the day after {key} ends; \
                         correct the dates or the successor (keys must not succeed each other in a circle)"
                    ),
                ));
            }
        }
        found.sort();
        for (line, text) in found {
            faults.add(AREAS, line, text);
        }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The row of a key that is valid on a day.
    pub(super) fn valid(&self, key: AreaKey, date: Date) -> Option<&Area> {
        self.rows.get(&key)?.iter().find(|row| row.validity.contains(date))
    }

    /// Whether a key exists on some day, be it by the areas below it.
    pub(super) fn is_known(&self, key: AreaKey) -> bool {
        self.rows.contains_key(&key) || self.above.contains(&key)
    }

    /// Whether a key that has rows is valid on none of the days of `validity`.
    pub(super) fn never(&self, key: AreaKey, validity: &Validity) -> bool {
        self.rows.get(&key).is_some_and(|rows| !rows.iter().any(|row| row.validity.overlaps(validity)))
    }

    /// Whether a key has rows, but none for this day.
    pub(super) fn is_out_of_date(&self, key: AreaKey, date: Date) -> bool {
        self.rows.contains_key(&key) && self.valid(key, date).is_none()
    }

    /// Rows that ended before a day without a successor and without a later row of the same key.
    pub(super) fn ended(&self, date: Date) -> Vec<(AreaKey, &Area)> {
        let mut ended: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(key, rows)| rows.last().map(|row| (*key, row)))
            .filter(|(_, row)| row.successor.is_none() && row.validity.to.is_some_and(|to| to < date))
            .collect();
        ended.sort_by_key(|(_, row)| row.line);
        ended
    }

    /// Where a key leads on a day: to itself, to its successor if it is retired, or nowhere.
    pub(super) fn resolve(&self, asked: AreaKey, date: Date) -> Resolved<'_> {
        let (mut key, mut steps) = (asked, Vec::new());
        for _ in 0..MAX_STEPS {
            let Some(rows) = self.rows.get(&key) else {
                if self.above.contains(&key) {
                    return Resolved::Area(key, steps);
                }
                let why = format!(
                    "Area {key} is not in {AREAS}: check the key, or have the operator add the area."
                );
                return Resolved::Nowhere(why, steps);
            };
            if rows.iter().any(|row| row.validity.contains(date)) {
                return Resolved::Area(key, steps);
            }
            // The rows don't overlap and are sorted, so the last one that ended is the nearest.
            let ended = rows.iter().rev().find(|row| row.validity.to.is_some_and(|to| to < date));
            match ended {
                Some(row) if row.successor.is_some() => {
                    steps.push((key, row));
                    key = row.successor.unwrap_or(key);
                }
                Some(row) => {
                    let why = format!(
                        "Area {key} ({}) was valid {} and has no successor in {AREAS}: ask for the area that took its place.",
                        row.name, row.validity
                    );
                    return Resolved::Nowhere(why, steps);
                }
                None => return Resolved::Nowhere(self.not_yet(key, rows), steps),
            }
        }
        Resolved::Nowhere(format!("Area {asked} has too many successors in a row in {AREAS}."), steps)
    }

    /// Why a key can't be asked before its first day, with the keys that it succeeds.
    fn not_yet(&self, key: AreaKey, rows: &[Area]) -> String {
        let mut before: Vec<AreaKey> = self
            .rows
            .iter()
            .filter(|(_, rows)| rows.iter().any(|row| row.successor == Some(key)))
            .map(|(key, _)| *key)
            .collect();
        before.sort();
        let hint = match before.first() {
            Some(old) if before.len() == 1 => format!("ask for its predecessor {old}"),
            Some(old) => format!("ask for the predecessor that is meant, e.g. {old}"),
            None => "check the date".to_owned(),
        };
        let first = rows.first();
        let name = first.map(|row| row.name.as_str()).unwrap_or_default();
        let validity = first.map(|row| row.validity).unwrap_or_default();
        format!("Area {key} ({name}) is not valid yet on that day, but {validity}: {hint}.")
    }

    /// The areas of 12 digits that are valid on a day, by key.
    pub(super) fn municipalities(&self, date: Date) -> Vec<(Ars, &str)> {
        let mut all: Vec<_> = self
            .rows
            .iter()
            .filter(|(key, _)| key.len() == 12)
            .filter_map(|(key, _)| Some((key.to_ars()?, self.valid(*key, date)?.name.as_str())))
            .collect();
        all.sort();
        all
    }
}
