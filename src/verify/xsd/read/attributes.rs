//! Attributes, attribute groups and their wildcards (XSD 1.0 part 1, sections 3.2, 3.4.2, 3.6 and 3.10).

use super::super::model::{Attribute, Attributes, Use, Ways};
use super::super::names::{Name, Ns};
use super::super::types::{Builtin, SimpleType};
use super::super::wildcard::{Allowed, Process, Wildcard};
use super::simple::given;
use super::{Compiler, Kind, Place, Read, Slot};

/// What the attributes of a type or group say.
#[derive(Clone, Default)]
pub(super) struct Declared {
    pub(super) uses: Vec<Use>,
    /// Those that a restriction takes away.
    pub(super) prohibited: Vec<Name>,
    pub(super) wildcard: Option<Wildcard>,
}

impl<'t> Compiler<'t> {
    /// The attributes that the children of a `complexType`, `extension`, `restriction` or `attributeGroup` declare.
    pub(super) fn declared(&mut self, place: Place<'t>) -> Read<Declared> {
        let mut all = Declared::default();
        let mut groups = Vec::new();
        for child in place.children() {
            match &*child.node.local {
                "attribute" => self.attribute_use(child, &mut all)?,
                "attributeGroup" => {
                    let name = self.qname(child, child.node.required("ref")?)?;
                    if !self.globals.contains_key(&(Kind::AttributeGroup, name)) {
                        return Err(child.fault(format!("there is no attributeGroup {}", self.show(name))));
                    }
                    let group = self.attribute_group(name)?;
                    // What a group prohibits means nothing (section 3.4.2): only a restriction's own word counts.
                    all.uses.extend(group.uses);
                    groups.extend(group.wildcard);
                }
                "anyAttribute" if all.wildcard.is_none() => all.wildcard = Some(self.wildcard(child)?),
                "anyAttribute" => return Err(child.fault("there can be one anyAttribute only")),
                _ => {}
            }
        }
        // Section 3.4.2: the own wildcard says what is done, all together say what is let in.
        for group in groups {
            let whole = all.wildcard.get_or_insert_with(|| group.clone());
            whole.allowed = whole.allowed.intersection(&group.allowed).map_err(|_| {
                place.fault("the wildcards of the attribute groups have no intersection that can be said")
            })?;
        }
        all.uses.sort_by_key(|found| found.attribute.name);
        if let Some(twice) = all.uses.windows(2).find(|pair| pair[0].attribute.name == pair[1].attribute.name)
        {
            let name = self.show(twice[0].attribute.name);
            return Err(place.fault(format!("the attribute {name} is declared twice")));
        }
        Ok(all)
    }

    fn attribute_use(&mut self, place: Place<'t>, all: &mut Declared) -> Read<()> {
        let node = place.node;
        let mut attribute = match (node.get("ref"), node.get("name")) {
            (Some(name), None) => {
                if node.get("type").is_some()
                    || node.child("simpleType").is_some()
                    || node.get("form").is_some()
                {
                    return Err(place.fault("a reference to an attribute can't give it a type or form"));
                }
                let name = self.qname(place, name)?;
                self.global_attribute(name).map_err(|fault| match fault.is_empty() {
                    true => place.fault(format!("there is no attribute {}", self.show(name))),
                    false => fault,
                })?
            }
            (None, Some(local)) => {
                let default = place.document.root.get("attributeFormDefault");
                let namespace = match node.get("form").or(default) {
                    Some("qualified") => self.target(place),
                    None | Some("unqualified") => Ns::NONE,
                    Some(_) => return Err(place.fault("form is qualified or unqualified")),
                };
                super::ncname(place, local)?;
                let name = self.names.add(namespace, local);
                self.attribute(place, name)?
            }
            _ => return Err(place.fault("an attribute needs either name or ref")),
        };
        let inherited = attribute.given.take();
        let own = given(node, Some(&attribute.kind))?;
        if let (Some(inherited), Some(own)) = (&inherited, &own)
            && inherited.fixed
            && !(own.fixed && own.value == inherited.value)
        {
            return Err(place.fault("the attribute's declaration fixes another value"));
        }
        attribute.given = own.or(inherited);
        let required = match node.get("use") {
            None | Some("optional") => false,
            Some("required") => true,
            Some("prohibited") => {
                all.prohibited.push(attribute.name);
                return Ok(());
            }
            Some(_) => return Err(place.fault("use is optional, required or prohibited")),
        };
        if node.get("default").is_some() && node.get("use").is_some_and(|is| is != "optional") {
            return Err(place.fault("an attribute with a default is optional"));
        }
        all.uses.push(Use { attribute, required });
        Ok(())
    }

