//! The text of the element that is open.

use std::borrow::Cow;

use crate::verify::chars::lines;

/// Text in pieces: one alone is not copied.
#[derive(Default)]
pub(super) struct Text<'d> {
    one: &'d str,
    many: String,
}

/// Octets of memory that are kept for the next text.
const KEPT: usize = 16 << 10;

impl<'d> Text<'d> {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.one = "";
        if !self.many.is_empty() {
            self.many.clear();
            self.many.shrink_to(KEPT);
        }
    }

    /// Adds a piece as written; with `normalise` its line ends become line feeds (XML 1.0, section 2.11).
    pub(super) fn push(&mut self, raw: &'d str, normalise: bool) {
        let piece = if normalise { lines(raw) } else { Cow::Borrowed(raw) };
        match piece {
            Cow::Borrowed(piece) if self.one.is_empty() && self.many.is_empty() => self.one = piece,
            piece => {
                self.gather();
                self.many.push_str(&piece);
            }
        }
    }

    /// Adds a character.
    pub(super) fn push_char(&mut self, c: char) {
        self.gather();
        self.many.push(c);
    }

    fn gather(&mut self) {
        if !self.one.is_empty() {
            self.many.push_str(self.one);
            self.one = "";
        }
    }

    /// All of it.
    #[inline]
    pub(super) fn get(&self) -> &str {
        if self.many.is_empty() { self.one } else { &self.many }
    }
}
