//! How the store was left: a small file that is rewritten at start and at a clean stop.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Digest;

use super::ledger::sync_folder;

/// Its name in the store's folder.
pub(crate) const NAME: &str = "state.json";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Layout of the store's folder.
    pub(crate) format: u32,
    /// The kernel's boot id when it was written.
    pub(crate) boot: String,
    /// Written at a clean stop.
    pub(crate) clean: bool,
    /// Last frame at that time.
    pub(crate) last: u64,
    /// Its digest, hexadecimal.
    pub(crate) head: String,
}

/// The layout this program writes.
pub(crate) const FORMAT: u32 = 1;

impl Marker {
    /// A marker of this boot.
    pub(crate) fn new(clean: bool, last: u64, head: &Digest) -> Self {
        Self { format: FORMAT, boot: boot_id(), clean, last, head: head.to_string() }
    }

    /// Reads it; `None` when there is none or it can't be read.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(NAME)).ok()?).ok()
    }

    /// Replaces it, durably and as a whole.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let draft = folder.join("state.json.new");
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(draft, folder.join(NAME))?;
        sync_folder(folder)
    }

    /// Whether the machine has run without a break since it was written.
    pub(crate) fn same_boot(&self) -> bool {
        !self.boot.is_empty() && self.boot == boot_id()
    }
}

/// The kernel's id of this boot (random(4)); empty when it can't be told, which never counts as
/// the same.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
