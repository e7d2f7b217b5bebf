//! White space (XSD 1.0 part 2, section 4.3.6).

use std::borrow::Cow;

use super::builtin::Whitespace;

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The items of a list.
pub(super) fn items(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(is_space).filter(|text| !text.is_empty())
}

/// The text after white space is treated (section 4.3.6).
#[inline]
pub(super) fn normalised(raw: &str, whitespace: Whitespace) -> Cow<'_, str> {
    match whitespace {
        Whitespace::Preserve => Cow::Borrowed(raw),
        Whitespace::Replace => match raw.bytes().any(|octet| matches!(octet, b'\t' | b'\n' | b'\r')) {
            true => Cow::Owned(raw.replace(is_space, " ")),
            false => Cow::Borrowed(raw),
        },
        Whitespace::Collapse => {
            // The usual case in one quick look: nothing that could be white space.
            if raw.bytes().all(|octet| octet > b' ') {
                return Cow::Borrowed(raw);
            }
            collapsed(raw)
        }
    }
}

fn collapsed(raw: &str) -> Cow<'_, str> {
    let text = raw.trim_matches(is_space);
    let mut before = 0;
    let fine = |octet: u8| {
        let doubled = octet == b' ' && before == b' ';
        before = octet;
        !doubled && !matches!(octet, b'\t' | b'\n' | b'\r')
    };
    if text.bytes().all(fine) {
        return Cow::Borrowed(text);
    }
    let mut collapsed = String::with_capacity(text.len());
    for part in items(text) {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(part);
    }
    Cow::Owned(collapsed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn treats_white_space_as_the_slow_way_does(raw in "[ab\u{A0} \t\n\r]{0,12}") {
            let replaced: String = raw.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
            let mut slow = replaced.clone();
            while slow.contains("  ") {
                slow = slow.replace("  ", " ");
            }
            prop_assert_eq!(normalised(&raw, Whitespace::Collapse), slow.trim_matches(' '));
            prop_assert_eq!(normalised(&raw, Whitespace::Replace), replaced);
            prop_assert_eq!(normalised(&raw, Whitespace::Preserve), raw.as_str());
        }
    }
}
