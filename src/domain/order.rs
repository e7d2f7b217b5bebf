//! What a message brings along that came as a transport order (XTA 2.1.1, `MessageMetaData`), and
//! what its account was let off.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{AccountName, ContentRef, Timestamp};

/// References to other messages kept for searching.
pub const MAX_RELATES: usize = 16;

/// The part of a transport order that the gateway acts on, and where the rest of it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's own words: metadata and the descriptions of the parts, as the front wrote them.
    pub envelope: ContentRef,
    /// When and how.
    pub terms: Terms,
    /// Why the payload carries no signature that was verified; `None` when it carries one.
    pub waiver: Option<Waiver>,
}

/// Terms of a transport order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Media type of the payload.
    pub media_type: String,
    /// It is handed out or sent no earlier (`NotBefore`).
    pub not_before: Option<Timestamp>,
    /// It is handed out or sent no later than on this day, UTC (`ObsoleteAfter`).
    pub obsolete_after: Option<Date>,
    /// Messages that it refers to (`In-Reply-To`), at most [`MAX_RELATES`].
    pub relates_to: Vec<String>,
}

impl Terms {
    /// Whether the last day on which anybody wants it has passed.
    #[must_use]
    pub fn obsolete(&self, now: Timestamp) -> bool {
        self.obsolete_after.is_some_and(|day| day < now.date())
    }
}

/// A payload was taken without a signature: whose, and by which rule of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The account that handed it in; its client certificate is all that vouches for the message.
    pub account: AccountName,
    /// The rule, one sentence.
    pub rule: String,
}

/// What an operator demands of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand {
    /// It must be there, and right.
    #[default]
    Required,
    /// Where it is there (a signature) or known (a schema), it must be right.
    IfPresent,
    /// It is not looked at.
    None,
}
