//! Content models (XSD 1.0 part 1, sections 3.7 and 3.8) as deterministic automata.
//!
//! A particle becomes an automaton of positions (Glushkov's), and this a table with one row per set of positions that
//! can't be told apart. Few occurrences are written out; many are counted: an edge then carries guards and
//! changes of counters, so that `maxOccurs="1000000"` costs what `maxOccurs="2"` does. The rule
//! "Unique Particle Attribution" (3.8.6) makes the table deterministic; a model that breaks it is refused.

mod glushkov;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::model::ElementId;
use super::names::{Name, Ns};
use super::types::SimpleType;
use super::wildcard::{Process, Wildcard};

pub(crate) use table::{Naming, compile};

/// What can be in an element of a complex type (section 3.4.1, content type).
pub(crate) enum Content {
    /// Nothing.
    Empty,
    /// A value.
    Simple(Arc<SimpleType>),
    /// Elements in an order.
    Ordered(Automaton),
    /// Elements in any order, each at most once.
    All(AllGroup),
}

/// A particle (section 3.9).
#[derive(Clone, Debug)]
pub(crate) struct Particle {
    pub(super) min: u32,
    /// `None`: unbounded.
    pub(super) max: Option<u32>,
    pub(super) term: Term,
}

/// A term. Groups that are referred to are shared.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    /// An element, with the number of its particle in the schema.
    Element(ElementId, u32),
    Wildcard(Arc<Wildcard>, u32),
    Sequence(Arc<[Particle]>),
    Choice(Arc<[Particle]>),
    All(Arc<[Particle]>),
}

impl Particle {
    /// One occurrence of a term.
    pub(super) fn once(term: Term) -> Self {
        Self { min: 1, max: Some(1), term }
    }

    /// Section 3.9.6, "Particle Emptiable".
    pub(super) fn is_emptiable(&self) -> bool {
        self.min == 0
            || match &self.term {
                Term::Element(..) | Term::Wildcard(..) => false,
                Term::Sequence(parts) | Term::All(parts) => parts.iter().all(Self::is_emptiable),
                Term::Choice(parts) => parts.iter().any(Self::is_emptiable),
            }
    }
}

/// What an edge asks of counters and does with them. All guards come before all changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Op {
    /// The counter is at least this.
    AtLeast(u32, u32),
    /// The counter is below this.
    Below(u32, u32),
    /// The counter grows by one.
    Add(u32),
    /// The counter becomes one.
    One(u32),
}

/// A range in a table of the automaton.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(u32, u32);

impl Span {
    fn of<T>(self, table: &[T]) -> &[T] {
        table.get(self.0 as usize..self.1 as usize).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Sorted by name.
    edges: Span,
    wildcards: Span,
    /// When the content may end here: `None` never, else if the guards allow.
    accepts: Option<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    name: Name,
    element: ElementId,
    to: u32,
    ops: Span,
}

#[derive(Clone, Debug)]
struct WildEdge {
    wildcard: Arc<Wildcard>,
    to: u32,
    ops: Span,
}

/// A deterministic automaton with counters.
#[derive(Default)]
pub(crate) struct Automaton {
    states: Vec<State>,
    edges: Vec<Edge>,
    wildcards: Vec<WildEdge>,
    ops: Vec<Op>,
    counters: usize,
}

/// What a child element is to its parent's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An element with this declaration.
    Element(ElementId),
    /// Let in by a wildcard.
    Wild(Process),
    /// It may not stand here.
    Stray,
    /// It may stand here, but there are too many or too few of something already.
    Miscounted,
}

impl Automaton {
    /// Goes on by one child. `state` and `counters` stay as they are where the child may not stand.
    #[inline]
    pub(crate) fn step(&self, state: &mut u32, counters: &mut [u32], namespace: Ns, name: Name) -> Step {
        let Some(now) = self.states.get(*state as usize) else { return Step::Stray };
        let edges = now.edges.of(&self.edges);
        let edge = if edges.len() <= 8 {
            edges.iter().find(|edge| edge.name == name)
        } else {
            edges.binary_search_by_key(&name, |edge| edge.name).ok().and_then(|at| edges.get(at))
        };
        if let Some(edge) = edge.filter(|_| name != Name::UNKNOWN) {
            return match self.apply(edge.ops, counters) {
                true => {
                    *state = edge.to;
                    Step::Element(edge.element)
                }
                false => Step::Miscounted,
            };
        }
        for wild in now.wildcards.of(&self.wildcards) {
            if wild.wildcard.allowed.allows(namespace) {
                return match self.apply(wild.ops, counters) {
                    true => {
                        *state = wild.to;
                        Step::Wild(wild.wildcard.process)
                    }
                    false => Step::Miscounted,
                };
            }
        }
        Step::Stray
    }

