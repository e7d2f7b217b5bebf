//! `--schemas DIR`: a schema set, or a folder of schema sets such as `xsd/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Fault;
use crate::verify::header::Rules;
use crate::verify::schema::Schemas;
use crate::verify::trust::Trust;
use crate::verify::{Limits, Settings, Verifier};

/// Levels of folders in which sets are looked for.
const DEPTH: usize = 3;
/// Sets at most: more is no schema folder but something else.
const MAX_SETS: usize = 100;

/// The gateway's own schemas, as they are built in.
const OWN: [(&str, &[u8]); 5] = [
    ("antrag.xsd", include_bytes!("../../xsd/antrag/1.0/antrag.xsd")),
    ("kopf.xsd", include_bytes!("../../xsd/antrag/1.0/kopf.xsd")),
    ("code.xsd", include_bytes!("../../xsd/antrag/1.0/code.xsd")),
    ("text.xsd", include_bytes!("../../xsd/antrag/1.0/text.xsd")),
    ("signatur.xsd", include_bytes!("../../xsd/antrag/1.0/signatur.xsd")),
];

/// A verifier over the gateway's own schemas and rules and those of `folders`.
///
/// # Errors
/// When a set or its rules can't be used.
pub fn verifier(folders: &[PathBuf], trust: Trust) -> Result<Verifier, Fault> {
    let mut rules = Rules::built_in();
    let mut sets = Vec::new();
    for folder in folders {
        let found = sets_in(folder)?;
        if found.is_empty() {
            return Err(Fault::said(format!(
                "{} holds no schema set; name a folder with catalog.xml and schemas",
                folder.display()
            )));
        }
        // The gateway's own set is known already, whether or not it is named.
        sets.extend(found.into_iter().filter(|set| !is_own(set)));
    }
    for set in &sets {
        // A set without rules serves standards whose rules are built in.
        rules.add_folder(set).map_err(|faults| Fault::all("cannot use the header rules", &faults))?;
    }
    let schemas = Schemas::load(&sets).map_err(|faults| Fault::all("cannot use the schemas", &faults))?;
    Ok(Verifier::new(Settings {
        limits: Limits::default(),
        rules: Arc::new(rules),
        schemas: Arc::new(schemas),
        trust: Arc::new(trust),
    }))
}

/// The folder itself where it is a set, else the sets below it.
fn sets_in(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !folder.is_dir() {
        return Err(Fault::said(format!("{} is no folder; --schemas names a schema set", folder.display())));
    }
    let mut sets = Vec::new();
    look(folder, DEPTH, &mut sets)?;
    sets.sort();
    Ok(sets)
}

fn look(folder: &Path, depth: usize, sets: &mut Vec<PathBuf>) -> Result<(), Fault> {
    if folder.join("catalog.xml").is_file() {
        sets.push(folder.to_owned());
        return Ok(());
    }
    if depth == 0 || sets.len() >= MAX_SETS {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Fault::file("read", folder, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Fault::file("read", folder, &e))?;
        // Links are not followed: a set lies where it is named.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            look(&entry.path(), depth - 1, sets)?;
        }
    }
    Ok(())
}

/// Whether a set is the gateway's own, unchanged.
fn is_own(set: &Path) -> bool {
    OWN.iter().all(|(name, own)| std::fs::read(set.join(name)).is_ok_and(|there| there == *own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("xsd")
    }

    #[test]
    fn the_own_set_may_be_named_alone_or_by_its_parent() {
        assert_eq!(sets_in(&own()).unwrap(), [own().join("antrag/1.0")]);
        assert!(is_own(&own().join("antrag/1.0")));
        verifier(&[own(), own().join("antrag/1.0")], Trust::none()).unwrap();
    }

    #[test]
    fn a_folder_without_a_set_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = verifier(&[dir.path().to_owned()], Trust::none()).err().unwrap().to_string();
        assert!(said.contains("catalog.xml"), "{said}");
        assert!(verifier(&[dir.path().join("none")], Trust::none()).is_err());
    }
}
