//! What documents declare gets its numbers, and all of it is read.

use std::sync::Arc;

use super::super::automaton::{Particle, Term};
use super::super::model::{Attributes, ElementId, TypeId, Ways};
use super::super::names::Name;
use super::super::types::{Builtin, SimpleType};
use super::super::wildcard::{Allowed, Process, Wildcard};
use super::documents::Document;
use super::tree::XSD;
use super::{Compiler, Draft, DraftContent, Kind, MAX_COMPONENTS, Made, Place, Slot, TypeSlot, ncname};

impl<'t> Compiler<'t> {
    /// `xs:anyType` (section 3.4.7) and the built-in simple types.
    pub(super) fn built_in(&mut self) {
        let xsd = self.names.add_namespace(XSD);
        let wildcard = Wildcard { allowed: Allowed::Any, process: Process::Lax };
        let any = Particle { min: 0, max: None, term: Term::Wildcard(Arc::new(wildcard.clone()), 0) };
        let draft = Draft {
            base: TypeId::ANY,
            way: Ways::RESTRICTION,
            is_abstract: false,
            block: Ways::NONE,
            finals: Ways::NONE,
            attributes: Attributes::new(Vec::new(), Some(wildcard)),
            content: DraftContent::Particle(any),
            mixed: true,
        };
        self.types.push(TypeSlot { place: None, made: Slot::Done(Made::Complex(Box::new(draft))) });
        self.type_ids.insert(self.names.add(xsd, "anyType"), TypeId::ANY);
        for builtin in Builtin::ALL {
            let id = self.new_type(None);
            if let Some(slot) = self.types.get_mut(id.0 as usize) {
                slot.made = Slot::Done(Made::Simple(SimpleType::builtin(*builtin), Ways::NONE));
            }
            self.type_ids.insert(self.names.add(xsd, builtin.name()), id);
        }
    }

    /// Takes down what a document declares by name.
    pub(super) fn register(&mut self, document: &'t Document) {
        let target = self.names.add_namespace(&document.target);
        for node in &document.root.children {
            let Some(kind) = Kind::of(&node.local) else { continue };
            let place = Place { document, node };
            let local = match node.required("name").and_then(|name| ncname(place, name)) {
                Ok(local) => local,
                Err(fault) => {
                    self.fault(fault);
                    continue;
                }
            };
            let name = self.names.add(target, local);
            if self.globals.insert((kind, name), place).is_some()
                || kind == Kind::Type && self.type_ids.contains_key(&name)
            {
                self.fault(place.fault(format!("{local} is declared twice")));
                continue;
            }
            match kind {
                Kind::Type => {
                    let id = self.new_type(Some(place));
                    self.type_ids.insert(name, id);
                }
                Kind::Element => {
                    let id = self.new_element(place, name);
                    self.element_ids.insert(name, id);
                }
                _ => {}
            }
        }
    }

    /// Reads every component, those too that come to light on the way.
    pub(super) fn read_all(&mut self) {
        let named: Vec<(Kind, Name)> = self.globals.keys().copied().collect();
        for (kind, name) in named {
            let read = match kind {
                Kind::Attribute => self.global_attribute(name).map(drop),
                Kind::Group => self.group(name).map(drop),
                Kind::AttributeGroup => self.attribute_group(name).map(drop),
                Kind::Element | Kind::Type | Kind::Notation => Ok(()),
            };
            read.unwrap_or_else(|fault| self.fault(fault));
        }
        let (mut types, mut elements) = (0, 0);
        while types < self.types.len() || elements < self.elements.len() {
            if self.types.len() + self.elements.len() > MAX_COMPONENTS {
                return self.fault(format!("the set has more than {MAX_COMPONENTS} components; split it"));
            }
            if types < self.types.len() {
                self.make_type(TypeId(u32::try_from(types).unwrap_or(u32::MAX)))
                    .unwrap_or_else(|f| self.fault(f));
                types += 1;
            } else {
                let id = ElementId(u32::try_from(elements).unwrap_or(u32::MAX));
                self.make_element(id).unwrap_or_else(|f| self.fault(f));
                elements += 1;
            }
        }
        self.refer();
    }
}
