//! The end of the ledger, where the committer appends.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::domain::Digest;

use super::super::room::Room;
use super::{FORMAT, LedgerFault, MAGIC, SEGMENT_HEAD, Segment, Summary, io, segment_path, sync_folder};

/// The end of the ledger, where the committer appends.
pub(crate) struct Writer {
    folder: PathBuf,
    file: File,
    len: u64,
    room: Room,
    empty: bool,
    /// The file of the next segment may be there already, unfinished: it comes next, whatever would
    /// fit into the present one, or its name would later claim a wrong first frame.
    begun: bool,
    bound: u64,
    /// Number of the present segment's first frame.
    segment: u64,
    /// Number of the last frame appended.
    pub(crate) last: u64,
    /// Its digest.
    pub(crate) head: Digest,
}

impl Writer {
    /// Continues behind the last intact frame; what is torn behind it is cut off. Makes the first
    /// segment of a new ledger. A killed process may have left frames, or the segment's name, unsynced:
    /// they are made durable before anybody is told of them.
    pub(crate) fn open(
        folder: &Path,
        segments: &[Segment],
        end: &Summary,
        bound: u64,
    ) -> Result<Self, LedgerFault> {
        let Some(segment) = segments.last() else {
            let file = create(folder, 1, &Digest::default()).map_err(io(folder))?;
            let (last, head) = (0, Digest::default());
            return Ok(Self {
                folder: folder.to_owned(),
                file,
                len: SEGMENT_HEAD,
                room: Room::of(SEGMENT_HEAD),
                empty: true,
                begun: false,
                bound,
                segment: 1,
                last,
                head,
            });
        };
        let path = &segment.path;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io(path))?;
        let len = segment.len - end.torn - end.room;
        let mut room = Room::of(segment.len);
        if end.torn > 0 {
            room.give_back(&file, len).map_err(io(path))?;
        }
        file.sync_all().map_err(io(path))?;
        sync_folder(folder).map_err(io(folder))?;
        let empty = len == SEGMENT_HEAD;
        let begun = !empty && segment_path(folder, end.last + 1).exists();
        let (folder, segment) = (folder.to_owned(), segment.first);
        Ok(Self { folder, file, len, room, empty, begun, bound, segment, last: end.last, head: end.head })
    }

    /// Appends whole frames; a group never spans two segments. Gives the segment and the offset
    /// of the first one. Not durable before [`Writer::sync`]. After an error nothing of the group
    /// is left.
    pub(crate) fn append(&mut self, frames: &[u8], last: u64, head: Digest) -> std::io::Result<(u64, u64)> {
        let grown = self.len + frames.len() as u64;
        if (grown > self.bound || self.begun) && !self.empty {
            self.finish()?;
            self.begun = true;
            self.file = create(&self.folder, self.last + 1, &self.head)?;
            self.segment = self.last + 1;
            self.len = SEGMENT_HEAD;
            self.room = Room::of(SEGMENT_HEAD);
            (self.empty, self.begun) = (true, false);
        }
        self.room.prepare(&self.file, self.len, frames.len() as u64, self.bound)?;
        if let Err(fault) = self.file.write_all_at(frames, self.len) {
            self.file.set_len(self.len)?;
            self.room = Room::of(self.len);
            return Err(fault);
        }
        let begin = (self.segment, self.len);
        self.len += frames.len() as u64;
        self.empty = false;
        self.last = last;
        self.head = head;
        Ok(begin)
    }

    /// Gives the room ahead back: at a clean stop, and before the next segment begins, since only
    /// the last one may have any.
    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        self.room.give_back(&self.file, self.len)
    }

    /// The present segment, and the octets of it that are frames.
    pub(crate) fn reach(&self) -> (u64, u64) {
        (self.segment, self.len)
    }

    /// Makes everything appended durable. After an error the state on disk is unknown: the
    /// caller must not go on.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// A new segment, its head and its name durable. One that a killed process left without a whole
/// head is made anew.
fn create(folder: &Path, first: u64, previous: &Digest) -> std::io::Result<File> {
    let mut head = [0; SEGMENT_HEAD as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..20].copy_from_slice(&first.to_le_bytes());
    head[20..52].copy_from_slice(&previous.0);
    let crc = crc32c::crc32c(&head[..60]);
    head[60..].copy_from_slice(&crc.to_le_bytes());
    let path = segment_path(folder, first);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(&head, 0)?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok(file)
}
