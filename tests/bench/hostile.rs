//! What hostile documents cost: the time per octet of the whole verification (limits, header, signature,
//! trust, schema) beside that of a normal signed application of the same size, measured in turn, on one
//! thread: `cargo bench --bench hostile` (`-- NAME` measures those alone whose names contain it).
//!
//! Each kind is measured signed, unsigned, and at twice its size: the last column is 1.0 where cost is
//! linear and 2.0 where it is quadratic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on stops, as a test"
)]

#[path = "hostile/kinds.rs"]
mod kinds;
#[path = "../../src/verify/testkit.rs"]
#[allow(dead_code, reason = "the bench uses a part of what the tests use")]
mod testkit;
#[path = "hostile/world.rs"]
mod world;

use std::time::{Duration, Instant};

use amtsweg::domain::Timestamp;
use bytes::Bytes;
use kinds::Kind;
use world::World;

/// Octets of the documents.
const SIZE: usize = 256 << 10;

/// The best time of many for a document, and what was said of it.
fn cost(world: &World, kind: &Kind, octets: &Bytes) -> (Duration, &'static str) {
    let begin = Instant::now();
    let (mut best, mut verdict, mut rounds) = (Duration::MAX, "", 0);
    while rounds < 3 || (begin.elapsed() < Duration::from_millis(400) && rounds < 500) {
        // Anew for each round: no chain is remembered.
        let verifier = world.verifier(kind);
        let start = Instant::now();
        let answer = verifier.verify(octets.clone(), &[], Timestamp::now());
        best = best.min(start.elapsed());
        verdict = answer.map_or_else(|refusal| refusal.code.as_str(), |_| "accepted");
        rounds += 1;
    }
    (best, verdict)
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let world = World::new();
    let all = kinds::all();
    let usual = Kind::usual();
    println!(
        "{:<44}{:>9}{:>10}{:>8}{:>10}{:>8}  verdict",
        "kind", "octets", "ns/octet", "signed", "unsigned", "twice"
    );
    let (mut largest, mut wrong) = ((0.0_f64, String::new()), Vec::new());
    for kind in all.iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|w| kind.name.contains(w))) {
        let per_octet = |kind: &Kind, octets: &Bytes| {
            let (time, verdict) = cost(&world, kind, octets);
            (time.as_secs_f64() * 1e9 / octets.len() as f64, verdict)
        };
        let make = |size| world.document(kind.root, &(kind.content)(size));
        let document = make(SIZE);
        let signed = world.signed(kind, &document);
        let (normal, _) = per_octet(&usual, &world.normal(signed.len()));
        let (cost, verdict) = per_octet(kind, &signed);
        let unsigned = Bytes::from(document);
        let (bare, _) = per_octet(kind, &unsigned);
        let (twice, _) = per_octet(kind, &world.signed(kind, &make(2 * SIZE)));
        // Once more, later: another guest of the machine may have had it meanwhile.
        let cost = cost.min(per_octet(kind, &signed).0);
        let normal = normal.min(per_octet(&usual, &world.normal(signed.len())).0);
        println!(
            "{:<44}{:>9}{cost:>10.1}{:>8.2}{:>10.2}{:>8.2}  {verdict}",
            kind.name,
            signed.len(),
            cost / normal,
            bare / normal,
            twice / cost,
        );
        if verdict != kind.verdict {
            wrong.push(format!("{}: {verdict} instead of {}", kind.name, kind.verdict));
        }
        let worst = (cost.max(bare) / normal, kind.name.to_owned());
        if worst.0 > largest.0 {
            largest = worst;
        }
    }
    println!("the largest: {:.1} times a normal message's time per octet ({})", largest.0, largest.1);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
