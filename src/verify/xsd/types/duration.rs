//! Durations (XSD 1.0 part 2, section 3.2.6).

use std::cmp::Ordering;

use super::calendar::{MOST_DIGITS, days_before, number};

/// A duration: months and seconds don't convert into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Duration<S> {
    /// Less than zero.
    negative: bool,
    months: i128,
    seconds: i128,
    /// Digits of the fraction of a second, without zeros at the end.
    fraction: S,
}

impl<'t> Duration<&'t str> {
    /// Reads `-?PnYnMnDTnHnMnS`: at least one number, and one behind a `T`.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        rest = rest.strip_prefix('P').filter(|rest| !rest.is_empty())?;
        let mut found = Self { negative, months: 0, seconds: 0, fraction: "" };
        // The units that may still come; those behind the `T` after it.
        let mut units: &[(u8, i128)] = &[(b'Y', 12), (b'M', 1), (b'D', 86_400)];
        let mut timed = false;
        while !rest.is_empty() {
            if let Some(time) = rest.strip_prefix('T').filter(|time| !timed && !time.is_empty()) {
                timed = true;
                rest = time;
                units = &[(b'H', 3_600), (b'M', 60), (b'S', 1)];
            }
            let end = rest.bytes().position(|octet| !octet.is_ascii_digit())?;
            let (digits, after) = rest.split_at(end);
            let significant = digits.trim_start_matches('0');
            if digits.is_empty() || significant.len() > MOST_DIGITS {
                return None;
            }
            let mut unit = *after.as_bytes().first()?;
            rest = after.get(1..)?;
            if unit == b'.' && timed {
                let end = rest.bytes().position(|octet| !octet.is_ascii_digit())?;
                found.fraction = rest.get(..end).filter(|digits| !digits.is_empty())?.trim_end_matches('0');
                unit = *rest.as_bytes().get(end)?;
                rest = rest.get(end + 1..).filter(|_| unit == b'S')?;
            }
            let at = units.iter().position(|(name, _)| *name == unit)?;
            let value = number(significant) * units.get(at)?.1;
            units = units.get(at + 1..)?;
            match unit {
                b'Y' => found.months += value,
                b'M' if !timed => found.months += value,
                _ => found.seconds += value,
            }
        }
        found.negative &= found.months != 0 || found.seconds != 0 || !found.fraction.is_empty();
        Some(found)
    }

    pub(super) fn owned(self) -> Duration<Box<str>> {
        Duration {
            negative: self.negative,
            months: self.months,
            seconds: self.seconds,
            fraction: self.fraction.into(),
        }
    }

    /// The order of section 3.2.6.2: that of the ends when both begin at each of four dates; `None` when these differ.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        const BEGINNINGS: [(i128, i128); 4] = [(1696, 9), (1697, 2), (1903, 3), (1903, 7)];
        let mut orders = BEGINNINGS.iter().map(|beginning| self.ends_after(other, *beginning));
        let first = orders.next()?;
        orders.all(|order| order == first).then_some(first)
    }

    fn ends_after(self, other: Self, beginning: (i128, i128)) -> Ordering {
        let (mine, theirs) = (self.end(beginning), other.end(beginning));
        match (self.negative, other.negative) {
            (false, false) => (mine, self.fraction).cmp(&(theirs, other.fraction)),
            (true, true) => (mine, other.fraction).cmp(&(theirs, self.fraction)),
            (true, false) => other.ends_after(self, beginning).reverse(),
            // The fractions point away from each other: together they make less than two seconds.
            (false, true) => match mine - theirs {
                1.. => Ordering::Greater,
                0 if self.fraction.is_empty() && other.fraction.is_empty() => Ordering::Equal,
                0 => Ordering::Greater,
                -1 => against_one(self.fraction, other.fraction),
                _ => Ordering::Less,
            },
        }
    }

    /// Whole seconds of the end, when it begins on the first of a month.
    fn end(self, (year, month): (i128, i128)) -> i128 {
        let sign = if self.negative { -1 } else { 1 };
        let months = year * 12 + (month - 1) + sign * self.months;
        days_before(months.div_euclid(12), months.rem_euclid(12) + 1) * 86_400 + sign * self.seconds
    }
}

