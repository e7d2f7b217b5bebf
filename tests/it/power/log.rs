//! What the shim recorded: writes, syncs and names, in order.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// What was done, as the shim numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open,
    Write,
    SyncBegin,
    SyncEnd,
    Rename,
    Truncate,
    Unlink,
    MakeFolder,
    RemoveFolder,
    Mark,
    Range,
    Link,
    Allocate,
    Unknown,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Kind,
    pub inode: u64,
    pub a: u64,
    pub b: u64,
    pub path: String,
    pub other: String,
    pub payload: Range<usize>,
}

/// All records of a run, or of several that followed each other on one folder.
pub struct Log {
    pub octets: Vec<u8>,
    pub entries: Vec<Entry>,
}

fn number(octets: &[u8], at: usize, len: usize) -> u64 {
    octets[at..at + len].iter().rev().fold(0, |n, octet| n << 8 | u64::from(*octet))
}

impl Log {
    pub fn read(path: &Path) -> Self {
        use Kind::*;
        let kinds = [
            Open,
            Write,
            SyncBegin,
            SyncEnd,
            Rename,
            Truncate,
            Unlink,
            MakeFolder,
            RemoveFolder,
            Mark,
            Range,
            Link,
            Allocate,
            Unknown,
        ];
        let octets = std::fs::read(path).unwrap_or_default();
        let mut entries = Vec::new();
        let mut at = 0;
        while at + 48 <= octets.len() {
            let field = |n: usize, len| number(&octets, at + n, len);
            let (path, other) = (field(4, 4) as usize, field(8, 4) as usize);
            let payload = at + 48 + path + other;
            let end = payload + field(40, 8) as usize;
            if end > octets.len() {
                break;
            }
            let text =
                |from: usize, len: usize| String::from_utf8(octets[from..from + len].to_vec()).unwrap();
            let entry = Entry {
                kind: kinds[field(0, 4) as usize - 1],
                inode: field(16, 8),
                a: field(24, 8),
                b: field(32, 8),
                path: text(at + 48, path),
                other: text(at + 48 + path, other),
                payload: payload..end,
            };
            assert!(entry.kind != Unknown, "the shim can't follow {} of {}", entry.other, entry.path);
            entries.push(entry);
            at = end;
        }
        Self { octets, entries }
    }

    /// Adds a mark to a log that a shim may be writing to at the same time: both append whole records.
    pub fn add_mark(path: &Path, mark: &str) {
        let mut record = vec![0; 48];
        record[0] = Kind::Mark as u8 + 1;
        record[40..48].copy_from_slice(&(mark.len() as u64).to_le_bytes());
        record.extend_from_slice(mark.as_bytes());
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        file.write_all(&record).unwrap();
    }

    /// The marks among the first `until` records.
    pub fn marks(&self, until: usize) -> impl Iterator<Item = &str> {
        let marks = self.entries.iter().take(until).filter(|e| e.kind == Kind::Mark);
        marks.map(|e| std::str::from_utf8(&self.octets[e.payload.clone()]).unwrap())
    }

    /// Records behind which a sync has begun or ended.
    pub fn boundaries(&self) -> Vec<usize> {
        let sync = |e: &Entry| matches!(e.kind, Kind::SyncBegin | Kind::SyncEnd);
        let at = self.entries.iter().enumerate().filter(|(_, e)| sync(e)).map(|(at, _)| at);
        at.flat_map(|at| [at, at + 1]).collect()
    }

    /// Records behind which something was acknowledged.
    pub fn acknowledgements(&self) -> Vec<usize> {
        let acknowledges = |e: &Entry| {
            e.kind == Kind::Mark && matches!(self.octets.get(e.payload.start), Some(b'A' | b'K' | b'C'))
        };
        self.entries.iter().enumerate().filter(|(_, e)| acknowledges(e)).map(|(at, _)| at + 1).collect()
    }
}
