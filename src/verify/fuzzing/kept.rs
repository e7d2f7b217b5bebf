//! The kept inputs of the fuzz targets, replayed by unit tests.

use std::path::PathBuf;

/// Where the fuzz targets and what belongs to them lie.
pub(crate) fn fuzz_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz"))
}

/// The kept inputs of a fuzz target, with their names.
pub(crate) fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
        inputs.push((entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
    }
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

/// Runs a fuzz target's entry point over its kept inputs.
pub(crate) fn corpus(target: &str, run: impl Fn(&[u8])) {
    inputs(target).iter().for_each(|(_, octets)| run(octets));
}
