//! How values are written: format octet, version, postcard, CRC32C. Whoever reads can tell a
//! whole value from a torn, flipped or newer one, and the version without decoding the rest.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Coverage, Order, Record, RemoteName};

/// The format of all values.
const FORMAT: u8 = 1;
/// The format of a record with the transport order that it came with behind it.
const WITH_ORDER: u8 = 2;
/// The format of a record with its order, if it has one, and its name at another server behind it.
const WITH_NAME: u8 = 3;
/// The format of a record with, behind it, its order and its name at another server where it has them, and
/// what its signature covers.
const WITH_COVERAGE: u8 = 4;
/// Format octet and version.
const HEAD: usize = 9;
/// The checksum.
const TAIL: usize = 4;

/// Why octets are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    /// Too few octets to be one.
    #[error("only {0} octets")]
    Short(usize),
    /// The checksum (CRC32C, RFC 3720 appendix B.4) differs.
    #[error("its checksum differs")]
    Checksum,
    /// Written by a newer program.
    #[error("format {0} is newer than this program knows")]
    Newer(u8),
    /// Whole, but not what is expected here.
    #[error("it can't be decoded: {0}")]
    Content(String),
}

/// Writes `value` with its `version`.
///
/// # Errors
/// [`CodecFault::Content`] when the value can't be serialised (no type of ours can't).
pub(crate) fn seal<T: Serialize>(version: u64, value: &T) -> Result<Vec<u8>, CodecFault> {
    seal_as(FORMAT, version, value)
}

fn seal_as<T: Serialize>(format: u8, version: u64, value: &T) -> Result<Vec<u8>, CodecFault> {
    let mut out = Vec::with_capacity(1536);
    out.push(format);
    out.extend_from_slice(&version.to_le_bytes());
    let mut out = postcard::to_extend(value, out).map_err(|e| CodecFault::Content(e.to_string()))?;
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    Ok(out)
}

/// Checks the frame around a record: its version and its postcard octets.
pub(crate) fn peek(octets: &[u8]) -> Result<(u64, &[u8]), CodecFault> {
    peek_as(|format| matches!(format, FORMAT | WITH_ORDER | WITH_NAME | WITH_COVERAGE), octets)
}

fn peek_as(known: impl Fn(u8) -> bool, octets: &[u8]) -> Result<(u64, &[u8]), CodecFault> {
    let split = octets.len().checked_sub(TAIL).filter(|at| *at >= HEAD);
    let Some(split) = split else { return Err(CodecFault::Short(octets.len())) };
    let (sealed, crc) = octets.split_at(split);
    if crc32c::crc32c(sealed).to_le_bytes() != crc {
        return Err(CodecFault::Checksum);
    }
    if !known(sealed[0]) {
        return Err(CodecFault::Newer(sealed[0]));
    }
    let mut version = [0; 8];
    version.copy_from_slice(&sealed[1..HEAD]);
    Ok((u64::from_le_bytes(version), &sealed[HEAD..]))
}

/// Reads what [`seal`] wrote.
pub(crate) fn unseal<T: DeserializeOwned>(octets: &[u8]) -> Result<(u64, T), CodecFault> {
    unseal_as(FORMAT, octets)
}

fn unseal_as<T: DeserializeOwned>(expected: u8, octets: &[u8]) -> Result<(u64, T), CodecFault> {
    let (version, body) = peek_as(|format| format == expected, octets)?;
    let (value, rest) = postcard::take_from_bytes(body).map_err(|e| CodecFault::Content(e.to_string()))?;
    if !rest.is_empty() {
        return Err(CodecFault::Content(format!("{} octets too many", rest.len())));
    }
    Ok((version, value))
}

/// A record as ledger and index hold it. What came later than the format of records stands behind it: a
/// transport order, a name at another server, what the signature covers. The format octet says so;
/// records without them are written as they always were.
pub(crate) fn encode(record: &Record) -> Result<Vec<u8>, CodecFault> {
    match (&record.order, &record.remote, &record.coverage) {
        (None, None, None) => seal(record.version, record),
        (Some(order), None, None) => seal_as(WITH_ORDER, record.version, &(record, order)),
        (order, Some(name), None) => seal_as(WITH_NAME, record.version, &(record, order, name)),
        (order, name, Some(coverage)) => {
            seal_as(WITH_COVERAGE, record.version, &(record, order, name, coverage))
        }
    }
}

/// The acceptance number of a sealed record, without the rest of it.
pub(crate) fn sequence(octets: &[u8]) -> Result<u64, CodecFault> {
    // The record's first two fields.
    let ((_, sequence), _): ((u64, u64), _) =
        postcard::take_from_bytes(peek(octets)?.1).map_err(|e| CodecFault::Content(e.to_string()))?;
    Ok(sequence)
}

/// The record again.
pub(crate) fn decode(octets: &[u8]) -> Result<Record, CodecFault> {
    let (version, record) = match octets.first() {
        Some(&WITH_ORDER) => {
            let (version, (record, order)): (u64, (Record, Order)) = unseal_as(WITH_ORDER, octets)?;
            (version, Record { order: Some(order), ..record })
        }
        Some(&WITH_NAME) => {
            let (version, (record, order, name)): (u64, (Record, Option<Order>, RemoteName)) =
                unseal_as(WITH_NAME, octets)?;
            (version, Record { order, remote: Some(name), ..record })
        }
        Some(&WITH_COVERAGE) => {
            type Parts = (Record, Option<Order>, Option<RemoteName>, Coverage);
            let (version, (record, order, remote, coverage)): (u64, Parts) =
                unseal_as(WITH_COVERAGE, octets)?;
            (version, Record { order, remote, coverage: Some(coverage), ..record })
        }
        _ => unseal(octets)?,
    };
    if version != record.version {
        return Err(CodecFault::Content("its two versions differ".to_owned()));
    }
    Ok(record)
}
