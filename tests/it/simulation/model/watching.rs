//! The sweep, and what must hold between events.

use super::*;

impl Simulation {
    /// As `deliver`'s sweep, and what operators and authorities do in the end.
    pub(super) fn sweep(&mut self) {
        let wall = self.wall();
        for n in self.open.iter().copied().collect::<Vec<_>>() {
            let record = &self.records[n];
            if let State::Sending { claim } = &record.state {
                let token = uuid::Uuid::from_u128(self.rng.random());
                let until = Timestamp(u64::MAX);
                let intruder = Action::Claim(Claim { owner: "intruder".to_owned(), token, until });
                assert_eq!(
                    step(record, intruder, wall).is_ok(),
                    claim.expired(wall),
                    "message {n}: {claim:?}"
                );
            }
            let detail = String::new();
            let age = Age::of(record, WARN, RETURN, wall);
            let action = match (&record.state, age) {
                (State::Parked { .. }, _) if self.rng.random_ratio(1, 24) => Action::Retry { detail },
                (State::Delivered, _) if self.rng.random_ratio(1, 12) => Action::Close { token: None },
                (State::Queued { .. }, Age::TooOld) => Action::Return { detail },
                (State::Queued { .. }, Age::Late) if !record.warned => Action::Warn { detail },
                _ => continue,
            };
            if let Ok(next) = step(record, action, wall) {
                self.commit(n, next);
            }
        }
        self.nobody_starves();
        self.at(self.now + HOUR, Event::Sweep);
    }

    fn nobody_starves(&self) {
        if self.wish.jumps {
            return;
        }
        for (e, endpoint) in self.endpoints.iter().enumerate() {
            let calm = endpoint.since.max(self.served_since) + PATIENCE;
            if !endpoint.up || self.now < calm {
                continue;
            }
            for (_, n) in &self.due[e] {
                let record = &self.records[*n];
                let since = record.facts.iter().rev().find(|f| f.kind == FactKind::Retried).map(|f| f.at);
                let waited = Timestamp(self.now).since(since.unwrap_or(record.accepted_at));
                assert!(
                    waited < Duration::from_millis(PATIENCE),
                    "message {n} waits for {waited:?} although endpoint {e} answers: {:?}",
                    record.state
                );
            }
        }
    }

    /// What must hold in the end.
    pub fn check(&self) {
        for (n, (record, witness)) in self.records.iter().zip(&self.witnesses).enumerate() {
            assert_eq!((record.version, record.attempts), (witness.version, witness.attempts));
            let e = endpoint_of(record);
            match record.state.claimable_at() {
                Some(at) => assert!(self.due[e].contains(&(at, n)), "message {n} is lost"),
                None => assert!(
                    record.state.is_final()
                        || matches!(record.state, State::Delivered | State::Parked { .. }),
                    "message {n} is nowhere"
                ),
            }
        }
        assert!(!self.records.is_empty());
    }

    /// Most and mean attempts at endpoint 0 within `bucket` milliseconds, for each gateway that made
    /// any after `from`. The mean is that of the drain: until nineteen of twenty attempts were made, for
    /// a few messages wait out a pause of their own long after all others are gone.
    pub fn rates(&self, from: u64, bucket: u64) -> Vec<(u64, f64)> {
        let closed = self.records.iter().filter(|r| r.state == State::Closed).count();
        assert_eq!(closed, self.records.len(), "the queue is empty again");
        (0..WORKERS).filter_map(|worker| self.rate(worker, from, bucket)).collect()
    }

    fn rate(&self, worker: usize, from: u64, bucket: u64) -> Option<(u64, f64)> {
        let by_it = self.starts.iter().filter(|(at, w)| *w == worker && *at >= from);
        let taken: Vec<u64> = by_it.map(|(at, _)| *at).collect();
        let (first, last) = (*taken.first()?, *taken.last()?);
        let mut counts = vec![0_u64; ((last - first) / bucket + 1) as usize];
        taken.iter().for_each(|at| counts[((at - first) / bucket) as usize] += 1);
        let drained = taken.len() - taken.len() / 20;
        let took = (taken[drained - 1] - first).max(bucket) as f64;
        Some((counts.into_iter().max()?, drained as f64 * bucket as f64 / took))
    }

    pub fn summary(&self) -> String {
        let finished =
            |state: State| self.witnesses.iter().filter(|w| w.finished == Some(state.clone())).count();
        format!(
            "{} messages, {} attempts, {} outages, {} crashes; {} closed, {} returned, {} open; at most {} \
             attempts for one",
            self.records.len(),
            self.made,
            self.outages,
            self.crashes,
            finished(State::Closed),
            finished(State::Returned),
            self.open.len(),
            self.witnesses.iter().map(|w| w.attempts).max().unwrap_or_default(),
        )
    }
}
