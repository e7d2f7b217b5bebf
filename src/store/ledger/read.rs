//! Single records, read where the index says they lie.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{MessageId, Record};

use super::super::codec::CodecFault;
use super::super::frame::{self, Body, BodyFault, Change, HEADER, MAX_BODY};
use super::super::records;
use super::super::vault::Vault;
use super::{Place, segment_path};

/// Segment files kept open for reading at most.
const OPEN_SEGMENTS: usize = 64;

/// Reads single records.
pub(crate) struct Reader {
    folder: PathBuf,
    vault: Arc<Vault>,
    files: Mutex<HashMap<u64, Arc<File>>>,
}

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("its frame fails its checksum")]
    Checksum,
    #[error("{0}")]
    Body(#[from] BodyFault),
    #[error("{0}")]
    Record(#[from] CodecFault),
    #[error("its frame is another message's")]
    Another,
}

impl Reader {
    pub(crate) fn new(folder: &Path, vault: Arc<Vault>) -> Self {
        Self { folder: folder.to_owned(), vault, files: Mutex::default() }
    }

    fn file(&self, segment: u64) -> std::io::Result<Arc<File>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(segment_path(&self.folder, segment))?);
        if files.len() >= OPEN_SEGMENTS {
            files.clear();
        }
        files.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Closes a segment that is gone.
    pub(crate) fn let_go(&self, segment: u64) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    /// Number of the frame at `place`.
    pub(crate) fn number(&self, place: Place) -> std::io::Result<u64> {
        let mut head = [0; HEADER];
        self.file(place.segment)?.read_exact_at(&mut head, place.offset)?;
        Ok(frame::head(&head).1)
    }

    /// The record of `id` in the frame at `place`.
    pub(crate) fn record(&self, place: Place, id: &MessageId) -> Result<Record, ReadFault> {
        let record = self.find(place, |sealed| {
            let record = records::decode(&self.vault, sealed)?;
            Ok((record.id == *id).then_some(record))
        })?;
        record.ok_or(ReadFault::Another)
    }

    /// The record with this acceptance number in the frame at `place`.
    pub(crate) fn numbered(&self, place: Place, sequence: u64) -> Result<Record, ReadFault> {
        let record = self.find(place, |sealed| {
            let right = records::sequence(sealed)? == sequence;
            right.then(|| records::decode(&self.vault, sealed)).transpose()
        })?;
        record.ok_or(ReadFault::Another)
    }

    fn find(
        &self,
        place: Place,
        pick: impl Fn(&[u8]) -> Result<Option<Record>, CodecFault>,
    ) -> Result<Option<Record>, ReadFault> {
        let len = place.len as usize;
        if !(HEADER..=HEADER + MAX_BODY).contains(&len) {
            return Err(ReadFault::Checksum);
        }
        let mut frame = vec![0; len];
        self.file(place.segment)?.read_exact_at(&mut frame, place.offset)?;
        let Some((head, body)) = frame.split_first_chunk::<HEADER>() else { return Err(ReadFault::Checksum) };
        if frame::head(head).0 != body.len() || !frame::intact(head, body) {
            return Err(ReadFault::Checksum);
        }
        for change in Body::read(body)?.changes()? {
            if let Change::Accepted(sealed) | Change::Changed(_, sealed) = change
                && let Some(record) = pick(&sealed)?
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}
