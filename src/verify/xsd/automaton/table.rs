//! From positions to a deterministic table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::model::ElementId;
use super::super::names::{Name, Ns};
use super::super::wildcard::Wildcard;
use super::glushkov::{Glushkov, Leaf, Way, build};
use super::{AllGroup, Automaton, Content, Edge, Op, Particle, Span, State, Term, WildEdge};

/// Occurrences are written out up to so many positions, and counted beyond.
const WRITTEN_OUT: usize = 128;
/// The same where counting can't tell occurrences apart.
const WRITTEN_OUT_AT_MOST: usize = 1_000;
/// Rows of one table.
const MAX_STATES: usize = 50_000;
/// Edges of one table.
const MAX_EDGES: usize = 1_000_000;
/// Ways from sets of positions that are looked at for one table.
const MAX_WAYS: usize = 2_000_000;

/// What the compiler knows of elements.
pub(crate) trait Naming {
    /// The names of elements that may stand for a declaration, itself included (substitution groups), with their
    /// declarations. An abstract one is not among them.
    fn names(&self, element: ElementId) -> Vec<(Name, ElementId)>;
    /// The namespace of a name.
    fn namespace(&self, name: Name) -> Ns;
    /// A name as it is shown.
    fn show(&self, name: Name) -> String;
}

/// Why a table can't be made.
enum Trouble {
    /// Counters tell no occurrences apart here.
    Counting,
    /// Anything else, in a sentence.
    Fault(String),
}

/// The content model of a particle.
///
/// # Errors
/// A sentence: too large, or not deterministic.
pub(crate) fn compile(particle: &Particle, naming: &dyn Naming) -> Result<Content, String> {
    let mut particle = particle;
    // A group of one that occurs once is what it holds.
    while let Term::Sequence(parts) | Term::Choice(parts) = &particle.term
        && let ([only], 1, Some(1)) = (parts.as_ref(), particle.min, particle.max)
    {
        particle = only;
    }
    if let Term::All(members) = &particle.term {
        return all(particle, members, naming).map(Content::All);
    }
    for written_out in [WRITTEN_OUT, WRITTEN_OUT_AT_MOST] {
        match Builder::new(build(particle, written_out)?, naming).table() {
            Ok(table) => return Ok(Content::Ordered(table)),
            Err(Trouble::Fault(sentence)) => return Err(sentence),
            Err(Trouble::Counting) => {}
        }
    }
    Err("occurrences are nested so that they can't be counted; give the inner or the outer group a smaller maxOccurs"
        .to_owned())
}

/// Section 3.8.6, "All Group Limited", and 3.3.4 for its members.
fn all(particle: &Particle, members: &[Particle], naming: &dyn Naming) -> Result<AllGroup, String> {
    if particle.max != Some(1) {
        return Err("an xs:all occurs at most once".to_owned());
    }
    let mut group = AllGroup { optional: particle.min == 0, ..AllGroup::default() };
    for member in members {
        let Term::Element(element, _) = &member.term else {
            return Err("an xs:all holds elements alone".to_owned());
        };
        match member.max {
            Some(0) => continue,
            Some(1) => {}
            _ => return Err("an element in an xs:all occurs at most once".to_owned()),
        }
        let number = u32::try_from(group.required.len()).unwrap_or(u32::MAX);
        group.required.push(member.min > 0);
        for (name, declaration) in naming.names(*element) {
            group.names.push((name, declaration, number));
        }
    }
    group.names.sort_unstable();
    match group.names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => Err(format!("{} stands twice in an xs:all", naming.show(twice[0].0))),
        None => Ok(group),
    }
}

/// A way into a set of positions: the same for each of them.
#[derive(Clone)]
struct Into {
    particle: u32,
    element: ElementId,
    ops: Vec<Op>,
    targets: Vec<u32>,
}