/// The order of 0.a + 0.b and 1, for digits without zeros at the end.
fn against_one(a: &str, b: &str) -> Ordering {
    let (Some(last), b) = (b.len().checked_sub(1), b.as_bytes()) else {
        // 0.a alone is less than one.
        return Ordering::Less;
    };
    // What b lacks to one: nine's complements, and ten's at the end.
    let lacks = b.iter().enumerate().map(|(at, octet)| match at == last {
        true => b'9' + 1 - octet + b'0',
        false => b'9' - octet + b'0',
    });
    a.bytes().cmp(lacks)
}

impl Duration<Box<str>> {
    pub(super) fn view(&self) -> Duration<&str> {
        Duration {
            negative: self.negative,
            months: self.months,
            seconds: self.seconds,
            fraction: &self.fraction,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_durations() {
        for good in [
            "P1Y",
            "P1M",
            "P1D",
            "PT1H",
            "PT1M",
            "PT1S",
            "PT1.5S",
            "-P1Y2M3DT4H5M6.7S",
            "P0D",
            "P1YT1S",
            "PT0.0S",
            "P00000000000000000000000000000000001Y",
        ] {
            assert!(Duration::read(good).is_some(), "{good}");
        }
        for bad in [
            "", "P", "-P", "PT", "P1YT", "P1", "1Y", "P1S", "PT1Y", "P1M1Y", "PT1S1M", "P1.5D", "PT1.S",
            "PT.5S", "PT1.5M", "+P1D", "P-1D", "P1D ", "PT1H1H", "P1DTT1H", "PTT1H", "P1H", "p1d", "P1Y1",
            "PT1.5",
        ] {
            assert!(Duration::read(bad).is_none(), "{bad}");
        }
        assert_eq!(Duration::read("P1Y"), Duration::read("P12M"));
        assert_eq!(Duration::read("P1D"), Duration::read("PT24H"));
        assert_eq!(Duration::read("-PT0S"), Duration::read("P0Y"));
        assert_eq!(Duration::read("PT1.50S"), Duration::read("PT1.5S"));
        assert_ne!(Duration::read("P1M"), Duration::read("P30D"));
    }

    #[test]
    fn orders_durations() {
        let order = |a, b| Duration::read(a).unwrap().order(Duration::read(b).unwrap());
        // The table of section 3.2.6.2.
        for (least, open, most) in
            [("P364D", ["P365D", "P366D"].as_slice(), "P367D"), ("P364D", &["P365D"], "P367D")]
        {
            assert_eq!(order("P1Y", least), Some(Ordering::Greater));
            assert!(open.iter().all(|open| order("P1Y", open).is_none()));
            assert_eq!(order("P1Y", most), Some(Ordering::Less));
        }
        for (months, least, open, most) in [
            ("P1M", "P27D", ["P28D", "P29D", "P30D", "P31D"].as_slice(), "P32D"),
            ("P5M", "P149D", &["P150D", "P151D", "P152D", "P153D"], "P154D"),
        ] {
            assert_eq!(order(months, least), Some(Ordering::Greater));
            assert!(open.iter().all(|open| order(months, open).is_none()));
            assert_eq!(order(months, most), Some(Ordering::Less));
        }
        assert_eq!(order("PT0.5S", "-PT0.5S"), Some(Ordering::Greater));
        assert_eq!(order("-PT1.5S", "-PT1.4S"), Some(Ordering::Less));
    }

    proptest! {
        #[test]
        fn fractions_add_up(a in 0_u32..1000, b in 0_u32..1000) {
            let (x, y) = (format!("{a:03}"), format!("{b:03}"));
            let found = against_one(x.trim_end_matches('0'), y.trim_end_matches('0'));
            prop_assert_eq!(found, (a + b).cmp(&1000));
        }
    }
}
