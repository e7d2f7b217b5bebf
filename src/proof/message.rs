//! The proof for one message: its last event, and that a signed checkpoint includes it. How far the
//! message has come stands in the event: accepted and on disk, handed to the authority, taken over.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::{Digest, MessageId};
use crate::store::ReadingKeys;
use crate::store::ledger::{Tail, TailFault};

use super::book::{self, BookFault, Identity};
use super::checkpoint::{Doubt, Numbers, Signed, Statement};
use super::event::{Event, Seen, digest};
use super::tree::{self, Peaks};

/// The format's name.
pub const FORMAT: &str = "amtsweg-proof-1";
/// Hashes of a path at most: a tree has fewer than 2^64 events.
const MAX_PATH: usize = 64;

/// What a portal gets and can keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// [`FORMAT`].
    pub format: String,
    /// The message.
    pub message: String,
    /// The octets of its event.
    pub event: String,
    /// The event's place in the tree, from 0.
    pub index: u64,
    /// The hashes beside the way to the root, from the leaf up, hexadecimal.
    pub path: Vec<String>,
    /// The checkpoint.
    pub checkpoint: Signed,
}

/// How far a message has come, provably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The gateway has it, on disk.
    Accepted,
    /// The authority was handed it.
    Handed,
    /// The authority has taken it over.
    Closed,
}

impl Level {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Handed => "handed",
            Self::Closed => "closed",
        }
    }
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The message.
    pub message: String,
    /// How far it has come.
    pub level: Level,
    /// Its state.
    pub state: String,
    /// SHA-256 of the signed document.
    pub document: String,
    /// When it was accepted.
    pub accepted: String,
    /// When the authority was handed it.
    pub handed: Option<String>,
    /// When the authority took it over.
    pub closed: Option<String>,
    /// When it was returned to its author.
    pub returned: Option<String>,
    /// Frame of the event.
    pub frame: u64,
    /// Number of the checkpoint.
    pub checkpoint: u64,
    /// When the checkpoint was signed.
    pub sealed: String,
    /// The gateway that says so.
    pub gateway: String,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// It can't be read.
    #[error("the proof can't be read, or is of a format that this program does not know")]
    Format,
    /// The checkpoint does not count.
    #[error("the checkpoint does not count: {0}")]
    Checkpoint(#[from] Doubt),
    /// The path does not lead to the root.
    #[error("the event is not in the checkpoint: its path does not lead to the signed root")]
    Path,
    /// The event is about something else.
    #[error("the event is not one of message {0}")]
    Another(String),
    /// The document is another.
    #[error("the document is not the one of the proof: its SHA-256 is {0}")]
    Document(Digest),
}

/// Checks a proof with the gateway's certificate alone; with the message's signed document too, where
/// it is given.
///
/// # Errors
/// [`Unproven`].
pub fn check<C: AsRef<[u8]>>(
    proof: &[u8],
    certificates: &[C],
    document: Option<&[u8]>,
) -> Result<Shown, Unproven> {
    let proof: Proof = serde_json::from_slice(proof).map_err(|_| Unproven::Format)?;
    if proof.format != FORMAT || proof.path.len() > MAX_PATH {
        return Err(Unproven::Format);
    }
    let statement = proof.checkpoint.check(certificates)?;
    let path =
        proof.path.iter().map(|hash| digest(hash)).collect::<Option<Vec<_>>>().ok_or(Unproven::Format)?;
    let leaf = tree::leaf(proof.event.as_bytes());
    if tree::climb(leaf, proof.index, statement.size, &path) != Some(statement.root) {
        return Err(Unproven::Path);
    }
    let seen: Seen<'_> = serde_json::from_str(&proof.event).map_err(|_| Unproven::Format)?;
    if seen.message.is_empty() || seen.message != proof.message || seen.accepted.is_empty() {
        return Err(Unproven::Another(proof.message));
    }
    if let Some(found) = document.map(Digest::of).filter(|found| found.to_string() != seen.document) {
        return Err(Unproven::Document(found));
    }
    Ok(shown(&seen, &statement))
}

fn shown(seen: &Seen<'_>, statement: &Statement) -> Shown {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let level = match (seen.state, seen.closed.is_empty(), seen.handed.is_empty()) {
        ("Closed", false, _) => Level::Closed,
        (_, _, false) => Level::Handed,
        _ => Level::Accepted,
    };
    Shown {
        message: seen.message.to_owned(),
        level,
        state: seen.state.to_owned(),
        document: seen.document.to_owned(),
        accepted: seen.accepted.to_owned(),
        handed: some(seen.handed),
        closed: some(seen.closed),
        returned: some(seen.returned),
        frame: seen.frame,
        checkpoint: statement.number,
        sealed: statement.at.clone(),
        gateway: statement.gateway.clone(),
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveFault {
    /// The event is in no checkpoint yet.
    #[error("the event is in no checkpoint yet")]
    Unsealed,
    /// The ledger can't be read there.
    #[error(transparent)]
    Ledger(#[from] TailFault),
    /// Checkpoints can't be read.
    #[error(transparent)]
    Book(#[from] BookFault),
    /// Ledger and checkpoint don't fit.
    #[error("frame {0} is not what was sealed; run `amtsweg ledger verify`")]
    Differs(u64),
}

/// The proof for the event of frame `frame`, which is about `message`. Reads the frames of one
/// checkpoint.
///
/// # Errors
/// [`ProveFault`].
pub fn prove(data: &Path, keys: &ReadingKeys, message: &MessageId, frame: u64) -> Result<Proof, ProveFault> {
    let identity = Identity::read(data)?.ok_or(ProveFault::Unsealed)?;
    let index = frame.checked_sub(identity.first).ok_or(ProveFault::Unsealed)?;
    let (before, noted) = book::covering(data, index)?.ok_or(ProveFault::Unsealed)?;
    let differs = || ProveFault::Differs(frame);
    let (tree, begin) = match &before {
        None => (Peaks::default(), identity.first),
        Some(b) => (b.checkpoint.tree(b.statement.size).ok_or_else(differs)?, b.statement.frame() + 1),
    };
    let mut tail = Tail::open(&data.join("ledger"), begin, keys)?;
    let mut events = Vec::new();
    let mut counted = Numbers::default();
    while let Some(frame) = tail.read(noted.statement.frame())? {
        let mut event = Event::of(&frame);
        event.number = counted.next(&event.endpoint);
        events.push(event);
    }
    let mut found = String::new();
    let mut leaves = Vec::with_capacity(events.len());
    for mut event in events {
        // The checkpoint knows each destination's last number.
        let last = noted.checkpoint.numbers.get(&event.endpoint).copied().unwrap_or_default();
        event.number = (last + event.number).checked_sub(counted.get(&event.endpoint)).ok_or_else(differs)?;
        let line = event.line();
        leaves.push(tree::leaf(line.as_bytes()));
        if event.frame == frame {
            found = line;
        }
    }
    let path = tree.path(&leaves, index).ok_or_else(differs)?;
    let leaf = tree::leaf(found.as_bytes());
    if tree::climb(leaf, index, noted.statement.size, &path) != Some(noted.statement.root) {
        return Err(differs());
    }
    Ok(Proof {
        format: FORMAT.to_owned(),
        message: message.to_string(),
        event: found,
        index,
        path: path.iter().map(ToString::to_string).collect(),
        checkpoint: noted.checkpoint.signed,
    })
}
