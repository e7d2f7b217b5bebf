//! The durable record of one message: what the ledger holds and the index serves.

use serde::{Deserialize, Serialize};

use super::{
    AccountName, AuthorityId, Coverage, DeclaredAttachment, Digest, EndpointId, Header, Identifier,
    MessageId, Order, SignerInfo, State, Timestamp, Way,
};

/// Facts kept per message; older ones in the middle are dropped and counted.
pub const MAX_FACTS: usize = 64;
/// Characters kept of a fact's detail.
pub const MAX_DETAIL: usize = 300;

/// Where octets lie in the content store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRef {
    /// Segment or file.
    pub place: ContentPlace,
    /// Length in octets.
    pub len: u64,
    /// SHA-256 of the octets.
    pub sha256: Digest,
}

/// The two kinds of places of content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentPlace {
    /// Inside a content segment.
    Segment {
        /// Number of the segment.
        segment: u64,
        /// Offset of the first octet.
        offset: u64,
    },
    /// A file of its own, by its name in the content folder.
    File {
        /// A UUID.
        name: uuid::Uuid,
    },
    /// Nowhere any more: its retention has ended. Length and digest stay.
    Dropped,
}

/// An attachment that was matched with its declaration and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAttachment {
    /// As the signed document declares it.
    pub declared: DeclaredAttachment,
    /// Where its octets lie.
    pub content: ContentRef,
}

/// Where the route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The competent authority.
    pub authority: AuthorityId,
    /// The identifier by which it is addressed.
    pub reader: Identifier,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// Push or pull.
    pub way: Way,
    /// The rule that won, one sentence.
    pub rule: String,
}

/// One message: what it is, where it goes, how far it has come. Immutable but for `version`,
/// `placement` (rerouting), `remote`, `state`, `attempts`, `warned`, `changed_at`, `facts`, `facts_dropped`,
/// and the places of its contents, which the store alone changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts the changes; a commit names the version it was made from.
    pub version: u64,
    /// Order of acceptance, given by the store; unique.
    pub sequence: u64,
    /// The message's one name.
    pub id: MessageId,
    /// The account that submitted it.
    pub account: AccountName,
    /// Routing data.
    pub header: Header,
    /// Who signed it; nobody ([`SignerInfo::nobody`]) where `order` holds a waiver.
    pub signer: SignerInfo,
    /// The original octets.
    pub document: ContentRef,
    /// Its attachments in document order.
    pub attachments: Vec<StoredAttachment>,
    /// The signed receipt.
    pub receipt: ContentRef,
    /// Where it goes.
    pub placement: Placement,
    /// How far it has come.
    pub state: State,
    /// Attempts or leases so far.
    pub attempts: u32,
    /// The warning for its age has been given.
    pub warned: bool,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// Its history, oldest first.
    pub facts: Vec<Fact>,
    /// Facts dropped from the middle of the history.
    pub facts_dropped: u32,
    /// The transport order that it came with. Written after the rest, by the store alone: records of
    /// messages without one look as they did before there were any.
    #[serde(skip)]
    pub order: Option<Order>,
    /// Where the key of its document and attachments lies; `None` where they are not encrypted, or
    /// erased. Written before the rest, by the store alone.
    #[serde(skip)]
    pub slot: Option<u64>,
    /// What the signature covers. Written like `order`; `None` where nobody signed, and in records that
    /// are older than the statement.
    #[serde(skip)]
    pub coverage: Option<Coverage>,
    /// The name that the authority's server gave for it, where that server gives names (XTA). Written as
    /// `order` is.
    #[serde(skip)]
    pub remote: Option<RemoteName>,
}

/// A message's name at another server. It is durable before the message is sent under it: whoever sends
/// again after a lost answer sends under the same name, and the server can tell that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteName {
    /// The server's URL; another server knows nothing of the name.
    pub server: String,
    /// The name.
    pub id: String,
}

impl Record {
    /// When it may be handed out or sent, if it started anew at `now`.
    #[must_use]
    pub fn starts(&self, now: Timestamp) -> Timestamp {
        self.order.as_ref().and_then(|order| order.terms.not_before).map_or(now, |at| at.max(now))
    }

    /// Whether its author wants it to be delivered no more.
    #[must_use]
    pub fn obsolete(&self, now: Timestamp) -> bool {
        self.order.as_ref().is_some_and(|order| order.terms.obsolete(now))
    }

    /// Media type of the original octets, fit for a header: XML unless its order said otherwise.
    #[must_use]
    pub fn media_type(&self) -> &str {
        let ordered = self.order.as_ref().map(|order| order.terms.media_type.as_str());
        let sound =
            |media: &&str| media.contains('/') && media.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        ordered.filter(sound).unwrap_or("application/xml")
    }

