//! Start tags: names, attributes and namespace declarations (XML 1.0, section 3.1; Namespaces in
//! XML 1.0, sections 3 to 6.3).

use crate::error::{Code, Refusal};

use super::chars;
use super::names::{self, Scanned};
use super::namespaces::NONE;
use super::walk::{Attribute, Element, Walk};

/// An attribute as it was scanned.
struct Written<'d> {
    name: Scanned,
    qname: &'d str,
    raw: &'d str,
    plain: bool,
    tidy: bool,
}

impl<'d> Walk<'d> {
    /// Takes the start tag at hand apart.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<(), Refusal> {
        let from = self.from + 1;
        let mark = self.namespaces.len();
        self.attributes.clear();
        let name = self.name(from)?;
        let qname = self.document.slice(from..name.end);
        let mut at = name.end;
        let mut count = 0;
        self.tidy = true;
        self.qualified = false;
        while let Some(written) = self.attribute(&mut at)? {
            count += 1;
            self.tidy &= written.tidy;
            if count > self.limits.attributes {
                return Err(self.over_limit("attributes of one element", self.limits.attributes));
            }
            self.sort_in(&written)?;
        }
        if self.namespaces.len() > mark {
            self.tidy = false;
            if self.namespaces.len() > self.limits.namespaces.saturating_add(2) {
                return Err(self.over_limit("namespace declarations in scope", self.limits.namespaces));
            }
            if self.namespaces.sort(mark).is_some() {
                return Err(self.malformed("a prefix is declared twice in one element"));
            }
        }
        let (prefix, local) = split(qname, name.colon.map(|colon| colon - from));
        let binding = self.resolve(prefix)?;
        self.element = Element { qname, local, binding };
        self.push_open(qname, mark);
        if !self.attributes.is_empty() {
            self.order()?;
        }
        Ok(())
    }

    /// The name at an offset. Always inlined, as what it asks.
    #[inline(always)]
    fn name(&self, from: usize) -> Result<Scanned, Refusal> {
        let Some(name) = names::scan(self.document.text, from) else {
            return Err(self.malformed("a name is malformed, or has more than one colon"));
        };
        if name.end - from > self.limits.name {
            return Err(self.over_limit("octets in a name", self.limits.name));
        }
        Ok(name)
    }

    /// The binding of an element's or attribute's prefix.
    #[inline]
    fn resolve(&self, prefix: &str) -> Result<usize, Refusal> {
        match self.namespaces.resolve(prefix) {
            Some(binding) => Ok(binding),
            None => Err(self.malformed("a prefix is not declared")),
        }
    }

    /// The next attribute of the tag; `None` at its end.
    #[inline]
    fn attribute(&mut self, at: &mut usize) -> Result<Option<Written<'d>>, Refusal> {
        let before = *at;
        let parted = self.space(at);
        if self.ends(*at)? {
            self.tidy &= !parted;
            return Ok(None);
        }
        if !parted {
            return Err(self.malformed("the tag is malformed: white space must stand before each attribute"));
        }
        let from = *at;
        let name = self.name(from)?;
        *at = name.end;
        let tidy = self.octets.get(before..from) == Some(b" ")
            && self.octets.get(name.end..name.end + 2) == Some(b"=\"");
        self.space(at);
        if self.octet(*at) != Some(b'=') {
            return Err(self.malformed("an attribute needs = and a value in quotes"));
        }
        *at += 1;
        self.space(at);
        let quote = match self.octet(*at) {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => return Err(self.malformed("the value of an attribute must stand in quotes")),
        };
        *at += 1;
        let begin = *at;
        let mut seen = 0;
        while let Some(octet) = self.octet(*at).filter(|octet| *octet != quote) {
            seen |= names::class(octet);
            *at += 1;
        }
        if *at == self.octets.len() {
            return Err(self.malformed("the value of an attribute is not closed"));
        }
        let raw = self.document.slice(begin..*at);
        *at += 1;
        if seen & names::LESS != 0 {
            return Err(self.malformed("< must not stand in the value of an attribute; write &lt;"));
        }
        if raw.len() > self.limits.text {
            return Err(self.over_limit("octets in the value of an attribute", self.limits.text));
        }
        let plain = seen & names::SPECIAL == 0;
        if !plain && let Err(bad) = chars::attribute_value(raw) {
            return Err(self.bad_reference(bad));
        }
        let qname = self.document.slice(from..name.end);
        Ok(Some(Written { name, qname, raw, plain, tidy: tidy && plain }))
    }

    /// Whether the tag ends at this offset, and then where the next node begins.
    #[inline]
    fn ends(&mut self, at: usize) -> Result<bool, Refusal> {
        match self.octet(at) {
            Some(b'>') => self.to = at + 1,
            Some(b'/') if self.octet(at + 1) == Some(b'>') => {
                self.empty = true;
                self.to = at + 2;
            }
            Some(_) => return Ok(false),
            None => return Err(self.unclosed()),
        }
        Ok(true)
    }

    /// Namespace declarations go to the bindings, all else to the attributes.
    #[inline]
    fn sort_in(&mut self, written: &Written<'d>) -> Result<(), Refusal> {
        let (prefix, local) = match written.name.colon {
            None => ("", written.qname),
            Some(_) => match written.qname.split_once(':') {
                Some(parts) => parts,
                None => ("", written.qname),
            },
        };
        let declared = match (prefix, local) {
            ("", "xmlns") => "",
            ("xmlns", local) => local,
            _ => {
                self.attributes.push(Attribute {
                    qname: written.qname,
                    prefix,
                    local,
                    raw: written.raw,
                    plain: written.plain,
                    binding: NONE,
                });
                return Ok(());
            }
        };
        let uri = match chars::attribute_value(written.raw) {
            Ok(uri) => uri,
            Err(bad) => return Err(self.bad_reference(bad)),
        };
        let most = self.limits.name.saturating_mul(4);
        if uri.len() > most {
            return Err(self.over_limit("octets in a namespace", most));
        }
        match self.namespaces.declare(declared, uri) {
            Ok(()) => Ok(()),
            Err(rule) => Err(self.refuse(Code::NotWellFormed, rule)),
        }
    }

    /// Resolves the attributes' prefixes and sorts them as Canonical XML 1.0 (section 2.2) asks;
    /// equal ones then stand side by side.
    #[inline]
    fn order(&mut self) -> Result<(), Refusal> {
        for number in 0..self.attributes.len() {
            let prefix = self.attributes[number].prefix;
            if !prefix.is_empty() {
                self.attributes[number].binding = self.resolve(prefix)?;
                self.qualified = true;
            }
        }
        if self.attributes.len() == 1 {
            return Ok(());
        }
        let (namespaces, qualified) = (&self.namespaces, self.qualified);
        let by_name = |a: &Attribute<'_>, b: &Attribute<'_>| match qualified {
            true => (namespaces.uri(a.binding), a.local).cmp(&(namespaces.uri(b.binding), b.local)),
            false => a.local.cmp(b.local),
        };
        if !self.attributes.is_sorted_by(|a, b| by_name(a, b).is_le()) {
            self.tidy = false;
            self.attributes.sort_unstable_by(by_name);
        }
        let twice = |pair: &[Attribute<'_>]| {
            pair[0].local == pair[1].local
                && (pair[0].binding == pair[1].binding
                    || namespaces.uri(pair[0].binding) == namespaces.uri(pair[1].binding))
        };
        if self.attributes.windows(2).any(twice) {
            return Err(self.malformed("an attribute stands twice in one element"));
        }
        Ok(())
    }
}

#[inline]
fn split(qname: &str, colon: Option<usize>) -> (&str, &str) {
    match colon {
        None => ("", qname),
        Some(colon) => (qname.get(..colon).unwrap_or_default(), qname.get(colon + 1..).unwrap_or_default()),
    }
}
