//! What an operator sets for XTA: the paths of the ports, and what payloads need not be.

use super::names::Port;
use crate::domain::{AccountName, Demand};
use crate::verify::order::Policy;

/// `[xta]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Paths of the management port.
    pub management: Vec<String>,
    /// Paths of the port that takes messages.
    pub send: Vec<String>,
    /// Paths of the message box.
    pub mailbox: Vec<String>,
    /// Policies; the first that fits counts. Where none fits, all is demanded.
    pub policies: Vec<PayloadPolicy>,
}

/// What is demanded of the payloads of some accounts and message types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadPolicy {
    /// Of these accounts; empty: of all.
    pub accounts: Vec<AccountName>,
    /// Of these message types (`MessageType/code`); empty: of all.
    pub types: Vec<String>,
    /// Whether a payload is signed.
    pub signature: Demand,
    /// Whether its schema is known.
    pub schema: Demand,
}

impl Default for Settings {
    /// The paths that clients made for Apache CXF expect, and no exception from anything.
    fn default() -> Self {
        let path = |port: &str| vec![format!("/services/XTAService/{port}")];
        Self {
            management: path("ManagementPort"),
            send: path("SendXtaPort"),
            mailbox: path("MsgBoxPort"),
            policies: Vec::new(),
        }
    }
}

impl Settings {
    /// The port at a path.
    pub(crate) fn port(&self, path: &str) -> Option<Port> {
        let has = |paths: &[String]| paths.iter().any(|known| known == path);
        [(&self.management, Port::Management), (&self.send, Port::Send), (&self.mailbox, Port::Mailbox)]
            .into_iter()
            .find_map(|(paths, port)| has(paths).then_some(port))
    }

    /// All paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        self.management.iter().chain(&self.send).chain(&self.mailbox)
    }

    /// The first path of a port.
    pub(crate) fn first(&self, port: Port) -> &str {
        let paths = match port {
            Port::Management => &self.management,
            Port::Send => &self.send,
            Port::Mailbox => &self.mailbox,
        };
        paths.first().map_or("", String::as_str)
    }

    /// What is demanded of a message type of an account.
    pub(crate) fn policy(&self, account: &AccountName, kind: &str) -> Policy {
        let fits = |policy: &&PayloadPolicy| {
            (policy.accounts.is_empty() || policy.accounts.contains(account))
                && (policy.types.is_empty() || policy.types.iter().any(|known| known == kind))
        };
        let word = |demand| match demand {
            Demand::Required => "required",
            Demand::IfPresent => "if-present",
            Demand::None => "none",
        };
        let mut found = self.policies.iter().zip(1_usize..).filter(|(policy, _)| fits(policy));
        match found.next() {
            Some((policy, number)) => Policy {
                signature: policy.signature,
                schema: policy.schema,
                rule: format!(
                    "xta.policy[{number}]: account {account}, type {}, signature = {}, schema = {}",
                    kind.chars().take(100).collect::<String>(),
                    word(policy.signature),
                    word(policy.schema)
                ),
            },
            None => Policy {
                signature: Demand::Required,
                schema: Demand::Required,
                rule: "no xta.policy fits: all is demanded".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_policy_that_fits_counts_and_none_demands_all() {
        let policy = |accounts: &[&str], types: &[&str], signature| PayloadPolicy {
            accounts: accounts.iter().map(|name| name.parse().unwrap()).collect(),
            types: types.iter().map(|&kind| kind.to_owned()).collect(),
            signature,
            schema: Demand::IfPresent,
        };
        let settings = Settings {
            policies: vec![policy(&["a"], &["1"], Demand::None), policy(&["a"], &[], Demand::IfPresent)],
            ..Settings::default()
        };
        let of = |account: &str, kind| settings.policy(&account.parse().unwrap(), kind);
        assert_eq!(of("a", "1").signature, Demand::None);
        assert!(of("a", "2").rule.starts_with("xta.policy[2]: account a, type 2, signature = if-present"));
        assert_eq!((of("b", "1").signature, of("b", "1").schema), (Demand::Required, Demand::Required));
    }
}
