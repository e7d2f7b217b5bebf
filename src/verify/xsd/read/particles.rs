//! Particles and groups (XSD 1.0 part 1, sections 3.7 to 3.9).

use std::sync::Arc;

use super::super::automaton::{Particle, Term};
use super::super::names::{Name, Ns};
use super::{Compiler, Kind, Place, Read, Slot};

impl<'t> Compiler<'t> {
    /// The particle of a complex type; `None` where there is nothing (section 3.4.2, "explicit content").
    pub(super) fn content_particle(&mut self, place: Place<'t>) -> Read<Option<Particle>> {
        let is = |child: &Place<'t>| ["sequence", "choice", "all", "group"].contains(&&*child.node.local);
        let mut found = place.children().filter(is);
        let Some(first) = found.next() else { return Ok(None) };
        if let Some(second) = found.next() {
            return Err(second.fault("there can be one group only; put both into a sequence"));
        }
        let (min, max) = occurs(first)?;
        let bare = first.node.children.is_empty();
        let empty = match &*first.node.local {
            "sequence" | "all" => bare,
            "choice" => bare && min == 0,
            _ => false,
        };
        // It is read in any case, to find its faults.
        let particle = self.particle(first)?;
        Ok((!empty && max != Some(0)).then_some(particle))
    }

    fn particle(&mut self, place: Place<'t>) -> Read<Particle> {
        let (min, max) = occurs(place)?;
        let term = match &*place.node.local {
            "element" => self.element_term(place)?,
            "any" => {
                self.particles += 1;
                Term::Wildcard(Arc::new(self.wildcard(place)?), self.particles)
            }
            "group" => {
                let name = self.qname(place, place.node.required("ref")?)?;
                if !self.globals.contains_key(&(Kind::Group, name)) {
                    return Err(place.fault(format!("there is no group {}", self.show(name))));
                }
                self.group(name)?
            }
            _ => self.model_group(place)?,
        };
        Ok(Particle { min, max, term })
    }

    fn model_group(&mut self, place: Place<'t>) -> Read<Term> {
        let mut parts = Vec::new();
        for child in place.children() {
            parts.push(self.particle(child)?);
        }
        Ok(match &*place.node.local {
            "sequence" => Term::Sequence(parts.into()),
            "choice" => Term::Choice(parts.into()),
            _ => Term::All(parts.into()),
        })
    }

    fn element_term(&mut self, place: Place<'t>) -> Read<Term> {
        let node = place.node;
        self.particles += 1;
        let number = self.particles;
        match (node.get("ref"), node.get("name")) {
            (Some(name), None) => {
                let more = ["type", "default", "fixed", "nillable", "block", "form"];
                if more.iter().any(|name| node.get(name).is_some()) || !node.children.is_empty() {
                    return Err(place.fault("a reference to an element gives nothing but its occurrences"));
                }
                let name = self.qname(place, name)?;
                match self.element_ids.get(&name) {
                    Some(id) => Ok(Term::Element(*id, number)),
                    None => Err(place.fault(format!("there is no element {}", self.show(name)))),
                }
            }
            (None, Some(local)) => {
                let default = place.document.root.get("elementFormDefault");
                let namespace = match node.get("form").or(default) {
                    Some("qualified") => self.target(place),
                    None | Some("unqualified") => Ns::NONE,
                    Some(_) => return Err(place.fault("form is qualified or unqualified")),
                };
                if ["substitutionGroup", "abstract", "final"].iter().any(|name| node.get(name).is_some()) {
                    return Err(place.fault("substitutionGroup, abstract and final are for global elements"));
                }
                super::ncname(place, local)?;
                let name = self.names.add(namespace, local);
                Ok(Term::Element(self.new_element(place, name), number))
            }
            _ => Err(place.fault("an element needs either name or ref")),
        }
    }

    /// The named group.
    pub(super) fn group(&mut self, name: Name) -> Read<Term> {
        let Some(place) = self.globals.get(&(Kind::Group, name)).copied() else { return Err(String::new()) };
        match self.groups.get(&name) {
            Some(Slot::Done(known)) => return Ok(known.clone()),
            Some(Slot::Busy) => return Err(place.fault("the group is defined by itself")),
            Some(Slot::Failed) => return Err(String::new()),
            _ => {}
        }
        let [node] = place.node.children.as_slice() else {
            return Err(place.fault("a group holds one sequence, choice or all"));
        };
        self.groups.insert(name, Slot::Busy);
        let term = self.deeper(place, |compiler| compiler.model_group(place.at(node)));
        let slot = term.as_ref().map_or(Slot::Failed, |term| Slot::Done(term.clone()));
        self.groups.insert(name, slot);
        term
    }
}

/// `minOccurs` and `maxOccurs`, `None` for unbounded; what no counter can reach counts as the most that one can.
fn occurs(place: Place<'_>) -> Read<(u32, Option<u32>)> {
    let number =
        |name: &str, text: &str| match text.bytes().all(|octet| octet.is_ascii_digit()) && !text.is_empty() {
            true => Ok(text.parse().unwrap_or(u32::MAX)),
            false => Err(place.fault(format!("{name} is a whole number"))),
        };
    let min = place.node.get("minOccurs").map_or(Ok(1), |text| number("minOccurs", text))?;
    let max = match place.node.get("maxOccurs") {
        None => Some(1),
        Some("unbounded") => None,
        Some(text) => Some(number("maxOccurs", text)?),
    };
    match max.is_some_and(|max| max < min) {
        true => Err(place.fault("minOccurs is greater than maxOccurs")),
        false => Ok((min, max)),
    }
}
