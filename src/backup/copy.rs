//! Makes a generation.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::{Digest, Timestamp};
use crate::proof::book;
use crate::store::ReadingKeys;
use crate::store::inspect;
use crate::store::ledger::{self, Tail, Told};

use super::{BackupFault, Entry, FORMAT, MANIFEST, Manifest, generations, io, vault};

/// How often it is begun anew when content was moved or let go while it was copied.
const ROUNDS: usize = 3;

/// A generation that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its number.
    pub generation: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// The last frame in it.
    pub last: u64,
    /// Files in it.
    pub files: usize,
    /// Octets in it.
    pub octets: u64,
    /// Octets that were copied; the rest is shared with the generation before.
    pub copied: u64,
    /// Messages whose contents were checked.
    pub checked: u64,
}

/// Makes the next generation of the store in `data` in the folder `to`, and checks it: every file that
/// was written is read again, the ledger's chain is walked, and the contents of all messages that
/// changed since the generation before (of all, if `full`) are compared with their digests. May run
/// beside a working gateway. Without `keys` the contents of an encrypted store are not compared.
///
/// # Errors
/// [`BackupFault`]; no generation is left then.
pub fn backup(data: &Path, keys: Option<&ReadingKeys>, to: &Path, full: bool) -> Result<Made, BackupFault> {
    if !data.join("ledger").is_dir() {
        return Err(BackupFault::NoStore(data.to_owned()));
    }
    std::fs::create_dir_all(to).map_err(io(to))?;
    let lock = to.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&lock).map_err(io(&lock))?;
    if lock.try_lock().is_err() {
        return Err(BackupFault::Busy(to.to_owned()));
    }
    let before = generations(to)?.pop();
    let number = before.as_ref().map_or(0, |(number, _)| *number) + 1;
    let base =
        before.map(|(_, folder)| Ok::<_, BackupFault>((Manifest::read(&folder)?, folder))).transpose()?;
    let part = to.join(format!("{number:06}.part"));
    let mut round = 0;
    loop {
        round += 1;
        clear(&part)?;
        let made =
            Copy::new(data, &part, base.as_ref()).and_then(|copy| copy.run(full, keys)).and_then(|made| {
                // Before the generation is there: whoever puts it back finds its keys.
                vault::replace(data, to)?;
                Ok(made)
            });
        match made {
            Ok(made) => {
                let folder = to.join(format!("{number:06}"));
                std::fs::rename(&part, &folder).map_err(io(&folder))?;
                sync(to)?;
                return Ok(Made { generation: number, folder, ..made });
            }
            // The gateway may have moved or removed content meanwhile: the ledger says where it is now.
            Err(BackupFault::Content { .. }) if round < ROUNDS => {}
            Err(BackupFault::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && round < ROUNDS => {}
            Err(fault) => {
                clear(&part)?;
                return Err(fault);
            }
        }
    }
}

fn clear(folder: &Path) -> Result<(), BackupFault> {
    match std::fs::remove_dir_all(folder) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(io(folder)(fault)),
        _ => Ok(()),
    }
}

pub(super) fn sync(folder: &Path) -> Result<(), BackupFault> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

/// The files of a folder, those in its folders too, relative to `root`.
fn files(root: &Path, folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), BackupFault> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(io(folder)(fault)),
    };
    for entry in entries {
        let path = entry.map_err(io(folder))?.path();
        if path.is_dir() {
            files(root, &path, out)?;
        } else {
            out.extend(path.strip_prefix(root).map(Path::to_owned));
        }
    }
    Ok(())
}

struct Copy<'a> {
    data: &'a Path,
    part: &'a Path,
    /// Files of the generation before, by their names.
    known: HashMap<&'a str, &'a Entry>,
    base: Option<&'a (Manifest, PathBuf)>,
    entries: Vec<Entry>,
    copied: u64,
}

