//! How the store was left: a small file that is rewritten at start and at a clean stop.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Digest;

use super::layout::LAYOUT;
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
    /// CRC32C over the rest, hexadecimal; in layout 1 it may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
}

impl Marker {
    /// A marker of this boot.
    pub(crate) fn new(clean: bool, last: u64, head: &Digest) -> Self {
        Self { format: LAYOUT, boot: boot_id(), clean, last, head: head.to_string(), sum: None }.signed()
    }

    fn signed(self) -> Self {
        Self { sum: Some(self.checksum()), ..self }
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
        Some(match serde_json::from_slice::<Self>(&octets) {
            Ok(marker) if marker.format != LAYOUT => Err(format!("it is of layout {}", marker.format)),
            Ok(marker) if marker.sum.as_ref() != Some(&marker.checksum()) => {
                Err("its checksum differs".to_owned())
            }
            Ok(marker) => Ok(marker),
            Err(fault) => Err(fault.to_string()),
        })
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

/// The layout that the file tells, as far as it can be believed: that it is a newer one is all that can be known
/// of one that may be written otherwise.
pub(crate) fn layout(folder: &Path) -> Option<u32> {
    let octets = std::fs::read(folder.join(NAME)).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&octets).ok()?;
    let format = u32::try_from(value.get("format")?.as_u64()?).ok()?;
    if format > LAYOUT {
        return Some(format);
    }
    let marker: Marker = serde_json::from_value(value).ok()?;
    marker.sum.as_ref().is_none_or(|sum| *sum == marker.checksum()).then_some(format)
}

/// From layout 1 to 2: the file has its checksum in any case, and tells older programs to leave the folder alone.
pub(crate) fn confirm(folder: &Path) -> std::io::Result<()> {
    // One that can't be believed is set aside by the start, as ever.
    if layout(folder) != Some(1) {
        return Ok(());
    }
    let marker: Marker = serde_json::from_slice(&std::fs::read(folder.join(NAME))?)?;
    Marker { format: 2, ..marker }.signed().write(folder)
}

/// The kernel's id of this boot (random(4)); empty when it can't be told, which never counts as
/// the same.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
