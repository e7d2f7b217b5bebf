//! The keys of the index, derived from a record by pure functions: what a change adds and removes
//! follows from the record before and the record after, so index and ledger can't disagree.
//!
//! A key is a kind octet and its parts; texts carry their length, numbers are big-endian and of
//! fixed width, so no key of one kind or endpoint is a prefix range of another.

use crate::domain::record::ContentPlace;
use crate::domain::{EndpointId, Identifier, MessageId, Record, State};

use super::content::entry_octets;

/// Kinds of keys, one octet each.
pub(crate) mod kind {
    /// Account, sequence → id.
    pub(crate) const ACCOUNT: u8 = b'a';
    /// Endpoint, state → count.
    pub(crate) const COUNT: u8 = b'c';
    /// Endpoint, claimable at, sequence → id.
    pub(crate) const DUE: u8 = b'd';
    /// Class, end, sequence → id: when what of an ended message has to go.
    pub(crate) const EXPIRY: u8 = b'e';
    /// Name of a content file → id.
    pub(crate) const FILE: u8 = b'f';
    /// Endpoint → operator's setting.
    pub(crate) const CONTROL: u8 = b'k';
    /// Number of a content segment → octets in it that records name.
    pub(crate) const SEGMENT: u8 = b's';
    /// Endpoint, slot, sequence → state, time of acceptance, id.
    pub(crate) const LISTING: u8 = b'l';
    /// Id → version and place of the record in the ledger.
    pub(crate) const MESSAGE: u8 = b'm';
    /// Author, UUID → digest of the document, id.
    pub(crate) const DUPLICATE: u8 = b'u';
    /// Slot of the vault → id.
    pub(crate) const SLOT: u8 = b'v';
    /// What the index knows of itself.
    pub(crate) const META: u8 = b'z';
}

/// State names by the octet that stands for them in keys. Never reorder: add at the end.
pub(crate) const STATES: [&str; 9] =
    ["Queued", "Sending", "Delivered", "Available", "Leased", "Closed", "Parked", "Returned", "Deferred"];

/// The octet of a state.
pub(crate) fn state_octet(state: &State) -> u8 {
    match state {
        State::Queued { .. } => 0,
        State::Sending { .. } => 1,
        State::Delivered => 2,
        State::Available => 3,
        State::Leased { .. } => 4,
        State::Closed => 5,
        State::Parked { .. } => 6,
        State::Returned => 7,
        State::Deferred { .. } => 8,
    }
}

/// The slot of a listing: all states that are not final share one, so that a message on its way
/// keeps its key and only the value changes; each final state has its own.
pub(crate) fn slot(state: u8) -> u8 {
    match state {
        5 | 7 => state,
        _ => OPEN,
    }
}

/// The slot of the messages that are not final.
pub(crate) const OPEN: u8 = 0;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Builds a key part by part.
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// A key of this kind.
    pub(crate) fn of(kind: u8) -> Self {
        let mut key = Vec::with_capacity(120);
        key.push(kind);
        Self(key)
    }

    /// Adds a text with its length (no text of ours is longer than 255 octets).
    pub(crate) fn text(mut self, text: &str) -> Self {
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.0.push(len);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds an octet.
    pub(crate) fn octet(mut self, octet: u8) -> Self {
        self.0.push(octet);
        self
    }

    /// The key.
    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A listing's value taken apart: state octet, time of acceptance, id.
pub(crate) fn listed(value: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (state, rest) = value.split_first()?;
    let (at, id) = rest.split_first_chunk::<8>()?;
    Some((*state, u64::from_be_bytes(*at), id))
}

/// Begins an id that is packed; no text of one begins so.
const PACKED: u8 = 0;

/// An id as entries hold it: the octets of its UUID and the gateway's name, where these make the same text
/// again. Each message's id stands in five entries at least: as texts they were more than half of the index.
pub(crate) fn packed(id: &MessageId) -> Vec<u8> {
    let Some((gateway, uuid)) = id.parts() else { return id.as_str().as_bytes().to_vec() };
    [&[PACKED], uuid.as_bytes().as_slice(), gateway.as_bytes()].concat()
}

/// The id again.
pub(crate) fn unpacked(octets: &[u8]) -> Option<MessageId> {
    match octets.split_first()? {
        (&PACKED, rest) => {
            let (uuid, gateway) = rest.split_first_chunk()?;
            MessageId::new(std::str::from_utf8(gateway).ok()?, uuid::Uuid::from_bytes(*uuid)).ok()
        }
        _ => std::str::from_utf8(octets).ok()?.parse().ok(),
    }
}

/// Where a record's place stands.
pub(crate) fn message(id: &MessageId) -> Vec<u8> {
    [&[kind::MESSAGE], packed(id).as_slice()].concat()
}

/// Where author and UUID lead to a message.
pub(crate) fn duplicate(author: &Identifier, uuid: uuid::Uuid) -> Vec<u8> {
    let mut key = Key::of(kind::DUPLICATE).text(author.as_str());
    key.0.extend_from_slice(uuid.as_bytes());
    key.done()
}

/// Where a content file's owner stands.
pub(crate) fn file(name: uuid::Uuid) -> Vec<u8> {
    let mut key = Key::of(kind::FILE);
    key.0.extend_from_slice(name.as_bytes());
    key.done()
}

/// Where the owner of a slot of the vault stands.
pub(crate) fn slot_of_key(slot: u64) -> Vec<u8> {
    Key::of(kind::SLOT).number(slot).done()
}

/// Where an operator's setting stands.
pub(crate) fn control(endpoint: &EndpointId) -> Vec<u8> {
    Key::of(kind::CONTROL).text(endpoint.as_str()).done()
}

/// Where the number of messages of an endpoint in a state stands.
pub(crate) fn count(endpoint: &str, state: u8) -> Vec<u8> {
    Key::of(kind::COUNT).text(endpoint).octet(state).done()
}

/// Where the living octets of a content segment stand.
pub(crate) fn segment(number: u64) -> Vec<u8> {
    Key::of(kind::SEGMENT).number(number).done()
}

/// What is left of a message that has ended, and so which retention counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Closed, content and all.
    Closed = 0,
    /// Returned, content and all.
    Returned = 1,
    /// Without its content.
    Record = 2,
}

