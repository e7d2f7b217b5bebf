//! Decimal numbers of any length (XSD 1.0 part 2, section 3.2.3), compared as strings of digits.

use std::cmp::Ordering;

/// A decimal number in normal form: no leading zeros before the point, none at the end behind it,
/// and zero is not negative. So equal numbers have equal fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decimal<S> {
    /// Less than zero.
    pub(super) negative: bool,
    /// Digits before the point.
    pub(super) integer: S,
    /// Digits behind it.
    pub(super) fraction: S,
}

impl<'t> Decimal<&'t str> {
    /// Reads `(+|-)? (digits ('.' digits?)? | '.' digits)`; without a point if `integer` is set.
    #[inline]
    pub(super) fn read(text: &'t str, integer: bool) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let mut point = None;
        for (at, octet) in digits.bytes().enumerate() {
            match octet {
                b'0'..=b'9' => {}
                b'.' if point.is_none() && !integer => point = Some(at),
                _ => return None,
            }
        }
        let (whole, fraction) = match point {
            Some(at) => (digits.get(..at)?, digits.get(at + 1..)?),
            None => (digits, ""),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            integer: whole,
            fraction,
        })
    }

    /// The same with its own digits.
    pub(super) fn owned(self) -> Decimal<Box<str>> {
        Decimal { negative: self.negative, integer: self.integer.into(), fraction: self.fraction.into() }
    }

    /// Digits that it needs (`totalDigits`, section 4.3.11): the least n with |v| = i × 10^-s, i < 10^n and s <= n.
    pub(super) fn total_digits(self) -> usize {
        match self.integer.is_empty() {
            // The zeros behind the point count: 0.001 needs s = 3.
            true => self.fraction.len().max(1),
            false => self.integer.len() + self.fraction.len(),
        }
    }

    /// The order of numbers.
    #[inline]
    pub(super) fn order(self, other: Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }

    fn magnitude(self, other: Self) -> Ordering {
        (self.integer.len(), self.integer, self.fraction).cmp(&(
            other.integer.len(),
            other.integer,
            other.fraction,
        ))
    }
}

impl Decimal<Box<str>> {
    pub(super) fn view(&self) -> Decimal<&str> {
        Decimal { negative: self.negative, integer: &self.integer, fraction: &self.fraction }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_decimals() {
        for good in
            ["0", "-0", "+1", "1.", ".5", "-.5", "00.00", "12345678901234567890123456789012345678901.5"]
        {
            assert!(Decimal::read(good, false).is_some(), "{good}");
        }
        for bad in ["", "+", "-", ".", "-.", "1e3", "1,5", "1.2.3", " 1", "+-1", "INF", "١"] {
            assert!(Decimal::read(bad, false).is_none(), "{bad}");
        }
        assert!(Decimal::read("1.", true).is_none());
        assert_eq!(Decimal::read("-0.00", false), Decimal::read("0", false));
        assert_eq!(Decimal::read("+01.50", false), Decimal::read("1.5", false));
        assert_eq!(Decimal::read("0.001", false).unwrap().total_digits(), 3);
        assert_eq!(Decimal::read("0", false).unwrap().total_digits(), 1);
        assert_eq!(Decimal::read("100.10", false).unwrap().total_digits(), 4);
    }

    proptest! {
        /// Numbers of six digits behind the point compare as their millionths do.
        #[test]
        fn compares_as_integers_do(a in -10_000_000_000_i64..10_000_000_000, b in -10_000_000_000_i64..10_000_000_000) {
            let text = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                format!("{sign}{}.{:06}", n.abs() / 1_000_000, n.abs() % 1_000_000)
            };
            let (x, y) = (text(a), text(b));
            let (x, y) = (Decimal::read(&x, false).unwrap(), Decimal::read(&y, false).unwrap());
            prop_assert_eq!(x.order(y), a.cmp(&b));
        }
    }
}