impl<'a> Copy<'a> {
    fn new(
        data: &'a Path,
        part: &'a Path,
        base: Option<&'a (Manifest, PathBuf)>,
    ) -> Result<Self, BackupFault> {
        for folder in ["ledger", "content/segments", "content/files", book::FOLDER] {
            let folder = part.join(folder);
            std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        }
        let known = base.iter().flat_map(|(manifest, _)| &manifest.files);
        let known = known.map(|entry| (entry.path.as_str(), entry)).collect();
        Ok(Self { data, part, known, base, entries: Vec::new(), copied: 0 })
    }

    fn run(mut self, full: bool, keys: Option<&ReadingKeys>) -> Result<Made, BackupFault> {
        // Checkpoints first: none may be about frames that the copy of the ledger has not.
        for path in self.list(book::FOLDER)? {
            if path.extension().is_none_or(|extension| extension != "new") {
                self.copy(&path, u64::MAX, true)?;
            }
        }
        let end = self.ledger()?;
        let segments = self.list("content/segments")?;
        let newest = segments.last().cloned();
        for path in segments.iter().chain(&self.list("content/files")?) {
            self.copy(path, u64::MAX, Some(path) == newest.as_ref())?;
        }
        self.read_again()?;
        let since = self.base.filter(|_| !full).map_or(0, |(manifest, _)| manifest.last);
        let checked = keys.map_or(Ok(0), |keys| contents(self.part, keys, since))?;
        let manifest = Manifest {
            format: FORMAT,
            made: Timestamp::now().to_string(),
            last: end.last,
            head: end.head.to_string(),
            files: self.entries,
        };
        write(&self.part.join(MANIFEST), &manifest)?;
        folders(self.part)?;
        Ok(Made {
            generation: 0,
            folder: PathBuf::new(),
            last: end.last,
            files: manifest.files.len(),
            octets: manifest.files.iter().map(|entry| entry.len).sum(),
            copied: self.copied,
            checked,
        })
    }

    fn list(&self, folder: &str) -> Result<Vec<PathBuf>, BackupFault> {
        let mut out = Vec::new();
        files(self.data, &self.data.join(folder), &mut out)?;
        out.sort();
        Ok(out)
    }

    /// The ledger up to its end at this moment.
    fn ledger(&mut self) -> Result<ledger::Summary, BackupFault> {
        let (end, segment) = inspect::end(&self.data.join("ledger"))?;
        let paths: Vec<_> = self.list("ledger")?.into_iter().filter(|p| first(p).is_some()).collect();
        // A later segment has begun since: nothing of it is in this generation.
        for path in paths.iter().filter(|path| first(path).is_some_and(|first| first <= segment)) {
            let last = first(path) == Some(segment);
            self.copy(path, if last { end.octets } else { u64::MAX }, last)?;
        }
        let copied = ledger::verify(&self.part.join("ledger"))?;
        if (copied.last, copied.head) == (end.last, end.head) {
            return Ok(copied);
        }
        let why = format!("the copy ends with frame {}, the ledger with {}", copied.last, end.last);
        Err(BackupFault::Damaged { path: self.part.join("ledger"), why })
    }

    /// Copies a file up to `bound` octets, or links the same file of the generation before.
    fn copy(&mut self, path: &Path, bound: u64, open: bool) -> Result<(), BackupFault> {
        let source = self.data.join(path);
        let found = std::fs::metadata(&source).map_err(io(&source))?;
        let modified = u64::try_from(found.mtime_nsec()).unwrap_or_default()
            + u64::try_from(found.mtime()).unwrap_or_default() * 1_000_000_000;
        let name = path.to_string_lossy().into_owned();
        let target = self.part.join(path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        if let (false, Some(known), Some((_, base))) = (open, self.known.get(name.as_str()), self.base)
            && !known.open
            && (known.len, known.modified) == (found.len(), modified)
            && std::fs::hard_link(base.join(path), &target).is_ok()
        {
            self.entries.push((*known).clone());
            return Ok(());
        }
        let (len, digest) = copy_file(&source, &target, bound)?;
        self.copied += len;
        self.entries.push(Entry { path: name, len, sha256: digest.to_string(), modified, open });
        Ok(())
    }

    /// Whether what was written is what was read.
    fn read_again(&self) -> Result<(), BackupFault> {
        for entry in &self.entries {
            let linked =
                self.known.get(entry.path.as_str()).is_some_and(|known| known.sha256 == entry.sha256);
            if !linked {
                check(self.part, entry)?;
            }
        }
        Ok(())
    }
}

/// Number of a ledger segment's first frame, by its name.
fn first(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".ledger")?.parse().ok()
}

