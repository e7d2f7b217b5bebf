//! Looking for what is due, attempts, their answers, and what is committed of them.

use super::*;

impl Simulation {
    /// As `deliver`'s scheduler: what the breaker and the concurrency let out.
    pub(super) fn look(&mut self, w: usize, e: usize, life: u32) {
        let (now, wall) = (self.now, self.wall());
        let worker = &mut self.workers[w];
        if !worker.alive || worker.life != life || worker.lanes[e].look_at != Some(now) {
            return;
        }
        let lane = &mut worker.lanes[e];
        lane.look_at = None;
        let limit = match lane.breaker.permit(wall) {
            Permit::Any => lane.concurrency.limit(),
            Permit::Probe => 1,
            Permit::NotBefore(until) => {
                return self.look_by(w, e, now + until.since(wall).as_millis() as u64);
            }
            Permit::Probing => {
                assert!(
                    !lane.in_flight.is_empty(),
                    "the lane of endpoint {e} waits for a probe that nobody sent"
                );
                return;
            }
        };
        let free = limit.saturating_sub(lane.in_flight.len());
        if free == 0 {
            return;
        }
        let claimable = self.due[e].iter().take_while(|(at, _)| *at <= wall).map(|(_, n)| *n);
        let chosen: Vec<usize> = claimable.filter(|n| !lane.in_flight.contains(n)).take(free).collect();
        for message in &chosen {
            lane.in_flight.insert(*message);
            lane.breaker.sent(wall);
        }
        for message in &chosen {
            let attempt = Attempt {
                worker: w,
                life,
                endpoint: e,
                message: *message,
                read: self.records[*message].clone(),
                token: uuid::Uuid::from_u128(self.rng.random()),
                began: now,
                claimed: false,
                answer: Answer::Silent,
            };
            self.attempts.push(Some(attempt));
            // Others may be faster: then the claim meets another version.
            let wait = self.rng.random_range(0..40);
            self.at(now + wait, Event::Claim(self.attempts.len() - 1));
        }
        if chosen.len() < free
            && let Some((at, _)) = self.due[e].iter().find(|(at, _)| *at > wall).copied()
        {
            self.look_by(w, e, now + at.since(wall).as_millis() as u64);
        }
    }

    fn of_the_dead(&self, attempt: &Attempt) -> bool {
        self.workers[attempt.worker].life != attempt.life
    }

    pub(super) fn claim(&mut self, n: usize) {
        let Some(mut attempt) = self.attempts[n].take() else { return };
        if self.of_the_dead(&attempt) {
            return;
        }
        let wall = self.wall();
        let until = wall.plus(Duration::from_millis(TIMEOUT + MARGIN));
        let claim = Claim { owner: format!("w{}", attempt.worker), token: attempt.token, until };
        let next = step(&attempt.read, Action::Claim(claim), wall);
        let fresh = self.records[attempt.message].version == attempt.read.version;
        let (true, Ok(next)) = (fresh, next) else {
            return self.give_back(&attempt);
        };
        self.commit(attempt.message, next);
        let witness = &mut self.witnesses[attempt.message];
        if !self.wish.jumps {
            assert!(witness.busy_until <= self.now, "two attempts at message {} at once", attempt.message);
        }
        witness.busy_until = self.now + TIMEOUT;
        attempt.claimed = true;
        attempt.answer = self.answer(attempt.endpoint);
        self.made += 1;
        if attempt.endpoint == 0 {
            self.starts.push((self.now, attempt.worker));
        }
        let latency = self.endpoints[attempt.endpoint].latency;
        let took = match attempt.answer {
            Answer::Silent | Answer::TakenUnheard => TIMEOUT,
            _ => latency / 2 + self.rng.random_range(0..latency),
        };
        self.attempts[n] = Some(attempt);
        self.at(self.now + took, Event::Over(n));
    }

