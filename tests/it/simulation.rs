//! Years of delivery in seconds. The rules of `amtsweg::domain` (state machine, retry, breaker,
//! concurrency) run with a simulated clock, network and crashes: two workers on one store, authorities
//! that fail for minutes or days, answers that get lost or come too late, workers that die at any
//! moment. `AMTSWEG_SEED` repeats a run, `AMTSWEG_YEARS` makes it longer (2 unless told).
//!
//! The mailbox has a simulation of its own: readers that take leases, extend them, forget them, come late.
//!
//! What must hold: no message is lost or revived, attempts only grow, no two claims of one message
//! overlap, no endpoint starves, and after an outage the retries of an endpoint never come at more than
//! twice their mean rate.

mod mailbox;
mod model;

use std::time::Duration;

use amtsweg::domain::Timestamp;
use amtsweg::domain::retry::Backoff;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use model::{Simulation, Wish};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    let seed = number("AMTSWEG_SEED", u64::from(rand::rng().random::<u32>()));
    println!("AMTSWEG_SEED={seed}");
    seed
}

#[test]
fn years_of_outages_and_crashes_lose_and_revive_nothing() {
    let days = number("AMTSWEG_YEARS", 2) * 365;
    let wish = Wish { days, endpoints: 4, outages: true, crashes: true, jumps: false };
    let mut simulation = Simulation::new(seed(), wish);
    simulation.run();
    println!("{days} days: {}", simulation.summary());
    simulation.check();
}

#[test]
fn clocks_that_jump_by_a_day_lose_and_revive_nothing() {
    let wish = Wish { days: 120, endpoints: 3, outages: true, crashes: true, jumps: true };
    let mut simulation = Simulation::new(seed(), wish);
    simulation.run();
    println!("{}", simulation.summary());
    simulation.check();
}

/// Each gateway has a breaker of its own and may find out up to an hour later than the other that the
/// authority is back. So what each of them sends is held against its own mean, from the moment it
/// has found out: both together then never send more than twice what both send on average.
#[test]
fn after_an_outage_a_full_queue_drains_at_an_even_rate() {
    let seed = seed();
    for n in 0..number("AMTSWEG_OUTAGES", 16) {
        let wish = Wish { days: 4, endpoints: 1, outages: false, crashes: false, jumps: false };
        let mut simulation = Simulation::new(seed + n, wish);
        simulation.outage(0, DAY, 2 * DAY, 1500);
        simulation.run();
        simulation.check();
        let rates = simulation.rates(2 * DAY, 10_000);
        println!("seed {}: attempts in 10 s, most and mean of each gateway: {rates:.1?}", seed + n);
        assert!(!rates.is_empty(), "somebody brought the messages");
        for (most, mean) in rates {
            assert!(most as f64 <= 2.0 * mean, "{most} attempts in 10 s, {mean:.1} on average");
        }
    }
}

#[test]
fn leases_of_readers_never_overlap_and_every_message_is_taken_over() {
    println!("{}", mailbox::run(seed(), 365 * DAY, 4_000));
}

/// The jitter alone, as if there were no breaker: many messages that all began to fail at one moment,
/// when their waits have reached the largest.
#[test]
fn jitter_keeps_retries_apart() {
    let backoff = Backoff::default();
    let mut rng = StdRng::seed_from_u64(seed());
    let (messages, hours, bucket) = (5_000, 12, 60_000);
    let mut counts = vec![0_u32; (hours * HOUR / bucket) as usize];
    for _ in 0..messages {
        let (mut now, mut attempt) = (Timestamp(0), 1);
        while now.0 < hours * HOUR {
            // The first waits are short: the herd is together until they have grown.
            if attempt > 13 {
                counts[(now.0 / bucket) as usize] += 1;
            }
            now = backoff.due(now, attempt, rng.random(), None);
            attempt += 1;
        }
    }
    let settled = &counts[(6 * HOUR / bucket) as usize..];
    let mean = f64::from(settled.iter().sum::<u32>()) / settled.len() as f64;
    let most = settled.iter().max().unwrap();
    println!("{mean:.1} retries a minute, {most} at most");
    assert!(f64::from(*most) <= 2.0 * mean);
    assert!(backoff.max() <= Duration::from_millis(HOUR));
}
