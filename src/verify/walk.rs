//! One pass over a document: holds it to XML 1.0, Namespaces in XML 1.0 and the limits, and hands
//! out what it consists of, borrowed from the octets.

use crate::error::{Code, Refusal};

use super::Limits;
use super::chars::{self, BadReference};
use super::document::Document;
use super::names;
use super::namespaces::{NONE, Namespaces};

/// What opens a CDATA section.
pub(super) const CDATA: &str = "<![CDATA[";

/// What stands at a place of the document. What it holds is asked of the [`Walk`]: carried along, it would go through
/// memory at each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An element starts: see [`Walk::element`] and [`Walk::attributes`].
    Start,
    /// The innermost element ends: see [`Walk::ended`].
    End,
    /// Text without references: see [`Walk::characters`].
    Text,
    /// A CDATA section: see [`Walk::characters`].
    Cdata,
    /// A reference, resolved.
    Reference(char),
    /// A comment: see [`Walk::comment`].
    Comment,
    /// A processing instruction: see [`Walk::instruction`].
    Instruction,
    /// The end of the document.
    Eof,
}

/// The element that starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'d> {
    /// Its name as written.
    pub(crate) qname: &'d str,
    /// Its local name.
    pub(crate) local: &'d str,
    /// The number of its namespace's binding.
    pub(crate) binding: usize,
}

/// An attribute that is no namespace declaration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'d> {
    /// Its name as written.
    pub(crate) qname: &'d str,
    /// Its prefix, empty when it has none.
    pub(crate) prefix: &'d str,
    /// Its local name.
    pub(crate) local: &'d str,
    /// Its value as written, without quotes; its references have been checked.
    pub(crate) raw: &'d str,
    /// The value needs no normalisation and no escape.
    pub(crate) plain: bool,
    /// The number of its namespace's binding.
    pub(crate) binding: usize,
}

impl<'d> Attribute<'d> {
    /// The normalised value.
    pub(crate) fn value(&self) -> std::borrow::Cow<'d, str> {
        chars::attribute_value(self.raw).unwrap_or(std::borrow::Cow::Borrowed(self.raw))
    }
}

/// An element that has started and not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open<'d> {
    pub(super) qname: &'d str,
    /// Bindings in scope before its own.
    mark: usize,
}

/// The pass.
pub(crate) struct Walk<'d> {
    pub(crate) document: Document<'d>,
    /// The text up to where the walk ends.
    pub(super) octets: &'d [u8],
    pub(super) limits: Limits,
    /// The node handed out last: from, to.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Path of a fragment's parent, for locations.
    parent: String,
    /// Bindings in scope.
    pub(crate) namespaces: Namespaces<'d>,
    /// The element that started last.
    pub(crate) element: Element<'d>,
    /// Its attributes, sorted by namespace and local name.
    pub(crate) attributes: Vec<Attribute<'d>>,
    /// The start tag is written canonically as it is: no declaration, attributes in order, one
    /// space before each, plain values in double quotes.
    pub(crate) tidy: bool,
    /// The element that started last has an attribute with a prefix.
    pub(crate) qualified: bool,
    /// The text handed out last is the same in canonical form.
    pub(crate) plain_text: bool,
    /// The name of the element that ended last, as written.
    pub(crate) ended: &'d str,
    pub(super) open: Vec<Open<'d>>,
    /// The element that started last is empty: its end comes next.
    pub(super) empty: bool,
    root_seen: bool,
    pub(super) fragment: bool,
    /// Octets of the run of text at hand.
    pub(super) run: usize,
    elements: usize,
}

impl<'d> Walk<'d> {
    /// Over a whole document.
    pub(crate) fn new(document: Document<'d>, limits: &Limits) -> Result<Self, Refusal> {
        let walk = Self::over(document, limits, 0..document.text.len(), Namespaces::new());
        if document.text.starts_with('\u{FEFF}') {
            return Err(walk.malformed("a byte order mark may stand only once, at the very beginning"));
        }
        Ok(walk)
    }

    /// Over one element that has been walked over before, with the bindings of its parent.
    pub(crate) fn fragment(
        document: Document<'d>,
        limits: &Limits,
        range: std::ops::Range<usize>,
        namespaces: Namespaces<'d>,
        parent: String,
    ) -> Self {
        let mut walk = Self::over(document, limits, range, namespaces);
        walk.parent = parent;
        walk.fragment = true;
        walk
    }

    fn over(
        document: Document<'d>,
        limits: &Limits,
        range: std::ops::Range<usize>,
        namespaces: Namespaces<'d>,
    ) -> Self {
        Self {
            document,
            octets: document.slice(0..range.end).as_bytes(),
            limits: *limits,
            from: range.start,
            to: range.start,
            parent: String::new(),
            namespaces,
            element: Element { qname: "", local: "", binding: NONE },
            attributes: Vec::with_capacity(16),
            tidy: false,
            qualified: false,
            plain_text: false,
            ended: "",
            open: Vec::with_capacity(32),
            empty: false,
            root_seen: false,
            fragment: false,
            run: 0,
            elements: 0,
        }
    }

