//! Makes a generation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::{Digest, Timestamp};
use crate::proof::book;
use crate::store::inspect;
use crate::store::ledger;
use crate::store::{LAYOUT_FILE, ReadingKeys};

use super::contents::Contents;
use super::watch::{Phase, Watch};
use super::{BackupFault, Entry, FORMAT, MANIFEST, Manifest, generations, io, vault};

/// How often it follows what was moved or let go while it was copied.
const ROUNDS: usize = 10;

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
pub fn backup(
    data: &Path,
    keys: Option<&ReadingKeys>,
    to: &Path,
    full: bool,
    watch: &Watch,
) -> Result<Made, BackupFault> {
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
    clear(&part)?;
    let made =
        Copy::new(data, &part, base.as_ref(), watch).and_then(|copy| copy.run(full, keys)).and_then(|made| {
            // Before the generation is there: whoever puts it back finds its keys.
            keys_too(data, to)?;
            Ok(made)
        });
    match made {
        Ok(made) => {
            let folder = to.join(format!("{number:06}"));
            std::fs::rename(&part, &folder).map_err(io(&folder))?;
            sync(to)?;
            Ok(Made { generation: number, folder, ..made })
        }
        Err(fault) => {
            clear(&part)?;
            Err(fault)
        }
    }
}

