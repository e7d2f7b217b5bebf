//! One attempt: claim, send, record the outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Parcel, Reply};
use super::content::{Progress, piece};
use super::lane::{LONGEST, Ticket};
use super::{MARGIN, Shared, naming, note};
use crate::domain::delivery::step;
use crate::domain::outcome::Outcome;
use crate::domain::retry::{Age, attempts_since_start};
use crate::domain::{Action, Claim, ParkReason, Record, Timestamp, Way};
use crate::store::{StoreError, read_all};

/// Of a claim's margin, what is kept for recording the outcome.
const RECORDING: Duration = Duration::from_secs(1);
/// A message that somebody else holds is left alone for this.
const TAKEN: Duration = Duration::from_secs(1);
/// A message whose record can't be read is left alone for this.
const UNREADABLE: Duration = LONGEST;
/// Octets of a receipt.
const RECEIPT: u64 = 1 << 20;
/// Octets of a document that an authority's note is compared with; of a longer one no note is kept.
const COMPARED: u64 = 1 << 20;
/// Times that recording an outcome is tried when others change the message at the same moment,
/// and when the store fails.
const CONFLICTS: u32 = 32;
const FAILURES: u32 = 6;

/// What came of sending.
pub(super) enum Tried {
    /// The endpoint replied, or did not.
    Reply(Reply),
    /// The content is corrupt, and counted as that; how it shows.
    Corrupt(String),
    /// The store can't be read at the moment: says nothing of the endpoint.
    Unread,
}

/// The store is in trouble, which is noted already.
struct Unusable;

/// A claimed message.
pub(super) struct Claimed {
    /// As it is now.
    pub(super) record: Arc<Record>,
    /// The claim's secret.
    pub(super) token: uuid::Uuid,
    until: Timestamp,
}

/// Makes one attempt for `ticket`.
pub(super) async fn run(shared: Arc<Shared>, mut ticket: Ticket, stop: CancellationToken) {
    if stop.is_cancelled() {
        return;
    }
    let mut claimed = match claim(&shared, &ticket).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return,
        Err(Unusable) => return ticket.avoid(Timestamp::now().plus(TAKEN)),
    };
    ticket.claimed();
    let began = Instant::now();
    let tried = send(&shared, &ticket, &mut claimed).await;
    let took = began.elapsed();
    let now = Timestamp::now();
    let metrics = &shared.parts.metrics;
    let lane = ticket.lane.clone();
    let endpoint = lane.id.as_str();
    let id = claimed.record.id.clone();
    let attempt = claimed.record.attempts;
    match tried {
        Tried::Reply(reply) => {
            ticket.tell(&reply.outcome, now, rand::random());
            let outcome = reply.outcome.as_str();
            metrics.attempt(endpoint, outcome, took);
            tracing::info!(%id, endpoint, attempt, outcome, detail = reply.detail, "attempt");
            if reply.rename && naming::rename(&shared, &mut claimed, None).await.is_err() {
                return;
            }
            let detail = in_words(&shared, &claimed.record, &reply).await;
            conclude(&shared, &ticket, claimed, reply.outcome, detail).await;
        }
        Tried::Corrupt(why) => {
            metrics.attempt(endpoint, "failed", took);
            tracing::error!(%id, why, "the stored content is corrupt; the message is parked");
            let detail =
                "the stored content is damaged, or its key is lost; restore it from a backup, then retry";
            let aside = |_: &Record| Action::SetAside {
                token: claimed.token,
                reason: ParkReason::Corrupt,
                detail: detail.into(),
            };
            settle(&shared, claimed.record.clone(), aside).await;
        }
        Tried::Unread => {
            metrics.attempt(endpoint, "failed", took);
            let detail = "the gateway's store could not be read".to_owned();
            conclude(&shared, &ticket, claimed, Outcome::Again { asked: None }, detail).await;
        }
    }
}

/// Claims the message for longer than the attempt can last. `None`: somebody else has it, or it
/// is no longer this lane's.
async fn claim(shared: &Shared, ticket: &Ticket) -> Result<Option<Claimed>, Unusable> {
    let now = Timestamp::now();
    let record = match shared.parts.read.get(&ticket.id).await {
        Ok(Some(record)) => record,
        Ok(None) => {
            tracing::error!(id = %ticket.id, "the due index names a message that the store does not have");
            ticket.avoid(now.plus(UNREADABLE));
            return Ok(None);
        }
        Err(StoreError::Corrupt { what, why }) => {
            shared.parts.metrics.corrupt("record");
            tracing::error!(id = %ticket.id, what, why, "a record is corrupt; the message is left alone");
            ticket.avoid(now.plus(UNREADABLE));
            return Ok(None);
        }
        Err(error) => {
            shared.reading.failed(&error, std::time::Instant::now());
            return Err(Unusable);
        }
    };
    if record.obsolete(now) {
        let detail = "not delivered before its author's last day for it".to_owned();
        settle(shared, record, |_| Action::Return { detail: detail.clone() }).await;
        return Ok(None);
    }
    let placed = record.placement.way == Way::Push && record.placement.endpoint == ticket.lane.id;
    let token = uuid::Uuid::new_v4();
    let until = now.plus(ticket.setup.timeout + MARGIN);
    let owner = shared.parts.instance.clone();
    let next = step(&record, Action::Claim(Claim { owner, token, until }), now);
    let (true, Ok(next)) = (placed, next) else {
        ticket.avoid(now.plus(TAKEN));
        return Ok(None);
    };
    match shared.parts.change.commit(next).await {
        Ok(record) => {
            shared.changing.over();
            Ok(Some(Claimed { record, token, until }))
        }
        Err(StoreError::Conflict | StoreError::Unknown) => {
            ticket.avoid(now.plus(TAKEN));
            Ok(None)
        }
        Err(error) => {
            shared.changing.failed(&error, std::time::Instant::now());
            Err(Unusable)
        }
    }
}

