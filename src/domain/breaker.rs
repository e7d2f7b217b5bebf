//! The breaker of a push endpoint: after several failures in a row it opens, so that a dead
//! authority costs one probe now and then instead of an attempt per message. Pure: it is told the
//! time and the random number.

use std::time::Duration;

use super::Timestamp;
use super::retry::Backoff;

/// Failures in a row that open it.
pub const THRESHOLD: u32 = 5;

/// Closed, open or half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Attempts go out.
    Closed { failures: u32 },
    /// None do before `until`.
    Open { until: Timestamp, times: u32 },
    /// One probe may go out, or is out.
    HalfOpen { probing: bool, times: u32 },
}

/// What the breaker lets out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// As many as concurrency allows.
    Any,
    /// One alone.
    Probe,
    /// None before this point.
    NotBefore(Timestamp),
    /// None until the probe that is out comes back.
    Probing,
}

/// The breaker. Whoever sends asks [`Breaker::permit`], says [`Breaker::sent`] per attempt, and
/// then exactly one of [`Breaker::succeeded`], [`Breaker::failed`] and [`Breaker::unused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    backoff: Backoff,
    stage: Stage,
}

impl Breaker {
    /// A closed breaker that stays open as long as `backoff` says.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, stage: Stage::Closed { failures: 0 } }
    }

    /// What may go out at `now`.
    #[must_use]
    pub fn permit(&self, now: Timestamp) -> Permit {
        match self.stage {
            Stage::Closed { .. } => Permit::Any,
            Stage::Open { until, .. } if self.waits(now, until) => Permit::NotBefore(until),
            Stage::Open { .. } | Stage::HalfOpen { probing: false, .. } => Permit::Probe,
            Stage::HalfOpen { probing: true, .. } => Permit::Probing,
        }
    }

    /// Whether it is still open. A pause longer than the longest can only come of a clock that was
    /// set back: it is over.
    fn waits(&self, now: Timestamp, until: Timestamp) -> bool {
        now < until && until <= now.plus(self.backoff.max())
    }

    /// An attempt goes out at `now`. An open breaker whose time is over becomes half-open by it.
    pub fn sent(&mut self, now: Timestamp) {
        match self.stage {
            Stage::Open { until, times } if !self.waits(now, until) => {
                self.stage = Stage::HalfOpen { probing: true, times };
            }
            Stage::HalfOpen { times, .. } => self.stage = Stage::HalfOpen { probing: true, times },
            Stage::Closed { .. } | Stage::Open { .. } => {}
        }
    }

    /// The endpoint answered: it is alive, whatever it thinks of the message.
    pub fn succeeded(&mut self) {
        self.stage = Stage::Closed { failures: 0 };
    }

    /// The endpoint failed: no connection, no answer in time, or an answer that says "not now".
    /// `asked` is its `Retry-After`. True when this opened the breaker.
    pub fn failed(&mut self, now: Timestamp, random: u64, asked: Option<Duration>) -> bool {
        let times = match self.stage {
            Stage::Closed { failures } if failures + 1 < THRESHOLD => {
                self.stage = Stage::Closed { failures: failures + 1 };
                return false;
            }
            // An attempt that began before it opened tells nothing new.
            Stage::Open { .. } => return false,
            Stage::Closed { .. } => 1,
            Stage::HalfOpen { times, .. } => times.saturating_add(1),
        };
        let until = now.plus(self.backoff.pause(times, random, asked));
        self.stage = Stage::Open { until, times };
        true
    }

    /// The attempt was not made after all, e.g. because somebody else had claimed the message.
    pub fn unused(&mut self) {
        if let Stage::HalfOpen { times, .. } = self.stage {
            self.stage = Stage::HalfOpen { probing: false, times };
        }
    }

    /// `closed`, `open` or `half-open`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.stage {
            Stage::Closed { .. } => "closed",
            Stage::Open { .. } => "open",
            Stage::HalfOpen { .. } => "half-open",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Backoff::new(Duration::from_millis(100), Duration::from_secs(10)).unwrap())
    }

    fn opened(now: Timestamp) -> Breaker {
        let mut breaker = breaker();
        for n in 1..=THRESHOLD {
            assert_eq!(breaker.failed(now, u64::MAX, None), n == THRESHOLD);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_probes_once() {
        let now = Timestamp(1000);
        let mut breaker = opened(now);
        assert_eq!(breaker.name(), "open");
        assert_eq!(breaker.permit(now), Permit::NotBefore(Timestamp(1100)));
        let later = Timestamp(1100);
        assert_eq!(breaker.permit(later), Permit::Probe);
        breaker.sent(later);
        assert_eq!(breaker.permit(later), Permit::Probing);
        breaker.unused();
        assert_eq!(breaker.permit(later), Permit::Probe);
        breaker.sent(later);
        assert!(breaker.failed(later, u64::MAX, None));
        assert_eq!(breaker.permit(later), Permit::NotBefore(Timestamp(1300)), "twice as long");
        breaker.sent(Timestamp(1300));
        breaker.succeeded();
        assert_eq!(breaker.permit(Timestamp(1300)), Permit::Any);
        assert_eq!(breaker, self::breaker());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = opened(Timestamp(1_000_000));
        assert_eq!(breaker.permit(Timestamp(5)), Permit::Probe);
        let mut probed = breaker;
        probed.sent(Timestamp(5));
        assert_eq!(probed.permit(Timestamp(5)), Permit::Probing);
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut breaker = breaker();
        for _ in 0..100 {
            for _ in 1..THRESHOLD {
                breaker.failed(Timestamp(0), 0, None);
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.name(), "closed");
    }

    proptest! {
        #[test]
        fn never_shut_for_longer_than_the_largest_bound_and_never_two_probes(
            acts in proptest::collection::vec((0_u8..4, 0_u64..5000, any::<u64>()), 1..200),
        ) {
            let mut breaker = breaker();
            let mut now = Timestamp(0);
            let mut probes = 0_u32;
            for (act, wait, random) in acts {
                now = now.plus(Duration::from_millis(wait));
                match (act, breaker.permit(now)) {
                    (0, Permit::Any) => breaker.sent(now),
                    (0, Permit::Probe) => {
                        breaker.sent(now);
                        probes += 1;
                    }
                    (0, _) => {}
                    (1, _) => { breaker.succeeded(); probes = 0; }
                    (2, _) => {
                        let was_half_open = breaker.name() == "half-open";
                        breaker.failed(now, random, Some(Duration::from_secs(random % 99)));
                        if was_half_open { probes = 0; }
                    }
                    _ => { breaker.unused(); if breaker.name() == "half-open" { probes = 0; } }
                }
                prop_assert!(probes <= 1);
                if let Permit::NotBefore(until) = breaker.permit(now) {
                    prop_assert!(until > now && until <= now.plus(Duration::from_secs(10)));
                }
            }
        }
    }
}
