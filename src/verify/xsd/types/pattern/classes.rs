//! Classes of characters by name (appendix F.1.1).

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind, Literal};

use super::blocks::BLOCKS;
use crate::verify::names::is_ncname;

/// Characters that may begin a name, and that may stand in one (XML 1.0, fifth edition, as the parser has them).
static NAMES: LazyLock<(ClassUnicode, ClassUnicode)> = LazyLock::new(|| {
    let mut text = String::from("a");
    let ranges = |takes: &mut dyn FnMut(char) -> bool| {
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut before = false;
        for c in '\0'..=char::MAX {
            let taken = takes(c);
            match ranges.last_mut().filter(|_| before) {
                Some((_, end)) if taken => *end = c,
                _ if taken => ranges.push((c, c)),
                _ => {}
            }
            before = taken;
        }
        ClassUnicode::new(ranges.into_iter().map(|(from, to)| ClassUnicodeRange::new(from, to)))
    };
    let starts = ranges(&mut |c| c == ':' || is_ncname(c.encode_utf8(&mut [0; 4])));
    let continues = ranges(&mut |c| {
        text.truncate(1);
        text.push(c);
        c == ':' || is_ncname(&text)
    });
    (starts, continues)
});

/// The class that a letter behind a backslash names.
pub(super) fn multiple(letter: char) -> Option<ClassUnicode> {
    let mut class = match letter.to_ascii_lowercase() {
        's' => ClassUnicode::new(['\t', '\n', '\r', ' '].map(|c| ClassUnicodeRange::new(c, c))),
        'i' => NAMES.0.clone(),
        'c' => NAMES.1.clone(),
        'd' => category("Nd")?,
        'w' => {
            let mut class = category("P")?;
            class.union(&category("Z")?);
            class.union(&category("C")?);
            class.negate();
            class
        }
        _ => return None,
    };
    if letter.is_ascii_uppercase() {
        class.negate();
    }
    Some(class)
}

/// The category or block with this name.
pub(super) fn property(name: &str) -> Option<ClassUnicode> {
    if let Some(block) = name.strip_prefix("Is") {
        let mut class = ClassUnicode::empty();
        for (_, from, to) in BLOCKS.iter().filter(|(name, _, _)| *name == block) {
            let (from, to) = (char::from_u32(*from), char::from_u32(*to));
            match (from, to) {
                (Some(from), Some(to)) => class.push(ClassUnicodeRange::new(from, to)),
                // Surrogates are no characters: the block is known and empty.
                _ => return Some(class),
            }
        }
        return (!class.ranges().is_empty()).then_some(class);
    }
    const CATEGORIES: [&str; 36] = [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd",
        "Ps", "Pe", "Pi", "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf",
        "Co", "Cn",
    ];
    CATEGORIES.contains(&name).then(|| category(name)).flatten()
}

fn category(name: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!("\\p{{{name}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A category of one character.
        HirKind::Literal(Literal(octets)) => {
            let c = std::str::from_utf8(&octets).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}