    /// All its contents.
    pub fn contents(&self) -> impl Iterator<Item = &ContentRef> {
        let attachments = self.attachments.iter().map(|a| &a.content);
        let envelope = self.order.iter().map(|order| &order.envelope);
        attachments.chain([&self.document, &self.receipt]).chain(envelope)
    }

    /// Those of its contents that go with the end of their retention.
    pub fn erasable(&self) -> impl Iterator<Item = &ContentRef> {
        self.attachments.iter().map(|a| &a.content).chain([&self.document])
    }

    /// When it came to its end, by its history; `None` while it is on its way.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        let ends = |fact: &&Fact| matches!(fact.kind, FactKind::Closed | FactKind::Returned);
        let told = || self.facts.iter().rev().find(ends).map_or(self.changed_at, |fact| fact.at);
        self.state.is_final().then(told)
    }

    /// Whether document and attachments are gone.
    #[must_use]
    pub fn erased(&self) -> bool {
        self.document.place == ContentPlace::Dropped
    }

    /// The record of the same message without document and attachments, as it looks when their retention
    /// has ended at `now`. Receipt and transport order stay: a repeat is answered with the first receipt.
    #[must_use]
    pub fn without_content(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.version = self.version.saturating_add(1);
        next.slot = None;
        next.document.place = ContentPlace::Dropped;
        for attachment in &mut next.attachments {
            attachment.content.place = ContentPlace::Dropped;
        }
        next.remember(now, FactKind::Erased, "");
        next
    }

    /// Adds a fact, keeping the history within [`MAX_FACTS`]: the first half stays, of the second
    /// half the oldest of those that recur by themselves (attempts, leases) goes first, so that
    /// what people did is not washed away by a night of failed attempts.
    pub fn remember(&mut self, at: Timestamp, kind: FactKind, detail: &str) {
        if self.facts.len() >= MAX_FACTS {
            let recurs = |fact: &Fact| fact.kind.recurs();
            let later = self.facts.iter().skip(MAX_FACTS / 2).position(recurs).unwrap_or_default();
            self.facts.remove(MAX_FACTS / 2 + later);
            self.facts_dropped = self.facts_dropped.saturating_add(1);
        }
        self.facts.push(Fact {
            at,
            kind,
            attempt: self.attempts,
            detail: detail.chars().take(MAX_DETAIL).collect(),
        });
        self.changed_at = at;
    }
}

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: FactKind,
    /// Attempts counted up to then.
    pub attempt: u32,
    /// For people: a status code, a reason. Never payload or personal data.
    pub detail: String,
}

/// Kinds of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FactKind {
    /// Taken in and durable.
    Accepted,
    /// An attempt began.
    Sending,
    /// An attempt failed and will be made again.
    Failed,
    /// The authority has it.
    Delivered,
    /// A reader took a lease.
    Leased,
    /// A lease was lengthened.
    Extended,
    /// A lease was given back or ran out.
    Released,
    /// The authority has taken it over.
    Closed,
    /// Set aside for an operator.
    Parked,
    /// Queued again by an operator.
    Retried,
    /// Given another route by an operator.
    Rerouted,
    /// Given up; the author is told.
    Returned,
    /// Undelivered for long.
    Warned,
    /// The authority's server gave a name for it, or that name is given up.
    Named,
    /// Document and attachments were removed when their retention had ended.
    Erased,
}

impl FactKind {
    /// Whether facts of this kind come again and again without anybody's doing.
    fn recurs(self) -> bool {
        matches!(self, Self::Sending | Self::Failed | Self::Leased | Self::Extended | Self::Released)
    }

    /// A stable lower-case word for logs, metrics and APIs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sending => "sending",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Leased => "leased",
            Self::Extended => "extended",
            Self::Released => "released",
            Self::Closed => "closed",
            Self::Parked => "parked",
            Self::Retried => "retried",
            Self::Rerouted => "rerouted",
            Self::Returned => "returned",
            Self::Warned => "warned",
            Self::Named => "named",
            Self::Erased => "erased",
        }
    }
}

/// A committed change, told to watchers after it is durable. A hint: the index is the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The message.
    pub id: MessageId,
    /// The submitting account: only it and the reader may see the event.
    pub account: AccountName,
    /// The endpoint it goes to.
    pub endpoint: EndpointId,
    /// The facts that this commit added.
    pub facts: Vec<Fact>,
    /// The state after it.
    pub state: State,
}
