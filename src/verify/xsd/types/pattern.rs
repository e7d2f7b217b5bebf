//! Regular expressions of XML Schema (XSD 1.0 part 2, appendix F), compiled once into an automaton that walks over
//! the octets of a text: time linear in the text, no memory, no lock.

mod blocks;
mod classes;
mod parse;

use std::collections::BTreeSet;
use std::sync::Arc;

use regex_automata::dfa::Automaton;
use regex_automata::dfa::dense;
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start::Config as Start;
use regex_automata::{Anchored, Input, MatchKind, meta};
use regex_syntax::hir::{Hir, Look};

/// Octets that the expanded form of an expression may take.
const LARGEST_NFA: usize = 10 * 1024 * 1024;
/// Octets that its table may take; beyond, the text is looked at by an automaton that is built as it goes.
const LARGEST_TABLE: usize = 2 * 1024 * 1024;
/// States up to which [`harmless`] looks for a proof.
const MOST_STATES: usize = 256;
/// Characters of an expression's text that a fault repeats.
const SHOWN: usize = 80;

/// The patterns of one restriction: a text matches if it matches one of them (section 4.3.4.3).
pub(super) struct Pattern {
    engine: Engine,
    shown: Arc<str>,
}

enum Engine {
    /// The whole automaton as a table.
    Table {
        dfa: Box<dense::DFA<Vec<u32>>>,
        start: StateID,
        /// ASCII characters of which every non-empty text matches.
        harmless: Box<[bool; 256]>,
    },
    /// For expressions whose table would be too large.
    Large(Box<meta::Regex>),
}

impl Pattern {
    /// Compiles expressions, any of which may match.
    ///
    /// # Errors
    /// A sentence that says what is wrong with one of them.
    pub(super) fn compile(expressions: &[&str]) -> Result<Self, String> {
        let parsed = expressions
            .iter()
            .map(|expression| parse::parse(expression).map_err(|why| told(expression, &why)));
        let hir = Hir::alternation(parsed.collect::<Result<Vec<_>, _>>()?);
        let joined = expressions.join("|");
        let large = || told(&joined, "it is too large when its repetitions are written out");
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .nfa_size_limit(Some(LARGEST_NFA))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(&hir)
            .map_err(|_| large())?;
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(regex_automata::dfa::StartKind::Anchored)
            .accelerate(false)
            .dfa_size_limit(Some(LARGEST_TABLE))
            .determinize_size_limit(Some(2 * LARGEST_TABLE));
        let table = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok().and_then(|dfa| {
            let start = dfa.start_state(&Start::new().anchored(Anchored::Yes)).ok()?;
            let harmless = Box::new(harmless(&dfa, start));
            Some(Engine::Table { dfa: Box::new(dfa), start, harmless })
        });
        let engine = match table {
            Some(table) => table,
            None => {
                let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
                let config = meta::Config::new().nfa_size_limit(Some(2 * LARGEST_NFA)).utf8_empty(true);
                let regex = meta::Builder::new().configure(config).build_from_hir(&whole);
                Engine::Large(Box::new(regex.map_err(|_| large())?))
            }
        };
        Ok(Self { engine, shown: cut(&joined) })
    }

    /// Whether the whole text matches.
    #[inline]
    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.engine {
            Engine::Table { dfa, start, harmless } => {
                let octets = text.as_bytes();
                if !octets.is_empty() && octets.iter().all(|octet| harmless[*octet as usize]) {
                    return true;
                }
                let mut state = *start;
                for octet in octets {
                    state = dfa.next_state(state, *octet);
                    if dfa.is_dead_state(state) {
                        return false;
                    }
                }
                dfa.is_match_state(dfa.next_eoi_state(state))
            }
            Engine::Large(regex) => regex.is_match(Input::new(text).anchored(Anchored::Yes)),
        }
    }

    /// Octets of the table, if there is one.
    #[cfg(test)]
    pub(super) fn table_octets(&self) -> Option<usize> {
        match &self.engine {
            Engine::Table { dfa, .. } => Some(dfa.memory_usage()),
            Engine::Large(_) => None,
        }
    }

    /// The expressions, cut to a length that can be shown.
    pub(super) fn shown(&self) -> &Arc<str> {
        &self.shown
    }
}

/// The largest set of ASCII characters found of which every non-empty text is proven to match: from each state that
/// they lead to, each of them leads to a state in which the text may end. So a text of them needs no automaton.
fn harmless(dfa: &dense::DFA<Vec<u32>>, start: StateID) -> [bool; 256] {
    let ends = |state| dfa.is_match_state(dfa.next_eoi_state(state));
    let mut set = [false; 256];
    for octet in 0..=127_u8 {
        set[octet as usize] = ends(dfa.next_state(start, octet));
    }
    'again: loop {
        let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
        while let Some(state) = open.pop() {
            for octet in (0..=127_u8).filter(|octet| set[*octet as usize]).collect::<Vec<_>>() {
                let next = dfa.next_state(state, octet);
                if !ends(next) {
                    // At most 128 times: each time the set gets smaller.
                    set[octet as usize] = false;
                    continue 'again;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
            if seen.len() > MOST_STATES {
                return [false; 256];
            }
        }
        return set;
    }
}

fn cut(expression: &str) -> Arc<str> {
    match expression.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", expression.get(..at).unwrap_or_default()).into(),
        None => expression.into(),
    }
}

fn told(expression: &str, why: &str) -> String {
    format!("the pattern {} is wrong: {why}", cut(expression))
}

#[cfg(test)]
mod tests;
