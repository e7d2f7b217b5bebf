//! What a frame of the ledger says to the outside: who, when, where to, which state; no content, no
//! personal data, nobody's words.
//!
//! An event is one line of JSON, and its octets are what is hashed. The digest of its frame binds it
//! to the ledger, whose frames hold the rest.

use serde::{Deserialize, Serialize};

use crate::domain::{Digest, FactKind, Record, Way};
use crate::store::ledger::{Frame, Told};

/// One event, as it is written. The order of the fields is that of the format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Number of its frame.
    pub frame: u64,
    /// When the frame was written.
    pub at: String,
    /// SHA-256 of the frame.
    pub digest: String,
    /// `accepted`, `changed`, `setting`, `forgotten` or `trimmed`.
    pub kind: &'static str,
    /// The endpoint concerned: the destination.
    pub endpoint: String,
    /// The how-manieth event of this destination it is.
    pub number: u64,
    /// The message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Changes of the message so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub version: u64,
    /// Its state after this; of a setting `suspended` or `resumed`.
    pub state: &'static str,
    /// The facts that this step added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<&'static str>,
    /// The competent authority.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub authority: String,
    /// SHA-256 of the signed document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub document: String,
    /// SHA-256 of the signed receipt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receipt: String,
    /// When it was accepted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub accepted: String,
    /// When the authority was handed it: by push with the authority's answer, by pull with the
    /// reader's last lease.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub handed: String,
    /// When the authority took it over.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub closed: String,
    /// When it was given up and returned to its author.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub returned: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Event {
    /// The event of a frame; its number for the destination is still to be given.
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        let mut event = Self {
            frame: frame.number,
            at: frame.at.to_string(),
            digest: frame.digest.to_string(),
            ..Self::default()
        };
        for told in &frame.told {
            match told {
                Told::Message { new, added, record } => event.message(*new, *added, record),
                Told::Setting(control) => {
                    event.kind = "setting";
                    control.endpoint.as_str().clone_into(&mut event.endpoint);
                    event.state = if control.suspended { "suspended" } else { "resumed" };
                }
                Told::Forgotten { id, .. } => {
                    event.kind = "forgotten";
                    event.message = id.to_string();
                }
                Told::Trimmed(_) => event.kind = "trimmed",
            }
        }
        event
    }

    fn message(&mut self, new: bool, added: u32, record: &Record) {
        self.kind = if new { "accepted" } else { "changed" };
        record.placement.endpoint.as_str().clone_into(&mut self.endpoint);
        self.message = record.id.to_string();
        self.version = record.version;
        self.state = record.state.name();
        let begin = record.facts.len().saturating_sub(added as usize);
        self.facts = record.facts.iter().skip(begin).map(|fact| fact.kind.as_str()).collect();
        self.authority = record.placement.authority.to_string();
        self.document = record.document.sha256.to_string();
        self.receipt = record.receipt.sha256.to_string();
        self.accepted = record.accepted_at.to_string();
        let last = |kind| record.facts.iter().rfind(|fact| fact.kind == kind);
        let time = |kind| last(kind).map_or_else(String::new, |fact| fact.at.to_string());
        self.handed = time(match record.placement.way {
            Way::Push => FactKind::Delivered,
            Way::Pull => FactKind::Leased,
        });
        self.closed = time(FactKind::Closed);
        self.returned = time(FactKind::Returned);
    }

    /// The octets that are hashed and exported.
    #[must_use]
    pub fn line(&self) -> String {
        // Strings and numbers alone: nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a checker needs of an event, borrowed from its line.
#[derive(Clone, Debug, Deserialize)]
pub struct Seen<'a> {
    /// `accepted`, `changed`, `setting`, `forgotten` or `trimmed`.
    #[serde(borrow)]
    pub kind: &'a str,
    /// Number of its frame.
    pub frame: u64,
    /// SHA-256 of the frame.
    #[serde(borrow)]
    pub digest: &'a str,
    /// The destination.
    #[serde(borrow)]
    pub endpoint: &'a str,
    /// Number of the event for it.
    pub number: u64,
    /// The message.
    #[serde(borrow, default)]
    pub message: &'a str,
    /// Its state after it.
    #[serde(borrow)]
    pub state: &'a str,
    /// SHA-256 of the document.
    #[serde(borrow, default)]
    pub document: &'a str,
    /// When it was accepted.
    #[serde(borrow, default)]
    pub accepted: &'a str,
    /// When the authority was handed it.
    #[serde(borrow, default)]
    pub handed: &'a str,
    /// When the authority took it over.
    #[serde(borrow, default)]
    pub closed: &'a str,
    /// When it was returned.
    #[serde(borrow, default)]
    pub returned: &'a str,
}

/// A digest from 64 hexadecimal digits, lower case.
#[must_use]
pub fn digest(text: &str) -> Option<Digest> {
    let octets = text.as_bytes();
    if octets.len() != 64 {
        return None;
    }
    let nibble = |octet: u8| match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        _ => None,
    };
    let mut out = Digest::default();
    for (value, pair) in out.0.iter_mut().zip(octets.as_chunks::<2>().0) {
        *value = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_written() {
        let known = Digest::of(b"x");
        assert_eq!(digest(&known.to_string()), Some(known));
        assert_eq!(digest(&known.to_string().to_uppercase()), None);
        assert_eq!(digest("00"), None);
    }
}
