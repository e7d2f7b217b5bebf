//! Tests of patterns.

use super::*;

fn matches(expression: &str, text: &str) -> bool {
    Pattern::compile(&[expression]).unwrap().is_match(text)
}

#[test]
fn matches_whole_texts() {
    for (expression, good, bad) in [
        ("", "", "a"),
        ("a|b", "b", "ab"),
        ("^a$", "^a$", "a"),
        (".", "ä", "\n"),
        ("[0-9]{4}", "2026", "20266"),
        ("a{2,}", "aaaa", "a"),
        ("a{0}b", "b", "ab"),
        ("[a-z-[aeiou]]+", "xyz", "xaz"),
        ("[^a-z-[0-9]]", "A", "5"),
        ("[-a]+", "-a", "b"),
        ("[a-]+", "a-", "b"),
        ("[,-\\.]+", ",-.", "/"),
        ("\\p{Lu}\\p{IsBasicLatin}*", "Äab", "ab"),
        ("\\P{L}", "1", "a"),
        ("\\i\\c*", "_a.1:b", "-a"),
        ("\\I\\C", "- ", "aa"),
        ("\\d+", "٣4", "a"),
        ("\\w\\W", "ä.", "a1"),
        ("(ab|cd){2}", "abcd", "ab"),
        ("[\\s]\\S", "\ta", "aa"),
        ("\\p{IsGreek}", "α", "a"),
        ("\\p{Zl}\\P{Zp}", "\u{2028}a", "a\u{2029}"),
        ("(a|aa)*b", "aaaab", "aaaa"),
    ] {
        assert!(matches(expression, good), "{expression} {good}");
        assert!(!matches(expression, bad), "{expression} {bad}");
    }
}

#[test]
fn refuses_what_is_no_expression() {
    for bad in [
        "*",
        "a**",
        "a{",
        "a{x}",
        "a{2,1}",
        "(",
        ")",
        "(a",
        "[",
        "[]",
        "[^]",
        "[b-a]",
        "\\",
        "\\q",
        "\\p{Foo}",
        "\\p{IsFoo}",
        "\\pL",
        "a{1000000}",
        "\\$",
        "[a-\\d]",
        "[a-c-e]",
        "(?:a)",
        "]",
        "a{,3}",
        "[[a]]",
        "[a-[b]c]",
    ] {
        assert!(Pattern::compile(&[bad]).is_err(), "{bad}");
    }
    assert!(Pattern::compile(&[&"(".repeat(10_000)]).is_err());
    assert!(Pattern::compile(&["((a{1000}){1000}){1000}"]).is_err());
}

#[test]
fn falls_back_where_the_table_would_be_too_large() {
    let pattern = Pattern::compile(&["(\\w|\\d\\w){1,60}x?(a|b)*a(a|b){14}"]).unwrap();
    assert!(matches!(pattern.engine, Engine::Large(_)));
    assert!(pattern.is_match("Ärger1234xabaaaaaaaaaaaaaaaaa"));
    assert!(!pattern.is_match("Ärger-xabaaaaaaaaaaaaaaaaa"));
    assert!(!pattern.is_match("\n"));
}

#[test]
fn proves_which_characters_are_harmless() {
    let set = |expression: &str| match Pattern::compile(&[expression]).unwrap().engine {
        Engine::Table { harmless, .. } => {
            (0..128_u8).filter(|c| harmless[*c as usize]).map(char::from).collect()
        }
        Engine::Large(_) => String::from("?"),
    };
    assert_eq!(set("([a-c]|d\u{301}|e|ef)*"), "abce");
    assert_eq!(set("[0-9]+"), "0123456789");
    assert_eq!(set("[0-9]{1,9}"), "");
    assert_eq!(set("a*b*"), "b");
}

/// All texts up to five characters over a small alphabet, against another engine.
#[test]
fn agrees_with_another_engine() {
    let letters = ['a', 'b', 'ä', '-'];
    let mut texts = vec![String::new()];
    for _ in 0..5 {
        let longer = texts.iter().flat_map(|text| letters.map(|c| format!("{text}{c}"))).collect::<Vec<_>>();
        texts.extend(longer);
        texts.sort();
        texts.dedup();
    }
    for expression in
        ["(a|ab|ä-)*", "[^a]+", "(a?b){1,2}-*", "(a|b)*a(a|b)", ".{2,3}", "a*b*ä*", "((a|ä)+-)*b?"]
    {
        let pattern = Pattern::compile(&[expression]).unwrap();
        let other = regex::Regex::new(&format!("\\A(?:{expression})\\z")).unwrap();
        for text in &texts {
            assert_eq!(pattern.is_match(text), other.is_match(text), "{expression} {text}");
        }
    }
}
