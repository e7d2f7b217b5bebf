//! How many attempts an endpoint bears at once, found by feedback: doubled per round until the
//! first trouble, then one more per round of successes, halved at trouble. Between 1 and the
//! configured maximum. Pure: it is told the time.

use super::Timestamp;

/// Attempts at once before anything is known.
const FIRST: usize = 4;

/// The present limit of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    limit: usize,
    max: usize,
    /// Successes since the limit changed.
    credit: usize,
    /// No trouble yet: grow with every success.
    eager: bool,
    /// When the limit was cut last.
    cut_at: Option<Timestamp>,
}

impl Concurrency {
    /// A limit between 1 and `max` (0 counts as 1).
    #[must_use]
    pub fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { limit: FIRST.min(max), max, credit: 0, eager: true, cut_at: None }
    }

    /// Attempts allowed at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// An attempt was answered.
    pub fn succeeded(&mut self) {
        self.credit += 1;
        if self.eager || self.credit >= self.limit {
            self.limit = (self.limit + 1).min(self.max);
            self.credit = 0;
        }
    }

    /// An attempt that had begun at `began` met trouble at `now`. The attempts that were out
    /// together tell of the same trouble: they cut the limit once.
    pub fn failed(&mut self, began: Timestamp, now: Timestamp) {
        self.eager = false;
        self.credit = 0;
        if self.cut_at.is_some_and(|cut| began < cut) {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.cut_at = Some(now);
    }

    /// After a breaker has closed again: feel the way from one.
    pub fn restart(&mut self) {
        *self = Self { limit: 1, max: self.max, credit: 0, eager: true, cut_at: None };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grows_with_success_and_is_cut_once_per_trouble() {
        let mut concurrency = Concurrency::new(64);
        for _ in 0..28 {
            concurrency.succeeded();
        }
        assert_eq!(concurrency.limit(), 32);
        let now = Timestamp(1000);
        for began in [900, 950, 999] {
            concurrency.failed(Timestamp(began), now);
        }
        assert_eq!(concurrency.limit(), 16);
        concurrency.failed(Timestamp(1000), Timestamp(1001));
        assert_eq!(concurrency.limit(), 8);
        for _ in 0..8 {
            assert_eq!(concurrency.limit(), 8);
            concurrency.succeeded();
        }
        assert_eq!(concurrency.limit(), 9);
        concurrency.restart();
        assert_eq!(concurrency.limit(), 1);
    }

    proptest! {
        #[test]
        fn stays_between_one_and_the_maximum(
            max in 0_usize..300, acts in proptest::collection::vec((any::<bool>(), 0_u64..50), 0..400),
        ) {
            let mut concurrency = Concurrency::new(max);
            let mut now = Timestamp(0);
            for (good, wait) in acts {
                let began = now;
                now = Timestamp(now.0 + wait);
                let before = concurrency.limit();
                if good { concurrency.succeeded() } else { concurrency.failed(began, now) }
                let after = concurrency.limit();
                prop_assert!((1..=max.max(1)).contains(&after));
                let as_told = if good { after == before || after == before + 1 } else { after <= before };
                prop_assert!(as_told);
            }
        }
    }
}