    /// Whether the content may end.
    #[inline]
    pub(crate) fn accepts(&self, state: u32, counters: &[u32]) -> bool {
        let accepts = self.states.get(state as usize).and_then(|state| state.accepts);
        accepts.is_some_and(|guards| guards.of(&self.ops).iter().all(|op| holds(*op, counters)))
    }

    /// How many counters a run needs.
    #[inline]
    pub(crate) fn counters(&self) -> usize {
        self.counters
    }

    /// How large the table is: rows and edges.
    pub(super) fn size(&self) -> usize {
        self.states.len() + self.edges.len() + self.wildcards.len()
    }

    #[inline]
    fn apply(&self, ops: Span, counters: &mut [u32]) -> bool {
        let ops = ops.of(&self.ops);
        if ops.is_empty() {
            return true;
        }
        if !ops.iter().all(|op| holds(*op, counters)) {
            return false;
        }
        for op in ops {
            let (counter, value) = match op {
                Op::Add(counter) => {
                    (*counter, counters.get(*counter as usize).map_or(0, |c| c.saturating_add(1)))
                }
                Op::One(counter) => (*counter, 1),
                Op::AtLeast(..) | Op::Below(..) => continue,
            };
            if let Some(counter) = counters.get_mut(counter as usize) {
                *counter = value;
            }
        }
        true
    }

    /// Names of elements that may come next, and whether others may by a wildcard.
    pub(crate) fn expected(&self, state: u32, counters: &[u32]) -> (Vec<Name>, bool) {
        let Some(now) = self.states.get(state as usize) else { return (Vec::new(), false) };
        let fits = |ops: Span| ops.of(&self.ops).iter().all(|op| holds(*op, counters));
        let edges = now.edges.of(&self.edges).iter().filter(|edge| fits(edge.ops));
        let wild = now.wildcards.of(&self.wildcards).iter().any(|wild| fits(wild.ops));
        (edges.map(|edge| edge.name).collect(), wild)
    }
}

#[inline]
fn holds(op: Op, counters: &[u32]) -> bool {
    let value = |counter: u32| counters.get(counter as usize).copied().unwrap_or(0);
    match op {
        Op::AtLeast(counter, least) => value(counter) >= least,
        Op::Below(counter, most) => value(counter) < most,
        Op::Add(_) | Op::One(_) => true,
    }
}

/// An `xs:all` group, the whole of a content model. Its state are bits, one for each member that has been there.
#[derive(Debug, Default)]
pub(crate) struct AllGroup {
    /// Sorted by name: the declaration and the number of the member that it is.
    names: Vec<(Name, ElementId, u32)>,
    /// For each member, whether it must be there.
    required: Vec<bool>,
    /// The whole group may be left out.
    optional: bool,
}

impl AllGroup {
    /// Words of 32 bits that a run needs.
    pub(crate) fn words(&self) -> usize {
        self.required.len().div_ceil(32)
    }

    /// Goes on by one child.
    pub(crate) fn step(&self, seen: &mut [u32], name: Name) -> Step {
        let found = self.names.binary_search_by_key(&name, |(name, ..)| *name).ok();
        let Some((_, element, member)) = found.and_then(|at| self.names.get(at)) else { return Step::Stray };
        let (word, bit) = (*member as usize / 32, 1 << (member % 32));
        match seen.get_mut(word) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                Step::Element(*element)
            }
            _ => Step::Miscounted,
        }
    }

    fn has(seen: &[u32], member: usize) -> bool {
        seen.get(member / 32).is_some_and(|word| word >> (member % 32) & 1 == 1)
    }

    /// Whether all that is required has been there.
    pub(crate) fn accepts(&self, seen: &[u32]) -> bool {
        let untouched = self.optional && seen.iter().all(|word| *word == 0);
        untouched || self.required.iter().enumerate().all(|(at, required)| !required || Self::has(seen, at))
    }

    /// Names of elements that have not been there.
    pub(crate) fn expected(&self, seen: &[u32]) -> Vec<Name> {
        let open = self.names.iter().filter(|(_, _, member)| !Self::has(seen, *member as usize));
        open.map(|(name, ..)| *name).collect()
    }
}
