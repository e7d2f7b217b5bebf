//! The delivery state machine. Pure: it is told the time and what happened, and answers with the
//! next state or why there is none.
//!
//! Push: `Queued → (Sending ⇄ Queued)* → Delivered → Closed`.
//! Pull: `Available → (Leased ⇄ Available)* → Closed`, before it `Deferred` where the author says not before.
//! Both: `Parked` (an operator must act) and `Returned` (final; the author is told).

mod action;

use serde::{Deserialize, Serialize};

use super::{FactKind, Record, Timestamp};
pub use action::{Action, NotPossible};

/// Push or pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Way {
    /// The gateway brings it.
    Push,
    /// The authority fetches it.
    Pull,
}

/// A time-limited claim of a worker or a reader on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who holds it: a gateway instance, or a reader's account.
    pub owner: String,
    /// The secret that proves it.
    pub token: uuid::Uuid,
    /// It is void from this point on.
    pub until: Timestamp,
}

impl Claim {
    /// Whether it is void at `now`.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

/// Why a message was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkReason {
    /// The authority answered that it will not take it (a 4xx other than 408, 409, 425, 429).
    Refused,
    /// An operator set it aside.
    Operator,
    /// Its endpoint is no longer in the directory.
    EndpointGone,
    /// Its content can't be read (checksum).
    Corrupt,
    /// A second opinion on its signature differs.
    Disputed,
}

/// The durable state of a message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Waits for its next attempt.
    Queued {
        /// Not before this point.
        due: Timestamp,
    },
    /// An attempt is being made.
    Sending {
        /// By whom.
        claim: Claim,
    },
    /// The authority has it, but has not said that it took it over.
    Delivered,
    /// Lies in the mailbox.
    Available,
    /// A reader is at it.
    Leased {
        /// Who.
        claim: Claim,
    },
    /// Taken over by the authority. Final.
    Closed,
    /// Set aside for an operator.
    Parked {
        /// Why.
        reason: ParkReason,
    },
    /// Given up; the author is told. Final.
    Returned,
    /// Lies in the mailbox, and may not be fetched yet.
    Deferred {
        /// Not before this point.
        due: Timestamp,
    },
}

impl State {
    /// The state in which an accepted or requeued message starts at `now` that is due then.
    #[must_use]
    pub fn initial(way: Way, due: Timestamp, now: Timestamp) -> Self {
        match way {
            Way::Push => Self::Queued { due },
            Way::Pull if due > now => Self::Deferred { due },
            Way::Pull => Self::Available,
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Closed | Self::Returned)
    }

    /// The name of the state, as APIs and tables show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "Queued",
            Self::Sending { .. } => "Sending",
            Self::Delivered => "Delivered",
            Self::Available => "Available",
            Self::Leased { .. } => "Leased",
            Self::Closed => "Closed",
            Self::Parked { .. } => "Parked",
            Self::Returned => "Returned",
            Self::Deferred { .. } => "Deferred",
        }
    }

    /// When a worker or reader may next claim the message: the due time, or the end of the
    /// current claim; `None` when nobody may. The due index holds exactly this.
    #[must_use]
    pub fn claimable_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { due } | Self::Deferred { due } => Some(*due),
            Self::Available => Some(Timestamp(0)),
            Self::Sending { claim } | Self::Leased { claim } => Some(claim.until),
            Self::Delivered | Self::Closed | Self::Parked { .. } | Self::Returned => None,
        }
    }
}