/// Whether a file is what its manifest says.
pub(super) fn check(generation: &Path, entry: &Entry) -> Result<(), BackupFault> {
    let path = generation.join(&entry.path);
    let (len, digest) = inspect::digest(&path).map_err(io(&path))?;
    if (len, digest.to_string()) == (entry.len, entry.sha256.clone()) {
        return Ok(());
    }
    Err(BackupFault::Damaged { path, why: "it is not what was backed up".to_owned() })
}

/// Copies and hashes a file, and syncs the copy.
pub(super) fn copy_file(from: &Path, to: &Path, bound: u64) -> Result<(u64, Digest), BackupFault> {
    let mut source = File::open(from).map_err(io(from))?.take(bound);
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(io(to))?;
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; 256 << 10];
    let mut len = 0;
    loop {
        let read = source.read(&mut chunk).map_err(io(from))?;
        let Some(octets) = chunk.get(..read).filter(|octets| !octets.is_empty()) else { break };
        hash.update(octets);
        target.write_all(octets).map_err(io(to))?;
        len += read as u64;
    }
    target.sync_all().map_err(io(to))?;
    let mut digest = Digest::default();
    digest.0.copy_from_slice(hash.finish().as_ref());
    Ok((len, digest))
}

fn write(path: &Path, manifest: &Manifest) -> Result<(), BackupFault> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        serde_json::to_writer(std::io::BufWriter::new(&mut file), manifest)?;
        file.sync_all()
    };
    write().map_err(io(path))
}

/// Makes all names below a folder durable.
pub(super) fn folders(folder: &Path) -> Result<(), BackupFault> {
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.is_dir() {
            folders(&path)?;
        }
    }
    sync(folder)
}

/// Compares the contents of all messages with a frame after `since` with their digests; how many
/// messages there were.
fn contents(root: &Path, keys: &ReadingKeys, since: u64) -> Result<u64, BackupFault> {
    let ledger = root.join("ledger");
    let Some(begin) = Tail::first(&ledger)? else { return Ok(0) };
    let begin = begin.max(since + 1);
    let mut newest: HashMap<u64, u64> = HashMap::new();
    frames(&ledger, keys, begin, |number, told| {
        match told {
            Told::Message { record, .. } => drop(newest.insert(record.sequence, number)),
            // What was its content may be gone by now.
            Told::Forgotten { sequence, .. } => drop(newest.remove(sequence)),
            Told::Setting(_) | Told::Trimmed(_) => {}
        }
        Ok(())
    })?;
    let mut checked = 0;
    messages(&ledger, keys, begin, |number, record| {
        if newest.get(&record.sequence) == Some(&number) {
            for content in record.contents() {
                let found = inspect::content(root, keys, content);
                found.map_err(|fault| BackupFault::Content { id: record.id.to_string(), fault })?;
            }
            checked += 1;
        }
        Ok(())
    })?;
    Ok(checked)
}

/// All records from a frame on.
pub(super) fn messages(
    ledger: &Path,
    keys: &ReadingKeys,
    begin: u64,
    mut visit: impl FnMut(u64, &crate::domain::Record) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    frames(ledger, keys, begin, |number, told| match told {
        Told::Message { record, .. } => visit(number, record),
        _ => Ok(()),
    })
}

/// All that is told from a frame on.
fn frames(
    ledger: &Path,
    keys: &ReadingKeys,
    begin: u64,
    mut visit: impl FnMut(u64, &Told) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    if inspect::end(ledger)?.0.last < begin {
        return Ok(());
    }
    let mut tail = Tail::open(ledger, begin, keys)?;
    while let Some(frame) = tail.any()? {
        for told in &frame.told {
            visit(frame.number, told)?;
        }
    }
    Ok(())
}
