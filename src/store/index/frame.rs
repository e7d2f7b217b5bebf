//! Which frame of the ledger says the last word on a message.

use crate::domain::MessageId;

use super::super::keys;
use super::super::ledger;
use super::{Index, IndexFault, guarded, read_place};

impl Index {
    /// Number of the frame that holds the newest record of a message.
    pub(crate) fn frame(&self, id: &MessageId) -> Result<Option<u64>, IndexFault> {
        guarded(|| {
            let Some(octets) = self.db.get(keys::message(id))? else { return Ok(None) };
            let (_, place) = read_place(&octets)?;
            let number = self.ledger.number(place).map_err(|fault| match fault {
                fault if ledger::exhausted(&fault) => IndexFault::Unread(fault.to_string()),
                fault => IndexFault::Record(fault.to_string()),
            })?;
            Ok(Some(number))
        })
    }
}
