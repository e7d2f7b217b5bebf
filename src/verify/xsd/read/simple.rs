//! Simple types (XSD 1.0 part 1, section 3.14).

use std::sync::Arc;

use super::super::model::{Given, Ways};
use super::super::types::{Facet, FacetSpec, SimpleType};
use super::tree::Node;
use super::{Compiler, Made, Place, Read};

const FACETS: [Facet; 12] = [
    Facet::Length,
    Facet::MinLength,
    Facet::MaxLength,
    Facet::Pattern,
    Facet::Enumeration,
    Facet::WhiteSpace,
    Facet::MaxInclusive,
    Facet::MaxExclusive,
    Facet::MinInclusive,
    Facet::MinExclusive,
    Facet::TotalDigits,
    Facet::FractionDigits,
];

impl<'t> Compiler<'t> {
    /// A `simpleType`, named or not.
    pub(super) fn simple_type(&mut self, place: Place<'t>) -> Read<Arc<SimpleType>> {
        let [node] = place.node.children.as_slice() else {
            return Err(place.fault("a simpleType holds one restriction, list or union"));
        };
        let inner = place.at(node);
        match &*node.local {
            "restriction" => {
                let base = self.one_type(inner, "base", Ways::RESTRICTION)?;
                let facets = facets(inner)?;
                SimpleType::restriction(&base, &facets).map_err(|fault| inner.fault(fault))
            }
            "list" => {
                let item = self.one_type(inner, "itemType", Ways::LIST)?;
                SimpleType::list(&item).map_err(|fault| inner.fault(fault))
            }
            _ => {
                let mut members = Vec::new();
                for name in node.get("memberTypes").unwrap_or_default().split_ascii_whitespace() {
                    members.push(self.simple_named(inner, name, Ways::UNION)?);
                }
                for child in inner.children() {
                    members.push(self.deeper(child, |compiler| compiler.simple_type(child))?);
                }
                SimpleType::union(&members).map_err(|fault| inner.fault(fault))
            }
        }
    }

    /// The type that an attribute names or a child `simpleType` defines: exactly one of the two.
    fn one_type(&mut self, place: Place<'t>, attribute: &str, way: Ways) -> Read<Arc<SimpleType>> {
        match (place.node.get(attribute), place.child("simpleType")) {
            (Some(name), None) => self.simple_named(place, name, way),
            (None, Some(child)) => self.deeper(child, |compiler| compiler.simple_type(child)),
            _ => Err(place.fault(format!("{} needs either {attribute} or a simpleType", place.node.local))),
        }
    }

    /// The simple type of this name, for a derivation in this way.
    pub(super) fn simple_named(&mut self, place: Place<'t>, name: &str, way: Ways) -> Read<Arc<SimpleType>> {
        let id = self.type_named(place, name)?;
        self.make_type(id)?;
        match self.made(id) {
            Some(Made::Simple(_, finals)) if finals.has(way) => {
                Err(place.fault(format!("the type {name} is final and can't be derived from like this")))
            }
            Some(Made::Simple(kind, _)) => Ok(kind.clone()),
            _ => Err(place.fault(format!("{name} is no simple type"))),
        }
    }
}

/// The facets of a restriction.
pub(super) fn facets(place: Place<'_>) -> Read<Vec<FacetSpec<'_>>> {
    let mut specs = Vec::new();
    for node in &place.node.children {
        let Some(name) = FACETS.into_iter().find(|facet| facet.name() == &*node.local) else { continue };
        let Some(value) = node.raw("value") else {
            return Err(node.fault(format!("{} needs the attribute value", node.local)));
        };
        specs.push(FacetSpec { name, value, fixed: node.flag("fixed")?, scope: &*node.scope });
    }
    Ok(specs)
}

/// The default or fixed value of an element or attribute (sections 3.2.2 and 3.3.2); `kind` is `None` for mixed content.
pub(super) fn given(node: &Node, kind: Option<&SimpleType>) -> Read<Option<Given>> {
    let (text, fixed) = match (node.raw("default"), node.raw("fixed")) {
        (None, None) => return Ok(None),
        (Some(text), None) => (text, false),
        (None, Some(text)) => (text, true),
        (Some(_), Some(_)) => return Err(node.fault("default and fixed can't both be given")),
    };
    let value = match kind {
        Some(kind) => Some(
            kind.value(text, &*node.scope)
                .map_err(|fault| node.fault(format!("the default or fixed value does not fit: {fault}")))?,
        ),
        None => None,
    };
    Ok(Some(Given { fixed, text: text.into(), value }))
}
