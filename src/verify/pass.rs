//! The pass over a document: limits and well-formedness (by [`Walk`]), header, schema, digest, and where
//! the signature stands, all at once.

use std::borrow::Cow;
use std::ops::Range;

use aws_lc_rs::digest;

use crate::error::{Code, Refusal};

use super::Limits;
use super::algorithms::{DSIG, Plan};
use super::c14n::{self, Canonicaliser, Hasher, Inherited};
use super::document::Document;
use super::header::{Picker, Rules};
use super::namespaces::{Namespaces, XML_BINDING, XSI};
use super::schema::{Check, Schemas};
use super::walk::{Node, Walk};

/// At most so many uncovered prefixes are told apart.
const PREFIXES: usize = 64;

/// The root element.
pub(crate) struct Root {
    /// Its name as written.
    pub(crate) qname: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Values of its attributes `Id`, `ID`, `id` and `xml:id`.
    pub(crate) ids: Vec<String>,
    /// Its `xml:` attributes, sorted.
    pub(crate) inherited: Vec<Inherited>,
    /// Where its end tag begins; for an empty root, where its tag ends.
    pub(crate) end: Range<usize>,
    /// It is written as an empty element.
    pub(crate) empty: bool,
}

/// A signature that is a child of the root.
pub(crate) struct Found<'d> {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// The bindings of its parent.
    pub(crate) namespaces: Namespaces<'d>,
}

/// What a pass is to find out besides; nothing by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ask<'r, 'p> {
    /// The rules to pick the header by.
    pub(crate) rules: Option<&'r Rules>,
    /// How the document is canonicalised and hashed.
    pub(crate) plan: Option<&'p Plan>,
    /// The schemas to validate it against.
    pub(crate) schemas: Option<&'r Schemas>,
}

/// What a pass has found out.
pub(crate) struct Passed<'d, 'r> {
    /// The root.
    pub(crate) root: Root,
    /// The header picker, where rules were given.
    pub(crate) picker: Option<Result<Picker<'r>, Refusal>>,
    /// The one signature, `None` when there is none.
    pub(crate) signature: Option<Found<'d>>,
    /// How many elements have the id of the signed properties that the plan names.
    pub(crate) properties: usize,
    /// Why the signatures' places are wrong: doubled, or not children of the root.
    pub(crate) misplaced: Option<Refusal>,
    /// Ids of the root that stand at other elements too, each once.
    pub(crate) doubled_ids: Vec<(String, Refusal)>,
    /// A processing instruction outside the root.
    pub(crate) outer_instruction: Option<Refusal>,
    /// Prefixes in `xsi:type` whose declarations the canonical form lacks (`""`: the default).
    pub(crate) uncovered: Vec<(String, Refusal)>,
    /// The digest of the document without its signature, where it was asked for.
    pub(crate) digest: Option<digest::Digest>,
    /// What the schema says, where it was asked.
    pub(crate) schema: Option<Result<(), Refusal>>,
}

/// The state of a pass.
struct Pass<'d, 'r, 'p> {
    ask: Ask<'r, 'p>,
    picker: Option<Result<Picker<'r>, Refusal>>,
    schema: Option<Result<Check<'r, 'd>, Refusal>>,
    canonical: Option<Canonicaliser<'p, Hasher<'d>>>,
    /// The id of signed properties to count.
    counted: Option<&'p str>,
    properties: usize,
    root: Option<Root>,
    signature: Option<Found<'d>>,
    /// Depth of the signature that the pass is inside of; 0 outside.
    inside: usize,
    misplaced: Option<Refusal>,
    doubled_ids: Vec<(String, Refusal)>,
    outer_instruction: Option<Refusal>,
    uncovered: Vec<(String, Refusal)>,
    /// Octets that the canonical form may have, and whether it has more.
    most: usize,
    exceeded: bool,
}

