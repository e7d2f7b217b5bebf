//! Accounts as the fronts know them: certificate → account, with what it uses at the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::Share;
use crate::domain::{Account, Digest, Quota};
use crate::error::{Code, Refusal};

/// All accounts, by the SHA-256 of the client certificate's DER octets. Immutable; a reload makes
/// a new one with [`Accounts::renewed`].
#[derive(Default)]
pub struct Accounts {
    by_certificate: HashMap<Digest, Arc<Entry>>,
    by_name: HashMap<String, Arc<Entry>>,
}

/// An account and what it uses at the moment.
pub struct Entry {
    /// As configured.
    pub account: Arc<Account>,
    usage: Usage,
}

#[derive(Clone)]
struct Usage {
    in_flight: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    bucket: Arc<Mutex<Bucket>>,
    memory: Share,
}

impl Usage {
    fn new(quota: Quota, now: Instant) -> Self {
        let semaphore = || Arc::new(Semaphore::new(quota.in_flight.min(Semaphore::MAX_PERMITS)));
        Self {
            in_flight: semaphore(),
            watches: semaphore(),
            bucket: Arc::new(Mutex::new(Bucket::full(quota.messages_per_minute, now))),
            memory: Share::default(),
        }
    }
}

impl Accounts {
    /// Accounts with the fingerprints of their certificates. A name that comes several times is
    /// one account with several certificates: they share its quota.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = (Digest, Account)>) -> Self {
        Self::default().renewed(list)
    }

    /// The accounts after a reload: those with an unchanged quota go on with what they have used.
    #[must_use]
    pub fn renewed(&self, list: impl IntoIterator<Item = (Digest, Account)>) -> Self {
        let mut next = Self::default();
        for (fingerprint, account) in list {
            let name = account.name.as_str().to_owned();
            let entry = next.by_name.entry(name).or_insert_with_key(|name| {
                let usage = match self.by_name.get(name) {
                    Some(old) if old.account.quota == account.quota => old.usage.clone(),
                    _ => Usage::new(account.quota, Instant::now()),
                };
                Arc::new(Entry { account: Arc::new(account), usage })
            });
            next.by_certificate.insert(fingerprint, entry.clone());
        }
        next
    }

    /// Whether `account` is still configured as it was, for what lasts longer than a request.
    ///
    /// # Errors
    /// AW-0140.
    pub fn unchanged(&self, account: &Account) -> Result<(), Refusal> {
        match self.by_name.get(account.name.as_str()) {
            Some(entry) if *entry.account == *account => Ok(()),
            _ => Err(Refusal::new(
                Code::NotEntitled,
                "the account has been changed since the watch began; watch again, and if that is refused, ask \
                 the gateway's operator",
            )),
        }
    }

    /// The account of a certificate.
    ///
    /// # Errors
    /// AW-0140 naming the fingerprint, so that an operator can configure it.
    pub fn of(&self, fingerprint: &Digest) -> Result<Arc<Entry>, Refusal> {
        self.by_certificate.get(fingerprint).cloned().ok_or_else(|| {
            Refusal::new(
                Code::NotEntitled,
                format!(
                    "the client certificate with the SHA-256 fingerprint {fingerprint} belongs to no account; \
                     ask the gateway's operator to configure it"
                ),
            )
        })
    }
}

impl Entry {
    /// Room for one more request of this account; given back when dropped. Watches have as much
    /// room again, of their own: they last, and must not keep the account from working.
    ///
    /// # Errors
    /// AW-0303.
    pub fn enter(&self, watch: bool) -> Result<OwnedSemaphorePermit, Refusal> {
        let (room, what) =
            if watch { (&self.usage.watches, "watches") } else { (&self.usage.in_flight, "requests") };
        room.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(
                Code::Quota,
                format!(
                    "the account has its {} {what} in work already; wait for some to end",
                    self.account.quota.in_flight
                ),
            )
        })
    }

    /// What it holds of the memory for documents.
    pub(crate) fn memory(&self) -> Share {
        self.usage.memory.clone()
    }

    /// Counts one submission, accepted or not: the gateway's work is in checking it.
    ///
    /// # Errors
    /// AW-0303 with the time to wait.
    pub fn submit(&self, now: Instant) -> Result<(), Refusal> {
        let mut bucket = self.usage.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now).map_err(|wait| {
            let rate = self.account.quota.messages_per_minute;
            Refusal::new(
                Code::Quota,
                match wait {
                    Some(wait) => format!(
                        "the account may submit {rate} messages per minute; try again in {} s",
                        wait.as_millis().div_ceil(1000)
                    ),
                    None => "the account may submit no messages".to_owned(),
                },
            )
        })
    }
}

