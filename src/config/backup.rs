//! `[backup]`: where the gateway makes backups of its store when an operator asks for one.

use std::path::PathBuf;

use super::Gateway;
use super::reader::Section;
use super::value::There;

pub(super) fn folder(root: &mut Section<'_, '_>, gateway: Option<&Gateway>) -> Option<PathBuf> {
    let mut s = root.section("backup");
    // It may be a disk that is not mounted at the moment.
    let anything = s.at(There::Anything);
    let folder = s.optional("folder", anything);
    let inside =
        |folder: &PathBuf| gateway.is_some_and(|g| folder.starts_with(&g.data) || g.data.starts_with(folder));
    if folder.as_ref().is_some_and(inside) {
        s.fault(
            "folder",
            "lies in the store's folder, or around it: name a folder elsewhere, on another disk",
        );
    }
    s.end();
    folder
}
