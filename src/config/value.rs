//! Converters from TOML values: spans of time, sizes, numbers, paths, identifiers. Each answers
//! with a sentence that says what to write instead.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Converted, Reading, Section};

/// The path of a private key's file. Debug output does not show it, so that a configuration can
/// be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// A key file at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(redacted)")
    }
}

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Converted<&'v str> {
    value.as_str().ok_or_else(|| format!("must be a text in quotes, not a {}", value.type_str()))
}

pub(super) fn boolean(value: &DeValue<'_>) -> Converted<bool> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not a {}", value.type_str()))
}

/// Anything whose text form has a parser that explains itself.
pub(super) fn parsed<T>(value: &DeValue<'_>) -> Converted<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// A whole number within `range`.
pub(super) fn number(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Converted<u64> {
    move |value| {
        let wrong = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let integer = value.as_integer().ok_or_else(wrong)?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| wrong())?;
        if range.contains(&number) { Ok(number) } else { Err(wrong()) }
    }
}

/// As [`number`], for counts in memory.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Converted<usize> {
    let number = number(range);
    move |value| {
        number(value).and_then(|n| usize::try_from(n).map_err(|_| "is too large for this machine".to_owned()))
    }
}

/// A size: a number of octets, or a text such as `"64 KiB"`.
pub(super) fn octets(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Converted<u64> {
    move |value| {
        let wrong = || "must be a size such as 4096, \"64 KiB\", \"16 MiB\" or \"1 GiB\"".to_owned();
        let octets = match value.as_str() {
            Some(text) => parse_octets(text).ok_or_else(wrong)?,
            None => {
                let integer = value.as_integer().ok_or_else(wrong)?;
                u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| wrong())?
            }
        };
        if range.contains(&octets) {
            Ok(octets)
        } else {
            Err(format!("must lie between {} and {} octets", range.start(), range.end()))
        }
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim()))
}

fn parse_octets(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A span of time such as `"500 ms"`, `"30 s"`, `"5 min"`, `"2 h"`, `"14 d"`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Converted<Duration> {
    move |value| {
        let wrong = || {
            "must be a span of time such as \"500 ms\", \"30 s\", \"5 min\", \"2 h\" or \"14 d\"".to_owned()
        };
        let span = parse_duration(value.as_str().ok_or_else(wrong)?).ok_or_else(wrong)?;
        if range.contains(&span) {
            Ok(span)
        } else {
            Err(format!("must lie between {:?} and {:?}", range.start(), range.end()))
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// One value, or a list of them.
pub(super) fn one_or_more<T>(
    convert: impl Fn(&DeValue<'_>) -> Converted<T>,
) -> impl Fn(&DeValue<'_>) -> Converted<Vec<T>> {
    move |value| match value {
        DeValue::Array(_) => list(&convert)(value),
        other => Ok(vec![convert(other)?]),
    }
}

/// A list; all its faulty items are named at once.
pub(super) fn list<T>(
    convert: impl Fn(&DeValue<'_>) -> Converted<T>,
) -> impl Fn(&DeValue<'_>) -> Converted<Vec<T>> {
    move |value| {
        let items =
            value.as_array().ok_or_else(|| format!("must be a list in [ ], not a {}", value.type_str()))?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match convert(item.get_ref()) {
                Ok(item) => good.push(item),
                Err(problem) => bad.push(format!("item {} {problem}", index + 1)),
            }
        }
        if bad.is_empty() { Ok(good) } else { Err(bad.join("; ")) }
    }
}

/// What must be found at a path when the configuration is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// Nothing yet.
    Anything,
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Either.
    FileOrFolder,
}

fn place(reading: &Reading<'_>, there: There, value: &DeValue<'_>) -> Converted<PathBuf> {
    let written = text(value)?;
    if written.contains("-----BEGIN") {
        // The value is not repeated: it may be a private key.
        return Err("must be the path of a PEM file, not its content".to_owned());
    }
    if written.is_empty() {
        return Err("must be a path, not an empty text".to_owned());
    }
    let path = reading.path(written);
    if there == There::Anything {
        return Ok(path);
    }
    let found = std::fs::metadata(&path).map_err(|error| {
        format!("can't be read at {}: {error}; correct the path or its permissions", path.display())
    })?;
    match there {
        There::File if !found.is_file() => Err(format!("must be a file, and {} is none", path.display())),
        There::Folder if !found.is_dir() => Err(format!("must be a folder, and {} is none", path.display())),
        _ => Ok(path),
    }
}

impl<'r, 't> Section<'r, 't> {
    /// A converter of paths, relative to the configuration's folder.
    pub(super) fn at(&self, there: There) -> impl Fn(&DeValue<'_>) -> Converted<PathBuf> + use<'r, 't> {
        let reading = self.reading();
        move |value| place(reading, there, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_read_with_their_units() {
        assert_eq!(parse_octets("64 KiB"), Some(65_536));
        assert_eq!(parse_octets("1GiB"), Some(1 << 30));
        assert_eq!(parse_octets("7"), Some(7));
        assert_eq!(parse_octets("7 MB"), None);
        assert_eq!(parse_octets("99999999999999999999 TiB"), None);
        assert_eq!(parse_octets("18446744073709551615 KiB"), None);
        assert_eq!(parse_duration("500 ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("14 d"), Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_duration("5min"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("5"), None);
        assert_eq!(parse_duration("soon"), None);
    }

    #[test]
    fn key_files_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", KeyFile::new("/etc/secret/gateway.key")).contains("gateway.key"));
    }
}
