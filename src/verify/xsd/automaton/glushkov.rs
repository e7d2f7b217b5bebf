//! From a particle to positions and what may follow each.

use std::sync::Arc;

use super::super::model::ElementId;
use super::super::wildcard::Wildcard;
use super::{Op, Particle, Term};

/// Positions of one content model.
const MAX_POSITIONS: usize = 20_000;
/// Edges between them.
const MAX_EDGES: usize = 2_000_000;
/// Steps of building one model, repeated parts included.
const MAX_DEPTH: usize = 100;

/// What a position stands for.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    Element(ElementId),
    Wildcard(Arc<Wildcard>),
}

/// One place in a content model.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) leaf: Leaf,
    /// The particle of the schema that it is a copy of.
    pub(super) particle: u32,
}

/// A way to a position, or from one to the end, with what it does to counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) position: u32,
    pub(super) ops: Vec<Op>,
}

/// The automaton of positions.
#[derive(Default)]
pub(super) struct Glushkov {
    pub(super) positions: Vec<Position>,
    pub(super) follow: Vec<Vec<Way>>,
    pub(super) first: Vec<Way>,
    pub(super) last: Vec<Way>,
    pub(super) nullable: bool,
    pub(super) counters: u32,
    /// For each counter, whether something asks that it be high enough. The lower it stands, the better otherwise.
    from_below: Vec<bool>,
    /// Occurrences are written out as long as they need no more positions than this.
    written_out: usize,
    edges: usize,
}

/// The part of a model that a particle is.
#[derive(Clone, Default)]
struct Part {
    nullable: bool,
    first: Vec<Way>,
    last: Vec<Way>,
}

impl Part {
    fn empty() -> Self {
        Self { nullable: true, ..Self::default() }
    }
}

/// The automaton of positions of a particle.
///
/// # Errors
/// It grows over a bound, or an `xs:all` stands where none may.
pub(super) fn build(particle: &Particle, written_out: usize) -> Result<Glushkov, String> {
    let mut made = Glushkov { written_out, ..Glushkov::default() };
    let whole = made.particle(particle, 0, false)?;
    (made.nullable, made.first, made.last) = (whole.nullable, whole.first, whole.last);
    for follow in &mut made.follow {
        follow.sort_unstable();
        follow.dedup();
        let over = |one: &Way, other: &Way| dominates(&one.ops, &other.ops, &made.from_below);
        let better = |one: &Way, other: &Way| over(one, other) && !over(other, one);
        let needless: Vec<bool> = follow
            .chunk_by(|one, other| one.position == other.position)
            .flat_map(|same| same.iter().map(|way| same.iter().any(|other| better(other, way))))
            .collect();
        let mut needless = needless.into_iter();
        follow.retain(|_| needless.next() == Some(false));
    }
    Ok(made)
}

/// Whether all that may come after the one way to a position may come after the other as well: it asks no more, and leaves
/// no counter higher. Then the other way is needless: so is a new round of the outer of two loops where the inner one goes
/// on as well.
fn dominates(one: &[Op], other: &[Op], from_below: &[bool]) -> bool {
    let only =
        |ops: &[Op], others: &[Op]| ops.iter().filter(|op| !others.contains(op)).copied().collect::<Vec<_>>();
    let high = |counter: u32| from_below.get(counter as usize).is_none_or(|below| *below);
    let lower = only(one, other).into_iter().all(|op| match op {
        Op::One(counter) => other.contains(&Op::Add(counter)),
        _ => false,
    });
    lower
        && only(other, one).into_iter().all(|op| match op {
            Op::AtLeast(..) | Op::Below(..) => true,
            Op::Add(counter) => !high(counter),
            Op::One(_) => false,
        })
}

/// The occurrences of a term that occurs so often in a group that occurs so often, if all numbers between the least and the
/// most are possible.
fn together(
    (min, max): (u32, Option<u32>),
    (outer_min, outer_max): (u32, Option<u32>),
) -> Option<(u32, Option<u32>)> {
    let product = |a: Option<u32>, b: Option<u32>| match (a, b) {
        (Some(0), _) | (_, Some(0)) => Some(0),
        (Some(a), Some(b)) => Some(a.saturating_mul(b)),
        _ => None,
    };
    let fixed = outer_max == Some(outer_min);
    let no_gap = {
        let (rounds, least) = (u64::from(outer_min.max(1)), u64::from(min));
        max.is_none_or(|max| rounds * u64::from(max).saturating_sub(least) + 1 >= least)
            && (outer_min > 0 || min <= 1)
    };
    (fixed || no_gap).then(|| (min.saturating_mul(outer_min), product(max, outer_max)))
}

