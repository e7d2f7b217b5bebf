//! The five files of a directory as texts: read from a folder within bounds, written to one, and
//! the sample directory of Hesse that comes with the program.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Octets of one file at most; a larger one is refused before it is parsed.
pub const MAX_FILE_OCTETS: u64 = 64 << 20;

/// The names of the files, in the order in which they are checked.
pub const FILE_NAMES: [&str; 5] = [AREAS, SERVICES, AUTHORITIES, COMPETENCES, ENDPOINTS];

pub(super) const AREAS: &str = "areas.csv";
pub(super) const SERVICES: &str = "services.csv";
pub(super) const AUTHORITIES: &str = "authorities.csv";
pub(super) const COMPETENCES: &str = "competences.csv";
pub(super) const ENDPOINTS: &str = "endpoints.toml";

/// How the URL of every push endpoint of the sample directory begins; the authority's name follows.
/// `.example` never resolves (RFC 2606 section 2), so a forgotten placeholder reaches nobody.
pub const PUSH_BASE: &str = "https://fachverfahren.example:8444/amtsweg";

const README: &str = include_str!("../../deploy/hessen/README.md");

/// The texts of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Files {
    /// `areas.csv`
    pub areas: String,
    /// `services.csv`
    pub services: String,
    /// `authorities.csv`
    pub authorities: String,
    /// `competences.csv`
    pub competences: String,
    /// `endpoints.toml`
    pub endpoints: String,
}

impl Files {
    /// The sample directory of Hesse, as in `deploy/hessen`.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            areas: include_str!("../../deploy/hessen/areas.csv").to_owned(),
            services: include_str!("../../deploy/hessen/services.csv").to_owned(),
            authorities: include_str!("../../deploy/hessen/authorities.csv").to_owned(),
            competences: include_str!("../../deploy/hessen/competences.csv").to_owned(),
            endpoints: include_str!("../../deploy/hessen/endpoints.toml").to_owned(),
        }
    }

    /// The same with every push URL of the sample directory moved from [`PUSH_BASE`] to `base`,
    /// e.g. `https://localhost:9001/amtsweg`.
    #[must_use]
    pub fn with_push_base(mut self, base: &str) -> Self {
        self.endpoints = self.endpoints.replace(PUSH_BASE, base.trim_end_matches('/'));
        self
    }

    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// Every file that is missing, too large, unreadable or not UTF-8.
    pub fn read(folder: &Path) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut one = |name: &str| match read_text(&folder.join(name)) {
            Ok(text) => text,
            Err(fault) => {
                faults.push(format!("{name}: {fault}"));
                String::new()
            }
        };
        let files = Self {
            areas: one(AREAS),
            services: one(SERVICES),
            authorities: one(AUTHORITIES),
            competences: one(COMPETENCES),
            endpoints: one(ENDPOINTS),
        };
        if faults.is_empty() { Ok(files) } else { Err(faults) }
    }

    /// Writes the files into `folder`, which is made if need be, with their description as
    /// `README.md`. Each file is replaced as a whole.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let texts = [&self.areas, &self.services, &self.authorities, &self.competences, &self.endpoints];
        for (name, text) in FILE_NAMES.into_iter().zip(texts) {
            replace(folder, name, text)?;
        }
        replace(folder, "README.md", README)
    }
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!(".{name}.new"));
    fs::write(&beside, text)?;
    fs::rename(beside, folder.join(name))
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|fault| format!("can't be opened: {fault}"))?;
    let mut octets = Vec::new();
    file.take(MAX_FILE_OCTETS + 1)
        .read_to_end(&mut octets)
        .map_err(|fault| format!("can't be read: {fault}"))?;
    if octets.len() as u64 > MAX_FILE_OCTETS {
        return Err(format!("is larger than {} MiB; split the directory", MAX_FILE_OCTETS >> 20));
    }
    String::from_utf8(octets).map_err(|fault| {
        let before = fault.as_bytes().iter().take(fault.utf8_error().valid_up_to());
        let line = before.filter(|octet| **octet == b'\n').count() + 1;
        format!("is not UTF-8 (line {line}); save it as UTF-8")
    })
}