/// What a message costs: a bucket gains `per_minute` units each millisecond, so whole numbers do.
const COST: u64 = 60_000;

/// A token bucket; its depth is a minute's worth.
#[derive(Debug)]
struct Bucket {
    per_minute: u64,
    credit: u64,
    at: Instant,
}

impl Bucket {
    fn full(per_minute: u32, now: Instant) -> Self {
        let per_minute = u64::from(per_minute);
        Self { per_minute, credit: per_minute * COST, at: now }
    }

    /// Takes one message's worth, or says how long to wait (`None` = for ever).
    fn take(&mut self, now: Instant) -> Result<(), Option<Duration>> {
        let elapsed = now.saturating_duration_since(self.at);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // Only whole milliseconds are credited; the rest stays for the next time.
        self.at += Duration::from_millis(millis);
        let gained = millis.saturating_mul(self.per_minute);
        self.credit = self.credit.saturating_add(gained).min(self.per_minute * COST);
        if self.credit >= COST {
            self.credit -= COST;
            return Ok(());
        }
        match (COST - self.credit).checked_div(self.per_minute) {
            Some(millis) => Err(Some(Duration::from_millis(millis + 1))),
            None => Err(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;
    use proptest::prelude::*;

    fn account(name: &str, in_flight: usize, per_minute: u32) -> Account {
        Account {
            name: name.parse().unwrap(),
            roles: vec![Role::Portal],
            identifiers: vec![],
            quota: Quota { in_flight, messages_per_minute: per_minute, message_octets: 1 },
            xades: false,
        }
    }

    #[test]
    fn an_unknown_certificate_is_named_in_the_refusal() {
        let refusal = Accounts::default().of(&Digest::of(b"x")).err().unwrap();
        assert_eq!(refusal.code, Code::NotEntitled);
        assert!(refusal.reason.contains(&Digest::of(b"x").to_string()));
    }

    #[test]
    fn two_certificates_of_one_account_share_its_quota_and_a_reload_keeps_what_is_used() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let list = [(a, account("p", 1, 5)), (b, account("p", 1, 5))];
        let accounts = Accounts::new(list.clone());
        let held = accounts.of(&a).unwrap().enter(false).unwrap();
        assert_eq!(accounts.of(&b).unwrap().enter(false).unwrap_err().code, Code::Quota);
        let reloaded = accounts.renewed(list);
        assert_eq!(reloaded.of(&b).unwrap().enter(false).unwrap_err().code, Code::Quota);
        drop(held);
        assert!(reloaded.of(&b).unwrap().enter(false).is_ok());
        let changed = reloaded.renewed([(a, account("p", 2, 5))]);
        assert!(changed.of(&b).is_err(), "a certificate that was taken out is unknown");
    }

    #[test]
    fn no_quota_means_no_messages() {
        assert_eq!(Bucket::full(0, Instant::now()).take(Instant::now()), Err(None));
    }

    proptest! {
        #[test]
        fn never_more_than_a_full_bucket_and_its_gain(per_minute in 1u32..600, gaps in prop::collection::vec(0u64..5_000, 1..200)) {
            let start = Instant::now();
            let mut bucket = Bucket::full(per_minute, start);
            let (mut now, mut passed, mut taken) = (start, 0, 0u64);
            for gap in gaps {
                now += Duration::from_millis(gap);
                passed += gap;
                match bucket.take(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => prop_assert!(wait.is_some_and(|w| w <= Duration::from_secs(61))),
                }
                prop_assert!(taken <= u64::from(per_minute) + passed * u64::from(per_minute) / 60_000 + 1);
            }
        }
    }
}
