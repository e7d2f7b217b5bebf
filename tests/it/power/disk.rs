//! A disk as the records of the shim tell it: what is durable, and what is on its way. Any moment
//! can be turned into an image as a power cut could have left it.
//!
//! The rules: a sync of a file makes durable all that was written to it before the sync began, and
//! its length; a sync of a folder does the same for the names in it. Nothing else makes anything
//! durable, `sync_file_range` least of all. Of the rest a cut leaves what chance leaves.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::log::{Entry, Kind, Log};

/// Octets that a disk writes as a whole.
const SECTOR: usize = 512;

/// A file's or folder's number in here; the system's inode numbers are used again.
type Object = usize;
type Names = BTreeMap<(Object, String), Object>;

#[derive(Clone)]
enum Change {
    Write { at: u64, octets: Range<usize> },
    Length(u64),
    Reach(u64),
}

#[derive(Clone, Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<(usize, Change)>,
}

/// A change of names; all of it happens or nothing.
#[derive(Clone)]
struct Naming {
    at: usize,
    /// A sync of this folder makes it durable.
    folder: Object,
    sets: Vec<((Object, String), Option<Object>)>,
}

/// The disk at one moment.
#[derive(Clone)]
pub struct Disk {
    root: String,
    /// `None` for folders.
    objects: Vec<Option<Content>>,
    inodes: HashMap<u64, Object>,
    /// As the running process sees them.
    names: Names,
    durable: Names,
    pending: Vec<Naming>,
    syncs: HashMap<(u64, u64), usize>,
    /// Records taken in.
    at: usize,
}

