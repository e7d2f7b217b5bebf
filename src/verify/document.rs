//! The octets as checked text: size, encoding and characters, before anything is parsed.

use std::ops::Range;

use crate::error::{Code, Location, Refusal};

use super::Limits;
use super::chars::{Look, wide};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A document whose octets are UTF-8 and whose characters XML 1.0 allows (section 2.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'d> {
    /// The text without a byte order mark.
    pub(crate) text: &'d str,
    /// Octets of the byte order mark before it.
    bom: usize,
    /// Whether a carriage return stands anywhere in it: mostly none does, which spares a search
    /// in each text.
    pub(crate) carriage_returns: bool,
}

impl<'d> Document<'d> {
    /// Checks size, encoding and characters.
    ///
    /// # Errors
    /// AW-0103 too large, AW-0104 not UTF-8, AW-0101 empty or with characters XML does not allow.
    pub(crate) fn check(octets: &'d [u8], limits: &Limits) -> Result<Self, Refusal> {
        if octets.len() > limits.octets {
            let reason = format!("the document is larger than {} octets; send less at once", limits.octets);
            return Err(Refusal::new(Code::OverLimit, reason));
        }
        if foreign_encoding(octets) {
            return Err(Refusal::new(
                Code::NotUtf8,
                "the document begins like UTF-16, UTF-32 or EBCDIC; write it in UTF-8",
            ));
        }
        let bom = if octets.starts_with(BOM) { BOM.len() } else { 0 };
        let body = octets.get(bom..).unwrap_or_default();
        let text = match simdutf8::compat::from_utf8(body) {
            Ok(text) => text,
            Err(error) => {
                let valid = body.get(..error.valid_up_to()).unwrap_or_default();
                let text = std::str::from_utf8(valid).unwrap_or_default();
                let whole = Document { text, bom, carriage_returns: false };
                return Err(Refusal::new(
                    Code::NotUtf8,
                    "an octet is not UTF-8; write the document in UTF-8",
                )
                .at(whole.location(text.len(), String::new())));
            }
        };
        if text.is_empty() {
            return Err(Refusal::new(Code::NotWellFormed, "the document is empty; send an XML document"));
        }
        match carriage_returns(body) {
            Ok(carriage_returns) => Ok(Document { text, bom, carriage_returns }),
            Err(at) => Err(Refusal::new(
                Code::NotWellFormed,
                "a character stands here that XML 1.0 does not allow (section 2.2); leave it out",
            )
            .at(Document { text, bom, carriage_returns: true }.location(at, String::new()))),
        }
    }

    /// A part of the text; empty when the range is not one.
    pub(crate) fn slice(&self, range: Range<usize>) -> &'d str {
        self.text.get(range).unwrap_or_default()
    }

    /// Line and column (characters, both from 1) of an octet offset into the text.
    pub(crate) fn location(&self, offset: usize, path: String) -> Location {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.slice(0..end);
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        let start = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Location { offset: (offset + self.bom) as u64, line: line as u64, column: column as u64, path }
    }

    /// Octets before the text.
    pub(crate) fn bom(&self) -> usize {
        self.bom
    }
}

/// Whether the first octets are those of another encoding (XML 1.0, appendix F.1).
fn foreign_encoding(octets: &[u8]) -> bool {
    const STARTS: [&[u8]; 7] = [
        b"\xFE\xFF",
        b"\xFF\xFE",
        b"\x00\x00\xFE\xFF",
        b"\x00<",
        b"<\x00",
        b"\x00\x00\x00<",
        b"\x4C\x6F\xA7\x94",
    ];
    STARTS.iter().any(|start| octets.starts_with(start))
}

/// Whether there are carriage returns.
///
/// # Errors
/// The first octet of a character that XML 1.0 does not allow: C0 controls other than tab, line
/// feed and carriage return, and U+FFFE and U+FFFF. (UTF-8 has no surrogates.)
fn carriage_returns(octets: &[u8]) -> Result<bool, usize> {
    let (mut from, mut found) = (0, false);
    for chunk in octets.chunks(4096) {
        let Seen { control, high, carriage_return } = wide(chunk, Unusual);
        if control {
            let control = |octet: &u8| *octet < 0x20 && !matches!(octet, b'\t' | b'\n' | b'\r');
            return Err(from + chunk.iter().position(control).unwrap_or_default());
        }
        if high {
            for at in memchr::memchr_iter(0xEF, chunk).map(|at| from + at) {
                if matches!(octets.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) {
                    return Err(at);
                }
            }
        }
        found |= carriage_return;
        from += chunk.len();
    }
    Ok(found)
}

/// What octets hold.
struct Seen {
    control: bool,
    /// What U+FFFE and U+FFFF begin with.
    high: bool,
    carriage_return: bool,
}

struct Unusual;

impl Look for Unusual {
    type Seen = Seen;

    #[inline(always)]
    fn look(self, octets: &[u8]) -> Seen {
        let (mut control, mut high, mut carriage_return) = (0_u8, 0_u8, 0_u8);
        for octet in octets {
            let fine = (*octet >= 0x20) | (*octet == b'\n') | (*octet == b'\r') | (*octet == b'\t');
            control |= u8::from(!fine);
            high |= u8::from(*octet == 0xEF);
            carriage_return |= u8::from(*octet == b'\r');
        }
        Seen { control: control != 0, high: high != 0, carriage_return: carriage_return != 0 }
    }
}