impl Glushkov {
    /// A term; `again` when it is within a choice that may be made again as often as one likes.
    fn term(&mut self, term: &Term, depth: usize, again: bool) -> Result<Part, String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "groups are nested more than {MAX_DEPTH} deep; make the content model simpler"
            ));
        }
        match term {
            Term::Element(element, particle) => self.leaf(Leaf::Element(*element), *particle),
            Term::Wildcard(wildcard, particle) => self.leaf(Leaf::Wildcard(wildcard.clone()), *particle),
            Term::Sequence(parts) => {
                let mut whole = Part::empty();
                for part in parts.iter() {
                    let next = self.particle(part, depth, false)?;
                    whole = self.sequence(whole, next)?;
                }
                Ok(whole)
            }
            Term::Choice(parts) => {
                let mut whole = Part::default();
                for part in parts.iter() {
                    let next = self.particle(part, depth, again)?;
                    whole.nullable |= next.nullable;
                    whole.first.extend(next.first);
                    whole.last.extend(next.last);
                }
                Ok(whole)
            }
            Term::All(_) => Err("an xs:all must be the whole of a content model, at most once".to_owned()),
        }
    }

    fn leaf(&mut self, leaf: Leaf, particle: u32) -> Result<Part, String> {
        let position = u32::try_from(self.positions.len()).unwrap_or(u32::MAX);
        if self.positions.len() >= MAX_POSITIONS {
            return Err(format!(
                "the content model needs more than {MAX_POSITIONS} positions; make it simpler, or its occurrences fewer"
            ));
        }
        self.positions.push(Position { leaf, particle });
        self.follow.push(Vec::new());
        let way = vec![Way { position, ops: Vec::new() }];
        Ok(Part { nullable: false, first: way.clone(), last: way })
    }

    /// Adds an edge from each of `last` to each of `first`, with `between` in the middle.
    fn join(&mut self, last: &[Way], between: &[Op], first: &[Way]) -> Result<(), String> {
        self.edges += last.len() * first.len();
        if self.edges > MAX_EDGES {
            return Err(format!("the content model needs more than {MAX_EDGES} edges; make it simpler"));
        }
        for from in last {
            let Some(follow) = self.follow.get_mut(from.position as usize) else { continue };
            for to in first {
                let ops = [from.ops.as_slice(), between, to.ops.as_slice()].concat();
                follow.push(Way { position: to.position, ops });
            }
        }
        Ok(())
    }

    fn sequence(&mut self, a: Part, b: Part) -> Result<Part, String> {
        self.join(&a.last, &[], &b.first)?;
        let mut whole = Part { nullable: a.nullable && b.nullable, first: a.first, last: b.last };
        if a.nullable {
            whole.first.extend(b.first);
        }
        if b.nullable {
            whole.last.extend(a.last);
        }
        Ok(whole)
    }

    fn particle(&mut self, particle: &Particle, depth: usize, again: bool) -> Result<Part, String> {
        let (mut term, mut min, mut max) = (&particle.term, particle.min, particle.max);
        // A group of one is what it holds, as often as both say.
        while let Term::Sequence(parts) | Term::Choice(parts) = term
            && let [only] = parts.as_ref()
            && let Some(occurs) = together((only.min, only.max), (min, max))
        {
            (term, (min, max)) = (&only.term, occurs);
        }
        if max == Some(0) {
            return Ok(Part::empty());
        }
        if again && min <= 1 {
            max = Some(1);
        }
        let again = min <= 1 && (max.is_none() || again);
        let before = self.positions.len();
        let mut part = self.term(term, depth + 1, again)?;
        let size = self.positions.len() - before;
        match (min, max) {
            _ if part.first.is_empty() => {
                part.nullable |= min == 0;
                Ok(part)
            }
            (_, Some(1)) => {
                part.nullable |= min == 0;
                Ok(part)
            }
            (0 | 1, None) => {
                self.join(&part.last, &[], &part.first)?;
                part.nullable |= min == 0;
                Ok(part)
            }
            _ => {
                let copies = max.unwrap_or(min) as usize;
                match copies.saturating_mul(size) <= self.written_out {
                    true => self.write_out(&Particle { min, max, term: term.clone() }, part, copies, depth),
                    false => self.count(min, max, part),
                }
            }
        }
    }

    /// `T{n,m}` as `T…T(T(T)?)?`, `T{n,}` as `T…T+`; `first` is the first copy.
    fn write_out(
        &mut self,
        particle: &Particle,
        first: Part,
        copies: usize,
        depth: usize,
    ) -> Result<Part, String> {
        let mut parts = vec![first];
        for _ in 1..copies {
            parts.push(self.term(&particle.term, depth + 1, false)?);
        }
        let must = particle.min as usize;
        let mut whole = Part::empty();
        for (number, part) in parts.into_iter().enumerate().rev() {
            if particle.max.is_none() && number + 1 == copies {
                self.join(&part.last, &[], &part.first)?;
            }
            whole = self.sequence(part, whole)?;
            whole.nullable |= number >= must;
        }
        Ok(whole)
    }

    /// `T{n,m}` with a counter.
    fn count(&mut self, min: u32, max: Option<u32>, part: Part) -> Result<Part, String> {
        let counter = self.counters;
        self.counters += 1;
        let mut between = Vec::new();
        between.extend(max.map(|max| Op::Below(counter, max)));
        between.push(Op::Add(counter));
        self.join(&part.last, &between, &part.first)?;
        // Occurrences that are empty count as well, so a part that can be empty has no least number.
        let least = if part.nullable { 0 } else { min };
        self.from_below.push(least > 1);
        let enter = |way: Way| Way { ops: [vec![Op::One(counter)], way.ops].concat(), ..way };
        let guard = Vec::from_iter((least > 1).then_some(Op::AtLeast(counter, least)));
        let leave = |way: Way| Way { ops: [way.ops, guard.clone()].concat(), ..way };
        Ok(Part {
            nullable: part.nullable || min == 0,
            first: part.first.into_iter().map(enter).collect(),
            last: part.last.into_iter().map(leave).collect(),
        })
    }
}
