//! Identity constraints while a document passes by (XSD 1.0 part 1, section 3.11.4).
//!
//! A path leads from an element to its descendants, so whether an open element is at its end is a comparison of the
//! names of the open elements: no state is kept for paths, only marks of the values that are to be unique.

use std::collections::hash_map::Entry;

use super::fault::Trouble;
use super::mark::{Mark, Marked, Marker};
use crate::error::Refusal;
use crate::verify::Walk;
use crate::verify::xsd::model::{Element, Identity, IdentityId, IdentityKind, Path, Schema};
use crate::verify::xsd::names::{Name, Ns};
use crate::verify::xsd::types::Value;

/// Values that are remembered for one document.
const MAX_VALUES: usize = 100_000;

/// A constraint at an open element.
struct Open<'s> {
    id: IdentityId,
    identity: &'s Identity,
    depth: usize,
    /// The values so far, together; `false` where two elements below have the same (then none can be referred to).
    keys: Marked<bool>,
    /// References and the places of their elements.
    references: Vec<(Mark, usize)>,
}

impl Open<'_> {
    /// How many values one of its elements has.
    fn width(&self) -> usize {
        self.identity.fields.len()
    }
}

/// An element that a selector has found, while it is open.
struct Selected {
    /// The number of its constraint among the open ones.
    open: usize,
    depth: usize,
    /// Where its fields begin among those of all.
    fields: usize,
}

/// All of a document's identity constraints.
pub(super) struct Tables<'s> {
    schema: &'s Schema,
    idle: bool,
    /// The names of the open elements.
    names: Vec<(Ns, Name)>,
    open: Vec<Open<'s>>,
    selected: Vec<Selected>,
    /// The fields of the selected elements, one element's behind another's.
    fields: Vec<Option<Mark>>,
    /// Values that are fields: depth, selected element, field.
    wanted: Vec<(usize, usize, usize)>,
    attributes: Vec<(Ns, Name, Value)>,
    values: usize,
    marker: Marker,
}

