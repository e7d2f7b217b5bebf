//! Readers at a mailbox: several at once, some of which forget what they fetched or come too late.

use std::collections::BTreeSet;
use std::time::Duration;

use amtsweg::domain::delivery::{NotPossible, step};
use amtsweg::domain::{Action, Claim, Record, State, Timestamp, Way};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::HOUR;
use super::model::record;

const READERS: usize = 5;

/// What a reader believes to hold.
#[derive(Clone)]
struct Lease {
    message: usize,
    token: uuid::Uuid,
    until: Timestamp,
}

/// The record after `action`; what may not be is refused, as the store's ports do it.
fn act(records: &mut [Record], n: usize, action: Action, now: Timestamp) -> Result<(), NotPossible> {
    let before = &records[n];
    let next = step(before, action, now)?;
    assert!(!before.state.is_final(), "message {n} was revived");
    assert!(next.attempts >= before.attempts && next.version == before.version + 1);
    records[n] = next;
    Ok(())
}

/// Simulates `span` milliseconds with so many messages; a line that says what happened.
pub fn run(seed: u64, span: u64, messages: usize) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut arrivals: Vec<u64> = (0..messages).map(|_| rng.random_range(0..span)).collect();
    arrivals.sort_unstable();
    arrivals.reverse();
    let mut records: Vec<Record> = Vec::new();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut leases: Vec<Option<Lease>> = vec![None; READERS];
    // Leases that nobody remembers, and that last all the same.
    let mut ghosts: Vec<Lease> = Vec::new();
    let (mut now, mut taken, mut late, mut forgotten) = (0, 0, 0, 0);
    while !(arrivals.is_empty() && open.is_empty()) {
        assert!(now < span + 1000 * HOUR, "some are never taken over: {open:?}");
        now += rng.random_range(1..HOUR / 4);
        while arrivals.last().is_some_and(|at| *at <= now) {
            let at = arrivals.pop().unwrap();
            open.insert(records.len());
            records.push(record(records.len(), 0, Way::Pull, Timestamp(at)));
        }
        let at = Timestamp(now);
        let reader = rng.random_range(0..READERS);
        match leases[reader].clone() {
            None => {
                let Some(n) = open.iter().copied().nth(rng.random_range(0..open.len().max(1))) else {
                    continue;
                };
                let token = uuid::Uuid::from_u128(rng.random());
                let until = at.plus(Duration::from_millis(rng.random_range(1..HOUR)));
                let claim = Claim { owner: format!("reader-{reader}"), token, until };
                let others = |l: &&Lease| l.message == n && l.until > at;
                ghosts.retain(|l| l.until > at);
                let held = leases.iter().flatten().chain(&ghosts).any(|l| others(&l));
                let got = act(&mut records, n, Action::Claim(claim), at);
                assert_eq!(got.is_ok(), !held, "message {n} has two leases, or none can be had");
                if got.is_ok() {
                    leases[reader] = Some(Lease { message: n, token, until });
                }
            }
            Some(Lease { message, token, until }) => {
                let alive = until > at;
                let (action, ends) = match rng.random_range(0..10) {
                    0..2 => {
                        let until = at.plus(Duration::from_millis(HOUR));
                        (Action::Extend { token, until }, false)
                    }
                    2 => (Action::Release { token }, true),
                    3 => {
                        // Goes home and never comes back to this one.
                        ghosts.extend(leases[reader].take());
                        forgotten += 1;
                        continue;
                    }
                    _ => (Action::Close { token: Some(token) }, true),
                };
                let closes = matches!(action, Action::Close { .. });
                let done = act(&mut records, message, action, at);
                assert_eq!(done.is_ok(), alive, "a lease until {until} at {at}: {done:?}");
                late += u64::from(done.is_err());
                match done {
                    Ok(()) if closes => {
                        assert_eq!(records[message].state, State::Closed);
                        open.remove(&message);
                        taken += 1;
                        leases[reader] = None;
                    }
                    Ok(()) if !ends => {
                        let until = at.plus(Duration::from_millis(HOUR)).max(until);
                        leases[reader] = Some(Lease { message, token, until });
                    }
                    _ => leases[reader] = None,
                }
            }
        }
    }
    assert_eq!(taken, messages);
    format!(
        "{messages} messages taken over by {READERS} readers; {late} came too late, {forgotten} forgotten"
    )
}
