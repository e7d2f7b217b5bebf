//! The check of one document, fed with the nodes of a [`Walk`] as they come (XSD 1.0 part 1, section 3).
//!
//! Memory does not grow with the document, but for what the standard asks to be remembered: ids and the values of
//! identity constraints, both bounded. A value that stands in one piece is checked where it stands.

mod attributes;
mod end;
mod fault;
mod identity;
mod ids;
mod instance;
mod mark;
mod text;

use super::automaton::{Content, Step};
use super::model::{Complex, ElementId, Schema, Type, TypeId};
use super::names::{Name, Ns};
use super::types::{Scope, SimpleType};
use super::wildcard::Process;
use crate::error::Refusal;
use crate::verify::names as chars;
use crate::verify::namespaces::{Binding, Namespaces};
use crate::verify::{Node, Walk};
use identity::Tables;
use ids::Ids;
use instance::Instance;
use text::Text;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Bindings whose namespaces are remembered.
const REMEMBERED: usize = 16;
/// Names that are remembered.
const NAMES: usize = 64;

/// The prefixes in scope in a document: an element's own that has ended, and those around it.
struct InScope<'a, 'd>(&'a [Binding<'d>], &'a Namespaces<'d>);

impl Scope for InScope<'_, '_> {
    fn namespace(&self, prefix: &str) -> Option<&str> {
        let own = self.0.iter().find(|binding| binding.prefix == prefix);
        own.map(|binding| &*binding.uri).or_else(|| self.1.resolve(prefix).map(|binding| self.1.uri(binding)))
    }
}

/// An element that is open.
struct Frame {
    /// Its declaration; `None` where a wildcard lets it in without one.
    element: Option<ElementId>,
    kind: TypeId,
    /// The row of its content model.
    state: u32,
    /// Where its counters begin.
    counters: usize,
    /// Where its start tag stands.
    offset: usize,
    nil: bool,
    has_children: bool,
}

/// A run over one document.
pub(crate) struct Run<'s, 'd> {
    schema: &'s Schema,
    frames: Vec<Frame>,
    counters: Vec<u32>,
    text: Text<'d>,
    /// What the element declares whose value is a qualified name: at its end that is out of scope.
    prefixes: Vec<Binding<'d>>,
    /// Open elements at which a wildcard says not to look.
    skipped: usize,
    /// By binding, with its serial number.
    namespaces: [(u64, Ns); REMEMBERED],
    /// By the look of the local name.
    names: [Name; NAMES],
    ids: Ids,
    tables: Tables<'s>,
    /// A `ds:Signature` has been a child of the root.
    signature: bool,
    /// The one that the schema does not allow and that has been left out.
    enveloped: Option<usize>,
}

