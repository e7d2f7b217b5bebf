//! Room ahead of the end of an append-only file: octets zero, on disk before they are needed.
//!
//! A sync after writing into such room has data to bring to disk and nothing else; a sync after a
//! file has grown waits for the file system's journal as well (measured on ext4: 2.3 to 2.7 times
//! as many syncs per second with room). What is behind the last whole frame or entry and zero is
//! therefore room, and no torn write.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Octets of room made at once.
const STEP: u64 = 4 << 20;
/// Octets of zeros written at once.
const CHUNK: usize = 256 << 10;

/// Room of one file.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The file reaches to here.
    until: u64,
}

impl Room {
    /// Of a file of this length.
    pub(crate) fn of(len: u64) -> Self {
        Self { until: len }
    }

    /// Makes room behind `end`, where `need` octets come next, as far as a segment may reach. A
    /// disk without space for it is no fault: then the file grows with what is written.
    pub(crate) fn prepare(&mut self, file: &File, end: u64, need: u64, bound: u64) -> std::io::Result<()> {
        let wanted = end.saturating_add(need);
        if wanted <= self.until {
            return Ok(());
        }
        let from = self.until.max(end);
        let to = wanted.saturating_add(STEP).min(bound.max(wanted));
        let zeros = vec![0; CHUNK];
        let mut at = from;
        while at < to {
            let part = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            if file.write_all_at(&zeros[..part], at).is_err() {
                // Gives back what little there was; where that fails too, zeros do no harm.
                let _ = file.set_len(from);
                self.until = from;
                return Ok(());
            }
            at += part as u64;
        }
        file.sync_all()?;
        self.until = to;
        Ok(())
    }

    /// Cuts the room off: behind `end` nothing follows any more.
    pub(crate) fn give_back(&mut self, file: &File, end: u64) -> std::io::Result<()> {
        if self.until > end {
            file.set_len(end)?;
            file.sync_all()?;
        }
        self.until = end;
        Ok(())
    }
}

/// Where the last octet of `file` behind `from` that is not zero ends; `from` when all are.
pub(crate) fn written(file: &File, from: u64) -> std::io::Result<u64> {
    let len = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK];
    let mut end = len;
    while end > from {
        let begin = end.saturating_sub(CHUNK as u64).max(from);
        let part = usize::try_from(end - begin).unwrap_or(CHUNK).min(CHUNK);
        let Some(octets) = chunk.get_mut(..part) else { break };
        match file.read_exact_at(octets, begin) {
            // Room was given back meanwhile.
            Err(fault) if fault.kind() == std::io::ErrorKind::UnexpectedEof => return written(file, from),
            read => read?,
        }
        if let Some(at) = octets.iter().rposition(|octet| *octet != 0) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_once_used_up_and_given_back() {
        let file = tempfile::tempfile().unwrap();
        let mut room = Room::default();
        room.prepare(&file, 0, 10, u64::MAX).unwrap();
        let len = file.metadata().unwrap().len();
        assert_eq!(len, 10 + STEP);
        assert_eq!(written(&file, 0).unwrap(), 0, "all of it is zero");
        file.write_all_at(b"some octets", 3).unwrap();
        assert_eq!(written(&file, 0).unwrap(), 14);
        assert_eq!(written(&file, 14).unwrap(), 14);
        room.prepare(&file, 14, STEP - 100, u64::MAX).unwrap();
        assert_eq!(file.metadata().unwrap().len(), len, "there was enough");
        room.prepare(&file, 14, STEP, u64::MAX).unwrap();
        assert!(file.metadata().unwrap().len() > len);
        room.give_back(&file, 14).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 14);
    }

    #[test]
    fn room_ends_with_the_segment() {
        let file = tempfile::tempfile().unwrap();
        let mut room = Room::of(0);
        room.prepare(&file, 0, 10, 1000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1000);
        room.prepare(&file, 0, 5000, 1000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5000, "a large group goes beyond it");
    }
}
