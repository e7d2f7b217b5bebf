//! Octets in text: `hexBinary` and `base64Binary` (XSD 1.0 part 2, sections 3.2.15 and 3.2.16).

use super::space::is_space;
use crate::verify::chars::{Look, wide};

/// How many octets hexadecimal digits stand for; `None` if they are none.
pub(super) fn hex_length(text: &str) -> Option<usize> {
    let fits = text.len().is_multiple_of(2) && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    fits.then_some(text.len() / 2)
}

/// The octets of a text that [`hex_length`] accepts.
pub(super) fn hex_octets(text: &str) -> Box<[u8]> {
    let digit = |octet: u8| char::from(octet).to_digit(16).unwrap_or_default() as u8;
    let pair = |pair: &[u8]| pair.iter().fold(0, |value: u8, octet| value << 4 | digit(*octet));
    text.as_bytes().chunks(2).map(pair).collect()
}

const NONE: u8 = 255;

const fn sextets() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [NONE; 256];
    let mut at = 0;
    while at < alphabet.len() {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table
}

static SEXTETS: [u8; 256] = sextets();

/// Octets that are looked at together.
const BLOCK: usize = 64;

/// How many octets a base64 text stands for; `None` if it is none. The text may be as it is written: white space,
/// which collapses to one space between any two characters, counts for nothing. Four characters make a
/// group, the last of which may end in `=` or `==`, and then the bits that belong to no octet are zero.
pub(super) fn base64_length(text: &str) -> Option<usize> {
    let padded = |c: char| c == '=' || is_space(c);
    let front = text.trim_end_matches(padded);
    let padding = text.get(front.len()..).unwrap_or_default().bytes().filter(|octet| *octet == b'=').count();
    let count = wide(front.as_bytes(), Characters)?;
    let last = front.bytes().last().map_or(0, |octet| SEXTETS[octet as usize]);
    let loose = match (count % 4, padding) {
        (0, 0) => 0,
        (3, 1) => 0b11,
        (2, 2) => 0b1111,
        _ => return None,
    };
    (last & loose == 0).then_some(count * 3 / 4)
}

/// How many octets are of the alphabet; `None` if others than white space are among them.
struct Characters;

impl Look for Characters {
    type Seen = Option<usize>;

    #[inline(always)]
    fn look(self, octets: &[u8]) -> Option<usize> {
        let (blocks, rest) = octets.as_chunks::<BLOCK>();
        let mut count = 0;
        for block in blocks {
            count += usize::from(in_block(block)?);
        }
        Some(count + usize::from(in_block(rest)?))
    }
}

/// The same for at most [`BLOCK`] octets, written so that the compiler looks at many of them at once. What XML allows
/// below a space is white space (XML 1.0, section 2.2).
#[inline(always)]
fn in_block(block: &[u8]) -> Option<u8> {
    let (mut count, mut wrong) = (0_u8, 0_u8);
    for octet in block {
        let letter = (octet | 0x20).wrapping_sub(b'a') < 26;
        let digit_or_slash = octet.wrapping_sub(b'/') < 11;
        let own = u8::from(letter | digit_or_slash | (*octet == b'+'));
        count = count.wrapping_add(own);
        wrong |= 1 ^ (own | u8::from(*octet <= b' '));
    }
    (wrong == 0).then_some(count)
}

/// The octets of a text that [`base64_length`] accepts.
pub(super) fn base64_octets(text: &str) -> Box<[u8]> {
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for octet in text.bytes() {
        let sextet = SEXTETS[octet as usize];
        if sextet == NONE {
            continue;
        }
        bits = bits << 6 | u32::from(sextet);
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held & 0xFF) as u8);
        }
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_octets() {
        assert_eq!(hex_length(""), Some(0));
        assert_eq!(hex_length("0aFF"), Some(2));
        assert_eq!(hex_length("0aF"), None);
        assert_eq!(hex_length("0g"), None);
        assert_eq!(*hex_octets("0aFf"), [10, 255]);
        for (text, length) in [
            ("", 0),
            ("AA==", 1),
            ("A A = =", 1),
            ("AAA=", 2),
            ("AAAA AAAA", 6),
            ("AQ==", 1),
            (" AA\r\n==\t", 1),
        ] {
            assert_eq!(base64_length(text), Some(length), "{text}");
        }
        for bad in ["A", "AA", "AAA", "A===", "AAAA=", "AB==", "AAB=", "AA==AAAA", "AA\u{a0}==", "AA-_", "="]
        {
            assert_eq!(base64_length(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_decoder(octets: Vec<u8>, noise in "[A-Z+/= ]{0,12}") {
            let text = STANDARD.encode(&octets);
            prop_assert_eq!(base64_length(&text), Some(octets.len()));
            prop_assert_eq!(&*base64_octets(&text), octets.as_slice());
            if !noise.contains(' ') {
                let other = STANDARD.decode(&noise).ok().map(|octets| octets.len());
                prop_assert_eq!(base64_length(&noise), other, "{}", noise);
            }
        }
    }
}