/// Applies `action` to `record` at `now`: the record as it will be, one version on, with the
/// facts added. The caller commits it against the version it read.
///
/// # Errors
/// [`NotPossible`] when the state does not allow the action; the record is untouched.
pub fn step(record: &Record, action: Action, now: Timestamp) -> Result<Record, NotPossible> {
    let mut next = record.clone();
    next.version += 1;
    match action {
        Action::Claim(claim) => start(&mut next, claim, now)?,
        Action::Succeeded { token, taken_over, detail } => {
            holds(&record.state, token, now, Way::Push)?;
            next.state = State::Delivered;
            next.remember(now, FactKind::Delivered, &detail);
            if taken_over {
                next.state = State::Closed;
                next.remember(now, FactKind::Closed, "taken over with the answer");
            }
        }
        Action::Named { token, name } => {
            holds(&record.state, token, now, Way::Push)?;
            let detail = match &name {
                Some(name) => format!("its name at the authority's server is {}", name.id),
                None => "the authority's server gets another name for it next time".to_owned(),
            };
            next.remote = name;
            next.remember(now, FactKind::Named, &detail);
        }
        Action::Failed { token, due, detail } => {
            holds(&record.state, token, now, Way::Push)?;
            next.state = State::Queued { due };
            next.remember(now, FactKind::Failed, &detail);
        }
        Action::Refused { token, detail } => {
            holds(&record.state, token, now, Way::Push)?;
            next.state = State::Parked { reason: ParkReason::Refused };
            next.remember(now, FactKind::Parked, &detail);
        }
        Action::SetAside { token, reason, detail } => {
            holds(&record.state, token, now, Way::Push)?;
            next.state = State::Parked { reason };
            next.remember(now, FactKind::Parked, &detail);
        }
        Action::Extend { token, until } => {
            let mut claim = holds(&record.state, token, now, Way::Pull)?.clone();
            claim.until = until.max(claim.until);
            next.state = State::Leased { claim };
            next.remember(now, FactKind::Extended, "");
        }
        Action::Release { token } => {
            holds(&record.state, token, now, Way::Pull)?;
            next.state = State::Available;
            next.remember(now, FactKind::Released, "given back");
        }
        Action::Close { token } => {
            may_finish(record, token, now)?;
            next.state = State::Closed;
            next.remember(now, FactKind::Closed, "");
        }
        Action::Reject { token, detail } => {
            may_finish(record, token, now)?;
            next.state = State::Returned;
            next.remember(now, FactKind::Returned, &detail);
        }
        Action::Park { reason, detail } => {
            idle(&record.state, now)?;
            next.state = State::Parked { reason };
            next.remember(now, FactKind::Parked, &detail);
        }
        Action::Retry { detail } => {
            idle(&record.state, now)?;
            next.state = State::initial(record.placement.way, record.starts(now), now);
            next.remember(now, FactKind::Retried, &detail);
        }
        Action::Reroute { placement, detail } => {
            idle(&record.state, now)?;
            next.state = State::initial(placement.way, record.starts(now), now);
            next.placement = placement;
            next.remember(now, FactKind::Rerouted, &detail);
        }
        Action::Return { detail } => {
            idle(&record.state, now)?;
            next.state = State::Returned;
            next.remember(now, FactKind::Returned, &detail);
        }
        Action::Warn { detail } => {
            if record.state.is_final() || record.warned {
                return Err(NotPossible::State);
            }
            next.warned = true;
            next.remember(now, FactKind::Warned, &detail);
        }
    }
    Ok(next)
}

/// Starts an attempt or a lease. A claim that is void from the start would let two be at it, so
/// it is none. A claim that ran out (a killed worker, a reader that never came
/// back) is noted as released before the new one starts.
fn start(next: &mut Record, claim: Claim, now: Timestamp) -> Result<(), NotPossible> {
    if claim.expired(now) {
        return Err(NotPossible::LeaseLost);
    }
    match next.state.claimable_at() {
        Some(at) if at <= now => {}
        Some(_) => return Err(NotPossible::Claimed),
        None => return Err(NotPossible::State),
    }
    if matches!(next.state, State::Sending { .. } | State::Leased { .. }) {
        next.remember(now, FactKind::Released, "claim ran out");
    }
    next.attempts = next.attempts.saturating_add(1);
    let owner = claim.owner.clone();
    let (state, kind) = match next.placement.way {
        Way::Push => (State::Sending { claim }, FactKind::Sending),
        Way::Pull => (State::Leased { claim }, FactKind::Leased),
    };
    next.state = state;
    next.remember(now, kind, &owner);
    Ok(())
}

/// The running claim under `token`. An outcome that comes after the claim ran out is still true
/// as long as nobody else has claimed the message since, so push outcomes are taken late;
/// leases end when they end.
fn holds(state: &State, token: uuid::Uuid, now: Timestamp, way: Way) -> Result<&Claim, NotPossible> {
    match (state, way) {
        (State::Sending { claim }, Way::Push) if claim.token == token => Ok(claim),
        (State::Leased { claim }, Way::Pull) if claim.token == token && !claim.expired(now) => Ok(claim),
        _ => Err(NotPossible::LeaseLost),
    }
}

/// Whether the authority may finish the message: under its lease, or after a push. An authority
/// can be faster than the gateway's own note of its answer, and that answer can get lost: once an
/// attempt was made, its word that it has the message counts, whether `Delivered` is written or not.
fn may_finish(record: &Record, token: Option<uuid::Uuid>, now: Timestamp) -> Result<(), NotPossible> {
    match (&record.state, token) {
        (State::Delivered, _) => Ok(()),
        (State::Sending { .. } | State::Queued { .. }, _) if record.attempts > 0 => Ok(()),
        (State::Leased { .. }, Some(token)) => holds(&record.state, token, now, Way::Pull).map(|_| ()),
        (State::Closed, _) => Err(NotPossible::AlreadyClosed),
        (State::Leased { .. } | State::Available | State::Deferred { .. }, _) => Err(NotPossible::LeaseLost),
        _ => Err(NotPossible::State),
    }
}

/// Whether an operator may act: not while an attempt or lease runs, not when all is over.
fn idle(state: &State, now: Timestamp) -> Result<(), NotPossible> {
    match state {
        State::Sending { claim } | State::Leased { claim } if !claim.expired(now) => {
            Err(NotPossible::Claimed)
        }
        State::Closed | State::Returned => Err(NotPossible::State),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
