//! Second opinions: a share of the messages that were accepted is verified once more by xmlsec1
//! (`verify/opinion`), away from those who wait for an answer. Where it says no, the message is set
//! aside and the alarm is raised: either the gateway or xmlsec1 is wrong, and people must look.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::transition::{self, Decision};
use crate::domain::{Action, FactKind, MessageId, ParkReason, Record, State, Timestamp};
use crate::error::{Code, Refusal};
use crate::observe::Metrics;
use crate::store::{ChangePort, ReadPort, read_all};
use crate::verify::opinion::{self, Asking, Opinion, Root};

/// A message that is being sent can't be set aside; it is tried again so often, a second apart.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// How many messages whom to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whom.
    pub asking: Asking,
    /// Messages in a thousand.
    pub per_thousand: u32,
    /// At most so many at once; what comes meanwhile is not asked about.
    pub at_once: usize,
}

/// What it works with.
pub struct Parts {
    /// Reading the store.
    pub read: Arc<dyn ReadPort>,
    /// Changing it.
    pub change: Arc<dyn ChangePort>,
    /// Whom to ask.
    pub settings: Settings,
    /// Counts.
    pub metrics: Metrics,
}

/// Asks about accepted messages until `stop` is cancelled, then waits for answers under way.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let parts = Arc::new(parts);
    let room = Arc::new(Semaphore::new(parts.settings.at_once));
    let mut events = parts.read.events();
    let tracker = TaskTracker::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = events.recv() => event,
        };
        let event = match event {
            Ok(event) => event,
            // A share is asked about anyway.
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => break,
        };
        let accepted = event.facts.iter().any(|fact| fact.kind == FactKind::Accepted);
        if !accepted || rand::random_range(0..1000) >= parts.settings.per_thousand {
            continue;
        }
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            parts.metrics.second_opinion("skipped");
            continue;
        };
        let (parts, id) = (Arc::clone(&parts), event.id.clone());
        tracker.spawn(async move {
            let _place = place;
            let outcome = parts.about(&id).await;
            parts.metrics.second_opinion(outcome);
        });
    }
    tracker.close();
    tracker.wait().await;
}

impl Parts {
    /// Asks about one message; the outcome for the metric.
    async fn about(&self, id: &MessageId) -> &'static str {
        let Ok(Some(record)) = self.read.get(id).await else { return "failed" };
        if !opinion::can_be_asked(record.coverage.as_ref(), record.document.len) {
            return "skipped";
        }
        let Ok(document) = read_all(&*self.read, &record.document, opinion::LARGEST).await else {
            // Whoever delivers it sees the same, and sets it aside.
            return "failed";
        };
        let (asking, asked) = (self.settings.asking.clone(), Arc::clone(&record));
        let answer = tokio::task::spawn_blocking(move || {
            let Record { header, .. } = asked.as_ref();
            asking.ask(&document, Root { namespace: &header.namespace, local: &header.root })
        });
        match answer.await {
            Ok(Opinion::Agrees) => "agreed",
            Ok(Opinion::Disagrees) => {
                self.disputed(id).await;
                "disagreed"
            }
            Ok(Opinion::Unknown(why)) => {
                tracing::warn!(message = %id, why, "no second opinion could be had");
                "failed"
            }
            Err(_) => "failed",
        }
    }

    /// Sets a message aside that xmlsec1 does not verify.
    async fn disputed(&self, id: &MessageId) {
        tracing::error!(
            message = %id,
            "a message was accepted whose signature the second opinion refuses: it is set aside; compare \
             `amtsweg verify` and xmlsec1 on it, and report the difference"
        );
        for _ in 0..TRIES {
            match self.park(id).await {
                Ok(()) => return,
                Err(refusal) if refusal.code == Code::LeaseLost => tokio::time::sleep(PAUSE).await,
                Err(refusal) => {
                    tracing::error!(message = %id, %refusal, "a disputed message could not be set aside");
                    return;
                }
            }
        }
        tracing::error!(message = %id, "a disputed message went on before it could be set aside");
    }

    async fn park(&self, id: &MessageId) -> Result<(), Refusal> {
        let decide = |record: &Record| {
            let settled = record.state.is_final()
                || matches!(record.state, State::Parked { reason: ParkReason::Disputed });
            if settled {
                return Ok(Decision::Keep);
            }
            let detail = "the second opinion does not verify the signature that was accepted".to_owned();
            Ok(Decision::Do(Action::Park { reason: ParkReason::Disputed, detail }))
        };
        let now = Timestamp::now();
        transition::change(self.read.as_ref(), self.change.as_ref(), id, now, decide).await.map(|_| ())
    }
}
