//! Content models become automata, and all is put together.

use std::collections::HashMap;

use super::super::automaton::{self, Content, Naming};
use super::super::model::{Complex, ElementId, Schema, Type};
use super::super::names::{Name, Ns};
use super::{Compiler, DraftContent, ElementSlot, MAX_TABLES, Made, Slot};

impl Compiler<'_> {
    /// Makes the automata and puts all together.
    pub(super) fn finish(mut self) -> Result<Schema, Vec<String>> {
        let substitutes = self.substitutes();
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let mut types = Vec::with_capacity(self.types.len());
        let mut tables = 0;
        let slots = std::mem::take(&mut self.types);
        for slot in slots {
            let draft = match slot.made {
                Slot::Done(Made::Complex(draft)) => draft,
                Slot::Done(Made::Simple(kind, _)) => {
                    types.push(Type::Simple(kind));
                    continue;
                }
                _ => return Err(vec!["a type was not read".to_owned()]),
            };
            let content = match draft.content {
                DraftContent::Empty => Ok(Content::Empty),
                DraftContent::Simple(kind) => Ok(Content::Simple(kind)),
                DraftContent::Particle(particle) => {
                    automaton::compile(&particle, &Named { compiler: &self, substitutes: &substitutes })
                }
            };
            let content = content.unwrap_or_else(|fault| {
                let place = slot.place;
                self.fault(place.map_or(fault.clone(), |place| place.fault(fault)));
                Content::Empty
            });
            if let Content::Ordered(table) = &content {
                tables += table.size();
            }
            if tables > MAX_TABLES {
                return Err(vec![format!(
                    "the content models need more than {MAX_TABLES} states and edges; split the set"
                )]);
            }
            types.push(Type::Complex(Complex {
                base: draft.base,
                way: draft.way,
                is_abstract: draft.is_abstract,
                block: draft.block,
                attributes: draft.attributes,
                content,
                mixed: draft.mixed,
            }));
        }
        match self.faults.is_empty() {
            true => Ok(self.schema(types)),
            false => Err(self.faults),
        }
    }

    fn schema(self, types: Vec<Type>) -> Schema {
        let mut global_elements = vec![None; self.names.len()];
        for (name, id) in &self.element_ids {
            if let Some(slot) = global_elements.get_mut(name.index()) {
                *slot = Some(*id);
            }
        }
        let made = |slot: ElementSlot<'_>| match slot.made {
            Slot::Done(element) => Some(element),
            _ => None,
        };
        Schema {
            names: self.names,
            elements: self.elements.into_iter().filter_map(made).collect(),
            types,
            identities: self.identities,
            global_elements,
            global_attributes: self.attributes,
            global_types: self.type_ids,
        }
    }
}

/// What automata ask of the compiler.
struct Named<'c, 't> {
    compiler: &'c Compiler<'t>,
    substitutes: &'c HashMap<ElementId, Vec<(Name, ElementId)>>,
}

impl Naming for Named<'_, '_> {
    fn names(&self, element: ElementId) -> Vec<(Name, ElementId)> {
        if let Some(known) = self.substitutes.get(&element) {
            return known.clone();
        }
        let slot = self.compiler.elements.get(element.0 as usize);
        slot.map(|slot| (slot.name, element)).into_iter().collect()
    }

    fn namespace(&self, name: Name) -> Ns {
        self.compiler.names.namespace_of(name)
    }

    fn show(&self, name: Name) -> String {
        self.compiler.show(name)
    }
}