/// Passes over `document`.
///
/// # Errors
/// AW-0101 to AW-0104. What concerns header, schema and signature is in the answer.
pub(crate) fn pass<'d, 'r>(
    document: Document<'d>,
    limits: &Limits,
    ask: Ask<'r, '_>,
) -> Result<Passed<'d, 'r>, Refusal> {
    let mut walk = Walk::new(document, limits)?;
    let plan = ask.plan;
    let mut pass = Pass {
        ask,
        picker: None,
        schema: None,
        canonical: plan.map(|p| Canonicaliser::new(p.method, &p.prefixes, false, Hasher::new(p.hash))),
        counted: plan.and_then(|p| p.properties.as_deref()),
        properties: 0,
        root: None,
        signature: None,
        inside: 0,
        misplaced: None,
        doubled_ids: Vec::new(),
        outer_instruction: None,
        uncovered: Vec::new(),
        most: c14n::bound(document.text.len()),
        exceeded: false,
    };
    loop {
        match walk.step()? {
            Node::Eof => break,
            node => pass.node(&walk, node),
        }
        if pass.exceeded {
            return Err(walk.refuse(
                Code::OverLimit,
                "the document's canonical form is more than eight times as long as itself: namespaces that elements \
                 use and their parents do not are written again and again; declare them where they are used",
            ));
        }
    }
    let digest = pass.canonical.map(|canonical| canonical.into_inner().finish());
    let Some(root) = pass.root else {
        return Err(walk.refuse(Code::NotWellFormed, "the document has no root element"));
    };
    Ok(Passed {
        root,
        picker: pass.picker,
        signature: pass.signature,
        properties: pass.properties,
        misplaced: pass.misplaced,
        doubled_ids: pass.doubled_ids,
        outer_instruction: pass.outer_instruction,
        uncovered: pass.uncovered,
        digest,
        schema: pass.schema.map(|check| check?.finish()),
    })
}

impl<'d, 'r> Pass<'d, 'r, '_> {
    #[inline(always)]
    fn node(&mut self, walk: &Walk<'d>, node: Node) {
        let mut inside = self.inside > 0;
        match node {
            Node::Start => {
                self.start(walk);
                inside = self.inside > 0;
            }
            Node::End => {
                if self.inside > walk.depth() {
                    self.leave(walk);
                }
                if walk.depth() == 0
                    && let Some(root) = &mut self.root
                {
                    root.end = walk.range();
                }
            }
            Node::Instruction if walk.depth() == 0 && self.outer_instruction.is_none() => {
                self.outer_instruction = Some(walk.refuse(
                    Code::NotCovered,
                    "a processing instruction outside the root is not covered by the root's id; refer with URI=\"\"",
                ));
            }
            _ => {}
        }
        if let Some(Ok(check)) = &mut self.schema {
            validate(check, walk, node);
        }
        if inside {
            return;
        }
        if let Some(canonical) = &mut self.canonical {
            canonical.node(walk, node);
            if node == Node::Start {
                self.exceeded = canonical.exceeds(self.most);
                if walk.qualified {
                    types(canonical, walk, &mut self.uncovered);
                }
            }
        }
        if let Some(Ok(picker)) = &mut self.picker
            && !picker.passes(node)
        {
            feed(picker, walk, node);
        }
    }

    #[inline]
    fn start(&mut self, walk: &Walk<'d>) {
        if walk.depth() == 1 {
            self.begin(walk);
        } else if !walk.attributes.is_empty() {
            self.ids(walk);
        }
        if walk.element.local == "Signature" && walk.is(DSIG, "Signature") {
            self.enter(walk);
        }
    }

    /// The root starts.
    fn begin(&mut self, walk: &Walk<'d>) {
        let namespace = walk.namespaces.uri(walk.element.binding);
        self.picker = self.ask.rules.map(|rules| rules.picker(namespace, walk.element.local));
        self.schema = self.ask.schemas.map(|schemas| schemas.begin(namespace));
        let inherited = |attribute: &&super::walk::Attribute<'d>| attribute.binding == XML_BINDING;
        let ids: Vec<String> = walk.attributes.iter().filter_map(id_of).map(Cow::into_owned).collect();
        self.properties += ids.iter().filter(|id| Some(id.as_str()) == self.counted).count();
        self.root = Some(Root {
            qname: walk.element.qname.to_owned(),
            namespace: namespace.to_owned(),
            ids,
            inherited: walk
                .attributes
                .iter()
                .filter(inherited)
                .map(|a| Inherited { local: a.local.to_owned(), value: a.value().into_owned() })
                .collect(),
            end: walk.range(),
            empty: walk.is_empty(),
        });
    }

    /// Looks for ids of the root at another element, and counts that of the signed properties.
    #[inline]
    fn ids(&mut self, walk: &Walk<'d>) {
        for attribute in &walk.attributes {
            let Some(id) = id_of(attribute) else { continue };
            self.properties += usize::from(self.counted == Some(&*id));
            let known = self.root.as_ref().is_some_and(|root| root.ids.iter().any(|own| *own == id));
            if known && !self.doubled_ids.iter().any(|(other, _)| *other == id) {
                let reason = "this id is also the root's, to which the signature refers; ids must be unique";
                self.doubled_ids.push((id.into_owned(), walk.refuse(Code::NotCovered, reason)));
            }
        }
    }

    /// A signature starts.
    fn enter(&mut self, walk: &Walk<'d>) {
        let reason = if walk.depth() != 2 {
            Some(
                "a ds:Signature stands elsewhere than as a child of the root; sign the whole document, enveloped",
            )
        } else if self.signature.is_some() {
            Some("the document has more than one ds:Signature; send it with exactly one")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.misplaced.get_or_insert_with(|| walk.refuse(Code::NotCovered, reason));
            return;
        }
        let mut namespaces = walk.namespaces.clone();
        namespaces.truncate(walk.mark());
        self.signature = Some(Found { range: walk.range(), namespaces });
        self.inside = walk.depth();
    }

    /// The signature has ended.
    fn leave(&mut self, walk: &Walk<'d>) {
        self.inside = 0;
        if let Some(found) = &mut self.signature {
            found.range.end = walk.range().end;
        }
    }
}