    fn answer(&mut self, e: usize) -> Answer {
        let luck = self.rng.random_range(0..1000);
        let endpoint = &self.endpoints[e];
        if !endpoint.up {
            return if luck < 500 {
                Answer::Silent
            } else {
                Answer::Busy((luck < 600).then_some(luck as u64))
            };
        }
        if luck < endpoint.flaky {
            return [Answer::Busy(None), Answer::TakenUnheard, Answer::Silent][luck as usize % 3];
        }
        match luck {
            990.. if self.wish.outages => Answer::Refused,
            980.. if self.wish.outages => Answer::Held,
            _ => Answer::Taken,
        }
    }

    pub(super) fn over(&mut self, n: usize) {
        let Some(attempt) = self.attempts[n].take() else { return };
        if self.of_the_dead(&attempt) {
            return;
        }
        let wall = self.wall();
        let random = self.rng.random();
        let record = &self.records[attempt.message];
        let (token, detail) = (attempt.token, String::new());
        let asked = match attempt.answer {
            Answer::Busy(asked) => asked.map(Duration::from_secs),
            _ => None,
        };
        let began = Timestamp(attempt.began.saturating_add_signed(self.offset));
        let lane = &mut self.workers[attempt.worker].lanes[attempt.endpoint];
        let action = match attempt.answer {
            Answer::Taken | Answer::Held | Answer::Refused => {
                if lane.breaker.name() == "closed" {
                    lane.concurrency.succeeded();
                } else {
                    lane.concurrency.restart();
                }
                lane.breaker.succeeded();
                match attempt.answer {
                    Answer::Refused => Action::Refused { token, detail },
                    answer => Action::Succeeded { token, taken_over: answer == Answer::Taken, detail },
                }
            }
            Answer::Busy(_) | Answer::Silent | Answer::TakenUnheard => {
                lane.concurrency.failed(began, wall);
                lane.breaker.failed(wall, random, asked);
                let due = backoff().due(wall, attempts_since_start(record), random, asked);
                Action::Failed { token, due, detail }
            }
        };
        match step(record, action, wall) {
            Ok(next) => {
                self.witnesses[attempt.message].busy_until = self.now;
                self.commit(attempt.message, next);
            }
            // Its claim ran out and somebody else has claimed it since: only clocks that jump do that.
            Err(why) => assert!(self.wish.jumps, "an outcome within its claim was refused: {why}"),
        }
        self.give_back(&attempt);
    }

    /// The place in the lane is free again.
    fn give_back(&mut self, attempt: &Attempt) {
        let lane = &mut self.workers[attempt.worker].lanes[attempt.endpoint];
        lane.in_flight.remove(&attempt.message);
        if !attempt.claimed {
            lane.breaker.unused();
        }
        self.look_by(attempt.worker, attempt.endpoint, self.now);
    }

    /// The one way a record changes; looks at each change.
    pub(super) fn commit(&mut self, message: usize, next: Record) {
        let old = &self.records[message];
        let witness = &mut self.witnesses[message];
        assert_eq!(next.version, old.version + 1);
        assert!(witness.finished.is_none(), "message {message} was revived");
        assert!(next.attempts >= witness.attempts && next.version > witness.version);
        (witness.attempts, witness.version) = (next.attempts, next.version);
        let e = endpoint_of(old);
        if let Some(at) = old.state.claimable_at() {
            self.due[e].remove(&(at, message));
        }
        if let Some(at) = next.state.claimable_at() {
            self.due[e].insert((at, message));
            let wait = at.since(self.wall()).as_millis() as u64;
            // A claim is looked at again when it has run out; else the message when it is due.
            for w in 0..WORKERS {
                self.look_by(w, e, self.now + wait);
            }
        }
        let witness = &mut self.witnesses[message];
        if next.state.is_final() {
            witness.finished = Some(next.state.clone());
            self.open.remove(&message);
        }
        self.records[message] = next;
    }
}
