//! What a start tag itself says of the type of its element (XSD 1.0 part 1, section 2.6).

use super::{Run, fault};
use crate::error::Refusal;
use crate::verify::Walk;
use crate::verify::namespaces::XSI;
use crate::verify::xsd::model::{Element, TypeId, Ways};

/// What a start tag says about the type of its element.
#[derive(Default)]
pub(super) struct Instance {
    pub(super) kind: Option<TypeId>,
    nil: Option<bool>,
}

impl<'d> Run<'_, 'd> {
    /// `xsi:type` and `xsi:nil`.
    pub(super) fn instance(
        &mut self,
        walk: &Walk<'d>,
        declared: Option<&Element>,
    ) -> Result<Instance, Refusal> {
        let mut instance = Instance::default();
        for attribute in
            walk.attributes.iter().filter(|attribute| walk.namespaces.uri(attribute.binding) == XSI)
        {
            let value = attribute.value();
            let value = value.trim_matches([' ', '\t', '\n', '\r']);
            match attribute.local {
                "type" => {
                    let (prefix, local) = value.split_once(':').unwrap_or(("", value));
                    let binding = walk.namespaces.resolve(prefix);
                    let found = binding.map(|binding| self.namespace(walk, binding));
                    let name = found.map(|namespace| self.schema.names.name(namespace, local));
                    instance.kind = name.and_then(|name| self.schema.global_types.get(&name)).copied();
                    // What a lax wildcard lets in may be of types that nobody here knows.
                    if instance.kind.is_none() && declared.is_some() {
                        return Err(fault::at_start(
                            walk,
                            "xsi:type names a type that the schema does not have",
                        ));
                    }
                }
                "nil" => {
                    instance.nil = Some(match value {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(fault::at_start(walk, "xsi:nil is true or false")),
                    });
                }
                _ => {}
            }
        }
        Ok(instance)
    }

    /// The type that counts (section 3.3.4, "Element Locally Valid", 4).
    pub(super) fn actual(
        &self,
        walk: &Walk<'d>,
        declared: Option<&Element>,
        instance: &Instance,
    ) -> Result<TypeId, Refusal> {
        let base = declared.map_or(TypeId::ANY, |declared| declared.kind);
        let kind = instance.kind.unwrap_or(base);
        if kind != base {
            let in_type = self.complex(base).map_or(Ways::NONE, |base| base.block);
            let blocked = declared.map_or(Ways::NONE, |declared| declared.block).and(in_type);
            if !self.schema.derives(kind, base, blocked) {
                let reason = "the type that xsi:type names may not stand for the one that the schema gives this element";
                return Err(fault::at_start(walk, reason));
            }
        }
        match self.complex(kind).is_some_and(|kind| kind.is_abstract) {
            true => Err(fault::at_start(
                walk,
                "the type of this element is abstract; name one derived from it in xsi:type",
            )),
            false => Ok(kind),
        }
    }

    /// Section 3.3.4, "Element Locally Valid", 3.
    pub(super) fn nil(
        &self,
        walk: &Walk<'d>,
        declared: Option<&Element>,
        instance: &Instance,
    ) -> Result<bool, Refusal> {
        match (instance.nil, declared) {
            (Some(_), Some(declared)) if !declared.nillable => {
                Err(fault::at_start(walk, "the schema does not allow xsi:nil at this element"))
            }
            (Some(true), Some(declared)) if declared.given.as_ref().is_some_and(|given| given.fixed) => {
                Err(fault::at_start(walk, "the schema fixes the value of this element; it can't be nil"))
            }
            (Some(true), Some(_)) => Ok(true),
            _ => Ok(false),
        }
    }
}
