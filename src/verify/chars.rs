//! Character data: references, line ends, and how canonical XML writes it
//! (Canonical XML 1.0, sections 1.1 and 2.3; XML 1.0, sections 2.11, 3.3.3, 4.1 and 4.6).

use std::borrow::Cow;

use super::names;

/// A loop over octets that the compiler knows how to do many at a time. What does it is always inlined: what is
/// not is compiled for the least of processors.
pub(crate) trait Look {
    /// What is seen.
    type Seen;

    /// Looks; to be marked `inline(always)`, as all that it calls.
    fn look(self, octets: &[u8]) -> Self::Seen;
}

struct Looking<'o, L> {
    octets: &'o [u8],
    look: L,
}

impl<L: Look> pulp::NullaryFnOnce for Looking<'_, L> {
    type Output = L::Seen;

    #[inline(always)]
    fn call(self) -> L::Seen {
        self.look.look(self.octets)
    }
}

/// Looks with the widest vectors that the processor has.
#[inline]
pub(crate) fn wide<L: Look>(octets: &[u8], look: L) -> L::Seen {
    pulp::Arch::new().dispatch(Looking { octets, look })
}

/// Takes octets in order.
pub(crate) trait Out {
    /// Takes the next octets.
    fn put(&mut self, octets: &[u8]);

    /// How many it has taken.
    fn taken(&self) -> usize;
}

impl Out for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }

    fn taken(&self) -> usize {
        self.len()
    }
}

impl Out for String {
    fn taken(&self) -> usize {
        self.len()
    }

    fn put(&mut self, octets: &[u8]) {
        // Only whole characters are ever put.
        self.push_str(&String::from_utf8_lossy(octets));
    }
}

/// What is wrong with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReference {
    /// An entity that is not one of the five predefined.
    Entity,
    /// No reference at all, or a character that XML does not allow.
    Malformed,
}

/// The character that the reference with this name (between `&` and `;`) stands for.
pub(crate) fn reference(name: &str) -> Result<char, BadReference> {
    let number = match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => match name.strip_prefix('#') {
            Some(number) => number,
            None if super::names::is_ncname(name) => return Err(BadReference::Entity),
            None => return Err(BadReference::Malformed),
        },
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // Leading zeros are allowed without bound; signs are not.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(BadReference::Malformed);
    }
    let significant = digits.trim_start_matches('0');
    let code = if significant.len() > 8 { None } else { u32::from_str_radix(significant, radix).ok() };
    code.and_then(char::from_u32).filter(|c| is_char(*c)).ok_or(BadReference::Malformed)
}

/// XML 1.0, production 2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// A piece of an attribute value.
enum Piece<'v> {
    Literal(&'v str),
    Space,
    Reference(char),
}

/// Takes an attribute value apart: literal white space becomes a space (a CRLF one), references
/// are resolved.
fn pieces<'v>(raw: &'v str, mut take: impl FnMut(Piece<'v>)) -> Result<(), BadReference> {
    let mut rest = raw;
    while let Some(at) = rest.bytes().position(|octet| matches!(octet, b'&' | b'\t' | b'\n' | b'\r')) {
        let (literal, special) = rest.split_at(at);
        if !literal.is_empty() {
            take(Piece::Literal(literal));
        }
        if let Some(after) = special.strip_prefix('&') {
            let (name, after) = after.split_once(';').ok_or(BadReference::Malformed)?;
            take(Piece::Reference(reference(name)?));
            rest = after;
        } else {
            take(Piece::Space);
            rest = special.strip_prefix("\r\n").unwrap_or_else(|| special.get(1..).unwrap_or_default());
        }
    }
    if !rest.is_empty() {
        take(Piece::Literal(rest));
    }
    Ok(())
}

/// The normalised value of an attribute.
///
/// # Errors
/// A reference that can't be resolved.
pub(crate) fn attribute_value(raw: &str) -> Result<Cow<'_, str>, BadReference> {
    if !raw.bytes().any(|octet| matches!(octet, b'&' | b'\t' | b'\n' | b'\r')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    pieces(raw, |piece| match piece {
        Piece::Literal(text) => value.push_str(text),
        Piece::Space => value.push(' '),
        Piece::Reference(c) => value.push(c),
    })?;
    Ok(Cow::Owned(value))
}

/// Writes an attribute value canonically. Unresolvable references have been refused before.
pub(crate) fn put_attribute(out: &mut impl Out, raw: &str) {
    let _checked = pieces(raw, |piece| match piece {
        Piece::Literal(text) => put_attribute_literal(out, text),
        Piece::Space => out.put(b" "),
        Piece::Reference(c) => match c {
            '\t' => out.put(b"&#x9;"),
            '\n' => out.put(b"&#xA;"),
            '\r' => out.put(b"&#xD;"),
            '&' => out.put(b"&amp;"),
            '<' => out.put(b"&lt;"),
            '"' => out.put(b"&quot;"),
            c => put_char(out, c),
        },
    });
}

