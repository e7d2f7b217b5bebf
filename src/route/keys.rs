//! Keys packed into one number each, so that a lookup hashes and compares a word: areas (ARS),
//! service keys and groups of them; and the days between which something is valid.

use std::fmt;

use jiff::civil::Date;

use crate::domain::{Ars, ServiceKey};

/// An ARS of 2 to 12 digits: its value and, in the lowest four bits, its number of digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct AreaKey(u64);

impl AreaKey {
    /// Packs an area key.
    pub(super) fn of(ars: &Ars) -> Self {
        let text = ars.as_str();
        Self(digits(text) * 16 + text.len() as u64)
    }

    /// Number of digits: 2 Land, 3 Bezirk, 5 Kreis, 9 Verband, 12 Gemeinde.
    pub(super) fn len(self) -> u32 {
        (self.0 % 16) as u32
    }

    /// This area and those above it, the most exact first.
    pub(super) fn climb(self) -> impl Iterator<Item = Self> {
        let (own, value) = (self.len(), self.0 / 16);
        [12, 9, 5, 3, 2]
            .into_iter()
            .filter(move |len| *len <= own)
            .map(move |len| Self(value / 10_u64.pow(own - len) * 16 + u64::from(len)))
    }

    /// The German name of its level.
    pub(super) fn level(self) -> &'static str {
        match self.len() {
            2 => "Land",
            3 => "Bezirk",
            5 => "Kreis",
            9 => "Verband",
            _ => "Gemeinde",
        }
    }

    /// Whether areas of this level are listed in their own right. The code lists have no rows for
    /// Bezirk and Verband: they exist where an area below them does.
    pub(super) fn is_listed_level(self) -> bool {
        !matches!(self.len(), 3 | 9)
    }

    /// As an ARS again.
    pub(super) fn to_ars(self) -> Option<Ars> {
        self.to_string().parse().ok()
    }
}

impl fmt::Display for AreaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0 / 16, width = self.len() as usize)
    }
}

/// Digits of a LeiKa key: 99, group 3, object 3, action (Verrichtung) 3, detail 3.
const SERVICE_DIGITS: usize = 14;
/// The lengths of the groups of services, most exact first: all details of an action, all
/// actions of an object, all objects of a group.
const GROUPS: [u32; 3] = [11, 8, 5];

/// A service key, or a group of them by their common beginning (`99102013*`): the digits filled up
/// with zeros, and in the lowest four bits how many of them count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ServicePattern(u64);

impl ServicePattern {
    /// The pattern that is exactly this key.
    pub(super) fn exact(key: &ServiceKey) -> Self {
        Self(digits(key.as_str()) * 16 + SERVICE_DIGITS as u64)
    }

    /// Reads `99102013104000` or `99102013*`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(beginning) = text.strip_suffix('*') else {
            return text
                .parse::<ServiceKey>()
                .map(|key| Self::exact(&key))
                .map_err(|fault| fault.to_string());
        };
        let len = beginning.len();
        let counts = beginning.bytes().all(|c| c.is_ascii_digit())
            && beginning.starts_with("99")
            && GROUPS.iter().any(|group| *group as usize == len);
        if !counts {
            let shown: String = text.chars().take(40).collect();
            return Err(format!(
                "{shown:?} is no group of services: write the first 5, 8 or 11 digits of a LeiKa key and a *"
            ));
        }
        let zeros = (SERVICE_DIGITS - len) as u32;
        Ok(Self(digits(beginning) * 10_u64.pow(zeros) * 16 + len as u64))
    }

    /// Number of digits that count: 14, 11, 8 or 5.
    pub(super) fn len(self) -> u32 {
        (self.0 % 16) as u32
    }

    /// All patterns that match this exact key, the most exact first.
    pub(super) fn widening(self) -> impl Iterator<Item = Self> {
        std::iter::once(self).chain(GROUPS.into_iter().map(move |len| self.cut(len)))
    }

    /// The first and the last pattern of this key's object (8 digits): everything that could be
    /// mistaken for it.
    pub(super) fn object_range(self) -> (Self, Self) {
        let low = self.cut(8).0 / 16;
        (Self(low * 16), Self((low + 999_999) * 16 + 15))
    }

    /// Whether a key is exactly this one, or one of this group.
    pub(super) fn matches(self, key: Self) -> bool {
        self.len() <= key.len() && key.cut(self.len()) == self
    }

    /// This key cut to its first `len` digits.
    fn cut(self, len: u32) -> Self {
        let unit = 10_u64.pow((SERVICE_DIGITS as u32).saturating_sub(len));
        Self(self.0 / 16 / unit * unit * 16 + u64::from(len))
    }
}

