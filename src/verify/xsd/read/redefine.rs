//! Redefinitions (XSD 1.0 part 1, section 4.2.2): a definition takes the place of an earlier one, for all that refers to
//! it, and refers to the earlier one itself.

use super::documents::Document;
use super::tree::Node;
use super::{Compiler, Kind, Place, Read, ncname};

impl<'t> Compiler<'t> {
    /// Takes down what a document redefines; all documents are registered before, and what the redefined ones
    /// redefine themselves.
    pub(super) fn redefine(&mut self, document: &'t Document) {
        let redefinitions = document.root.children.iter().filter(|node| &*node.local == "redefine");
        for node in redefinitions.flat_map(|node| &node.children) {
            self.redefinition(Place { document, node }).unwrap_or_else(|fault| self.fault(fault));
        }
    }

    fn redefinition(&mut self, place: Place<'t>) -> Read<()> {
        let Some(kind) = Kind::of(&place.node.local) else { return Ok(()) };
        let local = ncname(place, place.node.required("name")?)?;
        let target = self.target(place);
        let name = self.names.add(target, local);
        let Some(old) = self.globals.insert((kind, name), place) else {
            return Err(place.fault(format!("there is no {local} that could be redefined")));
        };
        if std::ptr::eq(old.document, place.document) {
            return Err(place.fault(format!("{local} is declared twice")));
        }
        // No document can name it.
        let before = self.names.add(target, &format!("{local}\0{}", self.globals.len()));
        self.globals.insert((kind, before), old);
        if kind == Kind::Type {
            let new = self.new_type(Some(place));
            if let Some(old) = self.type_ids.insert(name, new) {
                self.type_ids.insert(before, old);
            }
        }
        let mut own = Vec::new();
        references(place.node, kind, &mut own);
        let mut meant = Vec::new();
        for node in own {
            let text = node.required(if kind == Kind::Type { "base" } else { "ref" })?;
            if self.qname(place.at(node), text)? == name {
                meant.push(node);
            }
        }
        match (kind, meant.as_slice()) {
            (Kind::Type, []) => return Err(place.fault("a redefined type derives from itself")),
            (_, [] | [_]) => {}
            _ => return Err(place.fault("what is redefined is referred to at most once")),
        }
        for node in meant {
            let occurs = |name: &str| node.get(name).is_none_or(|text| text == "1");
            if !occurs("minOccurs") || !occurs("maxOccurs") {
                return Err(place.fault("what is redefined occurs once in its redefinition"));
            }
            self.redefined.insert(std::ptr::from_ref(node), before);
        }
        Ok(())
    }
}

/// The references in a redefinition that may mean what it redefines.
fn references<'n>(node: &'n Node, kind: Kind, found: &mut Vec<&'n Node>) {
    for child in &node.children {
        match (kind, &*child.local) {
            (Kind::Type, "restriction" | "extension") if child.get("base").is_some() => found.push(child),
            (Kind::Type, "simpleContent" | "complexContent") => references(child, kind, found),
            (Kind::Group, "group") | (Kind::AttributeGroup, "attributeGroup") => found.push(child),
            (Kind::Group, "sequence" | "choice" | "all") => references(child, kind, found),
            _ => {}
        }
    }
}
