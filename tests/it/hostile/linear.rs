//! What a hostile document costs grows with its size and no faster: of each kind that the bench `hostile` has,
//! a document twice as large takes about twice the time. Times are compared with each other, generously and
//! more than once, and never with a clock.

#[path = "../../bench/hostile/kinds.rs"]
mod kinds;
#[path = "../../bench/hostile/world.rs"]
mod world;

use std::time::{Duration, Instant};

use amtsweg::domain::Timestamp;
use bytes::Bytes;

use crate::xmlsec::testkit;
use kinds::Kind;
use world::World;

/// Octets of the smaller document.
const SIZE: usize = 48 << 10;
/// Twice the size may cost so many times as much: between two and four, which would be quadratic.
const FACTOR: f64 = 3.0;
/// How often it is tried, should others keep the machine busy.
const TRIES: usize = 5;

fn cost(world: &World, kind: &Kind, octets: &Bytes) -> Duration {
    let once = || {
        let verifier = world.verifier(kind);
        let start = Instant::now();
        let answer = verifier.verify(octets.clone(), &[], Timestamp::now());
        let took = start.elapsed();
        let verdict = answer.map_or_else(|refusal| refusal.code.as_str(), |_| "accepted");
        assert_eq!(verdict, kind.verdict, "{}", kind.name);
        took
    };
    (0..3).map(|_| once()).min().unwrap()
}

#[test]
fn twice_the_size_costs_about_twice_the_time_whatever_the_document() {
    let world = World::new();
    let kinds = kinds::all();
    let mut wrong = Vec::new();
    for kind in &kinds {
        let make = |size| world.signed(kind, &world.document(kind.root, &(kind.content)(size)));
        let (small, large) = (make(SIZE), make(2 * SIZE));
        let grown = large.len() as f64 / small.len() as f64;
        let ratio = || {
            cost(&world, kind, &large).as_secs_f64() / cost(&world, kind, &small).as_secs_f64() / grown * 2.0
        };
        let ratios: Vec<f64> = (0..TRIES).map(|_| ratio()).take_while(|ratio| *ratio > FACTOR).collect();
        if ratios.len() == TRIES {
            wrong.push(format!("{}: {ratios:.1?}", kind.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} kinds:\n{}", wrong.len(), kinds.len(), wrong.join("\n"));
}