impl Disk {
    /// A folder as it lies there, all of it durable.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_str().unwrap().to_owned(),
            objects: vec![None],
            inodes: HashMap::new(),
            names: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            syncs: HashMap::new(),
            at: 0,
        };
        disk.inodes.insert(std::fs::metadata(root).unwrap().ino(), 0);
        disk.take_in(root, 0);
        disk.durable = disk.names.clone();
        disk
    }

    fn take_in(&mut self, folder: &Path, parent: Object) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            let content = about
                .is_file()
                .then(|| Content { durable: std::fs::read(entry.path()).unwrap(), pending: Vec::new() });
            let object = self.add(about.ino(), content);
            self.names.insert((parent, entry.file_name().into_string().unwrap()), object);
            if about.is_dir() {
                self.take_in(&entry.path(), object);
            }
        }
    }

    fn add(&mut self, inode: u64, content: Option<Content>) -> Object {
        self.objects.push(content);
        self.inodes.insert(inode, self.objects.len() - 1);
        self.objects.len() - 1
    }

    /// Folder and name of a path, as the process sees them now.
    fn place(&self, path: &str) -> (Object, String) {
        let below = path.strip_prefix(self.root.as_str()).unwrap().trim_start_matches('/');
        let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
        let mut at = 0;
        for folder in folders.split('/').filter(|f| !f.is_empty()) {
            let key = (at, folder.to_owned());
            at = *self.names.get(&key).unwrap_or_else(|| panic!("{path}: nobody made {folder}"));
        }
        (at, name.to_owned())
    }

    fn name(&mut self, folder: Object, sets: Vec<((Object, String), Option<Object>)>) {
        apply(&mut self.names, &sets);
        self.pending.push(Naming { at: self.at, folder, sets });
    }

    fn content(&mut self, entry: &Entry) -> &mut Content {
        let object = self.inodes.get(&entry.inode).copied();
        let object = object.unwrap_or_else(|| panic!("{}: nobody opened it", entry.path));
        self.objects[object].as_mut().unwrap()
    }

    /// Takes in the records up to `until`.
    pub fn advance(&mut self, log: &Log, until: usize) {
        while self.at < until.min(log.entries.len()) {
            self.take(log, &log.entries[self.at]);
            self.at += 1;
        }
    }

    fn take(&mut self, log: &Log, entry: &Entry) {
        let now = self.at;
        match entry.kind {
            Kind::Open => {
                let object = self.add(entry.inode, Some(Content::default()));
                let place = self.place(&entry.path);
                self.name(place.0, vec![(place, Some(object))]);
            }
            Kind::MakeFolder => {
                let object = self.add(entry.inode, None);
                let place = self.place(&entry.path);
                self.name(place.0, vec![(place, Some(object))]);
            }
            Kind::Unlink | Kind::RemoveFolder => {
                let place = self.place(&entry.path);
                self.name(place.0, vec![(place, None)]);
            }
            Kind::Rename | Kind::Link => {
                let (from, to) = (self.place(&entry.path), self.place(&entry.other));
                let object = self.names[&from];
                let mut sets = vec![(to.clone(), Some(object))];
                if entry.kind == Kind::Rename {
                    sets.push((from, None));
                }
                self.name(to.0, sets);
            }
            Kind::Write => {
                let change = Change::Write { at: entry.a, octets: entry.payload.clone() };
                self.content(entry).pending.push((now, change));
            }
            Kind::Truncate => self.content(entry).pending.push((now, Change::Length(entry.a))),
            Kind::Allocate => self.content(entry).pending.push((now, Change::Reach(entry.a + entry.b))),
            Kind::SyncBegin => drop(self.syncs.insert((entry.b, entry.a), now)),
            Kind::SyncEnd => {
                let began = self.syncs.remove(&(entry.b, entry.a)).unwrap();
                self.synced(log, self.inodes[&entry.inode], began);
            }
            Kind::Mark | Kind::Range | Kind::Unknown => {}
        }
    }

    fn synced(&mut self, log: &Log, object: Object, began: usize) {
        if let Some(content) = &mut self.objects[object] {
            let until = content.pending.partition_point(|(at, _)| *at < began);
            for (_, change) in content.pending.drain(..until) {
                change.apply(&mut content.durable, &log.octets);
            }
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        for naming in pending {
            if naming.folder == object && naming.at < began {
                // What came before under these names is over, whether its own folder was synced or not.
                for earlier in &mut self.pending {
                    earlier.sets.retain(|(key, _)| !naming.sets.iter().any(|(other, _)| other == key));
                }
                apply(&mut self.durable, &naming.sets);
            } else {
                self.pending.push(naming);
            }
        }
    }

    /// An image as a cut at this moment could leave it, written to `folder`.
    pub fn image(&self, log: &Log, folder: &Path, rng: &mut StdRng) {
        let whole = Luck::whole(rng);
        let mut names = self.durable.clone();
        let luck = whole.unwrap_or_else(|| Luck::any(rng));
        let in_order = rng.random_range(0..=self.pending.len());
        for (n, naming) in self.pending.iter().enumerate() {
            let done = match luck {
                Luck::Nothing => false,
                Luck::All => true,
                Luck::Prefix => n < in_order,
                Luck::Sectors => rng.random(),
            };
            if done {
                apply(&mut names, &naming.sets);
            }
        }
        self.write(log, &names, 0, folder, whole, rng);
    }

    /// The image of a cut that leaves nothing but what was synced.
    pub fn worst(&self, log: &Log, folder: &Path) {
        let mut rng = StdRng::seed_from_u64(0);
        self.write(log, &self.durable, 0, folder, Some(Luck::Nothing), &mut rng);
    }

    fn write(
        &self,
        log: &Log,
        names: &Names,
        parent: Object,
        folder: &Path,
        whole: Option<Luck>,
        rng: &mut StdRng,
    ) {
        std::fs::create_dir_all(folder).unwrap();
        for ((_, name), object) in names.range((parent, String::new())..(parent + 1, String::new())) {
            let path = folder.join(name);
            match &self.objects[*object] {
                None => self.write(log, names, *object, &path, whole, rng),
                Some(content) => {
                    let luck = whole.unwrap_or_else(|| Luck::any(rng));
                    let octets = content.after(&log.octets, luck, rng);
                    save(&path, &another_boot(name, octets));
                }
            }
        }
    }
}

fn apply(names: &mut Names, sets: &[((Object, String), Option<Object>)]) {
    for (key, object) in sets {
        match object {
            Some(object) => names.insert(key.clone(), *object),
            None => names.remove(key),
        };
    }
}

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Nothing,
    All,
    /// In order, up to the middle of one of them.
    Prefix,
    /// Each sector by itself.
    Sectors,
}

impl Luck {
    /// One for the whole disk, or none.
    fn whole(rng: &mut StdRng) -> Option<Self> {
        [Some(Self::Nothing), Some(Self::All), None, None, None, None][rng.random_range(0..6)]
    }