/// Replaces the backup's copy of the keys; begins anew where a new master key changes them meanwhile.
fn keys_too(data: &Path, to: &Path) -> Result<(), BackupFault> {
    for _ in 1..ROUNDS {
        match vault::replace(data, to) {
            Err(BackupFault::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
    vault::replace(data, to)
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
    /// What is in the generation so far, by name.
    entries: BTreeMap<String, Entry>,
    /// Names of those that were written and not read again yet.
    unread: Vec<String>,
    copied: u64,
    watch: &'a Watch,
}

impl<'a> Copy<'a> {
    fn new(
        data: &'a Path,
        part: &'a Path,
        base: Option<&'a (Manifest, PathBuf)>,
        watch: &'a Watch,
    ) -> Result<Self, BackupFault> {
        for folder in ["ledger", "content/segments", "content/files", book::FOLDER] {
            let folder = part.join(folder);
            std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        }
        let known = base.iter().flat_map(|(manifest, _)| &manifest.files);
        let known = known.map(|entry| (entry.path.as_str(), entry)).collect();
        let (entries, unread) = (BTreeMap::new(), Vec::new());
        Ok(Self { data, part, known, base, entries, unread, copied: 0, watch })
    }

    /// Copies, and follows: what the gateway has moved or let go meanwhile is no longer where the copy of its
    /// ledger says. The ledger says where it is now, so its new end is taken in as well, and then what that
    /// names. Each round has only as much to do as has happened since the one before.
    fn run(mut self, full: bool, keys: Option<&ReadingKeys>) -> Result<Made, BackupFault> {
        let mut contents = Contents::new(self.base.filter(|_| !full).map_or(0, |(base, _)| base.last));
        let mut round = 0;
        let end = loop {
            round += 1;
            let (end, vanished) = self.round()?;
            self.watch.enter(Phase::Checking);
            self.read_again()?;
            if let Some(keys) = keys {
                contents.check(self.part, keys, end.last, self.watch)?;
            }
            match (contents.missing.pop_first(), vanished) {
                (None, None) => break end,
                (missing, _) if round < ROUNDS => contents.missing.extend(missing),
                (Some((_, missing)), _) => return Err(missing.into()),
                (_, Some(path)) => return Err(io(&path)(std::io::ErrorKind::NotFound.into())),
            }
        };
        let manifest = Manifest {
            format: FORMAT,
            made: Timestamp::now().to_string(),
            last: end.last,
            head: end.head.to_string(),
            files: self.entries.into_values().collect(),
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
            checked: contents.checked,
        })
    }

    /// Copies what is not in the generation yet. Gives the end of its ledger, and what was there before that was
    /// copied, and was gone when it was to be copied itself.
    fn round(&mut self) -> Result<(ledger::Summary, Option<PathBuf>), BackupFault> {
        self.watch.enter(Phase::Copying);
        let before = self.contents()?;
        self.copy_if_there(Path::new(LAYOUT_FILE), true)?;
        // Checkpoints first: none may be about frames that the copy of the ledger has not.
        for path in self.list(book::FOLDER)? {
            if path.extension().is_none_or(|extension| extension != "new") {
                self.copy_if_there(&path, true)?;
            }
        }
        let end = self.ledger()?;
        let now = self.contents()?;
        let newest = now.iter().rfind(|path| path.starts_with("content/segments"));
        let mut vanished = None;
        for path in before.union(&now) {
            if !self.copy_if_there(path, Some(path) == newest)? {
                vanished = Some(path.clone());
            }
        }
        Ok((end, vanished))
    }

    fn list(&self, folder: &str) -> Result<Vec<PathBuf>, BackupFault> {
        let mut out = Vec::new();
        files(self.data, &self.data.join(folder), &mut out)?;
        out.sort();
        Ok(out)
    }

    fn contents(&self) -> Result<BTreeSet<PathBuf>, BackupFault> {
        Ok(self.list("content/segments")?.into_iter().chain(self.list("content/files")?).collect())
    }

    /// The ledger up to its end at this moment.
    fn ledger(&mut self) -> Result<ledger::Summary, BackupFault> {
        loop {
            let (end, segment) = inspect::end(&self.data.join("ledger"))?;
            if !self.segments(&end, segment)? {
                // Its beginning was let go: what of it still counts stands behind this end.
                continue;
            }
            let copied = ledger::verify(&self.part.join("ledger"))?;
            if (copied.last, copied.head) == (end.last, end.head) {
                return Ok(copied);
            }
            let why = format!("the copy ends with frame {}, the ledger with {}", copied.last, end.last);
            return Err(BackupFault::Damaged { path: self.part.join("ledger"), why });
        }
    }

    /// Copies the ledger's segments up to the one that begins with frame `last`; `false` where one is gone, with
    /// which those before it go.
    fn segments(&mut self, end: &ledger::Summary, last: u64) -> Result<bool, BackupFault> {
        let paths: Vec<_> = self.list("ledger")?.into_iter().filter(|p| first(p).is_some()).collect();
        // A later segment has begun since: nothing of it is in this generation.
        for path in paths.iter().filter(|path| first(path).is_some_and(|first| first <= last)) {
            let open = first(path) == Some(last);
            if self.copied(path, if open { end.octets } else { u64::MAX }, open)? {
                continue;
            }
            let gone = self.entries.keys().filter(|name| first(Path::new(name)).is_some());
            let gone: Vec<_> = gone.filter(|name| Path::new(name) <= path.as_path()).cloned().collect();
            gone.iter().try_for_each(|name| self.remove(name))?;
            return Ok(false);
        }
        Ok(true)
    }

    fn remove(&mut self, name: &str) -> Result<(), BackupFault> {
        let target = self.part.join(name);
        self.entries.remove(name);
        std::fs::remove_file(&target).map_err(io(&target))
    }

    /// Copies a file; `false` where it is gone, and was not copied before.
    fn copy_if_there(&mut self, path: &Path, open: bool) -> Result<bool, BackupFault> {
        let copied = self.copied(path, u64::MAX, open)?;
        Ok(copied || self.entries.contains_key(path.to_string_lossy().as_ref()))
    }

    fn copied(&mut self, path: &Path, bound: u64, open: bool) -> Result<bool, BackupFault> {
        match self.copy(path, bound, open) {
            Err(BackupFault::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Copies a file up to `bound` octets, or links the same file of the generation before. One that is in this
    /// generation already stays, unless it is still being written to, or was when it was copied.
    fn copy(&mut self, path: &Path, bound: u64, open: bool) -> Result<(), BackupFault> {
        self.watch.go_on()?;
        let source = self.data.join(path);
        let found = std::fs::metadata(&source).map_err(io(&source))?;
        let modified = u64::try_from(found.mtime_nsec()).unwrap_or_default()
            + u64::try_from(found.mtime()).unwrap_or_default() * 1_000_000_000;
        let name = path.to_string_lossy().into_owned();
        let same =
            |entry: &Entry| !open && !entry.open && (entry.len, entry.modified) == (found.len(), modified);
        if self.entries.get(&name).is_some_and(same) {
            return Ok(());
        }
        let target = self.part.join(path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        if let (Some(known), Some((_, base))) = (self.known.get(name.as_str()), self.base)
            && same(known)
            && !self.entries.contains_key(&name)
            && std::fs::hard_link(base.join(path), &target).is_ok()
        {
            self.entries.insert(name, (*known).clone());
            return Ok(());
        }
        if self.entries.contains_key(&name) {
            self.remove(&name)?;
        }
        let (len, digest) = copy_file(&source, &target, bound)?;
        self.copied += len;
        self.watch.copied(len);
        self.unread.push(name.clone());
        self.entries
            .insert(name.clone(), Entry { path: name, len, sha256: digest.to_string(), modified, open });
        Ok(())
    }

    /// Whether what was written is what was read.
    fn read_again(&mut self) -> Result<(), BackupFault> {
        for name in std::mem::take(&mut self.unread) {
            self.watch.go_on()?;
            if let Some(entry) = self.entries.get(&name) {
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
