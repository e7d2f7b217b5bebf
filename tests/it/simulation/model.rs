//! The simulated world.

mod attempts;
mod watching;

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
    /// True times of claims at endpoint 0 and the worker that made them, for rates.
    starts: Vec<(u64, usize)>,
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
        state: State::initial(way, at, at),
        attempts: 0,
        warned: false,
        accepted_at: at,
        changed_at: at,
        facts: Vec::new(),
        facts_dropped: 0,
        order: None,
        slot: None,
        coverage: None,
        remote: None,
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
}

fn endpoint_of(record: &Record) -> usize {
    record.placement.endpoint.as_str()[1..].parse().unwrap()
}
