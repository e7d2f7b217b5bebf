//! Dates and times (XSD 1.0 part 2, sections 3.2.7 to 3.2.14 and appendix E), on one line of seconds.

use std::cmp::Ordering;

use super::builtin::Primitive;

/// Digits that a number in a date or a duration may have, so that all of them can be reckoned with in 128 bits.
/// The standard leaves the bound to the processor (section 5.4).
pub(super) const MOST_DIGITS: usize = 28;

const DAY: i128 = 86_400;
const FOURTEEN_HOURS: i128 = 14 * 3_600;

/// A point in time, or the beginning of a day, month or year, or of one that recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment<S> {
    /// Which of the eight types.
    pub(super) kind: Primitive,
    /// Seconds on the proleptic Gregorian calendar: of UTC when zoned, else of the local clock.
    seconds: i128,
    /// Digits of the fraction of a second, without zeros at the end.
    fraction: S,
    /// Whether a time zone is given.
    zoned: bool,
}

impl Moment<&str> {
    pub(super) fn owned(self) -> Moment<Box<str>> {
        Moment { kind: self.kind, seconds: self.seconds, fraction: self.fraction.into(), zoned: self.zoned }
    }

    /// The order of section 3.2.7.4: `None` where it can't be told, because one has a zone and the other has none.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        if self.kind != other.kind {
            return None;
        }
        let at = |moment: Self, shift: i128| (moment.seconds + shift, moment.fraction);
        match (self.zoned, other.zoned) {
            (true, false) => {
                if at(self, 0) < at(other, -FOURTEEN_HOURS) {
                    Some(Ordering::Less)
                } else if at(self, 0) > at(other, FOURTEEN_HOURS) {
                    Some(Ordering::Greater)
                } else {
                    None
                }
            }
            (false, true) => other.order(self).map(Ordering::reverse),
            _ => Some(at(self, 0).cmp(&at(other, 0))),
        }
    }
}

impl Moment<Box<str>> {
    pub(super) fn view(&self) -> Moment<&str> {
        Moment { kind: self.kind, seconds: self.seconds, fraction: &self.fraction, zoned: self.zoned }
    }
}

