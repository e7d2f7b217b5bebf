//! Element declarations and substitution groups (XSD 1.0 part 1, section 3.3).

use std::collections::HashMap;

use super::super::model::{Element, ElementId, Type, TypeId, Ways};
use super::super::names::Name;
use super::simple::given;
use super::{Compiler, DraftContent, Made, Place, Read, Slot, ways};

impl<'t> Compiler<'t> {
    /// Makes sure that an element declaration is read.
    pub(super) fn make_element(&mut self, id: ElementId) -> Read<()> {
        let Some(slot) = self.elements.get_mut(id.0 as usize) else { return Err(String::new()) };
        let (place, name) = (slot.place, slot.name);
        match slot.made {
            Slot::Done(_) => return Ok(()),
            Slot::Failed => return Err(String::new()),
            Slot::Busy => return Err(place.fault("the substitution group leads back to itself")),
            Slot::Open => slot.made = Slot::Busy,
        }
        let read = self.deeper(place, |compiler| compiler.element(place, name));
        let (made, head, finals, result) = match read {
            Ok((element, head, finals)) => (Slot::Done(element), head, finals, Ok(())),
            Err(fault) => (Slot::Failed, None, Ways::NONE, Err(fault)),
        };
        if let Some(slot) = self.elements.get_mut(id.0 as usize) {
            (slot.made, slot.head, slot.finals) = (made, head, finals);
        }
        result
    }

    fn element(&mut self, place: Place<'t>, name: Name) -> Read<(Element, Option<ElementId>, Ways)> {
        let node = place.node;
        let derived = Ways::EXTENSION.and(Ways::RESTRICTION);
        if ["ref", "minOccurs", "maxOccurs", "form"].iter().any(|name| node.get(name).is_some()) {
            let global = place.document.root.children.iter().any(|global| std::ptr::eq(global, node));
            if global {
                return Err(place.fault("a global element has no ref, form or occurrences"));
            }
        }
        let head = match node.get("substitutionGroup") {
            Some(head) => {
                let head = self.qname(place, head)?;
                let Some(id) = self.element_ids.get(&head).copied() else {
                    return Err(place.fault(format!("there is no element {}", self.show(head))));
                };
                self.make_element(id)?;
                Some(id)
            }
            None => None,
        };
        let kind = self.element_type(place, head)?;
        self.make_type(kind)?;
        let given = match self.made(kind) {
            Some(Made::Simple(kind, _)) => {
                if kind.is_id() && (node.get("default").is_some() || node.get("fixed").is_some()) {
                    return Err(place.fault("an element of type ID can't have a default or fixed value"));
                }
                given(node, Some(kind))?
            }
            Some(Made::Complex(draft)) => match &draft.content {
                DraftContent::Simple(kind) => given(node, Some(kind))?,
                DraftContent::Particle(particle) if draft.mixed && particle.is_emptiable() => {
                    given(node, None)?
                }
                _ if node.get("default").is_some() || node.get("fixed").is_some() => {
                    return Err(
                        place.fault("an element with this content can't have a default or fixed value")
                    );
                }
                _ => None,
            },
            None => return Err(String::new()),
        };
        let identities = self.identities_of(place)?;
        let element = Element {
            name,
            kind,
            nillable: node.flag("nillable")?,
            is_abstract: node.flag("abstract")?,
            given,
            block: ways(place, "block", derived.and(Ways::SUBSTITUTION))?,
            identities,
        };
        Ok((element, head, ways(place, "final", derived)?))
    }

    fn element_type(&mut self, place: Place<'t>, head: Option<ElementId>) -> Read<TypeId> {
        let own =
            place.children().filter(|child| ["simpleType", "complexType"].contains(&&*child.node.local));
        let own: Vec<Place<'t>> = own.collect();
        match (place.node.get("type"), own.as_slice()) {
            (Some(name), []) => self.type_named(place, name),
            (None, [only]) => Ok(self.new_type(Some(*only))),
            (None, []) => {
                let slot = head.and_then(|head| self.elements.get(head.0 as usize));
                Ok(match slot.map(|slot| &slot.made) {
                    Some(Slot::Done(head)) => head.kind,
                    _ => TypeId::ANY,
                })
            }
            _ => Err(place.fault("an element has one type: named, or defined in it")),
        }
    }

    /// For each head of a substitution group, and each abstract element: the elements that may stand for it (section 3.3.6).
    pub(super) fn substitutes(&mut self) -> HashMap<ElementId, Vec<(Name, ElementId)>> {
        let mut all: HashMap<ElementId, Vec<(Name, ElementId)>> = HashMap::new();
        let mut faults = Vec::new();
        for (number, slot) in self.elements.iter().enumerate() {
            let id = ElementId(u32::try_from(number).unwrap_or(u32::MAX));
            let Slot::Done(element) = &slot.made else { continue };
            if element.is_abstract {
                all.entry(id).or_default();
            }
            if let Some(head) = slot.head.and_then(|head| self.elements.get(head.0 as usize))
                && let Slot::Done(of) = &head.made
                && !self.derives(element.kind, of.kind, head.finals)
            {
                faults.push(
                    slot.place.fault("the type does not derive from that of its substitution group's head"),
                );
            }
            let mut step = slot.head;
            // Reading an element reads its head first, so no circle gets here.
            while let Some(head) = step {
                let Some(of) = self.elements.get(head.0 as usize) else { break };
                let Slot::Done(declared) = &of.made else { break };
                let members = all.entry(head).or_default();
                if !element.is_abstract
                    && !declared.block.has(Ways::SUBSTITUTION)
                    && self.derives(
                        element.kind,
                        declared.kind,
                        declared.block.and(self.blocked_in(declared.kind)),
                    )
                {
                    members.push((slot.name, id));
                }
                step = of.head;
            }
        }
        for (head, members) in &mut all {
            if let Some(Slot::Done(element)) = self.elements.get(head.0 as usize).map(|slot| &slot.made)
                && !element.is_abstract
            {
                members.push((element.name, *head));
            }
        }
        faults.into_iter().for_each(|fault| self.fault(fault));
        all
    }

    fn blocked_in(&self, id: TypeId) -> Ways {
        match self.made(id) {
            Some(Made::Complex(draft)) => draft.block,
            _ => Ways::NONE,
        }
    }

    /// As [`super::super::model::Schema::derives`], over drafts.
    fn derives(&self, derived: TypeId, base: TypeId, blocked: Ways) -> bool {
        let mut step = derived;
        while step != base {
            match self.made(step) {
                Some(Made::Complex(draft)) if step != TypeId::ANY && !blocked.has(draft.way) => {
                    step = draft.base
                }
                Some(Made::Simple(from, _)) => {
                    let (from, to) = (Type::Simple(from.clone()), self.made(base));
                    let to = match to {
                        Some(Made::Simple(to, _)) => Type::Simple(to.clone()),
                        _ => return base == TypeId::ANY && !blocked.has(Ways::RESTRICTION),
                    };
                    let kind = |id: TypeId| if id == base { Some(&to) } else { Some(&from) };
                    return super::model::derives(&kind, step, base, blocked);
                }
                _ => return false,
            }
        }
        true
    }
}
