//! Checkpoints: what the gateway says of its ledger at a moment, signed.
//!
//! The statement is a text of fixed lines, and its octets are what is signed: `openssl dgst -verify`
//! checks it without any tool of ours.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::Digest;
use crate::verify::detached;
use crate::verify::sign::{SignError, Signer};

use super::event::digest;
use super::tree::Peaks;

/// The first line of every statement.
const TITLE: &str = "amtsweg checkpoint 1";

/// What the gateway says of its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The gateway's name.
    pub gateway: String,
    /// The ledger's own id.
    pub ledger: Uuid,
    /// How often it was put back from a backup: frames of different branches may share a number.
    pub branch: u64,
    /// Checkpoints count from 1 without a gap.
    pub number: u64,
    /// Frame of the tree's first event: 1, unless the ledger had begun to be let go by then.
    pub first: u64,
    /// Events in the tree, one per frame.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Digest,
    /// SHA-256 of the last of these frames.
    pub head: Digest,
    /// When it was signed.
    pub at: String,
    /// Digest over the numbers of all destinations.
    pub destinations: Digest,
    /// SHA-256 of the statement before; zeros for the first.
    pub previous: Digest,
    /// SHA-256 of the signer's certificate (DER).
    pub signer: Digest,
}

impl Statement {
    /// Number of the last frame in it.
    #[must_use]
    pub fn frame(&self) -> u64 {
        (self.first + self.size).saturating_sub(1)
    }

    /// The octets that are signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{TITLE}\ngateway: {}\nledger: {}\nbranch: {}\nnumber: {}\nfirst: {}\nsize: {}\nroot: {}\nhead: {}\n\
             time: {}\ndestinations: {}\nprevious: {}\nsigner: {}\n",
            self.gateway,
            self.ledger,
            self.branch,
            self.number,
            self.first,
            self.size,
            self.root,
            self.head,
            self.at,
            self.destinations,
            self.previous,
            self.signer
        )
    }

    /// Reads what [`Statement::text`] wrote, and nothing else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ");
        let statement = Self {
            gateway: value("gateway")?.to_owned(),
            ledger: value("ledger")?.parse().ok()?,
            branch: value("branch")?.parse().ok()?,
            number: value("number")?.parse().ok()?,
            first: value("first")?.parse().ok()?,
            size: value("size")?.parse().ok()?,
            root: digest(value("root")?)?,
            head: digest(value("head")?)?,
            at: value("time")?.to_owned(),
            destinations: digest(value("destinations")?)?,
            previous: digest(value("previous")?)?,
            signer: digest(value("signer")?)?,
        };
        (statement.first.checked_add(statement.size).is_some() && statement.text() == text)
            .then_some(statement)
    }
}

/// A statement with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The statement's octets.
    pub statement: String,
    /// How it is signed ([`detached::Detached::method`]).
    pub method: String,
    /// The signature, base64.
    pub signature: String,
}

/// Why a signed statement does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The statement is none.
    #[error("its statement is not one of checkpoint format 1")]
    Statement,
    /// Its certificate was not given.
    #[error("it is signed with the certificate {0} (SHA-256), which was not given: add it to --cert")]
    Signer(Digest),
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
}

impl Signed {
    /// Signs a statement.
    ///
    /// # Errors
    /// When the key can't.
    pub fn make(statement: &Statement, signer: &Signer) -> Result<Self, SignError> {
        let text = statement.text();
        let signature = signer.sign_octets(text.as_bytes())?;
        let value = BASE64.encode(signature.value);
        Ok(Self { statement: text, method: signature.method.to_owned(), signature: value })
    }

    /// What it says, unchecked.
    ///
    /// # Errors
    /// [`Doubt::Statement`].
    pub fn unchecked(&self) -> Result<Statement, Doubt> {
        Statement::read(&self.statement).ok_or(Doubt::Statement)
    }

    /// What it says, if one of `certificates` (DER) has signed it.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn check<C: AsRef<[u8]>>(&self, certificates: &[C]) -> Result<Statement, Doubt> {
        let statement = self.unchecked()?;
        let signer = certificates.iter().find(|der| Digest::of(der.as_ref()) == statement.signer);
        let signer = signer.ok_or(Doubt::Signer(statement.signer))?;
        let value = BASE64.decode(&self.signature).map_err(|_| Doubt::Signature)?;
        let octets = self.statement.as_bytes();
        if detached::verifies(signer.as_ref(), &self.method, octets, &value) {
            Ok(statement)
        } else {
            Err(Doubt::Signature)
        }
    }

    /// The digest that the next statement names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.statement.as_bytes())
    }
}

/// A checkpoint as it is kept and exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The statement and its signature.
    #[serde(flatten)]
    pub signed: Signed,
    /// The tree's peaks, hexadecimal: from them follows the root.
    pub peaks: Vec<String>,
    /// The numbers of those destinations that had events since the checkpoint before; of the one
    /// with which an export or a file begins, of all.
    pub numbers: BTreeMap<String, u64>,
}

impl Checkpoint {
    /// The tree that it is about.
    #[must_use]
    pub fn tree(&self, size: u64) -> Option<Peaks> {
        let peaks = self.peaks.iter().map(|text| digest(text)).collect::<Option<Vec<_>>>()?;
        Peaks::new(size, peaks)
    }
}

/// The numbers of all destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(BTreeMap<String, u64>);

impl Numbers {
    /// Numbers as they are kept.
    #[must_use]
    pub fn new(numbers: BTreeMap<String, u64>) -> Self {
        Self(numbers)
    }

    /// The number of the next event for a destination.
    pub fn next(&mut self, destination: &str) -> u64 {
        match self.0.get_mut(destination) {
            Some(number) => {
                *number += 1;
                *number
            }
            None => {
                self.0.insert(destination.to_owned(), 1);
                1
            }
        }
    }

    /// The number of the last event for a destination.
    #[must_use]
    pub fn get(&self, destination: &str) -> u64 {
        self.0.get(destination).copied().unwrap_or_default()
    }

    /// Takes over what has changed.
    pub fn put(&mut self, changed: &BTreeMap<String, u64>) {
        self.0.extend(changed.iter().map(|(name, number)| (name.clone(), *number)));
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<String, u64> {
        &self.0
    }

    /// SHA-256 over the lines `name number`, in the order of the names' octets.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lines: String = self.0.iter().map(|(name, number)| format!("{name} {number}\n")).collect();
        Digest::of(lines.as_bytes())
    }
}
