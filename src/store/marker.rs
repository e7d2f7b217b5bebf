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
    /// CRC32C over the rest, hexadecimal; those of earlier programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
}

/// The layout this program writes.
pub(crate) const FORMAT: u32 = 1;

impl Marker {
    /// A marker of this boot.
    pub(crate) fn new(clean: bool, last: u64, head: &Digest) -> Self {
        let mut marker =
            Self { format: FORMAT, boot: boot_id(), clean, last, head: head.to_string(), sum: None };
        marker.sum = Some(marker.checksum());
        marker
    }

    fn checksum(&self) -> String {
        let Self { format, boot, clean, last, head, .. } = self;
        format!("{:08x}", crc32c::crc32c(format!("{format} {boot} {clean} {last} {head}").as_bytes()))
    }

    /// Reads it; `None` when there is none. The inner fault says why it can't be believed.
    pub(crate) fn read(folder: &Path) -> Option<Result<Self, String>> {
        let octets = match std::fs::read(folder.join(NAME)) {
            Ok(octets) => octets,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return None,
            Err(fault) => return Some(Err(fault.to_string())),
        };
        let marker: Self = match serde_json::from_slice(&octets) {
            Ok(marker) => marker,
            Err(fault) => return Some(Err(fault.to_string())),
        };
        // A newer layout may be written otherwise; that it is newer is all there is to know.
        let whole = marker.format > FORMAT || marker.sum.as_ref().is_none_or(|sum| *sum == marker.checksum());
        Some(if whole { Ok(marker) } else { Err("its checksum differs".to_owned()) })
    }

    /// Sets a file aside that can't be believed: whether the stop was clean is not known then.
    pub(crate) fn set_aside(folder: &Path) {
        // It is replaced at the end of the start in any case.
        let _ = std::fs::rename(folder.join(NAME), folder.join("state.json.damaged"));
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