    fn any(rng: &mut StdRng) -> Self {
        [Self::Nothing, Self::All, Self::Prefix, Self::Sectors, Self::Sectors][rng.random_range(0..5)]
    }
}

impl Change {
    fn apply(&self, octets: &mut Vec<u8>, log: &[u8]) {
        match self {
            Self::Write { at, octets: from } => put(octets, *at as usize, &log[from.clone()]),
            Self::Length(len) => octets.resize(*len as usize, 0),
            Self::Reach(end) => octets.resize(octets.len().max(*end as usize), 0),
        }
    }
}

fn put(octets: &mut Vec<u8>, at: usize, what: &[u8]) {
    if octets.len() < at + what.len() {
        octets.resize(at + what.len(), 0);
    }
    octets[at..at + what.len()].copy_from_slice(what);
}

impl Content {
    fn after(&self, log: &[u8], luck: Luck, rng: &mut StdRng) -> Vec<u8> {
        let mut octets = self.durable.clone();
        match luck {
            Luck::Nothing => {}
            Luck::All => self.pending.iter().for_each(|(_, change)| change.apply(&mut octets, log)),
            Luck::Prefix => {
                let whole = rng.random_range(0..=self.pending.len());
                self.pending[..whole].iter().for_each(|(_, change)| change.apply(&mut octets, log));
                if let Some((_, Change::Write { at, octets: from })) = self.pending.get(whole) {
                    let part = &log[from.clone()];
                    put(&mut octets, *at as usize, &part[..rng.random_range(0..part.len())]);
                }
            }
            Luck::Sectors => self.sectors(&mut octets, log, rng),
        }
        octets
    }

    /// Each sector is there or not; the length is that after one of the changes.
    fn sectors(&self, octets: &mut Vec<u8>, log: &[u8], rng: &mut StdRng) {
        let chance = [0.05, 0.5, 0.95][rng.random_range(0..3)];
        let known = match rng.random_range(0..3) {
            0 => 0,
            1 => self.pending.len(),
            _ => rng.random_range(0..=self.pending.len()),
        };
        let mut len = octets.len();
        for (n, (_, change)) in self.pending.iter().enumerate() {
            let after = match change {
                Change::Write { at, octets: from } => {
                    let (mut at, part) = (*at as usize, &log[from.clone()]);
                    let end = at + part.len();
                    let mut rest = part;
                    while !rest.is_empty() {
                        let (sector, more) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
                        if rng.random_bool(chance) {
                            put(octets, at, sector);
                        }
                        at += sector.len();
                        rest = more;
                    }
                    len.max(end)
                }
                Change::Length(to) => {
                    if n < known {
                        octets.truncate(*to as usize);
                    }
                    *to as usize
                }
                Change::Reach(to) => len.max(*to as usize),
            };
            if n < known {
                len = after;
            }
        }
        octets.resize(len, 0);
    }
}

/// The store's marker names the boot in which it was written: after a power cut that is another.
fn another_boot(name: &str, mut octets: Vec<u8>) -> Vec<u8> {
    if name.starts_with("state.json") {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let boot = boot.trim().as_bytes();
        if let Some(at) = octets.windows(boot.len()).position(|part| part == boot) {
            octets[at..at + boot.len()].fill(b'0');
            // A whole marker stays whole: its checksum is made good.
            if let Ok(mut marker) = serde_json::from_slice::<serde_json::Value>(&octets) {
                let word = |name: &str| {
                    marker[name].as_str().map_or_else(|| marker[name].to_string(), str::to_owned)
                };
                let said = ["format", "boot", "clean", "last", "head"].map(word).join(" ");
                marker["sum"] = format!("{:08x}", crc32c::crc32c(said.as_bytes())).into();
                octets = marker.to_string().into_bytes();
            }
        }
    }
    octets
}

/// Writes a file, leaving out what is zero.
fn save(path: &PathBuf, octets: &[u8]) {
    const BLOCK: usize = 4096;
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let file = std::fs::File::create(path).unwrap();
    file.set_len(octets.len() as u64).unwrap();
    for (n, block) in octets.chunks(BLOCK).enumerate() {
        if block != &ZEROS[..block.len()] {
            file.write_all_at(block, (n * BLOCK) as u64).unwrap();
        }
    }
}
