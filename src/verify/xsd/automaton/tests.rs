//! Automata against the regular expressions that mean the same.

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::verify::xsd::wildcard::Allowed;

/// Elements are the letters `a` to `h`, in the namespace 1; the namespace 2 has the other letters.
struct Letters;

impl Naming for Letters {
    fn names(&self, element: ElementId) -> Vec<(Name, ElementId)> {
        vec![(Name(element.0), element)]
    }

    fn namespace(&self, _: Name) -> Ns {
        Ns(1)
    }

    fn show(&self, name: Name) -> String {
        letter(name.0).to_string()
    }
}

fn letter(number: u32) -> char {
    char::from(b'a' + u8::try_from(number).unwrap())
}

/// A particle and its regular expression.
fn particle() -> impl Strategy<Value = (Particle, String)> {
    let leaf = (0_u32..5).prop_map(|number| match number {
        4 => {
            let wildcard = Wildcard { allowed: Allowed::These(vec![Ns(2)]), process: Process::Skip };
            (Term::Wildcard(Arc::new(wildcard), 99), "[x-z]".to_owned())
        }
        number => (Term::Element(ElementId(number), number), letter(number).to_string()),
    });
    let occurs = prop_oneof![
        4 => Just((1, Some(1))),
        1 => Just((0, Some(1))),
        1 => Just((0, None)),
        1 => Just((1, None)),
        1 => (0_u32..4, 0_u32..4).prop_map(|(min, more)| (min, Some(min + more))),
        1 => Just((2, None)),
        1 => (0_u32..3).prop_map(|min| (min, Some(300))),
        1 => Just((130, Some(140))),
    ];
    let with = |(term, text): (Term, String), (min, max): (u32, Option<u32>)| {
        let count = max.map_or(format!("{{{min},}}"), |max| format!("{{{min},{max}}}"));
        (Particle { min, max, term }, format!("(?:{text}){count}"))
    };
    let once = (leaf, occurs.clone()).prop_map(move |(term, occurs)| with(term, occurs));
    once.prop_recursive(3, 12, 3, move |inner| {
        let parts = prop::collection::vec(inner, 1..4);
        (parts, any::<bool>(), occurs.clone()).prop_map(move |(parts, sequence, occurs)| {
            let (particles, texts): (Vec<Particle>, Vec<String>) = parts.into_iter().unzip();
            let group = match sequence {
                true => (Term::Sequence(particles.into()), texts.concat()),
                false => (Term::Choice(particles.into()), texts.join("|")),
            };
            with(group, occurs)
        })
    })
}

fn accepts(automaton: &Automaton, word: &str) -> bool {
    let (mut state, mut counters) = (0, vec![0; automaton.counters()]);
    for c in word.chars() {
        let number = u32::from(c) - u32::from('a');
        let (namespace, name) = if c < 'x' { (Ns(1), Name(number)) } else { (Ns(2), Name::UNKNOWN) };
        if matches!(
            automaton.step(&mut state, &mut counters, namespace, name),
            Step::Stray | Step::Miscounted
        ) {
            return false;
        }
    }
    automaton.accepts(state, &counters)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Words come from the expression itself, with and without a change, and from nowhere.
    #[test]
    fn accepts_what_the_regular_expression_does(
        (particle, text) in particle(),
        stray in "[a-dx]{0,6}",
        lengths in prop::collection::vec(0_usize..400, 0..6),
    ) {
        let Ok(Content::Ordered(automaton)) = compile(&particle, &Letters) else { return Ok(()) };
        // What is too large for the oracle is left to the test of large counts.
        let oracle = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
        let Ok(oracle) = oracle else { return Ok(()) };
        prop_assert_eq!(accepts(&automaton, &stray), oracle.is_match(&stray), "{} {}", text, stray);
        for first in "abcdx".chars() {
            for length in &lengths {
                let word: String = std::iter::repeat_n(first, *length).collect();
                prop_assert_eq!(accepts(&automaton, &word), oracle.is_match(&word), "{} {}", text, word);
                let word = format!("{word}{stray}");
                prop_assert_eq!(accepts(&automaton, &word), oracle.is_match(&word), "{} {}", text, word);
            }
        }
    }
}

fn element(number: u32, min: u32, max: Option<u32>) -> Particle {
    Particle { min, max, term: Term::Element(ElementId(number), number) }
}

#[test]
fn counts_a_million_without_growing() {
    let sequence = Term::Sequence([element(0, 2, Some(1_000_000)), element(1, 1, None)].into());
    let particle = Particle { min: 1, max: Some(1_000), term: sequence };
    let Ok(Content::Ordered(automaton)) = compile(&particle, &Letters) else { panic!("no automaton") };
    assert!(automaton.size() < 20, "{}", automaton.size());
    let oracle = Regex::new("^(?:a{2,10}b+)+$").unwrap();
    for word in ["", "a", "aa", "aab", "aaabb", "aabab", "aabaab", "b", "aabaabb", "aaba"] {
        assert_eq!(accepts(&automaton, word), oracle.is_match(word), "{word}");
    }
}

