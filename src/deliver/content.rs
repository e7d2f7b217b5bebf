//! Stored content as a stream for the client, which does not know the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream;

use super::client::{BoxError, Piece};
use crate::domain::ContentRef;
use crate::store::{ContentReader, ReadPort, StoreError};

/// How far the sending of one message has come.
#[derive(Default)]
pub(super) struct Progress {
    left: AtomicU64,
    fault: OnceLock<StoreError>,
}

impl Progress {
    /// Whether all octets were handed to the transport.
    pub(super) fn whole(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// What the store said when the content could not be read.
    pub(super) fn fault(&self) -> Option<&StoreError> {
        self.fault.get()
    }
}

enum Stage {
    Unopened(ContentRef),
    Open { reader: Box<dyn ContentReader>, held: Bytes },
    Over,
}

/// A piece of content, opened when its turn comes. The last chunk is held back until the store has
/// confirmed the digest of the whole: octets that differ from those verified never make a
/// complete message at the other end.
pub(super) fn piece(read: Arc<dyn ReadPort>, content: &ContentRef, progress: Arc<Progress>) -> Piece {
    progress.left.fetch_add(content.len, Ordering::AcqRel);
    let begin = (read, Stage::Unopened(content.clone()), progress);
    let chunks = stream::try_unfold(begin, |(read, stage, progress)| async move {
        match next(read.as_ref(), stage).await {
            Ok(Some((chunk, stage))) => {
                progress.left.fetch_sub(chunk.len() as u64, Ordering::AcqRel);
                Ok(Some((chunk, (read, stage, progress))))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                let words: BoxError = "the stored content can't be read".into();
                let _ = progress.fault.set(error);
                Err(words)
            }
        }
    });
    Piece { len: content.len, chunks: Box::pin(chunks) }
}

async fn next(read: &dyn ReadPort, stage: Stage) -> Result<Option<(Bytes, Stage)>, StoreError> {
    let (mut reader, mut held) = match stage {
        Stage::Unopened(content) => (read.open(&content).await?, Bytes::new()),
        Stage::Open { reader, held } => (reader, held),
        Stage::Over => return Ok(None),
    };
    loop {
        match reader.next().await? {
            Some(chunk) if held.is_empty() => held = chunk,
            Some(chunk) if chunk.is_empty() => {}
            Some(chunk) => return Ok(Some((held, Stage::Open { reader, held: chunk }))),
            None if held.is_empty() => return Ok(None),
            None => return Ok(Some((held, Stage::Over))),
        }
    }
}
