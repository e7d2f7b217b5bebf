//! One deliberate change of a message by somebody who asked for it: read, decide, step, commit;
//! again when somebody else was faster. Used by operators' verbs and by the mailbox.

use std::sync::Arc;

use crate::domain::delivery::{NotPossible, step};
use crate::domain::{Action, MessageId, Record, State, Timestamp};
use crate::error::{Code, Refusal};
use crate::store::{ChangePort, ReadPort, StoreError};

/// Times that a change is tried when others change the message at the same moment.
const CONFLICTS: usize = 16;

/// What is to become of a message.
pub(crate) enum Decision {
    /// This.
    Do(Action),
    /// Nothing: it already is as asked for.
    Keep,
}

/// Changes the message `id` as `decide` says, which sees its present record each time.
///
/// # Errors
/// AW-0401 for an unknown message, what `decide` refuses, AW-0402 when the state does not allow
/// it, AW-0301, AW-0302 and AW-0500 from the store.
pub(crate) async fn change(
    read: &dyn ReadPort,
    change: &dyn ChangePort,
    id: &MessageId,
    now: Timestamp,
    mut decide: impl FnMut(&Record) -> Result<Decision, Refusal> + Send,
) -> Result<Arc<Record>, Refusal> {
    for _ in 0..CONFLICTS {
        let record = get(read, id).await?;
        let action = match decide(&record)? {
            Decision::Keep => return Ok(record),
            Decision::Do(action) => action,
        };
        let next = step(&record, action, now).map_err(|why| not_possible(&record, why))?;
        match change.commit(next).await {
            Ok(record) => return Ok(record),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(store(error)),
        }
    }
    Err(Refusal::new(Code::Overloaded, "the message is being changed by others all the time; try again"))
}

/// The record of a message.
///
/// # Errors
/// AW-0401, AW-0500.
pub(crate) async fn get(read: &dyn ReadPort, id: &MessageId) -> Result<Arc<Record>, Refusal> {
    read.get(id).await.map_err(store)?.ok_or_else(unknown)
}

/// The one answer for what is not there and for what is somebody else's.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(Code::UnknownMessage, "no such message; check the message id")
}

/// A failing store, logged here and nowhere else.
pub(crate) fn store(error: StoreError) -> Refusal {
    match error {
        StoreError::Unknown => unknown(),
        StoreError::Conflict => Refusal::new(
            Code::Overloaded,
            "the message was changed by somebody else at this moment; try again",
        ),
        StoreError::Full => {
            Refusal::new(Code::DiskFull, "the gateway's disk is nearly full; try again later")
        }
        error => {
            tracing::error!(%error, "the store failed");
            Refusal::new(
                Code::Internal,
                "the gateway's store failed and nothing was changed; try again later",
            )
        }
    }
}

fn not_possible(record: &Record, why: NotPossible) -> Refusal {
    let state = record.state.name();
    let words = match (&record.state, why) {
        (State::Sending { claim }, NotPossible::Claimed) => {
            format!("it is being sent at this moment; try again after {}", claim.until)
        }
        (State::Leased { claim }, NotPossible::Claimed) => {
            format!("a reader holds it; try again when the lease ends at {}", claim.until)
        }
        (_, NotPossible::Claimed) => "it is not due yet; try again later".to_owned(),
        (_, NotPossible::LeaseLost) => {
            "the lease ran out, was given back or never was; fetch the message again".to_owned()
        }
        (_, NotPossible::AlreadyClosed) => "it is closed already".to_owned(),
        (_, NotPossible::State) => format!("a message that is {state} does not allow this"),
    };
    Refusal::new(Code::LeaseLost, words)
}
