//! The one escaper for XML that is written by hand: the fronts' answers, the messages that go out, the
//! gateway's own documents.

/// How a character is written in a text or an attribute value where it can't stand for itself: markup,
/// and white space that a reader would otherwise normalise (XML 1.0, sections 2.4, 2.11 and 3.3.3).
pub(crate) fn reference(c: char) -> Option<&'static str> {
    Some(match c {
        '<' => "&lt;",
        '>' => "&gt;",
        '&' => "&amp;",
        '"' => "&quot;",
        '\t' => "&#9;",
        '\n' => "&#10;",
        '\r' => "&#13;",
        _ => return None,
    })
}

/// Whether XML 1.0 (section 2.2) has no place for a character, not even as a reference.
pub(crate) fn impossible(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Escapes `text` for texts and attribute values alike; what XML has no place for is replaced by U+FFFD.
pub(crate) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match reference(c) {
            Some(reference) => out.push_str(reference),
            None if impossible(c) => out.push('\u{fffd}'),
            None => out.push(c),
        }
    }
}

/// Escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_from_texts_and_attributes(text in any::<String>()) {
            let escaped = escaped(&text);
            let wanted: String = text.chars().map(|c| if impossible(c) { '\u{fffd}' } else { c }).collect();
            let document = format!("<a b=\"{escaped}\">{escaped}</a>");
            let tree = crate::xta::tree::read_part(document.as_bytes(), 1 << 20).unwrap();
            prop_assert_eq!(tree.attribute("b"), Some(wanted.as_str()));
            prop_assert_eq!(tree.text(), wanted.trim());
        }
    }
}
