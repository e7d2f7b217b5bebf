//! Complex types (XSD 1.0 part 1, section 3.4).

use std::sync::Arc;

use super::super::automaton::{Particle, Term};
use super::super::model::{Attributes, TypeId, Ways};
use super::super::types::SimpleType;
use super::{Compiler, Draft, DraftContent, Made, Place, Read, simple, ways};

/// What a derived type needs to know of its base.
struct Base {
    id: TypeId,
    attributes: Attributes,
    content: DraftContent,
    mixed: bool,
    finals: Ways,
    complex: bool,
}

impl<'t> Compiler<'t> {
    /// A `complexType`, named or not.
    pub(super) fn complex_type(&mut self, place: Place<'t>) -> Read<Draft> {
        let derived = Ways::EXTENSION.and(Ways::RESTRICTION);
        let mut draft = if let Some(content) = place.child("simpleContent") {
            self.simple_content(content)?
        } else if let Some(content) = place.child("complexContent") {
            let own = content.node.get("mixed").is_some();
            let mixed = if own { content.node.flag("mixed")? } else { place.node.flag("mixed")? };
            self.complex_content(content, mixed)?
        } else {
            let mixed = place.node.flag("mixed")?;
            let declared = self.declared(place)?;
            let content = content(self.content_particle(place)?, mixed);
            let attributes = Attributes::new(declared.uses, declared.wildcard);
            draft(TypeId::ANY, Ways::RESTRICTION, attributes, content, mixed)
        };
        if place.node.children.len() > 1
            && (place.child("simpleContent").is_some() || place.child("complexContent").is_some())
        {
            return Err(place.fault("nothing can stand beside simpleContent or complexContent"));
        }
        draft.is_abstract = place.node.flag("abstract")?;
        draft.block = ways(place, "block", derived)?;
        draft.finals = ways(place, "final", derived)?;
        Ok(draft)
    }

    /// The `extension` or `restriction` in a content, and the type that it derives from.
    fn derivation(&mut self, content: Place<'t>) -> Read<(Place<'t>, Ways, Base)> {
        let [node] = content.node.children.as_slice() else {
            return Err(content.fault(format!("{} holds one extension or restriction", content.node.local)));
        };
        let place = content.at(node);
        let way = if &*node.local == "extension" { Ways::EXTENSION } else { Ways::RESTRICTION };
        let name = node.required("base")?;
        let id = self.type_named(place, name)?;
        self.make_type(id)?;
        let base = match self.made(id) {
            Some(Made::Complex(draft)) => Base {
                id,
                attributes: draft.attributes.clone(),
                content: draft.content.clone(),
                mixed: draft.mixed,
                finals: draft.finals,
                complex: true,
            },
            Some(Made::Simple(kind, finals)) => Base {
                id,
                attributes: Attributes::default(),
                content: DraftContent::Simple(kind.clone()),
                mixed: false,
                finals: *finals,
                complex: false,
            },
            None => return Err(String::new()),
        };
        if base.finals.has(way) {
            return Err(place.fault(format!("the type {name} is final and can't be derived from like this")));
        }
        Ok((place, way, base))
    }

    /// Section 3.4.2, "Complex type with simple content".
    fn simple_content(&mut self, content: Place<'t>) -> Read<Draft> {
        let (place, way, base) = self.derivation(content)?;
        if self.content_particle(place)?.is_some() {
            return Err(place.fault("simpleContent can't hold elements"));
        }
        let declared = self.declared(place)?;
        if way == Ways::EXTENSION {
            let attributes = self.extended(place, &base.attributes, declared)?;
            return match base.content {
                DraftContent::Simple(_) => Ok(draft(base.id, way, attributes, base.content, false)),
                _ => Err(place.fault("the base of simpleContent has no simple content")),
            };
        }
        if !base.complex {
            return Err(place.fault("simpleContent can't restrict a simple type; use simpleType"));
        }
        let attributes = self.restricted(place, &base.attributes, declared)?;
        let own = match place.child("simpleType") {
            Some(child) => Some(self.deeper(child, |compiler| compiler.simple_type(child))?),
            None => None,
        };
        let start = match (own, &base.content) {
            (Some(own), DraftContent::Simple(of)) if !own.derives_from(of) => {
                return Err(place.fault("the simpleType is not derived from the base's content"));
            }
            (Some(own), DraftContent::Simple(_)) => own,
            (None, DraftContent::Simple(of)) => of.clone(),
            (Some(own), DraftContent::Particle(particle)) if base.mixed && particle.is_emptiable() => own,
            _ => return Err(place.fault("the base of simpleContent has no simple content")),
        };
        let kind = restricted_by_facets(place, start)?;
        Ok(draft(base.id, way, attributes, DraftContent::Simple(kind), false))
    }

    /// Section 3.4.2, "Complex type with complex content".
    fn complex_content(&mut self, content: Place<'t>, mixed: bool) -> Read<Draft> {
        let (place, way, base) = self.derivation(content)?;
        if !base.complex {
            return Err(place.fault("complexContent can't be derived from a simple type; use simpleContent"));
        }
        if !simple::facets(place)?.is_empty() || place.child("simpleType").is_some() {
            return Err(place.fault("complexContent has no facets and no simpleType"));
        }
        let declared = self.declared(place)?;
        let own = self.content_particle(place)?;
        if way == Ways::RESTRICTION {
            let attributes = self.restricted(place, &base.attributes, declared)?;
            return Ok(draft(base.id, way, attributes, self::content(own, mixed), mixed));
        }
        let attributes = self.extended(place, &base.attributes, declared)?;
        if own.is_none() && !mixed {
            return Ok(draft(base.id, way, attributes, base.content, base.mixed));
        }
        let (content, mixed) = match (base.content, self::content(own, mixed)) {
            (DraftContent::Empty, own) => (own, mixed),
            (DraftContent::Simple(_), _) => {
                return Err(place.fault("elements can't be added to simple content"));
            }
            (DraftContent::Particle(_), _) if base.mixed != mixed => {
                return Err(place.fault("a type and its extension are both mixed or both not"));
            }
            (DraftContent::Particle(first), DraftContent::Particle(then)) => {
                let whole = Term::Sequence(Arc::from([first, then]));
                (DraftContent::Particle(Particle::once(whole)), mixed)
            }
            (DraftContent::Particle(first), _) => (DraftContent::Particle(first), mixed),
        };
        Ok(draft(base.id, way, attributes, content, mixed))
    }
}

fn draft(base: TypeId, way: Ways, attributes: Attributes, content: DraftContent, mixed: bool) -> Draft {
    let none = Ways::NONE;
    Draft { base, way, is_abstract: false, block: none, finals: none, attributes, content, mixed }
}

/// The content type of a particle; mixed content is never empty, as text may stand there.
fn content(particle: Option<Particle>, mixed: bool) -> DraftContent {
    match particle {
        Some(particle) => DraftContent::Particle(particle),
        None if mixed => DraftContent::Particle(Particle::once(Term::Sequence(Arc::from([])))),
        None => DraftContent::Empty,
    }
}

fn restricted_by_facets(place: Place<'_>, start: Arc<SimpleType>) -> Read<Arc<SimpleType>> {
    let facets = simple::facets(place)?;
    if facets.is_empty() {
        return Ok(start);
    }
    SimpleType::restriction(&start, &facets).map_err(|fault| place.fault(fault))
}
