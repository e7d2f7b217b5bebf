//! Reads a TOML table key by key and gathers every fault instead of stopping at the first.
//! A [`Section`] remembers which keys were asked for; what is left at its end is unknown.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One fault of a configuration: where it stands, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Key path, e.g. `listen.address` or `account[2].name`; empty for faults of the whole file.
    pub key: String,
    /// Line in the file, from 1; `None` where the key is missing altogether.
    pub line: Option<usize>,
    /// A sentence that says what is wrong and what to do. Never the content of a key file.
    pub problem: String,
}

impl Fault {
    /// A fault without a line: of a file that the key names, or of the whole.
    #[must_use]
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), line: None, problem: problem.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// A file being read: its text (for line numbers), its folder (for relative paths), its faults.
pub(super) struct Reading<'t> {
    text: &'t str,
    folder: PathBuf,
    faults: RefCell<Vec<Fault>>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(text: &'t str, folder: &Path) -> Self {
        Self { text, folder: folder.to_owned(), faults: RefCell::default() }
    }

    /// The root section; faults of syntax are gathered like all others, and what could be read
    /// is still looked at.
    pub(super) fn root(&self) -> Section<'_, 't> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let line = error.span().map(|span| self.line(span.start));
            self.fault(String::new(), line, format!("is no TOML: {}", error.message()));
        }
        Section {
            reading: self,
            path: String::new(),
            line: None,
            entries: table.into_inner(),
            known: Vec::new(),
        }
    }

    pub(super) fn fault(&self, key: String, line: Option<usize>, problem: String) {
        self.faults.borrow_mut().push(Fault { key, line, problem });
    }

    /// A path as the file means it: relative to the file's folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        faults
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|octet| *octet == b'\n').count() + 1
    }
}

/// What a converter gets to see and what it answers: a value, or what is wrong with it.
pub(super) type Converted<T> = Result<T, String>;

/// A table of the file.
pub(super) struct Section<'r, 't> {
    reading: &'r Reading<'t>,
    path: String,
    line: Option<usize>,
    entries: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'r, 't> Section<'r, 't> {
    /// The file this section belongs to.
    pub(super) fn reading(&self) -> &'r Reading<'t> {
        self.reading
    }

    /// The key's full path.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the file has `key` here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.keys().any(|known| known.get_ref() == key)
    }

    /// Records a fault of this section as a whole.
    pub(super) fn fault(&self, key: &str, problem: impl Into<String>) {
        let path = if key.is_empty() { self.path.clone() } else { self.key(key) };
        self.reading.fault(path, self.line, problem.into());
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.known.push(key);
        let at = self.entries.keys().find(|known| known.get_ref() == key)?.clone();
        self.entries.remove(&at)
    }

    /// A key that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(&DeValue<'_>) -> Converted<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        match convert(value.get_ref()) {
            Ok(value) => Some(value),
            Err(problem) => {
                let line = Some(self.reading.line(value.span().start));
                self.reading.fault(self.key(key), line, problem);
                None
            }
        }
    }

    /// A key that must be there; `hint` says what to write.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        convert: impl FnOnce(&DeValue<'_>) -> Converted<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.fault(key, format!("is missing: write {hint}"));
            return None;
        }
        self.optional(key, convert)
    }

    /// A key with a default. A faulty value is reported and the default taken meanwhile.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        convert: impl FnOnce(&DeValue<'_>) -> Converted<T>,
    ) -> T {
        self.optional(key, convert).unwrap_or(default)
    }

    /// A table below this one; an absent one reads as empty.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'r, 't> {
        let path = self.key(key);
        let mut line = self.line;
        let entries = match self.take(key) {
            None => DeTable::new(),
            Some(value) => {
                line = Some(self.reading.line(value.span().start));
                self.table(path.clone(), line, value)
            }
        };
        Section { reading: self.reading, path, line, entries, known: Vec::new() }
    }

    /// An array of tables below this one (`[[key]]`).
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'r, 't>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let line = self.reading.line(value.span().start);
        let DeValue::Array(items) = value.into_inner() else {
            self.reading.fault(self.key(key), Some(line), format!("must be written as [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}[{}]", self.key(key), index + 1);
            let line = Some(self.reading.line(item.span().start));
            let entries = self.table(path.clone(), line, item);
            sections.push(Section { reading: self.reading, path, line, entries, known: Vec::new() });
        }
        sections
    }

    fn table(&self, path: String, line: Option<usize>, value: Spanned<DeValue<'t>>) -> DeTable<'t> {
        match value.into_inner() {
            DeValue::Table(table) => table,
            other => {
                let problem = format!("must be a section [{path}], not a {}", other.type_str());
                self.reading.fault(path, line, problem);
                DeTable::new()
            }
        }
    }

    /// Ends the section: every key nobody asked for is a fault.
    pub(super) fn end(self) {
        let known = self.known.join(", ");
        for key in self.entries.keys() {
            let line = Some(self.reading.line(key.span().start));
            let problem = format!("is no known key: remove it or write one of {known}");
            self.reading.fault(self.key(key.get_ref()), line, problem);
        }
    }
}
