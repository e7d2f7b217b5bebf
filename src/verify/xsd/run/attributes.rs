//! The attributes of an element (XSD 1.0 part 1, sections 3.2.4 and 3.4.4).

use std::sync::Arc;

use super::{InScope, Run, fault};
use crate::error::Refusal;
use crate::verify::namespaces::XSI;
use crate::verify::xsd::model::{Attribute, Type, TypeId};
use crate::verify::xsd::types::{Builtin, SimpleType};
use crate::verify::xsd::wildcard::Process;
use crate::verify::{Walk, WalkedAttribute};

/// The types of the attributes that may stand everywhere (section 2.6).
fn of_instances(local: &str) -> Option<Arc<SimpleType>> {
    Some(SimpleType::builtin(match local {
        "type" => Builtin::QName,
        "nil" => Builtin::Boolean,
        "schemaLocation" | "noNamespaceSchemaLocation" => Builtin::AnyUri,
        _ => return None,
    }))
}

impl<'d> Run<'_, 'd> {
    /// Checks the attributes of the element that starts, by its type.
    pub(super) fn attributes(&mut self, walk: &Walk<'d>, kind: TypeId) -> Result<(), Refusal> {
        let schema = self.schema;
        let table = match schema.kind(kind) {
            Some(Type::Complex(complex)) => Some(&complex.attributes),
            _ => None,
        };
        self.tables.forget_attributes();
        let (mut required, mut ids) = (0, usize::from(table.is_some_and(|table| table.has_id)));
        for attribute in &walk.attributes {
            let namespace = self.namespace(walk, attribute.binding);
            let name = self.name(namespace, attribute.local);
            if let Some(found) = table.and_then(|table| table.find(name)) {
                required += usize::from(found.required);
                self.attribute(walk, attribute, &found.attribute)?;
                continue;
            }
            if walk.qualified
                && walk.namespaces.uri(attribute.binding) == XSI
                && let Some(kind) = of_instances(attribute.local)
            {
                // A field of any name finds them as well.
                if self.tables.wants_attributes()
                    && let Ok(value) = kind.value(&attribute.value(), &InScope(&[], &walk.namespaces))
                {
                    self.tables.attribute(namespace, name, value, false);
                }
                continue;
            }
            let wildcard = table.and_then(|table| table.wildcard.as_ref());
            let Some(wildcard) = wildcard.filter(|wildcard| wildcard.allowed.allows(namespace)) else {
                return Err(self.unknown(walk, attribute, kind));
            };
            if wildcard.process == Process::Skip {
                continue;
            }
            match schema.global_attributes.get(&name) {
                Some(found) => {
                    ids += usize::from(found.kind.is_id());
                    if found.kind.is_id() && ids > 1 {
                        return Err(fault::at_start(walk, "an element has at most one attribute of type ID"));
                    }
                    self.attribute(walk, attribute, found)?;
                }
                None if wildcard.process == Process::Strict => {
                    return Err(self.unknown(walk, attribute, kind));
                }
                None => {}
            }
        }
        let Some(table) = table else { return Ok(()) };
        if required < table.required {
            return Err(self.missing(walk, kind));
        }
        if self.tables.wants_attributes() {
            for found in &table.uses {
                if let Some(value) = found.attribute.given.as_ref().and_then(|given| given.value.clone()) {
                    self.tables.attribute(
                        schema.names.namespace_of(found.attribute.name),
                        found.attribute.name,
                        value,
                        true,
                    );
                }
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        walk: &Walk<'d>,
        written: &WalkedAttribute<'d>,
        attribute: &Attribute,
    ) -> Result<(), Refusal> {
        let kind = &*attribute.kind;
        let wanted = self.tables.wants_attributes();
        if kind.accepts_any() && attribute.given.is_none() && !wanted {
            return Ok(());
        }
        let owned;
        let text = if written.plain {
            written.raw
        } else {
            owned = written.value();
            &*owned
        };
        let scope = InScope(&[], &walk.namespaces);
        let refuse = |what: String| {
            let local: String = written.local.chars().take(120).collect();
            fault::at_start(
                walk,
                &format!("the value of the attribute {local} is not as the schema asks: {what}"),
            )
        };
        kind.check(text, &scope).map_err(|fault| refuse(fault.to_string()))?;
        if let Some(given) = attribute.given.as_ref().filter(|given| given.fixed)
            && kind.value(text, &scope).ok() != given.value
        {
            let shown: String = given.text.chars().take(80).collect();
            return Err(refuse(format!("it is fixed: {shown}")));
        }
        if wanted {
            let value = kind.value(text, &scope).map_err(|fault| refuse(fault.to_string()))?;
            self.tables.attribute(
                self.schema.names.namespace_of(attribute.name),
                attribute.name,
                value,
                false,
            );
        }
        if kind.has_ids() {
            self.ids.add(kind, text).map_err(|fault| fault.at_start(walk))?;
        }
        Ok(())
    }

    #[cold]
    fn unknown(&self, walk: &Walk<'d>, attribute: &WalkedAttribute<'d>, kind: TypeId) -> Refusal {
        let local: String = attribute.local.chars().filter(|c| !c.is_control()).take(120).collect();
        let names = match self.schema.kind(kind) {
            Some(Type::Complex(complex)) => &complex.attributes.uses[..],
            _ => &[],
        };
        let mut names: Vec<&str> =
            names.iter().map(|found| self.schema.names.local(found.attribute.name)).collect();
        // As people look for them, and the same however the schema's files are ordered.
        names.sort_unstable();
        names.truncate(12);
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        fault::at_start(
            walk,
            &format!("the schema has no attribute {local} at this element (allowed: {allowed})"),
        )
    }

    #[cold]
    fn missing(&self, walk: &Walk<'d>, kind: TypeId) -> Refusal {
        let names = &self.schema.names;
        let there = |name| {
            walk.attributes.iter().any(|attribute| {
                let namespace = names.namespace(walk.namespaces.uri(attribute.binding));
                names.name(namespace, attribute.local) == name
            })
        };
        let uses = self.complex(kind).map_or(&[][..], |complex| &complex.attributes.uses[..]);
        let missing = uses.iter().filter(|found| found.required && !there(found.attribute.name));
        let local = missing.map(|found| names.local(found.attribute.name)).min().unwrap_or_default();
        fault::at_start(walk, &format!("the attribute {local} is missing, which the schema requires"))
    }
}
