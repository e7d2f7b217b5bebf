//! Reads `endpoints.toml`: one `[[endpoint]]` table per endpoint, unknown keys refused, every fault
//! with its line.

mod push;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::Faults;
use super::files::ENDPOINTS as FILE;
use crate::domain::{Endpoint, EndpointId, Transport};

/// Endpoints at most.
const MAX_ENDPOINTS: usize = 10_000;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Keys of a push endpoint, and those of a mailbox.
const PUSH_KEYS: [&str; 16] = [
    "id",
    "kind",
    "protocol",
    "url",
    "send_url",
    "management_url",
    "author",
    "reader",
    "ca",
    "timeout",
    "concurrency",
    "backoff_min",
    "backoff_max",
    "warn_after",
    "return_after",
    "encryption",
];
const MAILBOX_KEYS: [&str; 6] = ["id", "kind", "lease", "warn_after", "return_after", "encryption"];

/// All endpoints by name, each with its line.
pub(super) fn read(
    text: &str,
    folder: Option<&Path>,
    faults: &mut Faults,
) -> BTreeMap<EndpointId, (Arc<Endpoint>, usize)> {
    let mut endpoints: BTreeMap<EndpointId, (Arc<Endpoint>, usize)> = BTreeMap::new();
    let lines = LineStarts::of(text);
    let (document, wrong) = DeTable::parse_recoverable(text);
    for fault in &wrong {
        let line = fault.span().map_or(0, |span| lines.line(span.start));
        faults.add(FILE, line, format_args!("no TOML: {}", fault.message()));
    }
    if !wrong.is_empty() {
        return endpoints;
    }
    for (key, value) in document.get_ref() {
        let line = lines.line(key.span().start);
        let tables = match (key.get_ref().as_ref(), value.get_ref()) {
            ("endpoint", DeValue::Array(tables)) => tables,
            _ => {
                let key = shown(key.get_ref());
                faults.add(FILE, line, format_args!("unknown key {key:?}; write [[endpoint]] tables only"));
                continue;
            }
        };
        if tables.len() > MAX_ENDPOINTS {
            faults.add(FILE, line, format_args!("more than {MAX_ENDPOINTS} endpoints"));
            return endpoints;
        }
        for table in tables.iter() {
            let line = lines.line(table.span().start);
            let DeValue::Table(keys) = table.get_ref() else {
                faults.add(FILE, line, "an endpoint is a table: write [[endpoint]]");
                continue;
            };
            let Some(endpoint) = (Reader { lines: &lines, line, keys, folder, faults }).endpoint() else {
                continue;
            };
            if let Some((_, other)) = endpoints.get(&endpoint.id) {
                let id = &endpoint.id;
                faults.add(FILE, line, format_args!("endpoint {id} stands in line {other} too; rename one"));
            } else {
                endpoints.insert(endpoint.id.clone(), (Arc::new(endpoint), line));
            }
        }
    }
    endpoints
}

/// Reads one table.
struct Reader<'a, 't> {
    lines: &'a LineStarts,
    line: usize,
    keys: &'a DeTable<'t>,
    folder: Option<&'a Path>,
    faults: &'a mut Faults,
}

impl<'a, 't> Reader<'a, 't> {
    fn endpoint(&mut self) -> Option<Endpoint> {
        let id = match self.string("id") {
            Some((text, line)) => self.faults.take(FILE, line, text.parse::<EndpointId>()),
            None => self.missing("id", "its name, e.g. \"darmstadt-push\""),
        };
        let transport = match self.string("kind") {
            Some(("push", _)) => {
                self.refuse_others(&PUSH_KEYS, "a push endpoint");
                self.push()
            }
            Some(("mailbox", _)) => {
                self.refuse_others(&MAILBOX_KEYS, "a mailbox");
                self.duration("lease", 10 * 60 * SECOND, 10 * SECOND, DAY)
                    .map(|lease| Transport::Mailbox { lease })
            }
            Some((_, line)) => self.fault(line, "kind is \"push\" or \"mailbox\""),
            None => self.missing("kind", "\"push\" or \"mailbox\""),
        };
        let warn_after = self.duration("warn_after", 3 * DAY, SECOND, 365 * DAY);
        let return_after = self.duration("return_after", 14 * DAY, SECOND, 365 * DAY);
        let encryption = self.encryption();
        let (warn_after, return_after) = (warn_after?, return_after?);
        if warn_after >= return_after {
            let line = self.line_of_key("return_after");
            return self
                .fault(line, "return_after must be longer than warn_after (3d and 14d when not given)");
        }
        let (id, transport, encryption) = (id?, transport?, encryption?);
        Some(Endpoint { id, transport, warn_after, return_after, encryption })
    }

    fn refuse_others(&mut self, known: &[&str], what: &str) {
        for key in self.keys.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let line = self.lines.line(key.span().start);
                let (key, known) = (shown(key.get_ref()), known.join(", "));
                self.faults.add(FILE, line, format_args!("unknown key {key:?}; {what} has {known}"));
            }
        }
    }

    fn value(&self, key: &str) -> Option<(&'a DeValue<'t>, usize)> {
        let value: &Spanned<DeValue<'t>> = self.keys.get(key)?;
        Some((value.get_ref(), self.lines.line(value.span().start)))
    }

    fn line_of_key(&self, key: &str) -> usize {
        self.value(key).map_or(self.line, |(_, line)| line)
    }

    fn string(&mut self, key: &str) -> Option<(&'a str, usize)> {
        match self.value(key)? {
            (DeValue::String(text), line) if text.len() <= 2_048 => Some((text.as_ref(), line)),
            (_, line) => self.fault(line, format!("{key} is a text in quotes, of at most 2048 octets")),
        }
    }

    fn duration(&mut self, key: &str, other: Duration, min: Duration, max: Duration) -> Option<Duration> {
        let Some((value, line)) = self.value(key) else { return Some(other) };
        let read = match value {
            DeValue::String(text) => duration(text),
            _ => None,
        };
        match read {
            Some(span) if (min..=max).contains(&span) => Some(span),
            Some(_) => self.fault(line, format!("{key} must be from {min:?} to {} s", max.as_secs())),
            None => self.fault(
                line,
                format!("{key} is a span of time like \"500ms\", \"30s\", \"10m\", \"2h\" or \"3d\""),
            ),
        }
    }

    fn count(&mut self, key: &str, other: usize, max: usize) -> Option<usize> {
        let Some((value, line)) = self.value(key) else { return Some(other) };
        let read = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        match read {
            Some(count) if (1..=max).contains(&count) => Some(count),
            _ => self.fault(line, format!("{key} is a number from 1 to {max}")),
        }
    }

    /// `None`, unless the key is there with a value of the wrong type, which is noted already.
    fn missing<T>(&mut self, key: &str, what: &str) -> Option<T> {
        if !self.keys.contains_key(key) {
            let line = self.line;
            self.faults.add(FILE, line, format_args!("{key} is missing; write {what}"));
        }
        None
    }

    fn fault<T>(&mut self, line: usize, what: impl std::fmt::Display) -> Option<T> {
        self.faults.add(FILE, line, what);
        None
    }
}

/// `500ms`, `30s`, `10m`, `2h`, `3d`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Where the lines of a text begin, so that finding a line costs no walk through the file.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
