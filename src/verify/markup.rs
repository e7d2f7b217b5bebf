//! Markup: what stands at each place of a document (XML 1.0, sections 2.4 to 2.7, 3.1 and 4.1).
//!
//! Every octet is looked at once: a tag ends where its last attribute does, an end tag is compared with the
//! name that it has to have, and only long texts are searched.

use crate::error::{Code, Refusal};

use super::chars;
use super::names;
use super::walk::{CDATA, Node, Walk};

/// Octets of a text that are looked at one by one: most texts are shorter, and a search costs more than that.
const SHORT: usize = 32;

impl<'d> Walk<'d> {
    /// The next node.
    ///
    /// # Errors
    /// AW-0101, AW-0102, AW-0103, AW-0104, with the place.
    #[inline(never)]
    pub(crate) fn next(&mut self) -> Result<Node, Refusal> {
        self.step()
    }

    /// The same, built into its caller: for the one loop over the whole document.
    ///
    /// # Errors
    /// As [`Walk::next`].
    #[inline(always)]
    pub(crate) fn step(&mut self) -> Result<Node, Refusal> {
        self.from = self.to;
        if self.empty {
            self.empty = false;
            return Ok(self.close());
        }
        match self.octet(self.from) {
            Some(b'<') => match self.octet(self.from + 1) {
                Some(b'/') => {
                    self.end_tag()?;
                    Ok(self.close())
                }
                Some(b'!') => self.exclamation(),
                Some(b'?') => self.question(),
                _ => {
                    self.open_tag()?;
                    Ok(Node::Start)
                }
            },
            Some(b'&') => Ok(Node::Reference(self.reference()?)),
            Some(_) => {
                self.text()?;
                Ok(Node::Text)
            }
            None => self.eof(),
        }
    }

    /// The octet at an offset into the text; `None` behind the end of what is walked over.
    #[inline]
    pub(super) fn octet(&self, at: usize) -> Option<u8> {
        self.octets.get(at).copied()
    }

    /// Goes over white space; whether there was any.
    #[inline]
    pub(super) fn space(&self, at: &mut usize) -> bool {
        let from = *at;
        while self.octet(*at).is_some_and(|octet| names::class(octet) & names::SPACE != 0) {
            *at += 1;
        }
        *at > from
    }

    #[inline]
    fn text(&mut self) -> Result<(), Refusal> {
        let mut at = self.from;
        self.plain_text = !self.document.carriage_returns;
        loop {
            at += plain_run(self.octets.get(at..).unwrap_or_default());
            if self.octet(at) != Some(b'>') {
                break;
            }
            if self.octets.get(self.from..at).is_some_and(|before| before.ends_with(b"]]")) {
                return Err(self.malformed("]]> must not stand in text; write ]]&gt;"));
            }
            self.plain_text = false;
            at += 1;
        }
        self.to = at;
        let raw = self.raw();
        self.character_data(raw)?;
        if self.open.is_empty() && !names::is_space(raw) {
            return Err(self.outside());
        }
        Ok(())
    }

    fn reference(&mut self) -> Result<char, Refusal> {
        let name = self.octets.get(self.from + 1..).unwrap_or_default();
        let end = memchr::memchr3(b';', b'<', b'&', name);
        let Some(end) = end.filter(|end| name.get(*end) == Some(&b';')) else {
            return Err(self.malformed("a reference is not closed; write & as &amp;"));
        };
        self.to = self.from + 1 + end + 1;
        let raw = self.raw();
        self.character_data(raw)?;
        if self.open.is_empty() {
            return Err(self.outside());
        }
        chars::reference(raw.get(1..raw.len() - 1).unwrap_or_default()).map_err(|bad| self.bad_reference(bad))
    }

    fn cdata(&mut self) -> Result<Node, Refusal> {
        self.to = self.closed(CDATA.len(), b"]]>")?;
        let raw = self.raw();
        self.character_data(raw)?;
        if self.open.is_empty() {
            return Err(self.outside());
        }
        Ok(Node::Cdata)
    }

    /// Counts the octets of a run of text.
    #[inline]
    fn character_data(&mut self, raw: &str) -> Result<(), Refusal> {
        self.run += raw.len();
        match self.run > self.limits.text {
            true => Err(self.over_limit("octets in one run of text", self.limits.text)),
            false => Ok(()),
        }
    }

    #[inline]
    fn end_tag(&mut self) -> Result<(), Refusal> {
        let name = self.from + 2;
        if let Some(open) = self.open.last()
            && let mut at = name + open.qname.len()
            && self.octets.get(name..at) == Some(open.qname.as_bytes())
        {
            self.space(&mut at);
            if self.octet(at) == Some(b'>') {
                self.to = at + 1;
                return Ok(());
            }
        }
        Err(self.wrong_end())
    }

    #[cold]
    fn wrong_end(&self) -> Refusal {
        let rest = self.octets.get(self.from..).unwrap_or_default();
        match (memchr::memchr(b'>', rest), self.open.is_empty()) {
            (None, _) => self.unclosed(),
            (_, true) => self.malformed("an end tag has no start tag"),
            _ => self.malformed("an end tag does not match its start tag"),
        }
    }

    /// A comment, a CDATA section, or what is not accepted.
    fn exclamation(&mut self) -> Result<Node, Refusal> {
        let rest = self.octets.get(self.from..).unwrap_or_default();
        if rest.starts_with(b"<!--") {
            self.to = self.closed(4, b"-->")?;
            return self.check_comment();
        }
        if rest.starts_with(CDATA.as_bytes()) {
            return self.cdata();
        }
        if rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"<!DOCTYPE")) {
            return Err(
                self.refuse(Code::Forbidden, "a DOCTYPE is not accepted; send the document without it")
            );
        }
        Err(self.unclosed())
    }

    /// A processing instruction or the XML declaration.
    fn question(&mut self) -> Result<Node, Refusal> {
        self.to = self.closed(2, b"?>")?;
        let content = self.octets.get(self.from + 2..self.to - 2).unwrap_or_default();
        let declares = content
            .strip_prefix(b"xml")
            .is_some_and(|rest| rest.first().is_none_or(|octet| names::class(*octet) & names::SPACE != 0));
        if declares { self.declaration() } else { self.check_instruction() }
    }

    /// Where the markup at hand ends, of whose octets the first `open` begin it.
    fn closed(&self, open: usize, end: &[u8]) -> Result<usize, Refusal> {
        let from = self.from + open;
        let found = memchr::memmem::find(self.octets.get(from..).unwrap_or_default(), end);
        found.map(|at| from + at + end.len()).ok_or_else(|| self.unclosed())
    }

    #[cold]
    pub(super) fn unclosed(&self) -> Refusal {
        self.malformed("markup begins here that is malformed or not closed")
    }

    #[cold]
    fn outside(&self) -> Refusal {
        self.malformed("only white space may stand outside the root element")
    }
}

/// Octets before the next `<`, `&` or `>`.
#[inline]
fn plain_run(octets: &[u8]) -> usize {
    let stops = |octet: &u8| names::class(*octet) & names::MARKUP != 0;
    let (near, far) = octets.split_at(SHORT.min(octets.len()));
    match near.iter().position(stops) {
        Some(at) => at,
        None => near.len() + memchr::memchr3(b'<', b'&', b'>', far).unwrap_or(far.len()),
    }
}
