//! What can happen to a message, and why it can't.

use super::{Claim, ParkReason};
use crate::domain::{Placement, RemoteName, Timestamp};

/// What is to happen to a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A worker starts an attempt, or a reader takes a lease. Counts as an attempt.
    Claim(Claim),
    /// The attempt under `token` succeeded.
    Succeeded {
        /// The claim's secret.
        token: uuid::Uuid,
        /// The authority said that it took the message over (2xx other than 202).
        taken_over: bool,
        /// For the history, e.g. `HTTP 201`.
        detail: String,
    },
    /// The authority's server named the message for the attempt under `token`, or (`None`) the name it
    /// has is of no use.
    Named {
        /// The claim's secret.
        token: uuid::Uuid,
        /// The name.
        name: Option<RemoteName>,
    },
    /// The attempt under `token` failed; the next one is due then.
    Failed {
        /// The claim's secret.
        token: uuid::Uuid,
        /// Not before this point.
        due: Timestamp,
        /// Why, e.g. `HTTP 503`.
        detail: String,
    },
    /// The attempt under `token` met a refusal that repeating can't change.
    Refused {
        /// The claim's secret.
        token: uuid::Uuid,
        /// What the authority answered.
        detail: String,
    },
    /// The attempt under `token` can't be made at all, e.g. because the content is corrupt.
    SetAside {
        /// The claim's secret.
        token: uuid::Uuid,
        /// Why.
        reason: ParkReason,
        /// In words.
        detail: String,
    },
    /// The reader needs longer.
    Extend {
        /// The lease's secret.
        token: uuid::Uuid,
        /// New end.
        until: Timestamp,
    },
    /// The reader gives the lease back.
    Release {
        /// The lease's secret.
        token: uuid::Uuid,
    },
    /// The authority has taken the message over. Pull: under its lease; push: once it was sent.
    Close {
        /// The lease's secret; not needed for a pushed message.
        token: Option<uuid::Uuid>,
    },
    /// The authority refuses the message for good: it goes back to its author.
    Reject {
        /// The lease's secret; not needed for a pushed message.
        token: Option<uuid::Uuid>,
        /// Why.
        detail: String,
    },
    /// Set aside.
    Park {
        /// Why.
        reason: ParkReason,
        /// In words.
        detail: String,
    },
    /// Start again at the present placement, now.
    Retry {
        /// Who and why.
        detail: String,
    },
    /// Start again at another placement, now.
    Reroute {
        /// The new placement.
        placement: Placement,
        /// Who and why.
        detail: String,
    },
    /// Give up.
    Return {
        /// Why.
        detail: String,
    },
    /// Note that the message is late. Changes nothing else.
    Warn {
        /// How late.
        detail: String,
    },
}

/// Why an action can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPossible {
    /// The message is claimed by somebody else, or not due yet.
    #[error("the message is claimed or not due yet")]
    Claimed,
    /// The claim ran out, was given back, or never was.
    #[error("the lease is lost; fetch the message again")]
    LeaseLost,
    /// The message's state doesn't allow it.
    #[error("the message's state does not allow this")]
    State,
    /// The message has already been closed; closing again is harmless.
    #[error("the message is closed already")]
    AlreadyClosed,
}
