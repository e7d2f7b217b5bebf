//! Octets in text: `hexBinary` and `base64Binary` (XSD 1.0 part 2, sections 3.2.15 and 3.2.16).

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

/// Characters that are looked at together.
const BLOCK: usize = 32;

/// How many octets a base64 text stands for; `None` if it is none. The text may be as it is written: white space,
/// which collapses to one space between any two characters, counts for nothing. Four characters make a
/// group, the last of which may end in `=` or `==`, and then the bits that belong to no octet are zero.
pub(super) fn base64_length(text: &str) -> Option<usize> {
    let (mut count, mut padding, mut last) = (0_usize, 0_usize, 0_u8);
    for block in text.as_bytes().chunks(BLOCK) {
        // Most blocks are characters of the alphabet alone.
        let seen = block.iter().fold(0, |seen, octet| seen | SEXTETS[*octet as usize]);
        if seen != NONE && padding == 0 {
            count += block.len();
            last = block.last().map_or(last, |octet| SEXTETS[*octet as usize]);
            continue;
        }
        for octet in block {
            let sextet = SEXTETS[*octet as usize];
            if sextet != NONE && padding == 0 {
                count += 1;
                last = sextet;
            } else if *octet == b'=' {
                padding += 1;
            } else if !matches!(octet, b' ' | b'\t' | b'\n' | b'\r') {
                return None;
            }
        }
    }
    let loose = match (count % 4, padding) {
        (0, 0) => 0,
        (3, 1) => 0b11,
        (2, 2) => 0b1111,
        _ => return None,
    };
    (last & loose == 0).then_some(count * 3 / 4)
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
