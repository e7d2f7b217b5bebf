//! The kept inputs of the fuzz targets, replayed by unit tests.

use std::path::PathBuf;

/// Where the fuzz targets and what belongs to them lie.
pub(crate) fn fuzz_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz"))
}

/// Runs a fuzz target's entry point over its kept inputs.
pub(crate) fn corpus(target: &str, run: impl Fn(&[u8])) {
    let folder = fuzz_folder().join("corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        run(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}
