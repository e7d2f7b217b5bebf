//! The files of a schema set, all in memory: what schemas refer to is found here or nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalog::Catalog;
use crate::verify::xsd::Files;

/// Octets of all files of a set.
const MAX_OCTETS: u64 = 64 << 20;
/// Files in a set.
const MAX_FILES: usize = 2_000;
/// Nested folders in a set.
const MAX_DEPTH: usize = 8;

/// The files of one schema set.
pub(super) struct Sources {
    /// Where they are from, for faults.
    pub(super) name: String,
    /// Path inside the set (with `/`) → octets.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    catalog: Catalog,
}

impl Sources {
    /// The gateway's own schemas.
    pub(super) fn built_in() -> Self {
        macro_rules! files {
            ($($name:literal),*) => {
                [$(($name.to_owned(), include_bytes!(concat!("../../../xsd/antrag/1.0/", $name)).to_vec())),*]
            };
        }
        let files = files![
            "antrag.xsd",
            "kopf.xsd",
            "code.xsd",
            "text.xsd",
            "signatur.xsd",
            "codelists/nachrichtentyp_1.xml",
            "codelists/verzeichnisdienst_1.xml",
            "codelists/kanal_1.xml",
            "codelists/rueckweisungsgrund_1.xml"
        ];
        // Its catalog is for other tools; the schemas name each other by relative paths.
        Self::new("the built-in schemas".to_owned(), BTreeMap::from(files), Catalog::default())
    }

    /// The schema set in `folder`.
    pub(super) fn folder(folder: &Path) -> Result<Self, Vec<String>> {
        let name = folder.display().to_string();
        let mut walk = Walk {
            root: folder.canonicalize().map_err(|e| vec![format!("{name} can't be read: {e}")])?,
            files: BTreeMap::new(),
            octets: 0,
            faults: Vec::new(),
        };
        let root = walk.root.clone();
        walk.enter(&root, "", 0);
        let Walk { mut files, mut faults, .. } = walk;
        let catalog = match files.remove("catalog.xml") {
            Some(text) => Catalog::parse(&text, &files),
            None => Err(vec!["there is no catalog.xml; put one there, be it empty".to_owned()]),
        };
        match catalog {
            Ok(catalog) if faults.is_empty() => Ok(Self::new(name, files, catalog)),
            Ok(_) => Err(faults),
            Err(more) => {
                faults.extend(more.into_iter().map(|fault| format!("{name}: {fault}")));
                Err(faults)
            }
        }
    }

    fn new(name: String, files: BTreeMap<String, Vec<u8>>, catalog: Catalog) -> Self {
        Self { name, files, catalog }
    }
}

impl Files for Sources {
    fn resolve(&self, from: &str, reference: &str) -> Option<String> {
        if let Some(path) = self.catalog.lookup(reference) {
            return Some(path.to_owned());
        }
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = super::catalog::join(folder, reference)?;
        self.files.contains_key(&path).then_some(path)
    }

    fn octets(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }
}

/// Reads a folder; symbolic links may not lead out of it.
struct Walk {
    root: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    octets: u64,
    faults: Vec<String>,
}

impl Walk {
    fn enter(&mut self, folder: &Path, inside: &str, depth: usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return self.faults.push(format!("{} can't be read: {e}", folder.display())),
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let path = if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
            let Ok(real) = entry.path().canonicalize() else { continue };
            let (wanted, is_folder) = (wanted(&path), real.is_dir());
            if (wanted || is_folder) && !real.starts_with(&self.root) {
                self.faults.push(format!(
                    "{} leads out of the folder of its schema set; put the file itself there",
                    entry.path().display()
                ));
            } else if is_folder && depth < MAX_DEPTH {
                self.enter(&real, &path, depth + 1);
            } else if wanted && !is_folder {
                self.read(&real, path);
            }
        }
    }

    fn read(&mut self, real: &Path, path: String) {
        let octets = std::fs::metadata(real).map(|meta| meta.len()).unwrap_or(0);
        self.octets = self.octets.saturating_add(octets);
        if self.octets > MAX_OCTETS || self.files.len() >= MAX_FILES {
            if self.faults.is_empty() {
                self.faults.push(format!(
                    "{} holds more than {MAX_FILES} files or {} MB; split the schema set",
                    self.root.display(),
                    MAX_OCTETS >> 20
                ));
            }
            return;
        }
        match std::fs::read(real) {
            Ok(content) => {
                self.files.insert(path, content);
            }
            Err(e) => self.faults.push(format!("{} can't be read: {e}", real.display())),
        }
    }
}

/// Schemas, the catalog and code lists; examples and texts beside them are not read.
fn wanted(path: &str) -> bool {
    path == "catalog.xml"
        || path.ends_with(".xsd")
        || (path.starts_with("codelists/") && path.ends_with(".xml"))
}