struct Builder<'n> {
    glushkov: Glushkov,
    naming: &'n dyn Naming,
    /// For each position, the class of those with the same future.
    classes: Vec<u32>,
    /// For each position, the guards of the ways from it to the end.
    ends: Vec<Vec<Vec<Op>>>,
    names: HashMap<ElementId, Arc<[(Name, ElementId)]>>,
    known: HashMap<Vec<u32>, u32>,
    /// Sets of positions, one per row that is made or to be made.
    rows: Vec<Vec<u32>>,
    table: Automaton,
}

impl<'n> Builder<'n> {
    fn new(glushkov: Glushkov, naming: &'n dyn Naming) -> Self {
        let mut ends: Vec<Vec<Vec<Op>>> = vec![Vec::new(); glushkov.positions.len()];
        for way in &glushkov.last {
            if let Some(end) = ends.get_mut(way.position as usize) {
                end.push(way.ops.clone());
            }
        }
        let mut known = HashMap::new();
        let mut classes = Vec::with_capacity(ends.len());
        for (follow, end) in glushkov.follow.iter().zip(&ends) {
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            classes.push(*known.entry((follow, end)).or_insert(next));
        }
        let table = Automaton { counters: glushkov.counters as usize, ..Automaton::default() };
        let (names, known) = (HashMap::new(), HashMap::new());
        Self { glushkov, naming, classes, ends, names, known, rows: Vec::new(), table }
    }

    fn table(mut self) -> Result<Automaton, Trouble> {
        let first = std::mem::take(&mut self.glushkov.first);
        let accepts = self.glushkov.nullable.then(Span::default);
        self.rows.push(Vec::new());
        self.row(&first, accepts)?;
        let (mut next, mut looked_at) = (1, 0);
        while let Some(set) = self.rows.get(next).cloned() {
            let mut ways: Vec<Way> = Vec::new();
            for position in &set {
                ways.extend(self.glushkov.follow.get(*position as usize).into_iter().flatten().cloned());
            }
            // Several positions at once have to be sorted; what follows one alone is sorted already.
            looked_at += ways.len() * if set.len() > 1 { 10 } else { 1 };
            if looked_at > MAX_WAYS {
                let bound = format!(
                    "the content model needs more than {MAX_WAYS} steps to be compiled; make it simpler"
                );
                return Err(Trouble::Fault(bound));
            }
            if set.len() > 1 {
                ways.sort_unstable();
                ways.dedup();
            }
            let accepts = self.accepts(&set)?;
            self.row(&ways, accepts)?;
            next += 1;
        }
        Ok(self.table)
    }

    /// When the content may end in one of these positions.
    fn accepts(&mut self, set: &[u32]) -> Result<Option<Span>, Trouble> {
        let ends = set.iter().filter_map(|position| self.ends.get(*position as usize));
        let mut ends: Vec<&Vec<Op>> = ends.flatten().collect();
        ends.sort_unstable();
        ends.dedup();
        let guards = match ends.as_slice() {
            [] => return Ok(None),
            // One without guards makes the others needless.
            [first, ..] if first.is_empty() => Vec::new(),
            [only] => (*only).clone(),
            _ => return Err(Trouble::Counting),
        };
        Ok(Some(self.ops(guards)))
    }

    fn ops(&mut self, ops: Vec<Op>) -> Span {
        if ops.is_empty() {
            return Span::default();
        }
        let from = u32::try_from(self.table.ops.len()).unwrap_or(u32::MAX);
        let to = from.saturating_add(u32::try_from(ops.len()).unwrap_or(0));
        self.table.ops.extend(ops);
        Span(from, to)
    }

    fn names(&mut self, element: ElementId) -> Arc<[(Name, ElementId)]> {
        let naming = self.naming;
        self.names.entry(element).or_insert_with(|| naming.names(element).into()).clone()
    }

