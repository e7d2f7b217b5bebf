//! When to try again, and when to give up. Pure: the random number and the time are handed in.

use std::time::Duration;

use super::{FactKind, Record, Timestamp};

/// Largest back-off bound that makes sense: with more than a week between two attempts a message
/// would be returned after a handful of them.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why back-off settings make no sense; a sentence for the operator who wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// The lower bound is under a millisecond: attempts would follow each other without a pause.
    #[error("the first back-off must be at least 1 ms")]
    Zero,
    /// The bounds are the wrong way round.
    #[error("the first back-off is longer than the largest one; swap them")]
    Reversed,
    /// The upper bound is over a week.
    #[error("the largest back-off is longer than a week; use at most 7 days")]
    TooLong,
}

/// Exponential back-off with full jitter: attempt `n` waits a random time between nothing and
/// `min · 2^(n-1)`, at most `max`. Full jitter spreads the messages of an endpoint that comes back
/// better than a fixed schedule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

impl Default for Backoff {
    /// From a second to an hour.
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(60 * 60) }
    }
}

impl Backoff {
    /// A back-off between these bounds.
    ///
    /// # Errors
    /// [`Nonsense`] when the bounds are zero, reversed or over a week.
    pub fn new(min: Duration, max: Duration) -> Result<Self, Nonsense> {
        if min < Duration::from_millis(1) {
            return Err(Nonsense::Zero);
        }
        if min > max {
            return Err(Nonsense::Reversed);
        }
        if max > LONGEST {
            return Err(Nonsense::TooLong);
        }
        Ok(Self { min, max })
    }

    /// The longest that attempt `attempt` (from 1) may wait.
    #[must_use]
    pub fn bound(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.min.checked_mul(factor).unwrap_or(self.max).min(self.max)
    }

    /// The largest bound of all.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// When to try again after failed attempt `attempt` (from 1). `random` is evenly spread over
    /// all of `u64`. What the authority asked for (`Retry-After`, RFC 9110 section 10.2.3) is
    /// honoured as the least wait, but never beyond the largest bound: a wrong header must not
    /// put a message off for a year.
    #[must_use]
    pub fn due(&self, now: Timestamp, attempt: u32, random: u64, asked: Option<Duration>) -> Timestamp {
        let jittered = part(self.bound(attempt), random);
        now.plus(jittered.max(asked.unwrap_or_default()).min(self.max))
    }

    /// How long a breaker stays open the `times`-th time in a row (from 1): between half of the
    /// bound and all of it, so that it never closes at once.
    #[must_use]
    pub fn pause(&self, times: u32, random: u64, asked: Option<Duration>) -> Duration {
        let bound = self.bound(times);
        let half = bound / 2;
        (half + part(bound - half, random)).max(asked.unwrap_or_default()).min(self.max)
    }
}

/// The share `random / 2^64` of `whole`, in whole milliseconds.
fn part(whole: Duration, random: u64) -> Duration {
    let millis = whole.as_millis().saturating_mul(u128::from(random) + 1) >> 64;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// How old an undelivered message is, measured by its endpoint's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Nothing to say.
    Fresh,
    /// Older than `warn_after`: say so once.
    Late,
    /// Older than `return_after`: give it up.
    TooOld,
}

impl Age {
    /// The age of `record` at `now`. The clock starts at acceptance, and anew when an operator
    /// queues or reroutes the message: their decision must not be undone by the next sweep.
    #[must_use]
    pub fn of(record: &Record, warn_after: Duration, return_after: Duration, now: Timestamp) -> Self {
        let age = now.since(started(record).0);
        if age >= return_after {
            Self::TooOld
        } else if age >= warn_after {
            Self::Late
        } else {
            Self::Fresh
        }
    }
}

/// Attempts since acceptance or since an operator last started the message again: the number
/// that back-off goes by.
#[must_use]
pub fn attempts_since_start(record: &Record) -> u32 {
    record.attempts.saturating_sub(started(record).1)
}

