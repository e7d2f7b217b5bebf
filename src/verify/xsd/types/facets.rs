//! Constraining facets (XSD 1.0 part 2, section 4.3), ready to be checked.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::builtin::Primitive;
use super::fault::{Fault, Unit};
use super::pattern::Pattern;
use super::value::{Form, Read, Value};

/// A constraining facet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Facet {
    Length,
    MinLength,
    MaxLength,
    Pattern,
    Enumeration,
    WhiteSpace,
    MaxInclusive,
    MaxExclusive,
    MinInclusive,
    MinExclusive,
    TotalDigits,
    FractionDigits,
}

impl Facet {
    /// Its element's local name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::MinLength => "minLength",
            Self::MaxLength => "maxLength",
            Self::Pattern => "pattern",
            Self::Enumeration => "enumeration",
            Self::WhiteSpace => "whiteSpace",
            Self::MaxInclusive => "maxInclusive",
            Self::MaxExclusive => "maxExclusive",
            Self::MinInclusive => "minInclusive",
            Self::MinExclusive => "minExclusive",
            Self::TotalDigits => "totalDigits",
            Self::FractionDigits => "fractionDigits",
        }
    }

    pub(super) fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A least or greatest value.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) value: Value,
    pub(super) inclusive: bool,
    pub(super) shown: Arc<str>,
}

/// The facets of a type, those of its bases included.
#[derive(Clone, Default)]
pub(super) struct Facets {
    pub(super) length: Option<u64>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
    pub(super) total_digits: Option<u64>,
    pub(super) fraction_digits: Option<u64>,
    pub(super) min: Option<Bound>,
    pub(super) max: Option<Bound>,
    /// One for each restriction that has any; all have to match.
    pub(super) patterns: Vec<Arc<Pattern>>,
    pub(super) enumeration: Option<Arc<Enumeration>>,
    /// Bits of those that may not be changed any more.
    pub(super) fixed: u16,
}

/// Up to so many values a look at each is faster than a table.
const FEW: usize = 8;

/// The allowed values. A further restriction names some of them, so only the last one counts.
pub(super) struct Enumeration {
    values: Vec<Value>,
    texts: HashSet<Box<str>>,
    many: HashSet<Value>,
}

impl Enumeration {
    pub(super) fn new(values: Vec<Value>) -> Self {
        let text = |value: &Value| match &value.0 {
            Form::Text(Primitive::String, text) => Some(text.clone()),
            _ => None,
        };
        let (mut texts, mut many) = (HashSet::new(), HashSet::new());
        if values.len() > FEW {
            texts = values.iter().filter_map(text).collect();
            many = values.iter().cloned().collect();
        }
        Self { values, texts, many }
    }

    fn has(&self, read: Read<'_>) -> bool {
        match read {
            _ if self.values.len() <= FEW => self.values.iter().any(|value| read.is(value)),
            Read::Text(Primitive::String, text) => self.texts.contains(text),
            read => self.many.contains(&read.owned()),
        }
    }

    pub(super) fn holds(&self, value: &Value) -> Result<(), Fault> {
        let found =
            if self.values.len() <= FEW { self.values.contains(value) } else { self.many.contains(value) };
        if found { Ok(()) } else { Err(Fault::Enumeration(self.values.len())) }
    }
}

impl Facets {
    /// Whether none is set.
    pub(super) fn none(&self) -> bool {
        self.length.is_none()
            && self.min_length.is_none()
            && self.max_length.is_none()
            && self.total_digits.is_none()
            && self.fraction_digits.is_none()
            && self.min.is_none()
            && self.max.is_none()
            && self.patterns.is_empty()
            && self.enumeration.is_none()
    }

    /// Checks an atomic value whose normalised text is `text`.
    #[inline]
    pub(super) fn check(&self, text: &str, read: Read<'_>) -> Result<(), Fault> {
        self.check_length(read)?;
        self.check_patterns(text)?;
        if let Read::Decimal(decimal) = read {
            if let Some(most) = self.fraction_digits.filter(|most| decimal.fraction.len() as u64 > *most) {
                return Err(Fault::FractionDigits(most));
            }
            if let Some(most) = self.total_digits.filter(|most| decimal.total_digits() as u64 > *most) {
                return Err(Fault::TotalDigits(most));
            }
        }
        self.check_bounds(|bound| read.order(bound))?;
        match &self.enumeration {
            Some(allowed) if !allowed.has(read) => Err(Fault::Enumeration(allowed.values.len())),
            _ => Ok(()),
        }
    }

    fn check_length(&self, read: Read<'_>) -> Result<(), Fault> {
        if self.length.is_none() && self.min_length.is_none() && self.max_length.is_none() {
            return Ok(());
        }
        match read {
            Read::Text(_, text) => {
                // A character has at most four octets: often that is enough to know.
                let octets = text.len() as u64;
                let surely = self.length.is_none()
                    && self.max_length.is_none_or(|most| octets <= most)
                    && self.min_length.is_none_or(|least| octets.div_ceil(4) >= least);
                if surely { Ok(()) } else { self.check_count(text.chars().count(), Unit::Characters) }
            }
            Read::Octets(_, _, length) => self.check_count(length, Unit::Octets),
            // Part 2, erratum E2-36: lengths of qualified names mean nothing.
            _ => Ok(()),
        }
    }

    /// Checks a length.
    pub(super) fn check_count(&self, count: usize, unit: Unit) -> Result<(), Fault> {
        let count = count as u64;
        if let Some(length) = self.length.filter(|length| count != *length) {
            return Err(Fault::Length(length, unit));
        }
        if let Some(least) = self.min_length.filter(|least| count < *least) {
            return Err(Fault::MinLength(least, unit));
        }
        match self.max_length.filter(|most| count > *most) {
            Some(most) => Err(Fault::MaxLength(most, unit)),
            None => Ok(()),
        }
    }

    #[inline]
    pub(super) fn check_patterns(&self, text: &str) -> Result<(), Fault> {
        match self.patterns.iter().find(|pattern| !pattern.is_match(text)) {
            Some(pattern) => Err(Fault::Pattern(pattern.shown().clone())),
            None => Ok(()),
        }
    }

    /// Checks the bounds for a value whose order to others is `order`. What can't be compared is out of bounds.
    #[inline]
    pub(super) fn check_bounds(&self, order: impl Fn(&Value) -> Option<Ordering>) -> Result<(), Fault> {
        if let Some(bound) = &self.min {
            match order(&bound.value) {
                Some(Ordering::Greater) => {}
                Some(Ordering::Equal) if bound.inclusive => {}
                _ => {
                    let words = if bound.inclusive { "at least" } else { "greater than" };
                    return Err(Fault::Bound(words, bound.shown.clone()));
                }
            }
        }
        if let Some(bound) = &self.max {
            match order(&bound.value) {
                Some(Ordering::Less) => {}
                Some(Ordering::Equal) if bound.inclusive => {}
                _ => {
                    let words = if bound.inclusive { "at most" } else { "less than" };
                    return Err(Fault::Bound(words, bound.shown.clone()));
                }
            }
        }
        Ok(())
    }
}
