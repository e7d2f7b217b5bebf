//! Canonical XML 1.0 and 1.1, inclusive and exclusive, written while the document passes by.
//!
//! Sources: Canonical XML 1.0 (REC-xml-c14n-20010315) and 1.1 (REC-xml-c14n11-20080502), Exclusive
//! XML Canonicalization 1.0 (REC-xml-exc-c14n-20020718). Two node-sets occur in the profile: the
//! whole document without one child of the root, and one element (SignedInfo) whose ancestors
//! are not in the set. So a parent is always in the set, or no ancestor is.

use std::ops::Range;

use aws_lc_rs::digest;

use super::chars::{self, Out};
use super::namespaces::{Namespaces, XML_BINDING};
use super::sign::{Canonicalisation, Hash};
use super::walk::{Node, Walk};

/// Takes canonical form, of which most stands in the document just so.
pub(crate) trait Sink<'d>: Out {
    /// Takes a part of `text`.
    fn copy(&mut self, text: &'d str, part: Range<usize>);
}

impl Sink<'_> for Vec<u8> {
    fn copy(&mut self, text: &str, part: Range<usize>) {
        self.put(text.as_bytes().get(part).unwrap_or_default());
    }
}

/// Hashes what it takes. Parts of a text that follow each other are hashed where they stand, as one; all else goes
/// through a buffer.
pub(crate) struct Hasher<'d> {
    context: digest::Context,
    /// What was taken first.
    buffer: Vec<u8>,
    /// Octets that have left the buffer.
    hashed: usize,
    /// A text and the part of it that was taken last, behind the buffer.
    text: &'d str,
    part: Range<usize>,
}

const BUFFER: usize = 8 * 1024;
/// Octets of a part that are worth a call of their own.
const PART: usize = 256;
/// Octets of a part at most, so that they are still at hand.
const LONG_PART: usize = 32 * 1024;

/// Octets of canonical form that any document, or part of one, may have beyond its own measure.
const ALLOWANCE: usize = 64 << 10;

/// Octets of canonical form that a document of so many may have. Exclusive canonicalisation writes a namespace again
/// at each element that uses it without its parent, so the canonical form of a hostile document is as long as the
/// square of its own length. References and quotes make an honest one six times as long at the most.
pub(crate) fn bound(document: usize) -> usize {
    document.saturating_mul(8).saturating_add(ALLOWANCE)
}

/// The same for a part of its signature, which is kept in memory: as many as the whole document.
pub(crate) fn bound_of_part(document: usize) -> usize {
    document.saturating_add(ALLOWANCE)
}

impl<'d> Hasher<'d> {
    pub(crate) fn new(hash: Hash) -> Self {
        Self {
            context: digest::Context::new(hash.algorithm()),
            buffer: Vec::with_capacity(BUFFER),
            hashed: 0,
            text: "",
            part: 0..0,
        }
    }

    pub(crate) fn finish(mut self) -> digest::Digest {
        self.settle();
        self.context.update(&self.buffer);
        self.context.finish()
    }

    /// Lets go of the part.
    #[inline]
    fn settle(&mut self) {
        if self.part.is_empty() {
            return;
        }
        let octets = self.text.as_bytes().get(self.part.clone()).unwrap_or_default();
        self.part = 0..0;
        self.take(octets);
    }

    #[inline]
    fn take(&mut self, octets: &[u8]) {
        let long = octets.len() >= PART;
        if long || self.buffer.len() + octets.len() > BUFFER {
            self.context.update(&self.buffer);
            self.hashed += self.buffer.len();
            self.buffer.clear();
        }
        if long {
            self.context.update(octets);
            self.hashed += octets.len();
        } else {
            self.buffer.extend_from_slice(octets);
        }
    }
}

impl Out for Hasher<'_> {
    #[inline]
    fn put(&mut self, octets: &[u8]) {
        self.settle();
        self.take(octets);
    }

    #[inline]
    fn taken(&self) -> usize {
        self.hashed + self.buffer.len() + self.part.len()
    }
}

impl<'d> Sink<'d> for Hasher<'d> {
    #[inline]
    fn copy(&mut self, text: &'d str, part: Range<usize>) {
        let follows = part.start == self.part.end && std::ptr::eq(text, self.text);
        if follows && self.part.len() < LONG_PART {
            self.part.end = part.end;
            return;
        }
        self.settle();
        (self.text, self.part) = (text, part);
    }
}

/// An `xml:` attribute of an ancestor that is not in the node-set: local name and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// Local name.
    pub(crate) local: String,
    /// Normalised value.
    pub(crate) value: String,
}

