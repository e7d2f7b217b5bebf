//! Trouble with the store: logged once when it begins and once when it ends; meanwhile nothing
//! spins.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::store::StoreError;

/// First and longest pause.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Whether the store is failing, and until when to leave it alone.
#[derive(Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Default)]
struct State {
    times: u32,
    until: Timestamp,
}

impl Trouble {
    /// The store failed at `now`.
    pub(super) fn failed(&self, error: &StoreError, now: Timestamp) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.times == 0 {
            tracing::error!(%error, "delivery can't use the store; it is tried again in a while");
        }
        if state.times == 0 || now >= state.until {
            let pause = SHORTEST * 2_u32.saturating_pow(state.times.min(10));
            state.times = state.times.saturating_add(1);
            state.until = now.plus(pause.min(LONGEST));
        }
    }

    /// The store works.
    pub(super) fn over(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.times > 0 {
            tracing::info!("delivery can use the store again");
            *state = State::default();
        }
    }

    /// How long to leave the store alone.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.times > 0 && now < state.until).then(|| state.until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_the_trouble() {
        let trouble = Trouble::default();
        let mut now = Timestamp(0);
        assert_eq!(trouble.pause(now), None);
        for _ in 0..20 {
            trouble.failed(&StoreError::Conflict, now);
            trouble.failed(&StoreError::Conflict, now);
            let pause = trouble.pause(now).unwrap();
            assert!(pause >= SHORTEST && pause <= LONGEST);
            now = now.plus(pause);
            assert_eq!(trouble.pause(now), None);
        }
        trouble.failed(&StoreError::Conflict, now);
        assert_eq!(trouble.pause(now), Some(LONGEST));
        trouble.over();
        assert_eq!(trouble.pause(now), None);
    }
}