/// Sends the message, over well before the claim is.
async fn send(shared: &Shared, ticket: &Ticket, claimed: &mut Claimed) -> Tried {
    let left = claimed.until.since(Timestamp::now()).saturating_sub(RECORDING);
    let timeout = ticket.setup.timeout.min(left);
    if timeout.is_zero() {
        tracing::warn!(id = %ticket.id, "claiming took longer than the claim; nothing was sent");
        return Tried::Unread;
    }
    let deadline = Instant::now() + timeout;
    let order = match naming::order(shared, ticket, claimed, deadline).await {
        Ok(order) => order,
        Err(tried) => return tried,
    };
    let read = &shared.parts.read;
    let record = &claimed.record;
    let receipt = match read_all(read.as_ref(), &record.receipt, RECEIPT).await {
        Ok(receipt) => receipt,
        Err(error) => return unread(shared, &error),
    };
    let progress = Arc::new(Progress::default());
    let stored = |content| piece(read.clone(), content, progress.clone());
    let attachments = record.attachments.iter();
    let parcel = Parcel {
        id: record.id.clone(),
        attempt: record.attempts,
        reader: record.placement.reader.clone(),
        receipt,
        document: stored(&record.document),
        media_type: record.media_type().to_owned(),
        attachments: attachments.map(|part| (part.declared.clone(), stored(&part.content))).collect(),
        order,
    };
    let mut reply = ticket.setup.client.send(parcel, deadline).await;
    if let Some(error) = progress.fault() {
        return unread(shared, error);
    }
    // At a repeat the authority may know the message by its key and not read it again; at the
    // first attempt nobody can have what was not sent.
    let has = matches!(reply.outcome, Outcome::Has { .. });
    if has && record.attempts == 1 && !progress.whole() {
        reply = Reply::none(format!("{} before the message was sent", reply.detail));
    }
    Tried::Reply(reply)
}

pub(super) fn unread(shared: &Shared, error: &StoreError) -> Tried {
    match error {
        StoreError::Corrupt { .. } => Tried::Corrupt(error.to_string()),
        StoreError::TooLarge(_) => {
            shared.parts.metrics.corrupt("record");
            Tried::Corrupt(error.to_string())
        }
        error => {
            shared.reading.failed(error, std::time::Instant::now());
            Tried::Unread
        }
    }
}

/// The reply for the history: our words, and of the authority's those that repeat no payload.
async fn in_words(shared: &Shared, record: &Record, reply: &Reply) -> String {
    if reply.note.is_empty() {
        return reply.detail.clone();
    }
    match read_all(shared.parts.read.as_ref(), &record.document, COMPARED).await {
        Ok(document) => {
            let masked = note::mask(&reply.note, &note::words_of(&document));
            format!("{}: {masked}", reply.detail)
        }
        Err(_) => reply.detail.clone(),
    }
}

/// Records the outcome as one transition; a message that has failed and is too old goes back.
async fn conclude(shared: &Shared, ticket: &Ticket, claimed: Claimed, outcome: Outcome, detail: String) {
    let Claimed { record, token, .. } = claimed;
    let random = rand::random();
    let backoff = ticket.setup.backoff;
    let action = |record: &Record| {
        let detail = detail.clone();
        match outcome {
            Outcome::Has { taken_over } => Action::Succeeded { token, taken_over, detail },
            Outcome::Refused => Action::Refused { token, detail },
            Outcome::Again { asked } => {
                let due = backoff.due(Timestamp::now(), attempts_since_start(record), random, asked);
                Action::Failed { token, due, detail }
            }
        }
    };
    let Some(record) = settle(shared, record, action).await else { return };
    let endpoint = &ticket.setup.endpoint;
    let age = Age::of(&record, endpoint.warn_after, endpoint.return_after, Timestamp::now());
    if matches!(outcome, Outcome::Again { .. }) && age == Age::TooOld {
        let detail = format!("not delivered after {} attempts; last: {detail}", record.attempts);
        settle(shared, record, |_| Action::Return { detail: detail.clone() }).await;
    }
}

/// Applies `action` to the message, reading it again when others changed it. `None` when the
/// claim is no longer ours (the authority closed the message meanwhile), or the store fails for
/// so long that the claim has to run out instead.
pub(super) async fn settle(
    shared: &Shared,
    mut record: Arc<Record>,
    action: impl Fn(&Record) -> Action,
) -> Option<Arc<Record>> {
    let id = record.id.clone();
    let mut failures = 0;
    for _ in 0..CONFLICTS {
        let next = match step(&record, action(&record), Timestamp::now()) {
            Ok(next) => next,
            Err(why) => {
                tracing::info!(%id, state = record.state.name(), %why, "the message has moved on meanwhile");
                return None;
            }
        };
        let result = match shared.parts.change.commit(next).await {
            Ok(record) => return Some(record),
            Err(StoreError::Conflict) => shared.parts.read.get(&id).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Some(again)) => record = again,
            Ok(None) => return None,
            Err(error) => {
                shared.changing.failed(&error, std::time::Instant::now());
                failures += 1;
                if failures == FAILURES {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(failures)).await;
            }
        }
    }
    tracing::error!(%id, "the outcome could not be recorded; the claim runs out and the message is sent again");
    None
}
