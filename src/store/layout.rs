//! Which layout a store's folder has, and how an older one becomes the present one.
//!
//! `layout.json` says it. It is written before anything else and stays: `state.json`, which alone said it up to
//! layout 1, is set aside when it is damaged, may be deleted to go on without lost frames, and is in no
//! backup. A store without the file has layout 1, or is new.
//!
//! An older store is copied, then goes through its steps, and each is durable with the number behind it. So a
//! stop anywhere is gone on from, and nothing is ever half of two layouts. What a value, an entry or a file
//! says of its own format (see `codec`, `content`, `vault`) needs no step: all there ever were are read.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::sync_folder;
use super::marker;
use super::open::{OpenError, io};
use crate::domain::Timestamp;

/// The layout that this program writes.
pub(crate) const LAYOUT: u32 = 2;
/// The steps to it, from layout 1 on. Each may be cut off anywhere and is done again then.
const STEPS: [fn(&Path) -> std::io::Result<()>; LAYOUT as usize - 1] = [marker::confirm];
/// The name, in a store's folder, of the file that says which layout it has.
pub const NAME: &str = "layout.json";
/// What the folder with a copy from before an upgrade begins with; its layout follows.
const BEFORE: &str = "before-upgrade-";
/// How long such a copy stays: as long as content that has ended is kept by default.
const STAYS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Files at the end of a folder's order that may still be written to.
const OPEN: usize = 2;

/// What the file says. Later programs keep these two.
#[derive(Serialize, Deserialize)]
struct Said {
    layout: u32,
    /// CRC32C over the words `amtsweg layout` and the number, hexadecimal.
    sum: String,
}

impl Said {
    fn new(layout: u32) -> Self {
        Self { layout, sum: format!("{:08x}", crc32c::crc32c(format!("amtsweg layout {layout}").as_bytes())) }
    }
}

/// Brings the store in `root` to the present layout, or refuses it unchanged.
pub(crate) fn bring(root: &Path) -> Result<(), OpenError> {
    let said = read(root);
    let told = matches!(said, Some(Ok(_)));
    let layout = match said {
        Some(Ok(layout)) => layout,
        Some(Err(why)) => {
            marker::layout(root).ok_or_else(|| OpenError::Layout { folder: root.to_owned(), why })?
        }
        None => match marker::layout(root) {
            Some(layout) => layout,
            None if has_ledger(root)? => 1,
            None => LAYOUT,
        },
    };
    let steps = match layout {
        0 => {
            let why = "there is no layout 0".to_owned();
            return Err(OpenError::Layout { folder: root.to_owned(), why });
        }
        LAYOUT if told => return Ok(()),
        LAYOUT => return write(root, LAYOUT).map_err(io(root)),
        1..LAYOUT => STEPS.iter().zip(2..).skip(layout as usize - 1),
        newer => return Err(OpenError::Newer { folder: root.to_owned(), format: newer }),
    };
    let kept = keep(root, layout).map_err(io(root))?;
    let copy = kept.display();
    tracing::info!(layout, %copy, "the store has an older layout: it was copied and is upgraded now");
    for (step, next) in steps {
        step(root).and_then(|()| write(root, next)).map_err(io(root))?;
    }
    tracing::info!(layout = LAYOUT, %copy, "the store is upgraded; the copy goes by itself after 7 days");
    Ok(())
}

/// What the file says; the inner fault is why it can't be believed.
fn read(root: &Path) -> Option<Result<u32, String>> {
    let octets = match std::fs::read(root.join(NAME)) {
        Ok(octets) => octets,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return None,
        Err(fault) => return Some(Err(fault.to_string())),
    };
    Some(match serde_json::from_slice::<Said>(&octets) {
        Ok(said) if said.sum == Said::new(said.layout).sum => Ok(said.layout),
        Ok(_) => Err("its checksum differs".to_owned()),
        Err(fault) => Err(fault.to_string()),
    })
}

/// Writes it, durably and as a whole.
fn write(root: &Path, layout: u32) -> std::io::Result<()> {
    let draft = root.join("layout.json.new");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(&Said::new(layout))?)?;
    file.sync_all()?;
    std::fs::rename(draft, root.join(NAME))?;
    sync_folder(root)
}

/// Whether there is anything that can't be new.
fn has_ledger(root: &Path) -> Result<bool, OpenError> {
    let folder = root.join("ledger");
    Ok(std::fs::read_dir(&folder).map_err(io(&folder))?.next().is_some())
}

/// Copies the store as it is: a whole one but for its index, which is made anew, and its keys, of which there
/// must be no second copy (an erasure overwrites them). Whatever never changes again is the same file under
/// two names. Gives the copy's folder; one that is there already is whole.
fn keep(root: &Path, layout: u32) -> std::io::Result<PathBuf> {
    let kept = root.join(format!("{BEFORE}{layout}"));
    if kept.exists() {
        return Ok(kept);
    }
    let part = kept.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    std::fs::create_dir(&part)?;
    for name in ["ledger", "snapshot", "proof", "content"] {
        twin(&root.join(name), &part.join(name))?;
    }
    for name in [marker::NAME, NAME] {
        if root.join(name).exists() {
            copy(&root.join(name), &part.join(name))?;
        }
    }
    sync_folder(&part)?;
    std::fs::rename(&part, &kept)?;
    sync_folder(root)?;
    Ok(kept)
}

fn twin(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir(to)?;
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        if from.join(&name).is_dir() { folders.push(name) } else { files.push(name) }
    }
    files.sort();
    let written = files.len().saturating_sub(OPEN);
    for (at, name) in files.iter().enumerate() {
        let (source, target) = (from.join(name), to.join(name));
        // Another disk, or a file system without links: it costs room, then.
        if at >= written || std::fs::hard_link(&source, &target).is_err() {
            copy(&source, &target)?;
        }
    }
    folders.iter().try_for_each(|name| twin(&from.join(name), &to.join(name)))?;
    sync_folder(to)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Removes copies from before an upgrade whose time is over: they hold what retention has let go since.
pub(crate) fn let_go(root: &Path, now: Timestamp) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(BEFORE));
        let made = entry.metadata().and_then(|about| about.modified()).ok();
        let age = made
            .and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|since| Duration::from_millis(now.0).saturating_sub(since));
        if !ours || age.is_none_or(|age| age < STAYS) {
            continue;
        }
        let path = entry.path();
        match std::fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "the copy from before the upgrade is removed"),
            Err(fault) => tracing::warn!(path = %path.display(), %fault, "it can't be removed"),
        }
    }
}
