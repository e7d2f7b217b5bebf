//! From schema documents to a compiled [`Schema`].
//!
//! Three steps: all documents are loaded ([`documents`]); every declaration and type gets a number and is read, what it
//! refers to first; then content models become automata. What is not understood is a fault: a
//! rule that is passed over would let pass what the schema forbids. What the compiler itself takes as given, without
//! looking: that a restriction allows no more than its base (3.9.6), that elements of one name in one
//! content model have one type (3.8.6), and that a document imports each namespace that it names (4.2.3). None of these
//! changes what the schema says about a message.

mod assemble;
mod attributes;
mod complex;
mod documents;
mod elements;
mod identity;
mod particles;
mod redefine;
mod register;
mod shape;
mod simple;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use super::automaton::{Particle, Term};
use super::model::{self, Attribute, Attributes, Element, ElementId, Identity, Schema, TypeId, Ways};
use super::names::{Name, Names, Ns};
use super::types::SimpleType;
use documents::{Document, Loader};
use tree::Node;

pub(crate) use documents::{Files, survey};

/// Types, elements and attributes of one schema set.
const MAX_COMPONENTS: usize = 200_000;
/// References that lead one to the next while a component is read.
const MAX_DEPTH: usize = 200;
/// Rows and edges of all automata together.
const MAX_TABLES: usize = 5_000_000;
/// Faults that are reported at once.
const MAX_FAULTS: usize = 20;

type Read<T> = Result<T, String>;

/// Compiles the schema set that begins with the files `entries`.
///
/// # Errors
/// A sentence for each fault, with file and line.
pub(crate) fn compile(files: &dyn Files, entries: &[&str]) -> Result<Schema, Vec<String>> {
    let mut loader = Loader::new(files);
    for entry in entries {
        loader.entry(entry);
    }
    loader.finish();
    if !loader.faults.is_empty() {
        return Err(loader.faults);
    }
    let mut compiler = Compiler::new();
    for document in &loader.documents {
        compiler.register(document);
    }
    for document in &loader.documents {
        compiler.redefine(document);
    }
    compiler.read_all();
    compiler.finish()
}

/// A part of a schema document, with the document.
#[derive(Clone, Copy)]
struct Place<'t> {
    document: &'t Document,
    node: &'t Node,
}

impl<'t> Place<'t> {
    fn at(self, node: &'t Node) -> Self {
        Self { node, ..self }
    }

    fn children(self) -> impl Iterator<Item = Place<'t>> {
        self.node.children.iter().map(move |node| self.at(node))
    }

    fn child(self, local: &str) -> Option<Self> {
        self.node.child(local).map(|node| self.at(node))
    }

    fn fault(self, what: impl AsRef<str>) -> String {
        self.node.fault(what)
    }
}

/// The kinds of components that a document declares by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Element,
    Attribute,
    Type,
    Group,
    AttributeGroup,
    Notation,
}

impl Kind {
    fn of(local: &str) -> Option<Self> {
        Some(match local {
            "element" => Self::Element,
            "attribute" => Self::Attribute,
            "simpleType" | "complexType" => Self::Type,
            "group" => Self::Group,
            "attributeGroup" => Self::AttributeGroup,
            "notation" => Self::Notation,
            _ => return None,
        })
    }
}

/// How far a component has been read.
enum Slot<T> {
    Open,
    Busy,
    Done(T),
    /// Its fault is reported already.
    Failed,
}

/// The content of a complex type before its automaton is made.
#[derive(Clone)]
enum DraftContent {
    Empty,
    Simple(Arc<SimpleType>),
    Particle(Particle),
}

/// A complex type before its automaton is made.
struct Draft {
    base: TypeId,
    way: Ways,
    is_abstract: bool,
    block: Ways,
    finals: Ways,
    attributes: Attributes,
    content: DraftContent,
    mixed: bool,
}

enum Made {
    Simple(Arc<SimpleType>, Ways),
    Complex(Box<Draft>),
}

struct TypeSlot<'t> {
    place: Option<Place<'t>>,
    made: Slot<Made>,
}

struct ElementSlot<'t> {
    place: Place<'t>,
    name: Name,
    made: Slot<Element>,
    /// The head of its substitution group, and the ways in which others may not derive for it.
    head: Option<ElementId>,
    finals: Ways,
}

struct Compiler<'t> {
    names: Names,
    globals: HashMap<(Kind, Name), Place<'t>>,
    /// References in redefinitions that mean what was defined before, and its name.
    redefined: HashMap<*const Node, Name>,
    types: Vec<TypeSlot<'t>>,
    type_ids: HashMap<Name, TypeId>,
    elements: Vec<ElementSlot<'t>>,
    element_ids: HashMap<Name, ElementId>,
    attributes: HashMap<Name, Attribute>,
    attribute_groups: HashMap<Name, Slot<attributes::Declared>>,
    groups: HashMap<Name, Slot<Term>>,
    identities: Vec<Identity>,
    identity_names: HashMap<Name, model::IdentityId>,
    /// Keyrefs and the names of the keys that they refer to.
    refers: Vec<(model::IdentityId, Name, String)>,
    particles: u32,
    depth: usize,
    faults: Vec<String>,
}

