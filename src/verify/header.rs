//! Header rules: where a standard's messages carry UUID, type, author, reader, service and area.

use crate::domain::{DeclaredAttachment, Header};
use crate::error::Refusal;

/// The loaded rules (`xsd/rules.toml` and the `rules.toml` of further schema sets).
pub struct Rules {}

impl Rules {
    /// The rules of the gateway's own messages, built in.
    #[must_use]
    pub fn built_in() -> Self {
        todo!()
    }

    /// Adds the rules of a TOML text.
    ///
    /// # Errors
    /// A sentence per fault.
    pub fn add(&mut self, toml: &str) -> Result<(), Vec<String>> {
        let _ = toml;
        todo!()
    }

    /// A picker for a document with this root.
    ///
    /// # Errors
    /// AW-0110 when no rule knows the root.
    pub fn picker(&self, namespace: &str, root: &str) -> Result<Picker<'_>, Refusal> {
        let _ = (namespace, root);
        todo!()
    }
}

/// Picks a header while the document passes by. The root's start comes first.
pub struct Picker<'r> {
    #[allow(dead_code)]
    rules: &'r Rules,
}

impl Picker<'_> {
    /// An element starts (namespace, local name). Then its attributes come.
    pub fn start(&mut self, namespace: &str, local: &str) {
        let _ = (namespace, local);
    }

    /// An attribute of the element started last: namespace ("" = none), local name, value with
    /// references resolved.
    pub fn attribute(&mut self, namespace: &str, local: &str, value: &str) {
        let _ = (namespace, local, value);
    }

    /// Whether the text of the element started last is wanted; lets the pass skip decoding.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        false
    }

    /// Character data (references resolved, CDATA included), in pieces.
    pub fn text(&mut self, text: &str) {
        let _ = text;
    }

    /// The element started last and not ended ends.
    pub fn end(&mut self) {}

    /// The header and the declared attachments.
    ///
    /// # Errors
    /// AW-0110 wrong standard or version, AW-0111 when something is missing, doubled or malformed,
    /// or the type code is not the root's number, with the path of the element.
    pub fn finish(self) -> Result<(Header, Vec<DeclaredAttachment>), Refusal> {
        todo!()
    }
}
