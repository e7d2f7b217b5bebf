//! Where checkpoints are kept: `proof/` beside the ledger.
//!
//! `proof/ledger.json` says which ledger it is, and when it was put back from a backup.
//! `proof/<size>.checkpoints` holds the checkpoints of trees larger than `size`, one a line, each with
//! a CRC32C in front. A file but the first begins with the last checkpoint of the one before and the
//! numbers of all destinations, so that it can be read alone. Only its last line may be torn; it was
//! never shown to anybody. Files go with the frames that they are about ([`prune`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checkpoint::{Checkpoint, Numbers, Statement};

/// The folder's name in the store's folder.
pub const FOLDER: &str = "proof";
/// The file that says which ledger it is.
const IDENTITY: &str = "ledger.json";
/// Layout that this program writes.
const FORMAT: u32 = 1;
/// Octets of one line at most: a bound for readers.
const MAX_FILE: u64 = 256 << 20;

/// Why checkpoints can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum BookFault {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// A line is broken.
    #[error("{path}, line {line}: {why}; bring the folder `proof` back from the backup")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// How it shows.
        why: &'static str,
    },
    /// Written by a later program.
    #[error("{0} was written by a newer amtsweg: start that one, this one can't read it")]
    Newer(PathBuf),
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BookFault + '_ {
    move |source| BookFault::Io { path: path.to_owned(), source }
}

/// Which ledger this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Layout of the folder.
    format: u32,
    /// The ledger's own id.
    pub ledger: Uuid,
    /// Frame of the tree's first event.
    pub first: u64,
    /// When it was put back from a backup.
    pub restored: Vec<Restored>,
}

/// A ledger was put back from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The last frame that the backup had: what came after it is lost.
    pub frame: u64,
    /// When.
    pub at: String,
}

impl Identity {
    /// A new ledger's.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { format: FORMAT, ledger: Uuid::new_v4(), first, restored: Vec::new() }
    }

    /// How often it was put back.
    #[must_use]
    pub fn branch(&self) -> u64 {
        self.restored.len() as u64
    }

    /// The one in a store's folder, if there is one.
    ///
    /// # Errors
    /// [`BookFault`].
    pub fn read(data: &Path) -> Result<Option<Self>, BookFault> {
        let path = data.join(FOLDER).join(IDENTITY);
        let octets = match std::fs::read(&path) {
            Ok(octets) => octets,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(io(&path)(fault)),
        };
        let broken = |_| BookFault::Damaged { path: path.clone(), line: 1, why: "it can't be read" };
        let identity: Self = serde_json::from_slice(&octets).map_err(broken)?;
        if identity.format > FORMAT { Err(BookFault::Newer(path)) } else { Ok(Some(identity)) }
    }

    /// Writes it, durably and as a whole.
    ///
    /// # Errors
    /// [`BookFault::Io`].
    pub fn write(&self, data: &Path) -> Result<(), BookFault> {
        let folder = data.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        let (path, draft) = (folder.join(IDENTITY), folder.join("ledger.json.new"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&folder)?.sync_all()?;
            File::open(data)?.sync_all()
        };
        write().map_err(io(&path))
    }
}

/// A checkpoint with what it says.
#[derive(Clone, Debug)]
pub struct Noted {
    /// As it is kept.
    pub checkpoint: Checkpoint,
    /// What it says (its signature unchecked).
    pub statement: Statement,
}

/// What one file holds.
#[derive(Default)]
pub struct Page {
    /// The checkpoint before, with the numbers of all destinations.
    pub start: Option<Noted>,
    /// Its checkpoints.
    pub noted: Vec<Noted>,
    /// Octets of its whole lines.
    len: u64,
}

impl Page {
    /// The last checkpoint.
    #[must_use]
    pub fn last(&self) -> Option<&Noted> {
        self.noted.last().or(self.start.as_ref())
    }

    /// The numbers of all destinations at the checkpoint of this size, which is the start's or one of
    /// its own.
    #[must_use]
    pub fn numbers(&self, size: u64) -> Numbers {
        let upto = |noted: &&Noted| noted.statement.size <= size;
        let mut numbers = Numbers::default();
        self.start
            .iter()
            .chain(self.noted.iter().take_while(upto))
            .for_each(|n| numbers.put(&n.checkpoint.numbers));
        numbers
    }
}