impl<'s, 'd> Run<'s, 'd> {
    /// Before the first node of a document.
    pub(crate) fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            frames: Vec::with_capacity(32),
            counters: Vec::with_capacity(32),
            text: Text::default(),
            prefixes: Vec::new(),
            skipped: 0,
            namespaces: [(0, Ns::NONE); REMEMBERED],
            names: [Name::UNKNOWN; NAMES],
            ids: Ids::default(),
            tables: Tables::new(schema),
            signature: false,
            enveloped: None,
        }
    }

    /// Takes the next node.
    ///
    /// # Errors
    /// AW-0111 with the place and what was expected; AW-0103 where more ids or keys would have to be remembered
    /// than the bounds allow.
    #[inline]
    pub(crate) fn node(&mut self, walk: &Walk<'d>, node: Node) -> Result<(), Refusal> {
        match node {
            Node::Start => self.start(walk),
            Node::End => self.end(walk, walk.ended),
            Node::Text | Node::Cdata => self.characters(walk, walk.characters()),
            Node::Reference(c) => {
                if self.skipped > 0 {
                    return Ok(());
                }
                // A reference stands for the character itself, a carriage return too.
                if self.takes_text(walk, c.is_ascii_whitespace(), false)? {
                    self.text.push_char(c);
                }
                Ok(())
            }
            Node::Comment | Node::Instruction | Node::Eof => Ok(()),
        }
    }

    fn complex(&self, id: TypeId) -> Option<&'s Complex> {
        match self.schema.kind(id) {
            Some(Type::Complex(complex)) => Some(complex),
            _ => None,
        }
    }

    /// The simple type of the values of a type.
    fn simple(&self, id: TypeId) -> Option<&'s SimpleType> {
        match self.schema.kind(id)? {
            Type::Simple(kind) => Some(kind),
            Type::Complex(complex) => match &complex.content {
                Content::Simple(kind) => Some(kind),
                _ => None,
            },
        }
    }

    /// The number of the namespace of a binding.
    #[inline]
    fn namespace(&mut self, walk: &Walk<'d>, binding: usize) -> Ns {
        let serial = walk.namespaces.serial(binding);
        let slot = &mut self.namespaces[binding % REMEMBERED];
        if slot.0 != serial {
            *slot = (serial, self.schema.names.namespace(walk.namespaces.uri(binding)));
        }
        slot.1
    }

    /// The number of a name. Most documents repeat few names, and to compare one is faster than to look it up.
    #[inline]
    fn name(&mut self, namespace: Ns, local: &str) -> Name {
        let octets = local.as_bytes();
        let (first, last) =
            (octets.first().map_or(0, |o| *o as usize), octets.last().map_or(0, |o| *o as usize));
        let slot = &mut self.names[(octets.len() ^ first << 1 ^ last << 3) % NAMES];
        if !self.schema.names.is(*slot, namespace, local) {
            *slot = self.schema.names.name(namespace, local);
        }
        *slot
    }

    fn start(&mut self, walk: &Walk<'d>) -> Result<(), Refusal> {
        if self.skipped > 0 {
            self.skipped += 1;
            return Ok(());
        }
        let namespace = self.namespace(walk, walk.element.binding);
        let name = self.name(namespace, walk.element.local);
        let (element, process) = match self.frames.len() {
            0 => (self.root(walk, name)?, Process::Strict),
            depth => match self.child(walk, namespace, name, depth)? {
                (_, Process::Skip) => {
                    self.skipped = 1;
                    return Ok(());
                }
                found => found,
            },
        };
        let declared = element.and_then(|id| self.schema.element(id));
        let instance = if walk.qualified { self.instance(walk, declared)? } else { Instance::default() };
        if declared.is_none() && process == Process::Strict && instance.kind.is_none() {
            return Err(fault::at_start(
                walk,
                "the schema has no element of this name; check its name and namespace",
            ));
        }
        if declared.is_some_and(|declared| declared.is_abstract) {
            let reason = "the schema has this element for others only that stand for it (it is abstract)";
            return Err(fault::at_start(walk, reason));
        }
        let kind = self.actual(walk, declared, &instance)?;
        let nil = self.nil(walk, declared, &instance)?;
        let counters = self.counters.len();
        self.attributes(walk, kind)?;
        let complex = self.complex(kind);
        let needed = match complex.map(|complex| &complex.content) {
            Some(Content::Ordered(automaton)) => automaton.counters(),
            Some(Content::All(group)) => group.words(),
            _ => 0,
        };
        self.counters.resize(counters + needed, 0);
        self.text.clear();
        if self.simple(kind).is_some_and(SimpleType::has_names) {
            self.prefixes.clear();
            self.prefixes.extend_from_slice(walk.namespaces.since(walk.mark()));
        }
        self.frames.push(Frame {
            element,
            kind,
            state: 0,
            counters,
            offset: walk.range().start,
            nil,
            has_children: false,
        });
        self.tables.start(walk, namespace, name, declared)
    }

    fn root(&self, walk: &Walk<'d>, name: Name) -> Result<Option<ElementId>, Refusal> {
        match self.schema.global_element(name) {
            Some(element) => Ok(Some(element)),
            None => Err(fault::at_start(
                walk,
                "the schema has no root element of this name; check its name and namespace",
            )),
        }
    }

    /// The declaration of an element by the one that it stands in, and how it is looked at; the enveloped signature
    /// that the schema does not allow is left out.
    fn child(
        &mut self,
        walk: &Walk<'d>,
        namespace: Ns,
        name: Name,
        depth: usize,
    ) -> Result<(Option<ElementId>, Process), Refusal> {
        let Some(parent) = self.frames.last_mut() else { return Ok((None, Process::Skip)) };
        parent.has_children = true;
        if depth == 1
            && let Some(at) = self.enveloped
        {
            return Err(fault::at(
                walk,
                at,
                "the schema has no ds:Signature here; it stands at the end of the root, once",
            ));
        }
        let counters = self.counters.get_mut(parent.counters..).unwrap_or_default();
        let content = match self.schema.kind(parent.kind) {
            Some(Type::Complex(complex)) if !parent.nil => Some(&complex.content),
            _ => None,
        };
        let step = match content {
            Some(Content::Ordered(automaton)) => automaton.step(&mut parent.state, counters, namespace, name),
            Some(Content::All(group)) => group.step(counters, name),
            _ => Step::Stray,
        };
        let signature = depth == 1 && walk.is(DSIG, "Signature");
        let first = signature && !self.signature;
        self.signature |= signature;
        match step {
            Step::Element(element) => Ok((Some(element), Process::Strict)),
            Step::Wild(process) => Ok((self.schema.global_element(name), process)),
            _ if first => {
                self.enveloped = Some(walk.range().start);
                Ok((None, Process::Skip))
            }
            _ => Err(self.stray(walk, step)),
        }
    }

    #[inline]
    fn characters(&mut self, walk: &Walk<'d>, raw: &'d str) -> Result<(), Refusal> {
        if self.skipped > 0 || self.frames.is_empty() {
            return Ok(());
        }
        if self.takes_text(walk, chars::is_space(raw), raw.is_empty())? {
            self.text.push(raw, walk.document.carriage_returns);
        }
        Ok(())
    }

    /// Whether text is kept for the end of the element that is open; a refusal where none may stand.
    fn takes_text(&mut self, walk: &Walk<'d>, space: bool, empty: bool) -> Result<bool, Refusal> {
        let Some(frame) = self.frames.last() else { return Ok(false) };
        if empty {
            return Ok(false);
        }
        if frame.nil {
            return Err(fault::at_start(walk, "an element with xsi:nil=\"true\" is empty"));
        }
        match self.schema.kind(frame.kind) {
            Some(Type::Complex(complex)) => match &complex.content {
                Content::Simple(_) => Ok(true),
                Content::Empty => Err(fault::at_start(
                    walk,
                    "the schema has this element empty; take out what stands in it",
                )),
                _ if complex.mixed => Ok(frame.element.is_some() && !frame.has_children),
                _ if space => Ok(false),
                _ => Err(fault::at_start(walk, "text stands here where the schema has elements alone")),
            },
            _ => Ok(true),
        }
    }
}
