//! Watching: the present state now, and again after each change. Events are hints; what is sent
//! is read from the store, and read again from time to time in case a hint was missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::feed::{Answers, Feed, Gone};
use super::{Core, report};
use crate::domain::{Account, Event, MessageId, Record, State, Timestamp};
use crate::error::{Code, Refusal};
use crate::proto;

/// How long a missed hint can stay unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Entries read at once from a mailbox.
const PAGE: usize = 100;

/// What woke a watcher.
enum Hint {
    Changed(Arc<Event>),
    Look,
    Over,
}

struct Hints {
    events: tokio::sync::broadcast::Receiver<Arc<Event>>,
    stop: CancellationToken,
}

impl Hints {
    async fn next<T>(&mut self, feed: &Feed<T>) -> Hint {
        tokio::select! {
            event = timeout(LOOK_AGAIN, self.events.recv()) => match event {
                Ok(Ok(event)) => Hint::Changed(event),
                Ok(Err(RecvError::Lagged(_))) | Err(_) => Hint::Look,
                Ok(Err(RecvError::Closed)) => Hint::Over,
            },
            () = self.stop.cancelled() => Hint::Over,
            () = feed.gone() => Hint::Over,
        }
    }
}

fn late() -> Refusal {
    Refusal::new(Code::Overloaded, "the reports were not taken in time; watch again")
}

fn stopping() -> Refusal {
    Refusal::new(Code::Overloaded, "the gateway is stopping; watch again in a moment")
}

/// The report of a message now and after each change, until it is final.
pub(crate) fn message(
    core: Arc<Core>,
    account: Arc<Account>,
    first: Arc<Record>,
    stop: CancellationToken,
) -> Answers<proto::Report> {
    let (feed, answers) = Feed::new(4, core.parts.limits.stall);
    // Before the first reading, so that no change falls between the two.
    let hints = Hints { events: core.parts.read.events(), stop };
    tokio::spawn(async move {
        match follow(&core, &account, &first.id, hints, &feed).await {
            Ok(()) => feed.complete(),
            Err(refusal) => feed.fail(refusal).await,
        }
    });
    answers
}

async fn follow(
    core: &Core,
    account: &Account,
    id: &MessageId,
    mut hints: Hints,
    feed: &Feed<proto::Report>,
) -> Result<(), Refusal> {
    let mut seen = None;
    loop {
        let record = core.any(id).await?;
        if seen != Some(record.version) {
            seen = Some(record.version);
            core.parts.accounts.load().unchanged(account)?;
            match feed.send(core.report(&record, false)).await {
                Ok(()) if record.state.is_final() => return Ok(()),
                Ok(()) => {}
                Err(Gone) => return Err(late()),
            }
        }
        loop {
            match hints.next(feed).await {
                Hint::Changed(event) if event.id != *id => {}
                Hint::Changed(_) | Hint::Look => break,
                Hint::Over if feed.is_gone() => return Ok(()),
                Hint::Over => return Err(stopping()),
            }
        }
    }
}

/// What lies in an account's mailboxes, and then what comes.
pub(crate) fn mailbox(
    core: Arc<Core>,
    account: Arc<Account>,
    after: u64,
    stop: CancellationToken,
) -> Answers<proto::MailboxEntry> {
    let (feed, answers) = Feed::new(16, core.parts.limits.stall);
    let hints = Hints { events: core.parts.read.events(), stop };
    tokio::spawn(async move {
        // Ends with an error only: the reader has gone, or the gateway stops.
        if let Err(refusal) = wait_for_mail(&core, &account, after, hints, &feed).await {
            feed.fail(refusal).await;
        }
    });
    answers
}

async fn wait_for_mail(
    core: &Core,
    account: &Account,
    mut after: u64,
    mut hints: Hints,
    feed: &Feed<proto::MailboxEntry>,
) -> Result<(), Refusal> {
    loop {
        // Everything that has come since.
        loop {
            core.parts.accounts.load().unchanged(account)?;
            let page = core.parts.mailbox.list(account, after, PAGE, Timestamp::now()).await?;
            for record in &page {
                after = after.max(record.sequence);
                if feed.send(report::entry(record)).await.is_err() {
                    return Ok(());
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        // Then what comes, or comes back after a lease or from an operator.
        loop {
            match hints.next(feed).await {
                Hint::Changed(event) if event.state != State::Available => {}
                Hint::Changed(event) => {
                    let Ok(record) = core.any(&event.id).await else { continue };
                    if record.state != State::Available || !account.is(&record.placement.reader) {
                        continue;
                    }
                    if record.sequence > after {
                        break;
                    }
                    core.parts.accounts.load().unchanged(account)?;
                    if feed.send(report::entry(&record)).await.is_err() {
                        return Ok(());
                    }
                }
                Hint::Look => break,
                Hint::Over if feed.is_gone() => return Ok(()),
                Hint::Over => return Err(stopping()),
            }
        }
    }
}
