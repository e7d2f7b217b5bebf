//! Tests of dates and times.

use proptest::prelude::*;

use super::*;

#[test]
fn reads_moments() {
    for (kind, good, bad) in [
        (
            Primitive::DateTime,
            [
                "2026-05-31T12:00:00",
                "2026-05-31T24:00:00Z",
                "-0001-01-01T00:00:00.5-14:00",
                "12026-05-31T00:00:00",
                "2000-02-29T23:59:59.999999999999999999999999999",
            ]
            .as_slice(),
            [
                "2026-05-31",
                "0000-01-01T00:00:00",
                "2026-05-31T24:00:01",
                "2026-05-31T12:00",
                "2026-02-29T00:00:00",
                "2026-05-31T12:00:00+14:01",
                "02026-05-31T00:00:00",
                "+2026-05-31T00:00:00",
                "2026-05-31T12:00:60",
                "2026-05-31T12:00:00.",
                "2026-05-31 12:00:00",
                "2026-05-31T12:00:00z",
                "226-05-31T12:00:00",
            ]
            .as_slice(),
        ),
        (
            Primitive::Date,
            &["2026-05-31", "2024-02-29+01:00", "1900-02-28Z"],
            &["1900-02-29", "2026-13-01", "2026-5-1", "2026-05-32", "2026-05-31+1:00"],
        ),
        (
            Primitive::Time,
            &["00:00:00", "24:00:00", "23:59:59.9Z"],
            &["24:00:00.1", "1:00:00", "12:60:00", "12:00"],
        ),
        (Primitive::GYearMonth, &["2026-05", "-0044-03Z"], &["2026", "2026-00", "2026-05-01"]),
        (Primitive::GYear, &["2026", "-0044", "12026Z"], &["26", "0000", "2026-", "-0000"]),
        (Primitive::GMonthDay, &["--02-29", "--12-31Z"], &["--02-30", "--13-01", "-12-31", "--04-31"]),
        (Primitive::GDay, &["---31", "---01+02:00"], &["---32", "--31", "---00", "---1"]),
        (Primitive::GMonth, &["--05", "--05Z"], &["--05--", "--13", "-05", "--5", "---05"]),
    ] {
        assert_eq!(good.iter().find(|text| read(kind, text).is_none()), None, "{kind:?}");
        assert_eq!(bad.iter().find(|text| read(kind, text).is_some()), None, "{kind:?}");
    }
}

#[test]
fn orders_moments() {
    let order = |a, b| read(Primitive::DateTime, a).unwrap().order(read(Primitive::DateTime, b).unwrap());
    // The table of section 3.2.7.4.
    for (a, b, expected) in [
        ("2000-01-15T00:00:00", "2000-02-15T00:00:00", Some(Ordering::Less)),
        ("2000-01-15T12:00:00", "2000-01-16T12:00:00Z", Some(Ordering::Less)),
        ("2000-01-01T12:00:00", "1999-12-31T23:00:00Z", None),
        ("2000-01-16T12:00:00", "2000-01-16T12:00:00Z", None),
        ("2000-01-16T00:00:00", "2000-01-16T12:00:00Z", None),
        ("2000-01-01T24:00:00", "2000-01-02T00:00:00", Some(Ordering::Equal)),
        ("2000-01-01T12:00:00+02:00", "2000-01-01T10:00:00Z", Some(Ordering::Equal)),
        ("-0001-12-31T23:00:00-01:00", "0001-01-01T00:00:00Z", Some(Ordering::Equal)),
        ("2000-01-01T12:00:00.10", "2000-01-01T12:00:00.1", Some(Ordering::Equal)),
        ("2000-01-01T12:00:00.09", "2000-01-01T12:00:00.1", Some(Ordering::Less)),
    ] {
        assert_eq!(order(a, b), expected, "{a} {b}");
        assert_eq!(order(b, a), expected.map(Ordering::reverse), "{b} {a}");
    }
}

proptest! {
    /// Counting the days one by one gives the same.
    #[test]
    fn counts_days(year in 1_i128..3000, month in 1_i128..=12) {
        let before: i128 = (1..year).map(|y| if is_leap(y) { 366 } else { 365 }).sum();
        let in_year: i128 = (1..month).map(|m| days_in(year, m)).sum();
        prop_assert_eq!(days_before(year, month), before + in_year);
    }

    #[test]
    fn never_panics(text in "[-0-9TZ:.+]{0,40}") {
        for kind in [Primitive::DateTime, Primitive::Date, Primitive::Time, Primitive::GYear, Primitive::GMonth] {
            let _read = read(kind, &text);
        }
    }
}
