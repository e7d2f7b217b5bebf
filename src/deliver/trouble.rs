//! Trouble with the store: logged once when it begins and once when it ends; meanwhile nothing
//! spins.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// First and longest pause.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Whether reading or changing the store is failing, and until when to leave it alone.
pub(super) struct Trouble {
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    times: u32,
    until: Option<Instant>,
}

impl Trouble {
    /// No trouble with `what`: "read" or "change".
    pub(super) fn with(what: &'static str) -> Self {
        Self { what, state: Mutex::default() }
    }

    /// The store failed at `now`.
    pub(super) fn failed(&self, error: &StoreError, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.times == 0 {
            tracing::error!(%error, "delivery can't {} the store; it is tried again in a while", self.what);
        }
        if state.until.is_none_or(|until| now >= until) {
            let pause = SHORTEST * 2_u32.saturating_pow(state.times.min(10));
            state.times = state.times.saturating_add(1);
            state.until = Some(now + pause.min(LONGEST));
        }
    }

    /// The store works.
    pub(super) fn over(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.times > 0 {
            tracing::info!("delivery can {} the store again", self.what);
            *state = State::default();
        }
    }

    /// How long to leave the store alone.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.map(|until| until.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_the_trouble() {
        let trouble = Trouble::with("read");
        let mut now = Instant::now();
        assert_eq!(trouble.pause(now), None);
        for _ in 0..20 {
            trouble.failed(&StoreError::Conflict, now);
            trouble.failed(&StoreError::Conflict, now);
            let pause = trouble.pause(now).unwrap();
            assert!(pause >= SHORTEST && pause <= LONGEST);
            now += pause;
            assert_eq!(trouble.pause(now), None);
        }
        trouble.failed(&StoreError::Conflict, now);
        assert_eq!(trouble.pause(now), Some(LONGEST));
        trouble.over();
        assert_eq!(trouble.pause(now), None);
    }
}
