//! Names of XML 1.0 (fifth edition, section 2.3) and Namespaces in XML 1.0 (section 4).

/// The octet may begin a name.
pub(crate) const START: u8 = 1;
/// The octet may stand in a name.
pub(crate) const NAME: u8 = 2;
/// White space.
pub(crate) const SPACE: u8 = 4;
/// In an attribute value the octet needs more than copying.
pub(crate) const SPECIAL: u8 = 8;
/// `<`, which no attribute value may hold.
pub(crate) const LESS: u8 = 16;
/// Part of a character beyond ASCII.
pub(crate) const HIGH: u8 = 32;
/// Ends a run of text, or may: `<`, `&` and `>`.
pub(crate) const MARKUP: u8 = 64;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let c = octet as u8;
        let mut class = 0;
        if c.is_ascii_alphabetic() || c == b'_' {
            class |= START | NAME;
        }
        if c.is_ascii_digit() || c == b'-' || c == b'.' {
            class |= NAME;
        }
        if matches!(c, b' ' | b'\t' | b'\n' | b'\r') {
            class |= SPACE;
        }
        if matches!(c, b'\t' | b'\n' | b'\r' | b'&' | b'"') {
            class |= SPECIAL;
        }
        if c == b'<' {
            class |= LESS;
        }
        if matches!(c, b'<' | b'&' | b'>') {
            class |= MARKUP;
        }
        if c >= 0x80 {
            class |= HIGH;
        }
        table[octet] = class;
        octet += 1;
    }
    table
}

static CLASSES: [u8; 256] = classes();

/// The classes of an octet.
#[inline]
pub(crate) fn class(octet: u8) -> u8 {
    CLASSES[octet as usize]
}

/// Whether all of `text` is white space (XML 1.0, production 3).
pub(crate) fn is_space(text: &str) -> bool {
    text.bytes().all(|octet| class(octet) & SPACE != 0)
}

/// A scanned qualified name: where it ends and where its colon stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Offset after the name.
    pub(crate) end: usize,
    /// Offset of the colon, if any.
    pub(crate) colon: Option<usize>,
}

/// Scans the qualified name that begins at `from`; `None` when none does. The name ends at the
/// first octet that can't belong to one. Always inlined: handed up through memory, the answer would be waited for.
#[inline(always)]
pub(crate) fn scan(text: &str, from: usize) -> Option<Scanned> {
    let octets = text.as_bytes();
    let mut at = from;
    let mut colon = None;
    let mut seen = 0;
    while let Some(octet) = octets.get(at) {
        let class = class(*octet);
        if class & (NAME | HIGH) != 0 {
            seen |= class;
        } else if *octet == b':' && colon.is_none() {
            colon = Some(at);
        } else {
            break;
        }
        at += 1;
    }
    let begins = |at: usize| octets.get(at).is_some_and(|octet| class(*octet) & START != 0);
    let fits = match seen & HIGH {
        0 => begins(from) && colon.is_none_or(|colon| begins(colon + 1)),
        _ => text.get(from..at).is_some_and(is_qname),
    };
    fits.then_some(Scanned { end: at, colon })
}

/// Whether `text` is a qualified name, of any characters.
#[cold]
fn is_qname(text: &str) -> bool {
    match text.split_once(':') {
        Some((prefix, local)) => is_ncname(prefix) && is_ncname(local),
        None => is_ncname(text),
    }
}

/// Whether `text` is a name without a colon.
pub(crate) fn is_ncname(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(starts) && chars.all(continues)
}

fn starts(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}' | '\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn continues(c: char) -> bool {
    starts(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}' | '\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_qualified_names() {
        assert_eq!(scan("a:b c", 0), Some(Scanned { end: 3, colon: Some(1) }));
        assert_eq!(scan("nachrichtenkopf.g2g>", 0), Some(Scanned { end: 19, colon: None }));
        assert_eq!(scan("größe=", 0), Some(Scanned { end: 7, colon: None }));
        for bad in ["", "1a", ":a", "a:", "a:1", "-a", "×a", "ä:1"] {
            assert_eq!(scan(bad, 0), None, "{bad}");
        }
        // A second colon ends the name; what follows is then no white space.
        assert_eq!(scan("a:b:c", 0), Some(Scanned { end: 3, colon: Some(1) }));
    }
}