/// Which of a parent's `xml:` attributes an apex element takes over: all (Canonical XML 1.0,
/// section 2.4); `lang`, `space` and a `base` that is not empty (1.1, section 2.4); none
/// (exclusive, section 3).
pub(crate) fn inherits(method: Canonicalisation, attribute: &Inherited) -> bool {
    match method {
        Canonicalisation::Exclusive | Canonicalisation::ExclusiveWithComments => false,
        Canonicalisation::Inclusive | Canonicalisation::InclusiveWithComments => true,
        Canonicalisation::Inclusive11 | Canonicalisation::Inclusive11WithComments => {
            match attribute.local.as_str() {
                "lang" | "space" => true,
                "base" => !attribute.value.is_empty(),
                _ => false,
            }
        }
    }
}

/// Writes the nodes it is handed in canonical form.
pub(crate) struct Canonicaliser<'p, O> {
    exclusive: bool,
    comments: bool,
    prefixes: &'p [String],
    out: O,
    /// Bindings written by elements that are open, innermost last.
    rendered: Vec<usize>,
    /// For each open element, how many were written before it.
    marks: Vec<usize>,
    /// Bindings that the element at hand may have to write.
    candidates: Vec<usize>,
}

impl<'p, 'd, O: Sink<'d>> Canonicaliser<'p, O> {
    /// For a method, the prefixes of its `InclusiveNamespaces`, and whether the node-set has
    /// comments at all: a same-document reference hands over none (XML Signature 1.1, section
    /// 4.4.3.3).
    pub(crate) fn new(method: Canonicalisation, prefixes: &'p [String], comments: bool, out: O) -> Self {
        Self {
            exclusive: method.is_exclusive(),
            comments: comments && method.keeps_comments(),
            prefixes,
            out,
            rendered: Vec::with_capacity(16),
            marks: Vec::with_capacity(32),
            candidates: Vec::with_capacity(16),
        }
    }

    /// Whether more was written than `most` octets.
    #[inline]
    pub(crate) fn exceeds(&self, most: usize) -> bool {
        self.out.taken() > most
    }

    /// What was written.
    pub(crate) fn into_inner(self) -> O {
        self.out
    }

    /// Whether the binding of this number is part of what has been written, where the innermost
    /// open element refers to it from its content.
    pub(crate) fn covers(&self, namespaces: &Namespaces<'_>, number: usize) -> bool {
        !self.exclusive || !needed(&self.rendered, namespaces, number)
    }

    /// Writes a node; a start as that of an element whose parent is in the node-set.
    #[inline]
    pub(crate) fn node(&mut self, walk: &Walk<'d>, node: Node) {
        match node {
            Node::Start => self.start(walk, None),
            Node::End => self.end(walk),
            Node::Text | Node::Reference(_) | Node::Cdata if walk.depth() == 0 => {}
            Node::Text if walk.plain_text => self.out.copy(walk.document.text, walk.range()),
            Node::Text => chars::put_text(&mut self.out, walk.raw()),
            Node::Reference(_) if chars::is_canonical(walk.raw()) => {
                self.out.copy(walk.document.text, walk.range());
            }
            Node::Reference(c) => chars::put_reference(&mut self.out, c),
            Node::Cdata => chars::put_cdata(&mut self.out, walk.characters()),
            Node::Comment => {
                if self.comments {
                    self.outer(walk, b"<!--", b"-->", |out| chars::put_lines(out, walk.comment()));
                }
            }
            Node::Instruction => self.outer(walk, b"<?", b"?>", |out| {
                let (target, data) = walk.instruction();
                out.put(target.as_bytes());
                if !data.is_empty() {
                    out.put(b" ");
                    chars::put_lines(out, data);
                }
            }),
            Node::Eof => {}
        }
    }

    /// Writes a comment or processing instruction; outside the root a line feed parts it from the
    /// root (Canonical XML 1.0, section 2.3).
    fn outer(&mut self, walk: &Walk<'d>, open: &[u8], close: &[u8], content: impl FnOnce(&mut O)) {
        let outside = walk.depth() == 0;
        if outside && walk.root_seen() {
            self.out.put(b"\n");
        }
        self.out.put(open);
        content(&mut self.out);
        self.out.put(close);
        if outside && !walk.root_seen() {
            self.out.put(b"\n");
        }
    }

    #[inline]
    fn end(&mut self, walk: &Walk<'d>) {
        if let Some(mark) = self.marks.pop() {
            self.rendered.truncate(mark);
        }
        let range = walk.range();
        if range.len() == walk.ended.len() + 3 {
            self.out.copy(walk.document.text, range);
            return;
        }
        self.out.put(b"</");
        self.out.put(walk.ended.as_bytes());
        self.out.put(b">");
    }

