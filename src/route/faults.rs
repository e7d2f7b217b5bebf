//! Collects the faults of a directory, so that an operator sees all of them at once.

use std::fmt::Display;

/// Faults listed at most; beyond that they are counted. Bounds the answer to a wrong file.
const MAX_FAULTS: usize = 200;

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults {
    lines: Vec<String>,
    more: usize,
}

impl Faults {
    /// Notes a fault of a line of a file; line 0 means the file as a whole.
    pub(super) fn add(&mut self, file: &str, line: usize, what: impl Display) {
        if self.lines.len() >= MAX_FAULTS {
            self.more += 1;
        } else if line == 0 {
            self.lines.push(format!("{file}: {what}"));
        } else {
            self.lines.push(format!("{file}:{line}: {what}"));
        }
    }

    /// The result of a parse, its fault noted.
    pub(super) fn take<T, E: Display>(&mut self, file: &str, line: usize, got: Result<T, E>) -> Option<T> {
        got.map_err(|fault| self.add(file, line, fault)).ok()
    }

    /// Nothing, or all faults.
    pub(super) fn finish(mut self) -> Result<(), Vec<String>> {
        if self.lines.is_empty() {
            return Ok(());
        }
        if self.more > 0 {
            self.lines.push(format!("… and {} more faults", self.more));
        }
        Err(self.lines)
    }
}