impl<'s> Tables<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            idle: schema.identities.is_empty(),
            names: Vec::new(),
            open: Vec::new(),
            selected: Vec::new(),
            fields: Vec::new(),
            wanted: Vec::new(),
            attributes: Vec::new(),
            values: 0,
            marker: Marker::default(),
        }
    }

    /// Whether values of attributes have to be told.
    #[inline]
    pub(super) fn wants_attributes(&self) -> bool {
        !self.idle
    }

    /// Whether the value of the element that ends now has to be told.
    #[inline]
    pub(super) fn wants_value(&self) -> bool {
        let depth = self.names.len();
        self.wanted.last().is_some_and(|(at, ..)| *at == depth)
    }

    #[inline]
    pub(super) fn forget_attributes(&mut self) {
        self.attributes.clear();
    }

    /// The value of an attribute of the element that starts next; one that is not written stands back.
    pub(super) fn attribute(&mut self, namespace: Ns, name: Name, value: Value, unwritten: bool) {
        if !unwritten || !self.attributes.iter().any(|(_, known, _)| *known == name) {
            self.attributes.push((namespace, name, value));
        }
    }

    /// An element starts.
    pub(super) fn start(
        &mut self,
        walk: &Walk<'_>,
        namespace: Ns,
        name: Name,
        declared: Option<&Element>,
    ) -> Result<(), Refusal> {
        if self.idle {
            return Ok(());
        }
        self.names.push((namespace, name));
        let depth = self.names.len();
        for id in declared.map_or(&[][..], |declared| &declared.identities) {
            if let Some(identity) = self.schema.identities.get(id.0 as usize) {
                let (keys, references) = (Marked::default(), Vec::new());
                self.open.push(Open { id: *id, identity, depth, keys, references });
            }
        }
        for (number, open) in self.open.iter().enumerate() {
            if open.identity.selector.iter().any(|path| leads(path, &self.names, open.depth)) {
                self.selected.push(Selected { open: number, depth, fields: self.fields.len() });
                self.fields.resize(self.fields.len() + open.width(), None);
            }
        }
        self.find_fields(depth).map_err(|trouble| trouble.at_start(walk))
    }

    /// Looks which fields the element that has started is, or has.
    fn find_fields(&mut self, depth: usize) -> Result<(), Trouble> {
        for (number, selected) in self.selected.iter().enumerate() {
            let Some(open) = self.open.get(selected.open) else { continue };
            let name = self.schema.names.local(open.identity.name);
            for (at, field) in open.identity.fields.iter().enumerate() {
                let leads = |path: &Path| leads(path, &self.names, selected.depth);
                for (ns, local, value) in &self.attributes {
                    let is = |path: &Path| path.attribute.is_some_and(|step| step.fits(*ns, *local));
                    if field.iter().any(|path| is(path) && leads(path)) {
                        put(&mut self.fields, selected.fields + at, self.marker.mark(value), name)?;
                    }
                }
                if field.iter().any(|path| path.attribute.is_none() && leads(path)) {
                    self.wanted.push((depth, number, at));
                }
            }
        }
        Ok(())
    }

    /// An element ends: with its value, or nil instead of one.
    pub(super) fn end(
        &mut self,
        walk: &Walk<'_>,
        offset: usize,
        qname: &str,
        value: Option<Value>,
        nil: bool,
    ) -> Result<(), Refusal> {
        if self.idle {
            return Ok(());
        }
        let depth = self.names.len();
        let result = self.close(depth, offset, value, nil);
        self.names.pop();
        match result {
            Ok(()) => Ok(()),
            // The path is that of the element at which the constraint stands.
            Err((trouble, at)) => Err(trouble.at_end(walk, at, qname)),
        }
    }

    fn close(
        &mut self,
        depth: usize,
        offset: usize,
        value: Option<Value>,
        nil: bool,
    ) -> Result<(), (Trouble, usize)> {
        while let Some((_, selected, field)) = self.wanted.pop_if(|(at, ..)| *at == depth) {
            let Some(selected) = self.selected.get(selected) else { continue };
            let Some(open) = self.open.get(selected.open) else { continue };
            let name = self.schema.names.local(open.identity.name);
            if nil && open.identity.kind == IdentityKind::Key {
                let reason = format!("a field of the key {name} can't be nil");
                return Err((Trouble::Invalid(reason), offset));
            }
            match &value {
                Some(value) => put(&mut self.fields, selected.fields + field, self.marker.mark(value), name)
                    .map_err(|trouble| (trouble, offset))?,
                None if nil => {}
                None => {
                    let reason = format!("a field of {name} must be a value, and this element holds none");
                    return Err((Trouble::Invalid(reason), offset));
                }
            }
        }
        while let Some(selected) = self.selected.pop_if(|selected| selected.depth == depth) {
            self.take(selected, offset).map_err(|trouble| (trouble, offset))?;
        }
        self.leave(depth, offset)
    }

    /// The values of a selected element are complete; it is the last of the selected ones.
    fn take(&mut self, selected: Selected, offset: usize) -> Result<(), Trouble> {
        let Some(open) = self.open.get_mut(selected.open) else { return Ok(()) };
        let name = self.schema.names.local(open.identity.name);
        let fields = self.fields.get(selected.fields..).unwrap_or_default();
        let complete = fields.iter().all(Option::is_some);
        let key = self.marker.together(fields.iter().copied().flatten());
        self.fields.truncate(selected.fields);
        if !complete {
            return match open.identity.kind {
                IdentityKind::Key => {
                    Err(Trouble::Invalid(format!("a field of the key {name} is missing here")))
                }
                _ => Ok(()),
            };
        }
        self.values += open.width();
        if self.values > MAX_VALUES {
            return Err(Trouble::Bound("values of keys", MAX_VALUES));
        }
        if let IdentityKind::KeyRef(_) = open.identity.kind {
            open.references.push((key, offset));
            return Ok(());
        }
        match open.keys.insert(key, true) {
            None => Ok(()),
            Some(_) => Err(Trouble::Invalid(format!(
                "this element has the same values as another one, and {name} must be unique"
            ))),
        }
    }

    /// The constraints of an element are complete.
    fn leave(&mut self, depth: usize, offset: usize) -> Result<(), (Trouble, usize)> {
        let first = self.open.iter().position(|open| open.depth == depth).unwrap_or(self.open.len());
        let closing = self.open.split_off(first);
        for open in &closing {
            let IdentityKind::KeyRef(key) = open.identity.kind else { continue };
            let known = |reference: &Mark| {
                let own = closing.iter().filter(|other| other.id == key);
                // Those of elements below have come up to the reference itself.
                own.chain([open]).any(|other| other.keys.get(reference).copied().unwrap_or(false))
            };
            if let Some((_, at)) = open.references.iter().find(|(reference, _)| !known(reference)) {
                let name = self.schema.names.local(open.identity.name);
                let reason = format!("the values of this element refer to none that is there ({name})");
                return Err((Trouble::Invalid(reason), *at));
            }
        }
        // Keys go up to the references to them that are still open (section 3.11.4, node tables).
        let (mut moved, bound) = (0, MAX_VALUES);
        for done in closing {
            for open in
                self.open.iter_mut().filter(|open| open.identity.kind == IdentityKind::KeyRef(done.id))
            {
                for key in done.keys.keys() {
                    moved += done.width();
                    match open.keys.entry(*key) {
                        Entry::Vacant(entry) => drop(entry.insert(true)),
                        Entry::Occupied(mut entry) => drop(entry.insert(false)),
                    }
                }
            }
        }
        self.values += moved;
        match self.values > bound {
            true => Err((Trouble::Bound("values of keys", bound), offset)),
            false => Ok(()),
        }
    }
}

/// Sets a field, which only one element or attribute may be.
fn put(fields: &mut [Option<Mark>], at: usize, value: Mark, name: &str) -> Result<(), Trouble> {
    match fields.get_mut(at) {
        Some(slot @ None) => {
            *slot = Some(value);
            Ok(())
        }
        _ => Err(Trouble::Invalid(format!("a field of {name} stands here more than once"))),
    }
}

/// Whether a path leads from the open element at depth `from` to the innermost one.
#[inline]
fn leads(path: &Path, names: &[(Ns, Name)], from: usize) -> bool {
    let below = names.get(from..).unwrap_or_default();
    let fits = if path.anywhere { below.len() >= path.steps.len() } else { below.len() == path.steps.len() };
    fits && path.steps.iter().rev().zip(below.iter().rev()).all(|(step, (ns, name))| step.fits(*ns, *name))
}