    /// Writes the start of the element that `walk` is at; `apex` are the `xml:` attributes that
    /// it takes over when its ancestors are not in the node-set.
    #[inline]
    pub(crate) fn start(&mut self, walk: &Walk<'d>, apex: Option<&[Inherited]>) {
        self.marks.push(self.rendered.len());
        self.candidates.clear();
        if self.exclusive {
            self.utilised(walk, apex.is_some());
        } else if apex.is_some() {
            self.candidates.extend(in_scope(&walk.namespaces));
        } else {
            self.candidates.extend(walk.mark()..walk.namespaces.len());
        }
        self.candidates.retain(|number| needed(&self.rendered, &walk.namespaces, *number));
        if walk.tidy && self.candidates.is_empty() && apex.is_none_or(<[_]>::is_empty) {
            let mut range = walk.range();
            if walk.is_empty() {
                range.end -= "/>".len();
            }
            self.out.copy(walk.document.text, range);
            if walk.is_empty() {
                self.out.put(b">");
            }
            return;
        }
        self.out.put(b"<");
        self.out.put(walk.element.qname.as_bytes());
        if !self.candidates.is_empty() {
            self.declarations(&walk.namespaces);
        }
        for attribute in &walk.attributes {
            self.out.put(b" ");
            self.out.put(attribute.qname.as_bytes());
            self.out.put(b"=\"");
            if attribute.plain {
                self.out.put(attribute.raw.as_bytes());
            } else {
                chars::put_attribute(&mut self.out, attribute.raw);
            }
            self.out.put(b"\"");
        }
        // The apex of the profile (SignedInfo) has at most an unprefixed attribute of its own, so
        // those of the xml namespace come after it.
        for attribute in apex.unwrap_or_default() {
            self.out.put(b" xml:");
            self.out.put(attribute.local.as_bytes());
            self.out.put(b"=\"");
            chars::put_attribute_value(&mut self.out, &attribute.value);
            self.out.put(b"\"");
        }
        self.out.put(b">");
    }

    /// The bindings that the element visibly utilises, and those on the list of prefixes where
    /// they can have changed (Exclusive XML Canonicalization, section 3).
    #[inline]
    fn utilised(&mut self, walk: &Walk<'_>, apex: bool) {
        self.candidates.push(walk.element.binding);
        for attribute in &walk.attributes {
            if !attribute.prefix.is_empty() {
                self.candidates.push(attribute.binding);
            }
        }
        if self.prefixes.is_empty() {
            return;
        }
        if apex {
            let listed = self.prefixes.iter().filter_map(|prefix| walk.namespaces.resolve(prefix));
            self.candidates.extend(listed);
        } else {
            // What others declare was written where they do.
            let own = walk.mark()..walk.namespaces.len();
            let listed = |number: &usize| {
                self.prefixes.iter().any(|prefix| prefix == walk.namespaces.get(*number).prefix)
            };
            self.candidates.extend(own.filter(listed));
        }
    }

    fn declarations(&mut self, namespaces: &Namespaces<'_>) {
        self.candidates.sort_unstable_by(|a, b| namespaces.get(*a).prefix.cmp(namespaces.get(*b).prefix));
        self.candidates.dedup();
        for number in &self.candidates {
            let binding = namespaces.get(*number);
            self.out.put(b" xmlns");
            if !binding.prefix.is_empty() {
                self.out.put(b":");
                self.out.put(binding.prefix.as_bytes());
            }
            self.out.put(b"=\"");
            chars::put_attribute_value(&mut self.out, &binding.uri);
            self.out.put(b"\"");
        }
        self.rendered.extend_from_slice(&self.candidates);
    }
}

/// Whether a binding must be written: no open element has written the same, the innermost one
/// with its prefix counting. `xml` never must, nor a default that was none all along.
#[inline]
fn needed(rendered: &[usize], namespaces: &Namespaces<'_>, number: usize) -> bool {
    if number == XML_BINDING {
        return false;
    }
    let binding = namespaces.get(number);
    for written in rendered.iter().rev() {
        if *written == number {
            return false;
        }
        if namespaces.same_prefix(*written, number) {
            return namespaces.uri(*written) != binding.uri;
        }
    }
    !(binding.prefix.is_empty() && binding.uri.is_empty()) && binding.prefix != "xml"
}

/// The bindings in scope, the innermost of each prefix.
fn in_scope(namespaces: &Namespaces<'_>) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..namespaces.len()).collect();
    // Of one prefix the later one wins: sort by prefix, then the later first.
    numbers.sort_unstable_by(|a, b| namespaces.get(*a).prefix.cmp(namespaces.get(*b).prefix).then(b.cmp(a)));
    numbers.dedup_by(|next, kept| namespaces.get(*next).prefix == namespaces.get(*kept).prefix);
    numbers
}