impl<'t> Compiler<'t> {
    fn new() -> Self {
        let mut compiler = Self {
            names: Names::new(),
            globals: HashMap::new(),
            redefined: HashMap::new(),
            types: Vec::new(),
            type_ids: HashMap::new(),
            elements: Vec::new(),
            element_ids: HashMap::new(),
            attributes: HashMap::new(),
            attribute_groups: HashMap::new(),
            groups: HashMap::new(),
            identities: Vec::new(),
            identity_names: HashMap::new(),
            refers: Vec::new(),
            particles: 0,
            depth: 0,
            faults: Vec::new(),
        };
        compiler.built_in();
        compiler
    }

    fn fault(&mut self, fault: String) {
        if !fault.is_empty() && self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn new_type(&mut self, place: Option<Place<'t>>) -> TypeId {
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.types.push(TypeSlot { place, made: Slot::Open });
        id
    }

    fn new_element(&mut self, place: Place<'t>, name: Name) -> ElementId {
        let id = ElementId(u32::try_from(self.elements.len()).unwrap_or(u32::MAX));
        self.elements.push(ElementSlot { place, name, made: Slot::Open, head: None, finals: Ways::NONE });
        id
    }

    /// Reads a component that others lead to, no deeper than a bound.
    fn deeper<T>(&mut self, place: Place<'t>, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(place.fault(format!("more than {MAX_DEPTH} definitions lead one to the next")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Makes sure that a type is read.
    fn make_type(&mut self, id: TypeId) -> Read<()> {
        let Some(slot) = self.types.get_mut(id.0 as usize) else { return Err(String::new()) };
        let Some(place) = slot.place else { return Ok(()) };
        match slot.made {
            Slot::Done(_) => return Ok(()),
            Slot::Failed => return Err(String::new()),
            Slot::Busy => return Err(place.fault("the type is defined by itself")),
            Slot::Open => slot.made = Slot::Busy,
        }
        let made = self.deeper(place, |compiler| match &*place.node.local {
            "simpleType" => {
                let finals = ways(place, "final", Ways(26))?;
                Ok(Made::Simple(compiler.simple_type(place)?, finals))
            }
            _ => compiler.complex_type(place).map(|draft| Made::Complex(Box::new(draft))),
        });
        let (made, result) = match made {
            Ok(made) => (Slot::Done(made), Ok(())),
            Err(fault) => (Slot::Failed, Err(fault)),
        };
        if let Some(slot) = self.types.get_mut(id.0 as usize) {
            slot.made = made;
        }
        result
    }

    /// A type that has been read.
    fn made(&self, id: TypeId) -> Option<&Made> {
        match self.types.get(id.0 as usize).map(|slot| &slot.made) {
            Some(Slot::Done(made)) => Some(made),
            _ => None,
        }
    }

    /// The name that a qualified name in a schema document stands for.
    fn qname(&mut self, place: Place<'t>, text: &str) -> Read<Name> {
        use super::types::Scope;
        if let Some(before) = self.redefined.get(&std::ptr::from_ref(place.node)) {
            return Ok(*before);
        }
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        ncname(place, local)?;
        let namespace = match place.node.scope.namespace(prefix) {
            Some(namespace) => namespace,
            None if prefix.is_empty() => "",
            None => return Err(place.fault(format!("the prefix {prefix} is not declared"))),
        };
        let namespace = match namespace.is_empty() && place.document.chameleon {
            true => place.document.target.as_str(),
            false => namespace,
        };
        let namespace = self.names.add_namespace(namespace);
        Ok(self.names.add(namespace, local))
    }

    /// The type of this name, read.
    fn type_named(&mut self, place: Place<'t>, text: &str) -> Read<TypeId> {
        let name = self.qname(place, text)?;
        let Some(id) = self.type_ids.get(&name).copied() else {
            return Err(place.fault(format!("there is no type {text}")));
        };
        Ok(id)
    }

    /// The namespace of what a document declares.
    fn target(&mut self, place: Place<'t>) -> Ns {
        self.names.add_namespace(&place.document.target)
    }

    fn show(&self, name: Name) -> String {
        self.names.local(name).to_owned()
    }
}

fn ncname<'n>(place: Place<'_>, name: &'n str) -> Read<&'n str> {
    match crate::verify::names::is_ncname(name) {
        true => Ok(name),
        false => Err(place.fault("a name is malformed")),
    }
}

/// The ways of derivation that `block` or `final` names (section 3.3.2); those not in `allowed` have no place there.
fn ways(place: Place<'_>, attribute: &str, allowed: Ways) -> Read<Ways> {
    let default = format!("{attribute}Default");
    let (text, own) = match place.node.get(attribute) {
        Some(text) => (text, true),
        None => (place.document.root.get(&default).unwrap_or_default(), false),
    };
    if text == "#all" {
        return Ok(allowed);
    }
    let mut ways = Ways::NONE;
    for word in text.split_ascii_whitespace() {
        let way = match word {
            "extension" => Ways::EXTENSION,
            "restriction" => Ways::RESTRICTION,
            "substitution" => Ways::SUBSTITUTION,
            "list" => Ways::LIST,
            "union" => Ways::UNION,
            _ => return Err(place.fault(format!("{attribute} does not know {word}"))),
        };
        if allowed.has(way) {
            ways = ways.and(way);
        } else if own {
            return Err(place.fault(format!("{attribute} has no {word} here")));
        }
    }
    Ok(ways)
}