impl fmt::Display for ServicePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len();
        let value = self.0 / 16 / 10_u64.pow((SERVICE_DIGITS as u32).saturating_sub(len));
        write!(f, "{value:0width$}", width = len as usize)?;
        if (len as usize) < SERVICE_DIGITS { f.write_str("*") } else { Ok(()) }
    }
}

/// The value of a text of at most 14 digits, which its type has checked.
fn digits(text: &str) -> u64 {
    text.bytes().fold(0_u64, |value, c| value.wrapping_mul(10).wrapping_add(u64::from(c.wrapping_sub(b'0'))))
}

/// The days on which something is valid, both inclusive; `None` = no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Validity {
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
}

impl Validity {
    /// Whether `date` is one of the days.
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }

    /// Whether there is a day that both contain.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let meets = |from: Option<Date>, to: Option<Date>| match (from, to) {
            (Some(from), Some(to)) => from <= to,
            _ => true,
        };
        meets(self.from, other.to) && meets(other.from, self.to)
    }

    /// Whether the first day is after the last one.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from > to)
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (None, None) => f.write_str("without time limit"),
            (Some(from), None) => write!(f, "from {from}"),
            (None, Some(to)) => write!(f, "until {to}"),
            (Some(from), Some(to)) => write!(f, "from {from} until {to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_keys_read_back_as_they_were_written() {
        for text in ["06", "064", "06411", "065340014", "064110000000", "010000000000"] {
            assert_eq!(AreaKey::of(&text.parse().unwrap()).to_string(), text);
        }
        for text in ["99102013104000", "99102013104*", "99102013*", "99102*"] {
            assert_eq!(ServicePattern::parse(text).unwrap().to_string(), text);
        }
        for bad in ["9910201310*", "*", "99*", "98102*", "99102x13*", "9910201310400", "99102013104000*", ""]
        {
            assert!(ServicePattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_climb_is_that_of_the_domain() {
        for text in ["06", "064", "06411", "065340014", "065340014014"] {
            let ars: Ars = text.parse().unwrap();
            let packed: Vec<_> = AreaKey::of(&ars).climb().map(|key| key.to_string()).collect();
            assert_eq!(packed, ars.climb().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_key_widens_to_the_groups_it_belongs_to() {
        let key = ServicePattern::parse("99102013104000").unwrap();
        let wide: Vec<_> = key.widening().map(|pattern| pattern.to_string()).collect();
        assert_eq!(wide, ["99102013104000", "99102013104*", "99102013*", "99102*"]);
        assert!(key.widening().all(|pattern| pattern.matches(key)));
        assert!(!ServicePattern::parse("99102014*").unwrap().matches(key));
        let (low, high) = key.object_range();
        let other = ServicePattern::parse("99102013070000").unwrap();
        assert!(low < other && other < high);
        assert!(ServicePattern::parse("99102014000000").unwrap() > high);
    }

    #[test]
    fn both_days_of_a_validity_count() {
        let day = |text: &str| Some(text.parse::<Date>().unwrap());
        let span = Validity { from: day("2026-01-01"), to: day("2026-12-31") };
        assert!(span.contains("2026-01-01".parse().unwrap()) && span.contains("2026-12-31".parse().unwrap()));
        assert!(
            !span.contains("2025-12-31".parse().unwrap()) && !span.contains("2027-01-01".parse().unwrap())
        );
        assert!(span.overlaps(&Validity { from: day("2026-12-31"), to: None }));
        assert!(!span.overlaps(&Validity { from: day("2027-01-01"), to: None }));
        assert!(Validity { from: day("2026-01-02"), to: day("2026-01-01") }.is_reversed());
    }
}