/// When the message's present run began, and how many attempts had been made before.
fn started(record: &Record) -> (Timestamp, u32) {
    let by_operator = |kind| matches!(kind, FactKind::Retried | FactKind::Rerouted);
    match record.facts.iter().rev().find(|fact| by_operator(fact.kind)) {
        Some(fact) => (fact.at, fact.attempt),
        None => (record.accepted_at, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::tests::record;
    use crate::domain::{Way, delivery};

    fn backoffs() -> impl Strategy<Value = Backoff> {
        (1_u64..100_000, 0_u64..80_000_000).prop_map(|(min, more)| {
            let max = Duration::from_millis((min + more).min(86_400_000));
            Backoff::new(Duration::from_millis(min), max).unwrap()
        })
    }

    #[test]
    fn nonsense_is_refused() {
        let ms = Duration::from_millis;
        assert_eq!(Backoff::new(Duration::ZERO, ms(5)), Err(Nonsense::Zero));
        assert_eq!(Backoff::new(Duration::from_nanos(3), ms(5)), Err(Nonsense::Zero));
        assert_eq!(Backoff::new(ms(6), ms(5)), Err(Nonsense::Reversed));
        assert_eq!(Backoff::new(ms(6), Duration::MAX), Err(Nonsense::TooLong));
        assert!(Backoff::new(ms(1), ms(1)).is_ok());
    }

    #[test]
    fn bounds_double_up_to_the_largest() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10)).unwrap();
        let bounds: Vec<_> = (1..=6).map(|n| backoff.bound(n).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.due(Timestamp(5), 1, u64::MAX, None), Timestamp(1005));
        assert_eq!(backoff.due(Timestamp(5), 1, 0, None), Timestamp(5));
        let asked = Some(Duration::from_secs(7));
        assert_eq!(backoff.due(Timestamp(5), 1, 0, asked), Timestamp(7005));
        assert_eq!(backoff.due(Timestamp(5), 1, 0, Some(Duration::from_secs(1_000_000))), Timestamp(10_005));
    }

    #[test]
    fn an_operators_retry_starts_the_clock_anew() {
        let day = Duration::from_secs(86_400);
        let mut message = record(Way::Push, 0);
        message.attempts = 40;
        let late = Timestamp(0).plus(day * 15);
        assert_eq!(Age::of(&message, day * 3, day * 14, Timestamp(0).plus(day * 2)), Age::Fresh);
        assert_eq!(Age::of(&message, day * 3, day * 14, Timestamp(0).plus(day * 3)), Age::Late);
        assert_eq!(Age::of(&message, day * 3, day * 14, late), Age::TooOld);
        let action = delivery::Action::Retry { detail: "by ops".into() };
        let again = delivery::step(&message, action, late).unwrap();
        assert_eq!(Age::of(&again, day * 3, day * 14, late), Age::Fresh);
        assert_eq!(attempts_since_start(&message), 40);
        assert_eq!(attempts_since_start(&again), 0);
    }

    proptest! {
        #[test]
        fn never_before_now_and_never_beyond_the_largest(
            backoff in backoffs(), now in 0_u64..1 << 50, attempt in any::<u32>(), random in any::<u64>(),
            asked in proptest::option::of(any::<u64>().prop_map(Duration::from_millis)),
        ) {
            let now = Timestamp(now);
            let due = backoff.due(now, attempt, random, asked);
            prop_assert!(due >= now);
            prop_assert!(due <= now.plus(backoff.max()));
            if let Some(asked) = asked {
                prop_assert!(due >= now.plus(asked.min(backoff.max())));
            } else {
                prop_assert!(due <= now.plus(backoff.bound(attempt)));
            }
            prop_assert!(backoff.bound(attempt) <= backoff.bound(attempt.saturating_add(1)));
            let pause = backoff.pause(attempt, random, asked);
            prop_assert!(pause <= backoff.max());
            prop_assert!(pause >= backoff.bound(attempt) / 2 - Duration::from_millis(1).min(backoff.bound(attempt) / 2));
        }

        #[test]
        fn a_larger_random_number_never_waits_less(
            backoff in backoffs(), attempt in 0_u32..64, a in any::<u64>(), b in any::<u64>(),
        ) {
            let (low, high) = (a.min(b), a.max(b));
            let now = Timestamp(0);
            prop_assert!(backoff.due(now, attempt, low, None) <= backoff.due(now, attempt, high, None));
        }
    }
}