/// The value of an attribute that names an element: `Id`, `ID`, `id`, `xml:id`.
#[inline]
fn id_of<'d>(attribute: &super::walk::Attribute<'d>) -> Option<Cow<'d, str>> {
    let known = match attribute.local {
        "id" => attribute.prefix.is_empty() || attribute.binding == XML_BINDING,
        "Id" | "ID" => attribute.prefix.is_empty(),
        _ => false,
    };
    known.then(|| attribute.value())
}

/// Looks for prefixes that exclusive canonicalisation leaves open: those in an `xsi:type` are
/// part of its meaning, but not visibly utilised (Exclusive XML Canonicalization, section 1.3).
#[cold]
fn types(canonical: &Canonicaliser<'_, Hasher<'_>>, walk: &Walk<'_>, uncovered: &mut Vec<(String, Refusal)>) {
    for attribute in &walk.attributes {
        if attribute.local != "type" || walk.namespaces.uri(attribute.binding) != XSI {
            continue;
        }
        let value = attribute.value();
        let (prefix, _) = value.trim().split_once(':').unwrap_or_default();
        let Some(binding) = walk.namespaces.resolve(prefix) else { continue };
        let known = uncovered.iter().any(|(other, _)| other == prefix);
        if !known && uncovered.len() < PREFIXES && !canonical.covers(&walk.namespaces, binding) {
            let reason = "the signature does not cover what the prefix in xsi:type stands for; \
                name the prefix in InclusiveNamespaces, or canonicalise inclusively";
            uncovered.push((prefix.to_owned(), walk.refuse(Code::NotCovered, reason)));
        }
    }
}

/// Shows a node to the schema. Kept apart, as [`feed`] is.
#[inline(never)]
fn validate<'d>(check: &mut Check<'_, 'd>, walk: &Walk<'d>, node: Node) {
    check.node(walk, node);
}

/// Shows a node to the header picker. Kept apart: inlined, it would crowd out the pass without one.
#[inline(never)]
fn feed<'d>(picker: &mut Picker<'_>, walk: &Walk<'d>, node: Node) {
    match node {
        Node::Start => {
            picker.start(walk.namespaces.uri(walk.element.binding), walk.element.local);
            let attributes = if picker.wants_attributes() { &walk.attributes[..] } else { &[] };
            for attribute in attributes {
                let namespace = walk.namespaces.uri(attribute.binding);
                if attribute.plain {
                    picker.attribute(namespace, attribute.local, attribute.raw);
                } else {
                    picker.attribute(namespace, attribute.local, &attribute.value());
                }
            }
        }
        Node::End => picker.end(),
        Node::Text | Node::Cdata => {
            if walk.depth() > 0 && picker.wants_text() {
                picker.text(&walk.lines());
            }
        }
        Node::Reference(c) => {
            if picker.wants_text() {
                picker.text(c.encode_utf8(&mut [0; 4]));
            }
        }
        Node::Comment | Node::Instruction | Node::Eof => {}
    }
}
