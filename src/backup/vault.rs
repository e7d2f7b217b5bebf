//! The keys of an encrypted store in a backup: one copy, the newest, for all generations.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::copy::{copy_file, sync};
use super::{BackupFault, io};

/// Its folder, in the store and in the backup.
const FOLDER: &str = "vault";
/// The file that says which others there are.
const KEYRING: &str = "keyring.json";

/// Replaces the backup's copy with the vault of the store in `data`; what was there is overwritten.
pub(super) fn replace(data: &Path, to: &Path) -> Result<(), BackupFault> {
    let source = data.join(FOLDER);
    let ring = source.join(KEYRING);
    if !ring.exists() {
        return Ok(());
    }
    let (part, kept, old) = (to.join("vault.part"), to.join(FOLDER), to.join("vault.old"));
    let before = std::fs::read(&ring).map_err(io(&ring))?;
    clear(&part)?;
    std::fs::create_dir(&part).map_err(io(&part))?;
    copy_all(&source, &part)?;
    // A master key that is being replaced changes what belongs together: begin anew then.
    if std::fs::read(&ring).map_err(io(&ring))? != before {
        return Err(io(&ring)(std::io::ErrorKind::NotFound.into()));
    }
    sync(&part)?;
    clear(&old)?;
    if kept.exists() {
        std::fs::rename(&kept, &old).map_err(io(&kept))?;
    }
    std::fs::rename(&part, &kept).map_err(io(&part))?;
    sync(to)?;
    clear(&old)
}

/// Puts the backup's copy into a store that is being put back.
pub(super) fn put_back(from: &Path, to: &Path) -> Result<(), BackupFault> {
    let (mut source, target) = (from.join(FOLDER), to.join(FOLDER));
    if !source.exists() {
        // A backup that was cut off between two names.
        source = from.join("vault.old");
    }
    if !source.exists() {
        return Ok(());
    }
    std::fs::create_dir(&target).map_err(io(&target))?;
    copy_all(&source, &target)?;
    sync(&target)
}

fn copy_all(source: &Path, target: &Path) -> Result<(), BackupFault> {
    for entry in std::fs::read_dir(source).map_err(io(source))? {
        let path = entry.map_err(io(source))?.path();
        let name = path.file_name().unwrap_or_default();
        let ours = name == KEYRING || path.extension().is_some_and(|extension| extension == "slots");
        if ours {
            copy_file(&path, &target.join(name), u64::MAX)?;
        }
    }
    Ok(())
}

/// Overwrites and removes a folder of keys.
fn clear(folder: &Path) -> Result<(), BackupFault> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(io(folder)(fault)),
    };
    for entry in entries {
        let path = entry.map_err(io(folder))?.path();
        overwrite(&path).map_err(io(&path))?;
    }
    std::fs::remove_dir_all(folder).map_err(io(folder))
}

fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = vec![0; 256 << 10];
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    file.sync_all()
}