#[test]
fn counts_within_counts_where_that_changes_nothing() {
    let once = |term| Particle { min: 1, max: Some(1), term };
    let choice = |min, max, parts: Vec<Particle>| Particle { min, max, term: Term::Choice(parts.into()) };
    let sequence = |min, max, parts: Vec<Particle>| Particle { min, max, term: Term::Sequence(parts.into()) };
    let large = Some(100_000_000);
    for (particle, oracle) in [
        (choice(1, Some(40), vec![element(0, 0, Some(100))]), "a{0,4000}"),
        (sequence(1, Some(1_000), vec![element(0, 1, None)]), "a+"),
        // Six is not among them.
        (sequence(1, Some(3), vec![element(0, 4, Some(5))]), "(a{4,5}){1,3}"),
        (sequence(3, Some(3), vec![element(0, 200, Some(201))]), "a{600,603}"),
        (
            choice(1, None, vec![element(0, 0, Some(100)), element(1, 1, Some(90)), element(2, 1, Some(1))]),
            "[abc]*",
        ),
        (
            choice(
                1,
                Some(200_000),
                vec![sequence(1, large, vec![element(0, 1, None)]), element(1, 1, Some(1))],
            ),
            "[ab]+",
        ),
        (
            choice(1, None, vec![sequence(1, large, vec![element(0, 1, large)]), element(1, 1, Some(1))]),
            "[ab]+",
        ),
        // Three rounds, and each is one of the two.
        (choice(1, Some(3), vec![element(0, 1, None), element(1, 1, Some(1))]), "(a+|b){1,3}"),
    ] {
        let Ok(Content::Ordered(automaton)) = compile(&once(Term::Sequence([particle].into())), &Letters)
        else {
            panic!("no automaton for {oracle}")
        };
        let regex = regex::RegexBuilder::new(&format!("^(?:{oracle})$")).size_limit(1 << 24).build().unwrap();
        let words = ["", "b", "ab", "aab", "abab", "aabaab", "bbb", "bbbb", "abc", "cc"].map(str::to_owned);
        let runs = [1, 3, 4, 5, 6, 8, 12, 15, 16, 150, 599, 600, 603, 604, 3_999, 4_000, 4_001]
            .map(|n| "a".repeat(n));
        for word in words.into_iter().chain(runs) {
            assert_eq!(accepts(&automaton, &word), regex.is_match(&word), "{oracle} {} {word}", word.len());
        }
    }
}

#[test]
fn refuses_what_is_ambiguous_and_what_grows_too_large() {
    let copy = |number, particle| Particle::once(Term::Element(ElementId(number), particle));
    let refused = |parts: Vec<Particle>, choice: bool| {
        let term = if choice { Term::Choice(parts.into()) } else { Term::Sequence(parts.into()) };
        compile(&Particle::once(term), &Letters).err().unwrap_or_default()
    };
    assert!(refused(vec![copy(0, 1), copy(0, 2)], true).contains("ambiguous"));
    assert_eq!(refused(vec![copy(0, 1), copy(0, 2)], false), "");
    assert!(refused(vec![element(0, 0, Some(1)), copy(0, 2)], false).contains("ambiguous"));
    let any = |particle| {
        let wildcard = Wildcard { allowed: Allowed::Any, process: Process::Lax };
        Particle { min: 0, max: Some(1), term: Term::Wildcard(Arc::new(wildcard), particle) }
    };
    assert!(refused(vec![any(1), copy(0, 2)], false).contains("a wildcard"));
    assert!(refused(vec![any(1), any(2)], false).contains("two wildcards"));
    // A group of many that is written out many times over.
    let wide: Vec<Particle> = (0..200).map(|number| element(number % 8, 1, Some(1))).collect();
    let mut nested = Particle::once(Term::Sequence(wide.into()));
    for _ in 0..8 {
        nested = Particle::once(Term::Sequence(vec![nested; 4].into()));
    }
    let faults = compile(&nested, &Letters).err().unwrap_or_default();
    assert!(faults.contains("more than"), "{faults}");
}

#[test]
fn an_all_group_takes_each_member_once_in_any_order() {
    let all = Term::All([element(0, 1, Some(1)), element(1, 0, Some(1))].into());
    let group = |min| match compile(&Particle { min, max: Some(1), term: all.clone() }, &Letters) {
        Ok(Content::All(group)) => group,
        _ => panic!("no group"),
    };
    for (min, word, fits) in [
        (1, "ab", true),
        (1, "ba", true),
        (1, "a", true),
        (1, "b", false),
        (1, "", false),
        (0, "", true),
        (0, "b", false),
    ] {
        let group = group(min);
        let mut seen = vec![0; group.words()];
        for c in word.chars() {
            let step = group.step(&mut seen, Name(u32::from(c) - u32::from('a')));
            assert!(matches!(step, Step::Element(_)));
        }
        assert_eq!(group.accepts(&seen), fits, "{min} {word}");
        if let Some(c) = word.chars().next() {
            assert_eq!(group.step(&mut seen, Name(u32::from(c) - u32::from('a'))), Step::Miscounted);
        }
    }
    assert!(compile(&Particle { min: 1, max: Some(2), term: all }, &Letters).is_err());
}
