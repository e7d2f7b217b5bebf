//! Standard output that survives a closed pipe, and aligned tables.

use std::io::Write;

use super::Fault;

/// Writes one line to standard output.
///
/// # Errors
/// [`Fault::PipeClosed`] when nobody reads; else the I/O fault.
pub fn say(line: impl AsRef<str>) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        std::io::ErrorKind::BrokenPipe => Fault::PipeClosed,
        _ => Fault::said(format!("cannot write to standard output: {e}")),
    })
}

/// Writes octets to standard output.
///
/// # Errors
/// As [`say`].
pub fn say_octets(octets: &[u8]) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    out.write_all(octets).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        std::io::ErrorKind::BrokenPipe => Fault::PipeClosed,
        _ => Fault::said(format!("cannot write to standard output: {e}")),
    })
}

/// Writes a line for people to standard error. Nothing depends on it: a fault is ignored.
pub fn note(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}

/// Writes one JSON value, indented.
///
/// # Errors
/// As [`say`].
pub fn say_json(value: &serde_json::Value) -> Result<(), Fault> {
    say(format!("{value:#}"))
}

/// A text made safe for a terminal: control characters, also those that turn the direction of
/// writing, become `�`, so that what others wrote can't steer the reader's screen.
#[must_use]
pub fn printable(text: &str) -> String {
    let unsafe_char = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if unsafe_char(c) { '\u{fffd}' } else { c }).collect()
}

/// A number of things: `1 attempt`, `2 attempts`.
#[must_use]
pub fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Where in a document something is; the path is left out where there is none.
#[must_use]
pub fn place(line: u64, column: u64, path: &str) -> String {
    let colon = if path.is_empty() { "" } else { ": " };
    format!("  at line {line}, column {column}{colon}{path}")
}

/// A table with aligned columns; columns whose cells are all numbers are right-aligned.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty, further ones are dropped.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|c| printable(&c)).collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, without trailing spaces.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let columns: Vec<(usize, bool)> = (0..self.head.len()).map(|i| self.column(i)).collect();
        std::iter::once(&self.head).chain(&self.rows).map(|cells| line(cells, &columns)).collect()
    }

    /// Prints it.
    ///
    /// # Errors
    /// As [`say`].
    pub fn say(&self) -> Result<(), Fault> {
        self.lines().iter().try_for_each(say)
    }

    /// Width in characters, and whether it is right-aligned.
    fn column(&self, i: usize) -> (usize, bool) {
        let cells = || self.rows.iter().filter_map(move |r| r.get(i));
        let head = self.head.get(i).map_or(0, |h| h.chars().count());
        let width = cells().map(|c| c.chars().count()).fold(head, usize::max);
        let number = |c: &String| !c.is_empty() && c.chars().all(|c| c.is_ascii_digit() || c == '-');
        // Long digit strings are keys, not amounts: they stay on the left.
        (width, width < 12 && cells().next().is_some() && cells().all(number))
    }
}

fn line(cells: &[String], columns: &[(usize, bool)]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(columns)
        .map(|(cell, (width, right))| {
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *right { format!("{space}{cell}") } else { format!("{cell}{space}") }
        })
        .collect();
    padded.join("  ").trim_end().to_owned()
}

/// A span for people: `12 s`, `4 min`, `3 h`, `2 d`.
#[must_use]
pub fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_words_left_numbers_right_and_keys_left() {
        let mut table = Table::new(&["ENDPOINT", "QUEUED", "SERVICE"]);
        table.row(["wiesbaden".to_owned(), "7".to_owned(), "99102013104000".to_owned()]);
        table.row(["großalmerode".to_owned(), "120".to_owned(), "99059002012000".to_owned()]);
        assert_eq!(
            table.lines(),
            [
                "ENDPOINT      QUEUED  SERVICE",
                "wiesbaden          7  99102013104000",
                "großalmerode     120  99059002012000"
            ]
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c"), "a\u{fffd}[31mb\u{fffd}c");
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(
            [age(0), age(119), age(120), age(7_200), age(172_800)],
            ["0 s", "119 s", "2 min", "2 h", "2 d"]
        );
    }
}
