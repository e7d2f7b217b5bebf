//! Reads a CSV file of the directory: UTF-8, semicolons, a header with the column names in any
//! order, `#` comment lines, cells in double quotes where they hold a semicolon. A row is one line, so
//! every fault has its line and a forgotten quote can't swallow the rows after it.

use std::borrow::Cow;

use super::faults::Faults;

/// Rows of one file at most.
const MAX_ROWS: usize = 1_000_000;
/// Cells of one row at most.
const MAX_CELLS: usize = 64;
/// Octets of one cell at most.
const MAX_CELL: usize = 4_096;

/// A row, its cells in the order in which the reader asked for the columns.
pub(super) struct Row<'t, const N: usize> {
    /// Line in the file, from 1.
    pub(super) line: usize,
    /// The cells, trimmed.
    pub(super) cells: [Cow<'t, str>; N],
}

/// Reads the rows of `text`. The header must name exactly `columns`.
pub(super) fn rows<'t, const N: usize>(
    file: &str,
    text: &'t str,
    columns: [&str; N],
    faults: &mut Faults,
) -> Vec<Row<'t, N>> {
    // Spreadsheet programs put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let Some((line, header)) = lines.next() else {
        faults.add(
            file,
            0,
            format_args!("the header is missing; write {:?} as first line", columns.join(";")),
        );
        return Vec::new();
    };
    let Some(places) = header_places(file, line, header, columns, faults) else { return Vec::new() };
    let mut rows = Vec::new();
    for (line, text) in lines {
        if rows.len() >= MAX_ROWS {
            faults.add(file, line, format_args!("more than {MAX_ROWS} rows; split the directory"));
            break;
        }
        let Some(cells) = faults.take(file, line, split(text)) else { continue };
        if cells.len() != N {
            let found = cells.len();
            faults.add(
                file,
                line,
                format_args!("{found} cells where the header has {N} columns; check the semicolons"),
            );
            continue;
        }
        let cells = places.map(|place| cells.get(place).cloned().unwrap_or_default());
        if cells.iter().any(|cell| cell.len() > MAX_CELL) {
            faults.add(file, line, format_args!("a cell has more than {MAX_CELL} octets; shorten it"));
            continue;
        }
        rows.push(Row { line, cells });
    }
    rows
}

/// Where each wanted column stands in the header.
fn header_places<const N: usize>(
    file: &str,
    line: usize,
    header: &str,
    columns: [&str; N],
    faults: &mut Faults,
) -> Option<[usize; N]> {
    let names = faults.take(file, line, split(header))?;
    let mut right = true;
    for (at, name) in names.iter().enumerate() {
        let shown: String = name.chars().take(40).collect();
        if !columns.contains(&name.as_ref()) {
            right = false;
            let all = columns.join(", ");
            faults.add(file, line, format_args!("unknown column {shown:?}; the columns are {all}"));
        } else if names.iter().take(at).any(|earlier| earlier == name) {
            right = false;
            faults.add(file, line, format_args!("column {shown:?} stands twice; remove one"));
        }
    }
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        match names.iter().position(|name| name == column) {
            Some(at) => *place = at,
            None => {
                right = false;
                faults.add(
                    file,
                    line,
                    format_args!("column {column:?} is missing; add it (it may be empty)"),
                );
            }
        }
    }
    right.then_some(places)
}

/// The cells of a line, trimmed, quotes resolved.
fn split(line: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start();
        let (cell, after) = match start.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let end = start.find(';').unwrap_or(start.len());
                let (cell, after) = start.split_at(end);
                (Cow::Borrowed(cell.trim()), after)
            }
        };
        if cell.chars().any(char::is_control) {
            return Err("a cell holds a control character; remove it");
        }
        if cells.len() >= MAX_CELLS {
            return Err("more than 64 cells in a row; check the semicolons");
        }
        cells.push(cell);
        match after.strip_prefix(';') {
            Some(next) => rest = next,
            None => return Ok(cells),
        }
    }
}

/// A cell after its opening quote, and what follows its closing one: nothing or a semicolon.
fn quoted_cell(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut from = 0;
    loop {
        let Some(at) = text.get(from..).and_then(|rest| rest.find('"')).map(|at| at + from) else {
            return Err(
                "a quote is opened but not closed on its line; close it, and write a quote inside as \"\"",
            );
        };
        let after = text.get(at + 1..).unwrap_or_default();
        if after.starts_with('"') {
            from = at + 2;
            continue;
        }
        let after = after.trim_start();
        if !after.is_empty() && !after.starts_with(';') {
            return Err("text follows a closing quote; write a quote inside a cell as \"\"");
        }
        let cell = text.get(..at).unwrap_or_default().trim();
        let cell =
            if cell.contains('"') { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) };
        return Ok((cell, after));
    }
}

/// A text as a cell of such a file.
#[cfg(test)]
pub(super) fn written(cell: &str) -> String {
    if cell.contains([';', '"']) || cell.starts_with('#') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let mut faults = Faults::default();
        let rows = rows("t.csv", text, ["a", "b"], &mut faults);
        let rows = rows.into_iter().map(|row| row.cells.iter().map(ToString::to_string).collect()).collect();
        (rows, faults.finish().err().unwrap_or_default())
    }

    #[test]
    fn takes_quotes_comments_any_column_order_and_a_byte_order_mark() {
        let (rows, faults) = read("\u{feff}# note\r\nb;a\r\n\r\n\"x;\"\"y\"\"\" ; 1 \r\n;2");
        assert_eq!(rows, [["1", "x;\"y\""], ["2", ""]]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn names_every_fault_with_its_line() {
        let (rows, faults) = read("a;b\n1\n\"open;2\n# c\n1;2;3\n\"x\"y;2\n5;6\n");
        assert_eq!(rows, [["5", "6"]]);
        let lines: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(lines, ["t.csv:2", "t.csv:3", "t.csv:5", "t.csv:6"]);
        let (_, faults) = read("a;c;a\n");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(read("# nothing\n").1.len(), 1);
        assert_eq!(read(&";".repeat(1_000_000)).1.len(), 1);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for cell in ["a", "a;b", "\"", "x\"\"y", "#c", ""] {
            let line = format!("{};z", written(cell));
            assert_eq!(split(&line).unwrap(), [cell, "z"]);
        }
    }
}
