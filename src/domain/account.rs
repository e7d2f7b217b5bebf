//! Accounts: who may use the gateway, and for what.

use super::{AccountName, Identifier};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Submit messages and ask for their state.
    Portal,
    /// List, fetch, close and reject the messages addressed to its identifiers.
    Authority,
    /// Watch and steer all queues, on the operators' port.
    Operator,
}

/// Bounds for one account. Zero means: no messages at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in work at once.
    pub in_flight: usize,
    /// Messages accepted per minute.
    pub messages_per_minute: u32,
    /// Largest message, document and attachments together, in octets.
    pub message_octets: u64,
}

/// One account of the configuration. The client certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The identifiers it may write as (portal) or read for (authority).
    pub identifiers: Vec<Identifier>,
    /// Its bounds.
    pub quota: Quota,
    /// What it sends must be signed with XAdES B-B.
    pub xades: bool,
}

impl Account {
    /// Whether it has `role`.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether `identifier` is one of its own.
    #[must_use]
    pub fn is(&self, identifier: &Identifier) -> bool {
        self.identifiers.contains(identifier)
    }
}
