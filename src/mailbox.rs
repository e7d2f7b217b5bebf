//! The mailbox: list, lease, fetch, close. An account sees the messages whose reader is one of
//! its identifiers, or another identifier of the same authority, and nothing else: the rest is
//! unknown to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::deliver::transition::{self, Decision};
use crate::domain::{
    Account, Action, Claim, EndpointId, MessageId, Record, Role, State, Timestamp, Transport, Way,
};
use crate::error::{Code, Refusal};
use crate::route::Directory;
use crate::store::{ChangePort, Filter, ReadPort};

/// Bounds of a lease, and its length where neither reader nor directory says one.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const USUAL: Duration = Duration::from_secs(10 * 60);
/// Entries of one page at most.
pub const MAX_PAGE: usize = 1_000;
/// Records read at once while listing.
const CHUNK: usize = 128;
/// What the author reads where the reader said nothing.
const NO_REASON: &str = "the authority gave no reason";
/// Characters kept of a reader's reason.
const REASON: usize = 300;

/// The mailbox verbs.
pub struct Mailbox {
    read: Arc<dyn ReadPort>,
    change: Arc<dyn ChangePort>,
    directory: Arc<ArcSwap<Directory>>,
}

impl Mailbox {
    /// Mailboxes over these ports.
    #[must_use]
    pub fn new(
        read: Arc<dyn ReadPort>,
        change: Arc<dyn ChangePort>,
        directory: Arc<ArcSwap<Directory>>,
    ) -> Self {
        Self { read, change, directory }
    }

    /// What can be fetched now, in order of acceptance, after acceptance number `after`; at most
    /// `limit` entries, and never more than [`MAX_PAGE`]. A lease that ran out brings its message
    /// back.
    ///
    /// # Errors
    /// AW-0500 when the store fails.
    pub async fn list(
        &self,
        account: &Account,
        after: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Arc<Record>>, Refusal> {
        self.select(account, after, limit, now, |_| true).await
    }

    /// As [`Mailbox::list`], of those that are `wanted` besides.
    ///
    /// # Errors
    /// AW-0500 when the store fails.
    pub async fn select(
        &self,
        account: &Account,
        after: u64,
        limit: usize,
        now: Timestamp,
        wanted: impl Fn(&Record) -> bool + Send + Sync,
    ) -> Result<Vec<Arc<Record>>, Refusal> {
        let limit = limit.min(MAX_PAGE);
        if !account.may(Role::Authority) || limit == 0 {
            return Ok(Vec::new());
        }
        let directory = self.directory.load_full();
        let mut found = Vec::new();
        for endpoint in mailboxes(&directory, account) {
            let mine = |record: &Record| {
                let free = record.state.claimable_at().is_some_and(|at| at <= now);
                free && !record.obsolete(now) && wanted(record) && is_reader(&directory, account, record)
            };
            found.extend(self.page(&endpoint, after, limit, mine).await?);
        }
        found.sort_unstable_by_key(|record| record.sequence);
        found.dedup_by_key(|record| record.sequence);
        found.truncate(limit);
        Ok(found)
    }

    /// The first `limit` messages of one endpoint that are `wanted`. All states are looked through at once, in
    /// order of acceptance: to look for those of one state would pass over the whole mailbox for a few.
    async fn page(
        &self,
        endpoint: &EndpointId,
        after: u64,
        limit: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Arc<Record>>, Refusal> {
        let mut filter = Filter {
            endpoint: Some(endpoint.clone()),
            any_of: &["Available", "Leased", "Deferred"],
            after: Some(after),
            limit: CHUNK.min(limit),
            ..Filter::default()
        };
        let mut found = Vec::new();
        loop {
            let chunk = self.read.list(&filter).await.map_err(transition::store)?;
            let over = chunk.len() < filter.limit;
            filter.after = chunk.last().map(|record| record.sequence).or(filter.after);
            found.extend(chunk.into_iter().filter(|record| wanted(record)));
            if over || found.len() >= limit {
                return Ok(found);
            }
        }
    }

    /// Takes a lease. The same account may not take it twice while it runs.
    ///
    /// # Errors
    /// AW-0401 unknown (or not this account's), AW-0402 leased by somebody else or already closed.
    pub async fn lease(
        &self,
        account: &Account,
        id: &MessageId,
        wish: Option<Duration>,
        now: Timestamp,
    ) -> Result<(Arc<Record>, Claim), Refusal> {
        let directory = self.directory.load_full();
        let token = uuid::Uuid::new_v4();
        let mut taken = None;
        let record = self
            .apply(account, id, now, |record| {
                if record.obsolete(now) {
                    let words = "the last day on which its author wants the message delivered has passed";
                    return Err(Refusal::new(Code::LeaseLost, words));
                }
                if record.placement.way == Way::Push {
                    let words = "this message is pushed to the authority and can't be fetched";
                    return Err(Refusal::new(Code::LeaseLost, words));
                }
                let length = length(&directory, &record.placement.endpoint, wish);
                let owner = account.name.to_string();
                let claim = Claim { owner, token, until: now.plus(length) };
                taken = Some(claim.clone());
                Ok(Decision::Do(Action::Claim(claim)))
            })
            .await?;
        let claim = taken.ok_or_else(transition::unknown)?;
        Ok((record, claim))
    }

    /// Lengthens a lease: it then ends at the time returned, never earlier than before.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn extend(
        &self,
        account: &Account,
        id: &MessageId,
        token: uuid::Uuid,
        wish: Option<Duration>,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let directory = self.directory.load_full();
        let record = self
            .apply(account, id, now, |record| {
                let until = now.plus(length(&directory, &record.placement.endpoint, wish));
                Ok(Decision::Do(Action::Extend { token, until }))
            })
            .await?;
        match &record.state {
            State::Leased { claim } => Ok(claim.until),
            _ => Err(Refusal::new(Code::LeaseLost, "the lease is lost; fetch the message again")),
        }
    }

    /// Gives a lease back: the message can be fetched again at once.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn release(
        &self,
        account: &Account,
        id: &MessageId,
        token: uuid::Uuid,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        self.apply(account, id, now, |_| Ok(Decision::Do(Action::Release { token }))).await
    }

