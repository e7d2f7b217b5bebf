//! Codes and their lists while a document passes by.
//!
//! XÖV's type Code: an element with `listURI` and `listVersionID` and a child `code`. The first code that is not in its
//! list is kept until the schema has nothing to say.

use std::collections::HashSet;

use super::codes::Codes;
use crate::error::{Code, Refusal};
use crate::verify::{Node, Walk, WalkedAttribute};

/// Octets of one code.
const MAX_CODE: usize = 200;

/// An open element whose `code` child must be in a list.
struct Listed<'s> {
    depth: usize,
    list: &'s HashSet<String>,
    /// The code's text so far, while the child `code` is open.
    code: Option<String>,
}

/// A run over one document.
pub(super) struct Listing<'s> {
    codes: &'s Codes,
    lists: Vec<Listed<'s>>,
    wrong: Option<Refusal>,
}

impl<'s> Listing<'s> {
    pub(super) fn new(codes: &'s Codes) -> Self {
        Self { codes, lists: Vec::new(), wrong: None }
    }

    /// Takes the next node.
    #[inline]
    pub(super) fn node(&mut self, walk: &Walk<'_>, node: Node) {
        match node {
            Node::Start => self.start(walk),
            // Nothing else counts outside of a list.
            _ if self.lists.is_empty() => {}
            Node::End => self.end(walk),
            Node::Text | Node::Cdata => self.characters(walk.characters()),
            Node::Reference(c) => self.characters(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
    }

    fn start(&mut self, walk: &Walk<'_>) {
        if let Some(listed) = self.lists.last_mut()
            && walk.element.local == "code"
            && listed.depth + 1 == walk.depth()
        {
            listed.code = Some(String::new());
        }
        // The attributes are sorted: those without a namespace come first.
        if self.codes.is_empty() || walk.attributes.len() < 2 {
            return;
        }
        let value = |name: &str| {
            let is =
                |attribute: &&WalkedAttribute<'_>| attribute.prefix.is_empty() && attribute.local == name;
            walk.attributes.iter().find(is).map(WalkedAttribute::value)
        };
        let Some((uri, version)) = value("listURI").zip(value("listVersionID")) else { return };
        if let Some(list) = self.codes.list(uri.trim(), version.trim()) {
            self.lists.push(Listed { depth: walk.depth(), list, code: None });
        }
    }

    fn characters(&mut self, text: &str) {
        let Some(code) = self.lists.last_mut().and_then(|listed| listed.code.as_mut()) else { return };
        if code.len() <= MAX_CODE {
            code.push_str(text);
        }
    }

    fn end(&mut self, walk: &Walk<'_>) {
        // The element that has ended is not counted any more.
        let depth = walk.depth() + 1;
        let Some(listed) = self.lists.last_mut() else { return };
        if depth == listed.depth + 1
            && let Some(code) = listed.code.take()
            && !listed.list.contains(code.trim())
            && self.wrong.is_none()
        {
            let reason = "this code is not in the list that the element names; write one from the list";
            let mut refusal = walk.refuse(Code::UnknownCode, reason);
            if let Some(location) = &mut refusal.location {
                location.path.push_str("/code");
                let names = location.path.split('/');
                let names = names.map(|name| name.rsplit_once(':').map_or(name, |(_, local)| local));
                location.path = names.collect::<Vec<_>>().join("/");
            }
            self.wrong = Some(refusal);
        } else if depth == listed.depth {
            self.lists.pop();
        }
    }

    /// At the end of a document that is valid.
    ///
    /// # Errors
    /// AW-0112 for the first code that is not in its list.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        self.wrong.map_or(Ok(()), Err)
    }
}
