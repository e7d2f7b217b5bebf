//! Identity constraints and the part of XPath that they may use (XSD 1.0 part 1, section 3.11).

use super::super::model::{Identity, IdentityId, IdentityKind, Path, Step};
use super::super::types::Scope;
use super::{Compiler, Place, Read};

/// Paths of one selector or field, and steps of one path.
const MAX_STEPS: usize = 64;

impl<'t> Compiler<'t> {
    /// The identity constraints of an element.
    pub(super) fn identities_of(&mut self, place: Place<'t>) -> Read<Vec<IdentityId>> {
        let mut all = Vec::new();
        for child in place.children() {
            let kind = match &*child.node.local {
                "unique" => IdentityKind::Unique,
                // What a keyref refers to is known at the end.
                "key" | "keyref" => IdentityKind::Key,
                _ => continue,
            };
            let target = self.target(place);
            let local = super::ncname(child, child.node.required("name")?)?;
            let name = self.names.add(target, local);
            let selector = child.child("selector").ok_or_else(|| child.fault("a selector is missing"))?;
            let selector = self.paths(selector, false)?;
            let mut fields = Vec::new();
            for field in child.children().filter(|part| &*part.node.local == "field") {
                fields.push(self.paths(field, true)?);
            }
            if fields.is_empty() {
                return Err(child.fault("a field is missing"));
            }
            let id = IdentityId(u32::try_from(self.identities.len()).unwrap_or(u32::MAX));
            if self.identity_names.insert(name, id).is_some() {
                return Err(child.fault(format!("{local} is declared twice")));
            }
            if &*child.node.local == "keyref" {
                let refer = self.qname(child, child.node.required("refer")?)?;
                self.refers.push((id, refer, child.fault("")));
            }
            self.identities.push(Identity { name, kind, selector, fields });
            all.push(id);
        }
        Ok(all)
    }

    /// Binds keyrefs to their keys.
    pub(super) fn refer(&mut self) {
        for (id, name, place) in std::mem::take(&mut self.refers) {
            let key = self.identity_names.get(&name).copied();
            let is_reference =
                key.is_some_and(|key| self.identities.get(key.0 as usize).is_none_or(is_reference));
            let count = |id: IdentityId| self.identities.get(id.0 as usize).map(|found| found.fields.len());
            match key.filter(|_| !is_reference) {
                Some(key) if count(key) == count(id) => {
                    if let Some(found) = self.identities.get_mut(id.0 as usize) {
                        found.kind = IdentityKind::KeyRef(key);
                    }
                }
                Some(_) => self.fault(format!("{place}the keyref has not as many fields as its key")),
                None => self.fault(format!("{place}there is no key or unique {}", self.show(name))),
            }
        }
    }

    /// Section 3.11.6, the grammars of selectors and fields.
    fn paths(&mut self, place: Place<'t>, field: bool) -> Read<Vec<Path>> {
        let text = place.node.required("xpath")?;
        let mut paths = Vec::new();
        for part in text.split('|') {
            let part = tidy(part);
            let (anywhere, rest) = match part.strip_prefix(".//") {
                Some(rest) => (true, rest),
                None => (false, part.as_str()),
            };
            let mut path = Path { anywhere, steps: Vec::new(), attribute: None };
            let mut words = rest.split('/').peekable();
            while let Some(word) = words.next() {
                let attribute = word.strip_prefix('@').or_else(|| word.strip_prefix("attribute::"));
                match attribute {
                    Some(name) if field && words.peek().is_none() => {
                        path.attribute = Some(self.step(place, name)?)
                    }
                    Some(_) => {
                        return Err(place.fault("an attribute stands at the end of a field's path only"));
                    }
                    None if word == "." => {}
                    None => {
                        let word = word.strip_prefix("child::").unwrap_or(word);
                        path.steps.push(self.step(place, word)?);
                    }
                }
                if path.steps.len() > MAX_STEPS || paths.len() > MAX_STEPS {
                    return Err(place.fault(format!("a path has more than {MAX_STEPS} parts")));
                }
            }
            paths.push(path);
        }
        Ok(paths)
    }

    fn step(&mut self, place: Place<'t>, word: &str) -> Read<Step> {
        if word == "*" {
            return Ok(Step::Any);
        }
        let wrong =
            || place.fault("the path is not of the form that XML Schema allows in a selector or field");
        let (prefix, local) = word.split_once(':').unwrap_or(("", word));
        // A name without a prefix has no namespace, whatever the default is (XPath 1.0, section 2.3).
        let namespace = match (prefix, place.node.scope.namespace(prefix)) {
            ("", _) => "",
            (_, Some(namespace)) => namespace,
            _ => return Err(wrong()),
        };
        let namespace = self.names.add_namespace(namespace);
        if local == "*" && !prefix.is_empty() {
            return Ok(Step::In(namespace));
        }
        super::ncname(place, local).map_err(|_| wrong())?;
        Ok(Step::Named(self.names.add(namespace, local)))
    }
}

fn is_reference(identity: &Identity) -> bool {
    matches!(identity.kind, IdentityKind::KeyRef(_))
}

/// A path without the white space that may stand between its tokens. Between two names it stays, and is a fault then.
fn tidy(path: &str) -> String {
    let words: Vec<&str> = path.split_ascii_whitespace().collect();
    let mut tidied = String::new();
    for word in words {
        let glued = |c: char| !matches!(c, '/' | '@' | ':' | '.');
        if tidied.chars().last().is_some_and(glued) && word.chars().next().is_some_and(glued) {
            tidied.push(' ');
        }
        tidied.push_str(word);
    }
    tidied
}