    /// The row of a set of positions; rows of sets with the same future are one.
    fn target(&mut self, mut set: Vec<u32>) -> Result<u32, Trouble> {
        set.sort_unstable();
        set.dedup();
        let mut key: Vec<u32> =
            set.iter().filter_map(|position| self.classes.get(*position as usize).copied()).collect();
        key.sort_unstable();
        key.dedup();
        if let Some(row) = self.known.get(&key) {
            return Ok(*row);
        }
        if self.rows.len() >= MAX_STATES || self.table.edges.len() > MAX_EDGES {
            let bound = format!("the content model needs more than {MAX_STATES} states; make it simpler");
            return Err(Trouble::Fault(bound));
        }
        let row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.known.insert(key, row);
        self.rows.push(set);
        Ok(row)
    }

    fn row(&mut self, ways: &[Way], accepts: Option<Span>) -> Result<(), Trouble> {
        let (mut named, mut wild) = (BTreeMap::<Name, Into>::new(), Vec::<(Arc<Wildcard>, Into)>::new());
        for way in ways {
            let Some(position) = self.glushkov.positions.get(way.position as usize).cloned() else {
                continue;
            };
            match position.leaf {
                Leaf::Element(element) => {
                    for (name, element) in self.names(element).iter() {
                        let into = into(position.particle, *element, way);
                        match named.get_mut(name) {
                            None => drop(named.insert(*name, into)),
                            Some(other) => merge(other, &into, || self.naming.show(*name))?,
                        }
                    }
                }
                Leaf::Wildcard(wildcard) => {
                    let into = into(position.particle, ElementId(0), way);
                    match wild.iter_mut().find(|(_, other)| other.particle == into.particle) {
                        None => wild.push((wildcard, into)),
                        Some((_, other)) => merge(other, &into, || "a wildcard".to_owned())?,
                    }
                }
            }
        }
        self.attributed(&named, &wild)?;
        let (edges, wildcards) = (self.table.edges.len(), self.table.wildcards.len());
        for (name, into) in named {
            let (to, ops) = (self.target(into.targets)?, self.ops(into.ops));
            self.table.edges.push(Edge { name, element: into.element, to, ops });
        }
        for (wildcard, into) in wild {
            let (to, ops) = (self.target(into.targets)?, self.ops(into.ops));
            self.table.wildcards.push(WildEdge { wildcard, to, ops });
        }
        let span = |from: usize, to: usize| {
            Span(u32::try_from(from).unwrap_or(u32::MAX), u32::try_from(to).unwrap_or(u32::MAX))
        };
        let edges = span(edges, self.table.edges.len());
        let wildcards = span(wildcards, self.table.wildcards.len());
        self.table.states.push(State { edges, wildcards, accepts });
        Ok(())
    }

    /// Section 3.8.6, "Unique Particle Attribution", as far as wildcards are concerned.
    fn attributed(
        &self,
        named: &BTreeMap<Name, Into>,
        wild: &[(Arc<Wildcard>, Into)],
    ) -> Result<(), Trouble> {
        for (number, (wildcard, _)) in wild.iter().enumerate() {
            let hit = named.keys().find(|name| wildcard.allowed.allows(self.naming.namespace(**name)));
            if let Some(name) = hit {
                return Err(ambiguous(&format!("{} and a wildcard", self.naming.show(*name))));
            }
            if wild.iter().skip(number + 1).any(|(other, _)| other.allowed.meets(&wildcard.allowed)) {
                return Err(ambiguous("two wildcards"));
            }
        }
        Ok(())
    }
}

fn into(particle: u32, element: ElementId, way: &Way) -> Into {
    Into { particle, element, ops: way.ops.clone(), targets: vec![way.position] }
}

fn ambiguous(what: &str) -> Trouble {
    Trouble::Fault(format!(
        "the content model is ambiguous: {what} may stand at the same place (Unique Particle Attribution)"
    ))
}

/// Two ways by the same name.
fn merge(other: &mut Into, new: &Into, shown: impl Fn() -> String) -> Result<(), Trouble> {
    if other.particle != new.particle {
        return Err(ambiguous(&format!("{} twice", shown())));
    }
    if other.ops != new.ops {
        return Err(Trouble::Counting);
    }
    other.targets.extend_from_slice(&new.targets);
    Ok(())
}