/// What is left to read.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    #[inline]
    fn literal(&mut self, octet: u8) -> Option<()> {
        let found = *self.rest.as_bytes().first()? == octet;
        self.rest = if found { self.rest.get(1..)? } else { return None };
        Some(())
    }

    /// Two digits.
    #[inline]
    fn pair(&mut self) -> Option<i128> {
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] = self.rest.as_bytes() else {
            return None;
        };
        let value = i128::from((tens - b'0') * 10 + (ones - b'0'));
        self.rest = self.rest.get(2..)?;
        Some(value)
    }

    #[inline]
    fn digits(&mut self) -> &'t str {
        let end = self.rest.bytes().position(|octet| !octet.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    /// A year: four digits or more, then without leading zeros, and not 0000.
    fn year(&mut self) -> Option<i128> {
        let negative = self.literal(b'-').is_some();
        let digits = self.digits();
        let fits =
            digits.len() == 4 || digits.len() > 4 && digits.len() <= MOST_DIGITS && !digits.starts_with('0');
        let year = if fits { number(digits) } else { 0 };
        match (year, negative) {
            (0, _) => None,
            (year, true) => Some(-year),
            (year, false) => Some(year),
        }
    }

    /// `-MM`, its hyphen included.
    fn month(&mut self) -> Option<i128> {
        self.literal(b'-')?;
        self.pair().filter(|month| (1..=12).contains(month))
    }

    /// `-DD`, its hyphen included.
    fn day(&mut self, year: i128, month: i128) -> Option<i128> {
        self.literal(b'-')?;
        self.pair().filter(|day| (1..=days_in(year, month)).contains(day))
    }

    /// `hh:mm:ss(.s+)?` as seconds and the fraction's digits.
    fn clock(&mut self) -> Option<(i128, &'t str)> {
        let hour = self.pair()?;
        self.literal(b':')?;
        let minute = self.pair()?;
        self.literal(b':')?;
        let second = self.pair()?;
        let mut fraction = "";
        if self.literal(b'.').is_some() {
            let digits = self.digits();
            if digits.is_empty() {
                return None;
            }
            fraction = digits.trim_end_matches('0');
        }
        let midnight = hour == 24 && minute == 0 && second == 0 && fraction.is_empty();
        let fits = (hour < 24 || midnight) && minute < 60 && second < 60;
        fits.then_some((hour * 3_600 + minute * 60 + second, fraction))
    }

    /// Nothing, `Z`, or `±hh:mm` up to 14:00, at the end: seconds to the east.
    fn zone(&mut self) -> Option<Option<i128>> {
        let sign = match self.rest.as_bytes() {
            [] => return Some(None),
            b"Z" => return Some(Some(0)),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.rest = self.rest.get(1..)?;
        let hours = self.pair()?;
        self.literal(b':')?;
        let minutes = self.pair()?;
        let fits = self.rest.is_empty() && minutes < 60 && (hours < 14 || hours == 14 && minutes == 0);
        fits.then_some(Some(sign * (hours * 3_600 + minutes * 60)))
    }
}

/// The value of at most [`MOST_DIGITS`] digits.
pub(super) fn number(digits: &str) -> i128 {
    digits.bytes().fold(0, |value, octet| value * 10 + i128::from(octet.wrapping_sub(b'0')))
}

/// Appendix E takes the year as it is written, so -0004 is a leap year.
fn is_leap(year: i128) -> bool {
    let (_, rest) = cycles(year);
    rest % 4 == 0 && (rest % 100 != 0 || rest == 0)
}

/// The calendar repeats itself every 400 years: how often, and the rest. Divisions of 128 bits are slow and rarely needed.
fn cycles(years: i128) -> (i128, i64) {
    match i64::try_from(years) {
        Ok(years) => (years.div_euclid(400).into(), years.rem_euclid(400)),
        Err(_) => (years.div_euclid(400), years.rem_euclid(400) as i64),
    }
}

fn days_in(year: i128, month: i128) -> i128 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the beginning of the year 1 to the first of a month. Years count through 0.
pub(super) fn days_before(year: i128, month: i128) -> i128 {
    const BEFORE: [i128; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (cycles, rest) = cycles(year - 1);
    let past = cycles * 146_097 + i128::from(rest * 365 + rest / 4 - rest / 100);
    let months = usize::try_from(month - 1).ok().and_then(|at| BEFORE.get(at)).copied().unwrap_or_default();
    past + months + i128::from(month > 2 && is_leap(year))
}

/// The same for a year as it is written: there is no year 0, so those before it lie 366 days later.
fn days_before_written(year: i128, month: i128) -> i128 {
    days_before(year, month) + if year < 0 { 366 } else { 0 }
}

/// Reads a value of one of the eight types; `None` if it is none.
pub(super) fn read(kind: Primitive, text: &str) -> Option<Moment<&str>> {
    let mut reader = Reader { rest: text };
    // What a type leaves out is taken from a year and month that have all days.
    let (mut year, mut month, mut day, mut clock) = (1972, 12, 1, (0, ""));
    match kind {
        Primitive::DateTime | Primitive::Date => {
            year = reader.year()?;
            month = reader.month()?;
            day = reader.day(year, month)?;
            if kind == Primitive::DateTime {
                reader.literal(b'T')?;
                clock = reader.clock()?;
            }
        }
        Primitive::Time => {
            clock = reader.clock()?;
            // 24:00:00 is the same time of day as 00:00:00.
            clock.0 %= DAY;
        }
        Primitive::GYearMonth => {
            year = reader.year()?;
            month = reader.month()?;
        }
        Primitive::GYear => {
            year = reader.year()?;
            month = 1;
        }
        Primitive::GMonthDay => {
            reader.literal(b'-')?;
            month = reader.month()?;
            day = reader.day(year, month)?;
        }
        Primitive::GDay => {
            reader.literal(b'-')?;
            reader.literal(b'-')?;
            day = reader.day(year, month)?;
        }
        Primitive::GMonth => {
            reader.literal(b'-')?;
            month = reader.month()?;
        }
        _ => return None,
    }
    let zone = reader.zone()?;
    let local = (days_before_written(year, month) + day - 1) * DAY + clock.0;
    Some(Moment { kind, seconds: local - zone.unwrap_or_default(), fraction: clock.1, zoned: zone.is_some() })
}

#[cfg(test)]
mod tests;
