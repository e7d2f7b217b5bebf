//! The simulated world.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::time::Duration;

use amtsweg::domain::breaker::{Breaker, Permit};
use amtsweg::domain::concurrency::Concurrency;
use amtsweg::domain::delivery::step;
use amtsweg::domain::record::ContentPlace;
use amtsweg::domain::retry::{Age, Backoff, attempts_since_start};
use amtsweg::domain::{
    Action, Claim, ContentRef, Digest, FactKind, Header, MessageId, Placement, Record, SignerInfo, State,
    Timestamp, Way,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{DAY, HOUR};

const TIMEOUT: u64 = 30_000;
/// As in `deliver`: a claim outlasts its attempt by this.
const MARGIN: u64 = 5_000;
const WORKERS: usize = 2;
const WARN: Duration = Duration::from_millis(3 * DAY);
const RETURN: Duration = Duration::from_millis(14 * DAY);
/// An endpoint that has answered for so long has taken over what came before: the longest wait
/// of a message and of the breaker is an hour each, and now and then an attempt fails.
const PATIENCE: u64 = 8 * HOUR;

/// What is to be simulated.
#[derive(Clone, Copy)]
pub struct Wish {
    pub days: u64,
    pub endpoints: usize,
    pub outages: bool,
    pub crashes: bool,
    pub jumps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Submit(usize),
    /// The endpoint goes down or comes up.
    Turn(usize),
    /// A worker looks at a lane; which life of the worker.
    Look(usize, usize, u32),
    /// A claim that was decided on reaches the store: attempt number in `attempts`.
    Claim(usize),
    /// The attempt is over, one way or another.
    Over(usize),
    Crash(usize),
    Restart(usize),
    Sweep,
    Jump,
}

struct Endpoint {
    up: bool,
    /// Since when it has been so.
    since: u64,
    /// Of a thousand attempts, those that fail although it is up.
    flaky: u32,
    latency: u64,
}

struct Lane {
    breaker: Breaker,
    concurrency: Concurrency,
    in_flight: HashSet<usize>,
    look_at: Option<u64>,
}

struct Worker {
    alive: bool,
    life: u32,
    lanes: Vec<Lane>,
}

/// One attempt on its way.
struct Attempt {
    worker: usize,
    life: u32,
    endpoint: usize,
    message: usize,
    /// The record as the worker read it.
    read: Record,
    token: uuid::Uuid,
    began: u64,
    claimed: bool,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Taken,
    /// It has it and says so later.
    Held,
    /// It has it, but the answer was lost or came too late.
    TakenUnheard,
    Busy(Option<u64>),
    Silent,
    Refused,
}

/// What is known of a message outside of its record.
#[derive(Default)]
struct Witness {
    attempts: u32,
    version: u64,
    finished: Option<State>,
    /// True time at which the last attempt that may have been made ends.
    busy_until: u64,
}

/// All of it.
pub struct Simulation {
    wish: Wish,
    rng: StdRng,
    now: u64,
    /// The wall clock is ahead of true time by this, or behind.
    offset: i64,
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    counter: u64,
    endpoints: Vec<Endpoint>,
    workers: Vec<Worker>,
    records: Vec<Record>,
    witnesses: Vec<Witness>,
    /// By endpoint: claimable from, message.
    due: Vec<BTreeSet<(Timestamp, usize)>>,
    attempts: Vec<Option<Attempt>>,
    /// Messages that nobody has finished with.
    open: BTreeSet<usize>,
    /// True times of claims at endpoint 0, for rates.
    starts: Vec<u64>,
    made: u64,
    crashes: u64,
    outages: u64,
    /// A worker was there without a break since then.
    served_since: u64,
}

fn backoff() -> Backoff {
    Backoff::default()
}

fn lane() -> Lane {
    Lane {
        breaker: Breaker::new(backoff()),
        concurrency: Concurrency::new(8),
        in_flight: HashSet::new(),
        look_at: None,
    }
}

pub fn record(number: usize, endpoint: usize, way: Way, at: Timestamp) -> Record {
    let uuid = uuid::Uuid::from_u128(number as u128);
    let place = ContentPlace::Segment { segment: 0, offset: 0 };
    let content = ContentRef { place, len: 0, sha256: Digest::default() };
    let mut record = Record {
        version: 1,
        sequence: number as u64,
        id: MessageId::new("simulated", uuid).unwrap(),
        account: "portal".parse().unwrap(),
        header: Header {
            namespace: String::new(),
            root: String::new(),
            standard: String::new(),
            version: String::new(),
            type_code: String::new(),
            uuid,
            created: String::new(),
            author: "psw:portal".parse().unwrap(),
            reader: None,
            service: None,
            area: None,
            date: None,
            test: true,
        },
        signer: SignerInfo {
            subject: String::new(),
            serial: String::new(),
            fingerprint: Digest::default(),
            not_after: Timestamp(0),
        },
        document: content.clone(),
        attachments: Vec::new(),
        receipt: content,
        placement: Placement {
            authority: "stadt".parse().unwrap(),
            reader: "kop:06411000".parse().unwrap(),
            endpoint: format!("e{endpoint}").parse().unwrap(),
            way,
            rule: String::new(),
        },
        state: State::initial(way, at),
        attempts: 0,
        warned: false,
        accepted_at: at,
        changed_at: at,
        facts: Vec::new(),
        facts_dropped: 0,
    };
    record.remember(at, FactKind::Accepted, "");
    record
}

impl Simulation {
    pub fn new(seed: u64, wish: Wish) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let endpoints = (0..wish.endpoints)
            .map(|_| Endpoint {
                up: true,
                since: 0,
                flaky: if wish.outages { rng.random_range(0..30) } else { 0 },
                latency: rng.random_range(500..3000),
            })
            .collect();
        let worker = || Worker { alive: true, life: 0, lanes: (0..wish.endpoints).map(|_| lane()).collect() };
        let mut simulation = Self {
            wish,
            rng,
            now: DAY,
            offset: 0,
            heap: BinaryHeap::new(),
            counter: 0,
            endpoints,
            workers: (0..WORKERS).map(|_| worker()).collect(),
            records: Vec::new(),
            witnesses: Vec::new(),
            due: vec![BTreeSet::new(); wish.endpoints],
            attempts: Vec::new(),
            open: BTreeSet::new(),
            starts: Vec::new(),
            made: 0,
            crashes: 0,
            outages: 0,
            served_since: 0,
        };
        simulation.begin();
        simulation
    }

    fn begin(&mut self) {
        self.at(self.now + HOUR, Event::Sweep);
        if self.wish.outages {
            for e in 0..self.wish.endpoints {
                let (first, down) = (self.spread(DAY), self.spread(5 * DAY));
                self.at(self.now + first, Event::Submit(e));
                self.at(self.now + down, Event::Turn(e));
            }
        }
        if self.wish.crashes {
            for w in 0..WORKERS {
                let dies = self.spread(DAY);
                self.at(self.now + dies, Event::Crash(w));
            }
        }
        if self.wish.jumps {
            self.at(self.now + 3 * DAY, Event::Jump);
        }
    }

    /// Endpoint `e` is down from `from` to `to`; `count` messages come meanwhile.
    pub fn outage(&mut self, e: usize, from: u64, to: u64, count: usize) {
        self.at(from.max(self.now), Event::Turn(e));
        self.at(to, Event::Turn(e));
        for _ in 0..count {
            let at = self.rng.random_range(from.max(self.now)..to);
            self.at(at, Event::Submit(e));
        }
    }

    fn end(&self) -> u64 {
        self.wish.days * DAY
    }

    /// A random span with this mean, from short to long.
    fn spread(&mut self, mean: u64) -> u64 {
        let random: f64 = self.rng.random();
        (-(1.0 - random).ln() * mean as f64) as u64 + 1
    }

    fn at(&mut self, at: u64, event: Event) {
        self.counter += 1;
        self.heap.push(Reverse((at, self.counter, event)));
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.now.saturating_add_signed(self.offset))
    }

    /// Runs to the end, then leaves everybody time to finish.
    pub fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.heap.pop() {
            if at > self.end() {
                break;
            }
            self.now = at;
            match event {
                Event::Submit(e) => self.submit(e),
                Event::Turn(e) => self.turn(e),
                Event::Look(w, e, life) => self.look(w, e, life),
                Event::Claim(n) => self.claim(n),
                Event::Over(n) => self.over(n),
                Event::Crash(w) => self.crash(w),
                Event::Restart(w) => self.restart(w),
                Event::Sweep => self.sweep(),
                Event::Jump => self.jump(),
            }
        }
    }

    fn submit(&mut self, e: usize) {
        let number = self.records.len();
        let record = record(number, e, Way::Push, self.wall());
        self.witnesses.push(Witness { version: 1, ..Witness::default() });
        self.due[e].insert((record.state.claimable_at().unwrap(), number));
        self.records.push(record);
        self.open.insert(number);
        self.hint(e);
        if self.wish.outages {
            let next = self.spread(3 * HOUR);
            self.at(self.now + next, Event::Submit(e));
        }
    }

    fn turn(&mut self, e: usize) {
        let up = !self.endpoints[e].up;
        self.endpoints[e].up = up;
        self.endpoints[e].since = self.now;
        self.outages += u64::from(!up);
        if self.wish.outages {
            // Minutes for the most part; now and then longer than messages are kept.
            let mean = match (up, self.rng.random_range(0..12)) {
                (true, _) => 6 * DAY,
                (false, 0) => 8 * DAY,
                (false, 1..4) => 10 * HOUR,
                (false, _) => HOUR / 4,
            };
            let next = self.spread(mean);
            self.at(self.now + next, Event::Turn(e));
        }
    }

    fn crash(&mut self, w: usize) {
        let worker = &mut self.workers[w];
        worker.alive = false;
        worker.life += 1;
        // What it knew is gone; its claims run out.
        worker.lanes.iter_mut().for_each(|l| *l = lane());
        self.crashes += 1;
        let back = self.spread(HOUR / 6);
        self.at(self.now + back, Event::Restart(w));
    }

    fn restart(&mut self, w: usize) {
        if self.workers.iter().all(|worker| !worker.alive) {
            self.served_since = self.now;
        }
        self.workers[w].alive = true;
        for e in 0..self.wish.endpoints {
            self.look_by(w, e, self.now);
        }
        let dies = self.spread(2 * DAY);
        self.at(self.now + dies, Event::Crash(w));
    }

    fn jump(&mut self) {
        let by = self.rng.random_range(-(DAY as i64)..=DAY as i64);
        self.offset = (self.offset + by).clamp(-(DAY as i64), 5 * DAY as i64);
        // Whoever waits on the old time is woken by a tick, as the worker is.
        for e in 0..self.wish.endpoints {
            self.hint(e);
        }
        let next = self.spread(4 * DAY);
        self.at(self.now + next, Event::Jump);
    }

    fn hint(&mut self, e: usize) {
        for w in 0..WORKERS {
            self.look_by(w, e, self.now);
        }
    }

    fn look_by(&mut self, w: usize, e: usize, at: u64) {
        let worker = &mut self.workers[w];
        let life = worker.life;
        let lane = &mut worker.lanes[e];
        if worker.alive && lane.look_at.is_none_or(|known| at < known) {
            lane.look_at = Some(at);
            self.at(at, Event::Look(w, e, life));
        }
    }

    /// As `deliver`'s scheduler: what the breaker and the concurrency let out.
    fn look(&mut self, w: usize, e: usize, life: u32) {
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

    fn claim(&mut self, n: usize) {
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
            self.starts.push(self.now);
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

    fn over(&mut self, n: usize) {
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
    fn commit(&mut self, message: usize, next: Record) {
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

    /// As `deliver`'s sweep, and what operators and authorities do in the end.
    fn sweep(&mut self) {
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

    /// Most and mean attempts at endpoint 0 within `bucket` milliseconds, from `from` until its queue
    /// was empty.
    pub fn rates(&self, from: u64, bucket: u64) -> (u64, f64) {
        let taken: Vec<u64> = self.starts.iter().copied().filter(|at| *at >= from).collect();
        let closed = self.records.iter().filter(|r| r.state == State::Closed).count();
        assert_eq!(closed, self.records.len(), "the queue is empty again");
        let (first, last) = (taken[0], taken[taken.len() - 1]);
        let mut counts = vec![0_u64; ((last - first) / bucket + 1) as usize];
        taken.iter().for_each(|at| counts[((at - first) / bucket) as usize] += 1);
        (counts.iter().copied().max().unwrap_or_default(), taken.len() as f64 / counts.len() as f64)
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

fn endpoint_of(record: &Record) -> usize {
    record.placement.endpoint.as_str()[1..].parse().unwrap()
}