    /// The authority has taken the message over. Repeating it is harmless. `token` is the
    /// lease's; a pushed message needs none.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn close(
        &self,
        account: &Account,
        id: &MessageId,
        token: Option<uuid::Uuid>,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        self.apply(account, id, now, |record| {
            if record.state == State::Closed {
                return Ok(Decision::Keep);
            }
            Ok(Decision::Do(Action::Close { token }))
        })
        .await
    }

    /// Closes a message that `account` holds, for readers that can't name their lease: the one it took
    /// counts. A lease that ran out is taken anew where nobody else has taken it since, so that
    /// what was taken over late is not handed out again. Repeating it is harmless.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn close_held(
        &self,
        account: &Account,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let record = transition::get(self.read.as_ref(), id).await?;
        let token = match &record.state {
            State::Leased { claim } if claim.owner != account.name.as_str() => None,
            State::Leased { claim } if claim.expired(now) => {
                Some(self.lease(account, id, None, now).await?.1.token)
            }
            State::Leased { claim } => Some(claim.token),
            _ => None,
        };
        self.close(account, id, token, now).await
    }

    /// Takes the message back for the account that handed it in: until its first lease or attempt.
    ///
    /// # Errors
    /// AW-0401 unknown (or another account's), AW-0402 when it is too late.
    pub async fn cancel(
        &self,
        account: &Account,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let decide = |record: &Record| {
            if !account.may(Role::Portal) || record.account != account.name {
                return Err(transition::unknown());
            }
            if record.attempts > 0 {
                return Err(Refusal::new(Code::LeaseLost, "the message has been handed out or sent already"));
            }
            Ok(Decision::Do(Action::Return { detail: "taken back by its author".to_owned() }))
        };
        transition::change(self.read.as_ref(), self.change.as_ref(), id, now, decide).await
    }

    /// Whether `account` may read a message.
    #[must_use]
    pub fn may_read(&self, account: &Account, record: &Record) -> bool {
        is_reader(&self.directory.load(), account, record)
    }

    /// The authority refuses the message for good; its author is told `reason`, at most 300
    /// characters of it. Repeating it is harmless.
    ///
    /// # Errors
    /// AW-0401, AW-0402 (also when the message was closed before).
    pub async fn reject(
        &self,
        account: &Account,
        id: &MessageId,
        token: Option<uuid::Uuid>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let mut detail: String = reason.chars().filter(|c| !c.is_control()).take(REASON).collect();
        if detail.trim().is_empty() {
            detail = NO_REASON.to_owned();
        }
        self.apply(account, id, now, |record| {
            if record.state == State::Returned {
                return Ok(Decision::Keep);
            }
            Ok(Decision::Do(Action::Reject { token, detail: detail.clone() }))
        })
        .await
    }

    /// Changes a message that this account may read; any other is unknown to it.
    async fn apply(
        &self,
        account: &Account,
        id: &MessageId,
        now: Timestamp,
        mut decide: impl FnMut(&Record) -> Result<Decision, Refusal> + Send,
    ) -> Result<Arc<Record>, Refusal> {
        let directory = self.directory.load_full();
        let decide = |record: &Record| {
            if is_reader(&directory, account, record) { decide(record) } else { Err(transition::unknown()) }
        };
        transition::change(self.read.as_ref(), self.change.as_ref(), id, now, decide).await
    }
}

/// Whether `account` may read the message: it has the role, and the reader is one of its
/// identifiers or belongs to the same authority as one of them.
fn is_reader(directory: &Directory, account: &Account, record: &Record) -> bool {
    let placement = &record.placement;
    let same = |identifier| {
        directory.authority_of(identifier).is_some_and(|authority| authority.id == placement.authority)
    };
    account.may(Role::Authority) && (account.is(&placement.reader) || account.identifiers.iter().any(same))
}

/// The mailboxes of the account's authorities.
fn mailboxes(directory: &Directory, account: &Account) -> BTreeSet<EndpointId> {
    let authorities = account.identifiers.iter().filter_map(|identifier| directory.authority_of(identifier));
    authorities
        .filter_map(|authority| directory.endpoint(authority.endpoint.as_ref()?))
        .filter(|endpoint| endpoint.way() == Way::Pull)
        .map(|endpoint| endpoint.id.clone())
        .collect()
}

/// The length of a lease: as wished within bounds, else the endpoint's own.
fn length(directory: &Directory, endpoint: &EndpointId, wish: Option<Duration>) -> Duration {
    let own = || match directory.endpoint(endpoint).map(|endpoint| &endpoint.transport) {
        Some(Transport::Mailbox { lease }) => *lease,
        _ => USUAL,
    };
    wish.unwrap_or_else(own).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests;
