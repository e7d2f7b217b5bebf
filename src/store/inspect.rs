//! Looks into a store's folder from outside, beside a working gateway or at rest: for backups.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::{ContentRef, Digest};

use super::ledger::{self, LedgerFault, Summary};
use super::{ReadingKeys, StoreError, content};

/// Where the ledger in `folder` (`…/ledger`) ends: its last segment alone is walked. What the process
/// has written and not synced yet is in it; none of that was acknowledged. With it the number of that
/// segment's first frame.
///
/// # Errors
/// [`LedgerFault`].
pub fn end(folder: &Path) -> Result<(Summary, u64), LedgerFault> {
    let segments = ledger::segments(folder)?;
    let last = segments.len().saturating_sub(1);
    let first = segments.last().map_or(1, |segment| segment.first);
    Ok((ledger::walk(segments.get(last..).unwrap_or_default(), |_, _, _, _| Ok(()))?, first))
}

/// Whether the octets of `content` are there and are the right ones.
///
/// # Errors
/// [`StoreError::Corrupt`], [`StoreError::Io`].
pub fn content(root: &Path, keys: &ReadingKeys, content: &ContentRef) -> Result<(), StoreError> {
    // What retention has taken is no fault.
    match content::open(root, &keys.0, content).map_err(StoreError::from).and_then(content::drain) {
        Err(StoreError::Dropped) => Ok(()),
        read => read,
    }
}

/// Length and SHA-256 of a file.
///
/// # Errors
/// What the operating system says.
pub fn digest(path: &Path) -> std::io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; 256 << 10];
    let mut len = 0;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            let mut digest = Digest::default();
            digest.0.copy_from_slice(hash.finish().as_ref());
            return Ok((len, digest));
        }
        hash.update(chunk.get(..read).unwrap_or_default());
        len += read as u64;
    }
}
