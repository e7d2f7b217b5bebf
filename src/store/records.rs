//! Records and settings as ledger and index hold them: the codec's octets, in plain or sealed. Reading
//! never depends on whether encryption is on: the first octet says what there is.

use crate::domain::{EndpointControl, Record};

use super::codec::{self, CodecFault};
use super::vault::{Heading, Vault, heading, is_sealed};

/// A record; sealed where encryption is on, or where it has a slot to name.
pub(crate) fn encode(vault: &Vault, record: &Record) -> Result<Vec<u8>, CodecFault> {
    let about = Heading { sequence: record.sequence, slot: record.slot };
    Ok(vault.seal(about, codec::encode(record)?)?)
}

/// The record again.
pub(crate) fn decode(vault: &Vault, octets: &[u8]) -> Result<Record, CodecFault> {
    let record = codec::decode(&vault.unseal(octets)?)?;
    if !is_sealed(octets) {
        return Ok(record);
    }
    let Heading { sequence, slot } = heading(octets)?;
    if sequence != record.sequence {
        return Err(CodecFault::Content("its two numbers differ".to_owned()));
    }
    Ok(Record { slot, ..record })
}

/// The acceptance number of a record, without the rest of it. Needs no key.
pub(crate) fn sequence(octets: &[u8]) -> Result<u64, CodecFault> {
    if is_sealed(octets) { Ok(heading(octets)?.sequence) } else { codec::sequence(octets) }
}

/// An operator's setting.
pub(crate) fn encode_control(vault: &Vault, control: &EndpointControl) -> Result<Vec<u8>, CodecFault> {
    Ok(vault.seal(Heading { sequence: 0, slot: None }, codec::seal(0, control)?)?)
}

/// The setting again.
pub(crate) fn decode_control(vault: &Vault, octets: &[u8]) -> Result<EndpointControl, CodecFault> {
    Ok(codec::unseal(&vault.unseal(octets)?)?.1)
}