    /// Elements that have started and not ended, the one that just started included.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether the element that has just started is written as an empty one.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether the root has started.
    #[inline]
    pub(crate) fn root_seen(&self) -> bool {
        self.root_seen
    }

    /// Where the node handed out last stands in the text.
    #[inline]
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.from..self.to
    }

    /// The octets of the node handed out last, as written; empty for the end of an empty element.
    #[inline]
    pub(crate) fn raw(&self) -> &'d str {
        self.document.slice(self.from..self.to)
    }

    /// The content of the text or CDATA section handed out last, as written.
    #[inline]
    pub(crate) fn characters(&self) -> &'d str {
        let raw = self.raw();
        // No text begins like markup.
        if raw.starts_with('<') { self.within(CDATA.len(), "]]>".len()) } else { raw }
    }

    /// The same with its line ends as line feeds (XML 1.0, section 2.11).
    pub(crate) fn lines(&self) -> std::borrow::Cow<'d, str> {
        chars::lines(self.characters())
    }

    /// The content of the comment handed out last, as written.
    pub(crate) fn comment(&self) -> &'d str {
        self.within("<!--".len(), "-->".len())
    }

    /// Target and data of the processing instruction handed out last, as written.
    pub(crate) fn instruction(&self) -> (&'d str, &'d str) {
        let content = self.within("<?".len(), "?>".len());
        let space = |octet: u8| names::class(octet) & names::SPACE != 0;
        let (target, data) = content.split_at(content.bytes().position(space).unwrap_or(content.len()));
        (target, data.trim_start_matches([' ', '\t', '\r', '\n']))
    }

    /// The node handed out last without the octets that open and close it.
    fn within(&self, open: usize, close: usize) -> &'d str {
        let raw = self.raw();
        raw.get(open..raw.len().saturating_sub(close)).unwrap_or_default()
    }

    /// The number of the first binding that the element started last declares.
    #[inline]
    pub(crate) fn mark(&self) -> usize {
        self.open.last().map_or(self.namespaces.len(), |open| open.mark)
    }

    /// Namespace and local name of the element that started last.
    #[inline]
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        self.element.local == local && self.namespaces.uri(self.element.binding) == namespace
    }

    /// Ends the innermost element.
    #[inline]
    pub(super) fn close(&mut self) -> Node {
        self.run = 0;
        // An end without a start has been refused.
        let Some(open) = self.open.pop() else { return Node::End };
        self.namespaces.truncate(open.mark);
        self.ended = open.qname;
        Node::End
    }

    #[cold]
    pub(super) fn eof(&mut self) -> Result<Node, Refusal> {
        if !self.open.is_empty() {
            return Err(self.malformed("the document ends within an element; send it whole"));
        }
        if !self.root_seen {
            return Err(self.malformed("the document has no root element"));
        }
        Ok(Node::Eof)
    }

    #[inline]
    pub(super) fn open_tag(&mut self) -> Result<(), Refusal> {
        if self.open.is_empty() {
            if self.root_seen {
                return Err(self.malformed("a document has one root element; a second one starts here"));
            }
            self.root_seen = true;
        }
        self.run = 0;
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(self.over_limit("elements", self.limits.elements));
        }
        if self.open.len() >= self.limits.depth {
            return Err(self.over_limit("nested elements", self.limits.depth));
        }
        self.tag()
    }

    /// Puts the element on the stack.
    #[inline]
    pub(super) fn push_open(&mut self, qname: &'d str, mark: usize) {
        self.open.push(Open { qname, mark });
    }

    /// A refusal at the node handed out last (or being looked at).
    #[cold]
    pub(crate) fn refuse(&self, code: Code, reason: impl Into<String>) -> Refusal {
        self.refuse_at(self.from, code, reason)
    }

    /// A refusal at an offset into the text.
    #[cold]
    pub(crate) fn refuse_at(&self, offset: usize, code: Code, reason: impl Into<String>) -> Refusal {
        Refusal::new(code, reason).at(self.document.location(offset, self.path()))
    }

    #[cold]
    pub(super) fn malformed(&self, reason: &str) -> Refusal {
        self.refuse(Code::NotWellFormed, reason)
    }

    #[cold]
    pub(super) fn over_limit(&self, what: &str, limit: usize) -> Refusal {
        self.refuse(Code::OverLimit, format!("more than {limit} {what}; send a smaller or simpler document"))
    }

    #[cold]
    pub(super) fn bad_reference(&self, bad: BadReference) -> Refusal {
        match bad {
            BadReference::Entity => self.refuse(
                Code::Forbidden,
                "only the five predefined entities are accepted; write the character",
            ),
            BadReference::Malformed => self.malformed("a reference is malformed; write & as &amp;"),
        }
    }

    /// The path of the innermost open element, cut to a bounded length.
    pub(crate) fn path(&self) -> String {
        let mut path = self.parent.clone();
        for open in self.open.iter().take(64) {
            path.push('/');
            path.extend(open.qname.chars().take(100));
        }
        path
    }
}