/// The files of checkpoints in order, each with the size of the tree before it.
///
/// # Errors
/// [`BookFault::Io`].
pub fn files(data: &Path) -> Result<Vec<(u64, PathBuf)>, BookFault> {
    let folder = data.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(io(&folder)(fault)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(io(&folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let size = name.and_then(|name| name.strip_suffix(".checkpoints")).and_then(|name| name.parse().ok());
        files.extend(size.map(|size| (size, path)));
    }
    files.sort();
    Ok(files)
}

/// Reads one file; what is torn off at its end is left out.
///
/// # Errors
/// [`BookFault`].
pub fn page(path: &Path) -> Result<Page, BookFault> {
    let len = std::fs::metadata(path).map_err(io(path))?.len();
    if len > MAX_FILE {
        return Err(BookFault::Damaged { path: path.to_owned(), line: 1, why: "the file is far too large" });
    }
    let octets = std::fs::read(path).map_err(io(path))?;
    let mut page = Page::default();
    for (at, line) in octets.split_inclusive(|octet| *octet == b'\n').enumerate() {
        let end = page.len + line.len() as u64;
        let damaged = |why| BookFault::Damaged { path: path.to_owned(), line: at + 1, why };
        match read_line(line) {
            Ok(("start", noted)) if at == 0 => page.start = Some(noted),
            Ok(("checkpoint", noted)) => page.noted.push(noted),
            Ok(_) => return Err(damaged("it has a kind that does not belong here")),
            Err(_) if end == octets.len() as u64 => break,
            Err(why) => return Err(damaged(why)),
        }
        page.len = end;
    }
    Ok(page)
}

fn read_line(line: &[u8]) -> Result<(&str, Noted), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is no text")?;
    let text = text.strip_suffix('\n').ok_or("it has no end")?;
    let (crc, rest) = text.split_once(' ').ok_or("it is none of a checkpoint")?;
    if crc != format!("{:08x}", crc32c::crc32c(rest.as_bytes())) {
        return Err("its checksum differs");
    }
    let (kind, json) = rest.split_once(' ').ok_or("it is none of a checkpoint")?;
    let checkpoint: Checkpoint = serde_json::from_str(json).map_err(|_| "it can't be read")?;
    let statement = checkpoint.signed.unchecked().map_err(|_| "its statement can't be read")?;
    Ok((kind, Noted { checkpoint, statement }))
}

fn write_line(out: &mut Vec<u8>, kind: &str, checkpoint: &Checkpoint) -> std::io::Result<()> {
    let text = format!("{kind} {}", serde_json::to_string(checkpoint)?);
    writeln!(out, "{:08x} {text}", crc32c::crc32c(text.as_bytes()))
}

/// Removes files of checkpoints that are about frames before `least` alone, which the ledger has let go; the
/// next file begins with the last of them, from which an export can start. Gives how many went.
///
/// # Errors
/// [`BookFault::Io`]; what has not gone goes the next time.
pub fn prune(data: &Path, identity: &Identity, least: u64) -> Result<u64, BookFault> {
    let folder = data.join(FOLDER);
    let mut gone = 0;
    for pair in files(data)?.windows(2) {
        let [(_, path), (size, _)] = pair else { break };
        if identity.first.saturating_add(*size) > least {
            break;
        }
        // One after the other: no cut of the power leaves a gap.
        std::fs::remove_file(path).map_err(io(path))?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(io(&folder))?;
        gone += 1;
    }
    Ok(gone)
}

/// The checkpoint before event `index` (counted from 0), if there is one, and the first one that
/// covers it, if it is covered yet.
///
/// # Errors
/// [`BookFault`].
pub fn covering(data: &Path, index: u64) -> Result<Option<(Option<Noted>, Noted)>, BookFault> {
    let files = files(data)?;
    let Some((_, path)) = files.iter().rfind(|(size, _)| *size <= index) else { return Ok(None) };
    let page = page(path)?;
    let mut before = page.start;
    for noted in page.noted {
        if noted.statement.size > index {
            return Ok(Some((before, noted)));
        }
        before = Some(noted);
    }
    Ok(None)
}

/// The end of the book, where the sealer writes.
pub struct Writer {
    data: PathBuf,
    /// Checkpoints in one file.
    page: usize,
    file: Option<(File, PathBuf)>,
    len: u64,
    entries: usize,
    last: Option<Noted>,
    numbers: Numbers,
}

impl Writer {
    /// Continues behind the last whole checkpoint; what is torn behind it is cut off. A file gets `page`
    /// checkpoints.
    ///
    /// # Errors
    /// [`BookFault`].
    pub fn open(data: &Path, page: usize) -> Result<Self, BookFault> {
        let mut writer = Self {
            data: data.to_owned(),
            page,
            file: None,
            len: 0,
            entries: 0,
            last: None,
            numbers: Numbers::default(),
        };
        for (_, path) in files(data)?.into_iter().rev() {
            let page = self::page(&path)?;
            if page.noted.is_empty() {
                // Its only line was torn: an empty file is none.
                std::fs::remove_file(&path).map_err(io(&path))?;
                continue;
            }
            let file = File::options().write(true).open(&path).map_err(io(&path))?;
            file.set_len(page.len).map_err(io(&path))?;
            file.sync_all().map_err(io(&path))?;
            writer.len = page.len;
            writer.entries = page.noted.len();
            writer.last = page.last().cloned();
            writer.numbers = page.numbers(u64::MAX);
            writer.file = Some((file, path));
            break;
        }
        Ok(writer)
    }

    /// The last checkpoint.
    #[must_use]
    pub fn last(&self) -> Option<&Noted> {
        self.last.as_ref()
    }

    /// The numbers of all destinations at the last checkpoint.
    #[must_use]
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Makes a checkpoint durable; gives whether it begins a file. After an error it is as if it had never
    /// been.
    ///
    /// # Errors
    /// [`BookFault::Io`].
    pub fn append(&mut self, noted: Noted) -> Result<bool, BookFault> {
        let before = self.last.as_ref().map_or(0, |last| last.statement.size);
        let folder = self.data.join(FOLDER);
        let mut octets = Vec::new();
        let fresh = self.file.is_none() || self.entries >= self.page;
        let path = match &self.file {
            Some((_, path)) if !fresh => path.clone(),
            _ => folder.join(format!("{before:020}.checkpoints")),
        };
        if let (true, Some(last)) = (fresh, &self.last) {
            let numbers: BTreeMap<_, _> = self.numbers.all().clone();
            let start = Checkpoint { numbers, ..last.checkpoint.clone() };
            write_line(&mut octets, "start", &start).map_err(io(&path))?;
        }
        write_line(&mut octets, "checkpoint", &noted.checkpoint).map_err(io(&path))?;
        self.write(&path, &folder, fresh, &octets).map_err(io(&path))?;
        self.numbers.put(&noted.checkpoint.numbers);
        self.last = Some(noted);
        Ok(fresh)
    }

    fn write(&mut self, path: &Path, folder: &Path, fresh: bool, octets: &[u8]) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        if fresh {
            // Two lines at once: the file is there whole or not at all.
            let draft = path.with_extension("new");
            let file = File::create(&draft)?;
            file.write_all_at(octets, 0)?;
            file.sync_all()?;
            std::fs::rename(&draft, path)?;
            if let Err(fault) = File::open(folder)?.sync_all() {
                // Nobody has seen it: it is made anew when this is tried again.
                let _ = std::fs::remove_file(path);
                return Err(fault);
            }
            self.file = Some((file, path.to_owned()));
            self.len = octets.len() as u64;
            self.entries = 1;
            return Ok(());
        }
        let Some((file, _)) = &self.file else { return Ok(()) };
        if let Err(fault) = file.write_all_at(octets, self.len).and_then(|()| file.sync_data()) {
            file.set_len(self.len)?;
            return Err(fault);
        }
        self.len += octets.len() as u64;
        self.entries += 1;
        Ok(())
    }
}