/// Writes an already normalised attribute value canonically.
pub(crate) fn put_attribute_value(out: &mut impl Out, value: &str) {
    let special = |octet: &u8| names::class(*octet) & (names::SPECIAL | names::LESS) != 0;
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        let (before, after) = rest.split_at(at);
        out.put(before);
        match after.first() {
            Some(b'\t') => out.put(b"&#x9;"),
            Some(b'\n') => out.put(b"&#xA;"),
            Some(b'\r') => out.put(b"&#xD;"),
            Some(b'&') => out.put(b"&amp;"),
            Some(b'<') => out.put(b"&lt;"),
            _ => out.put(b"&quot;"),
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.put(rest);
}

fn put_attribute_literal(out: &mut impl Out, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'"', rest) {
        let (before, after) = rest.split_at(at);
        out.put(before);
        out.put(b"&quot;");
        rest = after.get(1..).unwrap_or_default();
    }
    out.put(rest);
}

fn put_char(out: &mut impl Out, c: char) {
    out.put(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writes a character that a reference in text stands for.
pub(crate) fn put_reference(out: &mut impl Out, c: char) {
    match c {
        '&' => out.put(b"&amp;"),
        '<' => out.put(b"&lt;"),
        '>' => out.put(b"&gt;"),
        '\r' => out.put(b"&#xD;"),
        c => put_char(out, c),
    }
}

/// Whether [`put_reference`] would write a reference just as it stands.
#[inline]
pub(crate) fn is_canonical(raw: &str) -> bool {
    matches!(raw, "&amp;" | "&lt;" | "&gt;" | "&#xD;")
}

/// Writes text without references: `>` is escaped, line ends become line feeds.
pub(crate) fn put_text(out: &mut impl Out, raw: &str) {
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr::memchr2(b'>', b'\r', rest) {
        let (before, special) = rest.split_at(at);
        out.put(before);
        rest = put_special(out, special);
    }
    out.put(rest);
}

/// Writes the content of a CDATA section as text.
pub(crate) fn put_cdata(out: &mut impl Out, raw: &str) {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|octet| matches!(octet, b'<' | b'>' | b'&' | b'\r')) {
        let (before, special) = rest.split_at(at);
        out.put(before);
        rest = put_special(out, special);
    }
    out.put(rest);
}

/// Writes what the first octet of `special` becomes; the octets after it.
fn put_special<'v>(out: &mut impl Out, special: &'v [u8]) -> &'v [u8] {
    match special {
        [b'<', ..] => out.put(b"&lt;"),
        [b'>', ..] => out.put(b"&gt;"),
        [b'&', ..] => out.put(b"&amp;"),
        [b'\r', b'\n', rest @ ..] => {
            out.put(b"\n");
            return rest;
        }
        _ => out.put(b"\n"),
    }
    special.get(1..).unwrap_or_default()
}

/// Writes octets with line ends as line feeds (XML 1.0, section 2.11).
pub(crate) fn put_lines(out: &mut impl Out, raw: &str) {
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr::memchr(b'\r', rest) {
        let (before, special) = rest.split_at(at);
        out.put(before);
        rest = put_special(out, special);
    }
    out.put(rest);
}

/// Text with line ends as line feeds.
pub(crate) fn lines(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn resolves_the_five_and_characters() {
        assert_eq!(reference("lt"), Ok('<'));
        assert_eq!(reference("#x20AC"), Ok('€'));
        assert_eq!(reference("#00000000000000000065"), Ok('A'));
        assert_eq!(reference("nbsp"), Err(BadReference::Entity));
        for bad in ["", "#", "#x", "#0", "#xD800", "#xFFFE", "#+65", "#X41", "#99999999999", "a b"] {
            assert_eq!(reference(bad), Err(BadReference::Malformed), "{bad}");
        }
    }

    #[test]
    fn writes_attributes_as_canonical_xml_asks() {
        let raw = "a\tb\r\nc\rd&#9;&#10;&#13;&lt;>\"&quot;&amp;'";
        let canonical = "a b c d&#x9;&#xA;&#xD;&lt;>&quot;&quot;&amp;'";
        assert_eq!(written(|out| put_attribute(out, raw)), canonical);
        let value = attribute_value(raw).unwrap();
        assert_eq!(value, "a b c d\t\n\r<>\"\"&'");
        assert_eq!(written(|out| put_attribute_value(out, &value)), canonical);
    }

    #[test]
    fn writes_text_as_canonical_xml_asks() {
        assert_eq!(written(|out| put_text(out, "a>b\r\nc\rd\n")), "a&gt;b\nc\nd\n");
        assert_eq!(written(|out| put_cdata(out, "<&>\r\n")), "&lt;&amp;&gt;\n");
        assert_eq!(written(|out| put_reference(out, '\r')), "&#xD;");
        assert_eq!(written(|out| put_lines(out, "a\rb\r\n>")), "a\nb\n>");
        assert_eq!(lines("a\rb\r\n"), "a\nb\n");
    }
}