    /// An attribute declaration with a name.
    fn attribute(&mut self, place: Place<'t>, name: Name) -> Read<Attribute> {
        if self.names.local(name) == "xmlns" {
            return Err(place.fault("an attribute can't be called xmlns"));
        }
        let kind = match (place.node.get("type"), place.child("simpleType")) {
            (Some(kind), None) => self.simple_named(place, kind, Ways::NONE)?,
            (None, Some(child)) => self.deeper(child, |compiler| compiler.simple_type(child))?,
            (None, None) => SimpleType::builtin(Builtin::AnySimpleType),
            _ => return Err(place.fault("an attribute has either a type or a simpleType")),
        };
        let given = given(place.node, Some(&kind))?;
        if given.is_some() && kind.is_id() {
            return Err(place.fault("an attribute of type ID can't have a default or fixed value"));
        }
        Ok(Attribute { name, kind, given })
    }

    /// The global attribute of this name; an empty fault if there is none.
    pub(super) fn global_attribute(&mut self, name: Name) -> Read<Attribute> {
        if let Some(known) = self.attributes.get(&name) {
            return Ok(known.clone());
        }
        let Some(place) = self.globals.get(&(Kind::Attribute, name)).copied() else {
            return Err(String::new());
        };
        let attribute = self.deeper(place, |compiler| compiler.attribute(place, name))?;
        self.attributes.insert(name, attribute.clone());
        Ok(attribute)
    }

    /// What the attribute group of this name declares.
    pub(super) fn attribute_group(&mut self, name: Name) -> Read<Declared> {
        let Some(place) = self.globals.get(&(Kind::AttributeGroup, name)).copied() else {
            return Err(String::new());
        };
        match self.attribute_groups.get(&name) {
            Some(Slot::Done(known)) => return Ok(known.clone()),
            Some(Slot::Busy) => return Err(place.fault("the attribute group is defined by itself")),
            Some(Slot::Failed) => return Err(String::new()),
            _ => {}
        }
        self.attribute_groups.insert(name, Slot::Busy);
        let declared = self.deeper(place, |compiler| compiler.declared(place));
        let slot = declared.as_ref().map_or(Slot::Failed, |declared| Slot::Done(declared.clone()));
        self.attribute_groups.insert(name, slot);
        declared
    }

    /// An `any` or `anyAttribute` (section 3.10.2).
    pub(super) fn wildcard(&mut self, place: Place<'t>) -> Read<Wildcard> {
        let process = match place.node.get("processContents") {
            None | Some("strict") => Process::Strict,
            Some("lax") => Process::Lax,
            Some("skip") => Process::Skip,
            Some(_) => return Err(place.fault("processContents is strict, lax or skip")),
        };
        let target = self.target(place);
        let allowed = match place.node.get("namespace") {
            None | Some("##any") => Allowed::Any,
            Some("##other") => Allowed::Not(target),
            Some(list) => {
                let mut these = Vec::new();
                for word in list.split_ascii_whitespace() {
                    these.push(match word {
                        "##targetNamespace" => target,
                        "##local" => Ns::NONE,
                        word if word.starts_with("##") => {
                            return Err(place.fault(format!("{word} has no place in a list of namespaces")));
                        }
                        word => self.names.add_namespace(word),
                    });
                }
                Allowed::these(these)
            }
        };
        Ok(Wildcard { allowed, process })
    }

    /// The attributes of a type that extends another (section 3.4.2).
    pub(super) fn extended(&self, place: Place<'t>, base: &Attributes, own: Declared) -> Read<Attributes> {
        let mut uses = base.uses.clone();
        for found in own.uses {
            if base.find(found.attribute.name).is_some() {
                let name = self.show(found.attribute.name);
                return Err(place.fault(format!("the base type has the attribute {name} already")));
            }
            uses.push(found);
        }
        let wildcard = match (own.wildcard, &base.wildcard) {
            (Some(own), Some(base)) => {
                let allowed = own.allowed.union(&base.allowed).map_err(|_| {
                    place.fault(
                        "the attribute wildcards of the type and its base have no union that can be said",
                    )
                })?;
                Some(Wildcard { allowed, process: own.process })
            }
            (own, base) => own.or_else(|| base.clone()),
        };
        Ok(Attributes::new(uses, wildcard))
    }

    /// The attributes of a type that restricts another (section 3.4.2).
    pub(super) fn restricted(&self, place: Place<'t>, base: &Attributes, own: Declared) -> Read<Attributes> {
        let mut uses = own.uses;
        for found in &base.uses {
            let name = found.attribute.name;
            let overridden = uses.iter().find(|own| own.attribute.name == name).map(|own| own.required);
            let gone = own.prohibited.contains(&name);
            if found.required && (gone || overridden == Some(false)) {
                let name = self.show(name);
                return Err(place.fault(format!("the base type requires the attribute {name}")));
            }
            if overridden.is_none() && !gone {
                uses.push(found.clone());
            }
        }
        Ok(Attributes::new(uses, own.wildcard))
    }
}