/// Class and end of a message that has ended.
fn expiry(record: &Record) -> Option<(Class, u64)> {
    let class = match record.state {
        _ if record.erased() => Class::Record,
        State::Closed => Class::Closed,
        _ => Class::Returned,
    };
    Some((class, record.ended_at()?.0))
}

/// Number of the segment and octets of each content of a record that lies in one, its head and its owner's
/// id included: a segment full of small contents is full. That receipt and order of an erased message are
/// encrypted is not to be seen in its record; they count for a little less than they take.
pub(crate) fn inline(record: &Record) -> impl Iterator<Item = (u64, u64)> {
    record.contents().filter_map(move |content| match content.place {
        ContentPlace::Segment { segment, .. } => {
            Some((segment, entry_octets(&record.id, content.len, record.slot.is_some())))
        }
        ContentPlace::File { .. } | ContentPlace::Dropped => None,
    })
}

/// The entries of a record that never change.
pub(crate) fn fixed(record: &Record) -> Vec<Pair> {
    let id = packed(&record.id);
    let mut value = record.document.sha256.0.to_vec();
    value.extend_from_slice(&id);
    vec![
        (duplicate(&record.header.author, record.header.uuid), value),
        (Key::of(kind::ACCOUNT).text(record.account.as_str()).number(record.sequence).done(), id),
    ]
}

/// The entries of a record that follow its state, its placement and where its contents lie.
pub(crate) fn moving(record: &Record) -> Vec<Pair> {
    let id = packed(&record.id);
    let endpoint = record.placement.endpoint.as_str();
    let of = |kind| Key::of(kind).text(endpoint);
    let mut out = Vec::with_capacity(4);
    let state = state_octet(&record.state);
    let mut entry = vec![state];
    entry.extend_from_slice(&record.accepted_at.0.to_be_bytes());
    entry.extend_from_slice(&id);
    out.push((of(kind::LISTING).octet(slot(state)).number(record.sequence).done(), entry));
    if let Some(at) = record.state.claimable_at() {
        out.push((of(kind::DUE).number(at.0).number(record.sequence).done(), id.clone()));
    }
    if let Some(slot) = record.slot {
        out.push((slot_of_key(slot), id.clone()));
    }
    if let Some((class, at)) = expiry(record) {
        let key = Key::of(kind::EXPIRY).octet(class as u8).number(at).number(record.sequence);
        out.push((key.done(), id.clone()));
    }
    for content in record.contents() {
        if let ContentPlace::File { name } = content.place {
            out.push((file(name), id.clone()));
        }
    }
    out
}

/// What a change adds to the index and removes from it, the record itself apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) removed: Vec<Pair>,
    pub(crate) added: Vec<Pair>,
}

/// The difference between the entries of `old` and those of `new`.
pub(crate) fn difference(old: Option<&Record>, new: &Record) -> Difference {
    let mut added = moving(new);
    let Some(old) = old else {
        added.extend(fixed(new));
        return Difference { removed: Vec::new(), added };
    };
    let mut removed = moving(old);
    removed.retain(|pair| {
        let before = added.len();
        added.retain(|other| other != pair);
        added.len() == before
    });
    Difference { removed, added }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_packed_and_come_back_letter_by_letter() {
        let small = "urn:de:xta:messageid:hessen:01900000-0000-7000-8000-00000000000a";
        let capital = "urn:de:xta:messageid:hessen:01900000-0000-7000-8000-00000000000A";
        for (text, octets) in [(small, 1 + 16 + 6), (capital, capital.len())] {
            let id: MessageId = text.parse().unwrap();
            let entry = packed(&id);
            assert_eq!(entry.len(), octets);
            assert_eq!(unpacked(&entry), Some(id));
        }
        assert_ne!(packed(&small.parse().unwrap()), packed(&capital.parse().unwrap()));
        let entry = packed(&small.parse().unwrap());
        for broken in
            [&[][..], &entry[..17], &entry[..10], &[PACKED], b"urn:de:xta", &[&entry[..17], b"A B"].concat()]
        {
            assert_eq!(unpacked(broken), None, "{broken:?}");
        }
    }
}
