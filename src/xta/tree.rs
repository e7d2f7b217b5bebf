//! Small XML trees: a SOAP envelope without its payloads is small, and a tree keeps what is to be given
//! back as it was written, with the namespaces that were in scope.

use std::fmt::Write as _;

use crate::error::{Code, Refusal};
use crate::verify::{Document, Limits, Node as Walked, Walk};
use crate::xml::escape;

/// Nested elements of an envelope.
const DEPTH: usize = 40;
/// Elements of an envelope; the longest are lists of message ids.
const ELEMENTS: usize = 10_000;

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name as written.
    pub qname: String,
    /// Its namespace, empty for none.
    pub namespace: String,
    /// Namespaces that it declares: prefix (empty for the default) and name.
    pub declared: Vec<(String, String)>,
    /// Its other attributes.
    pub attributes: Vec<Attribute>,
    /// What stands in it.
    pub children: Vec<Node>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// Its name as written.
    pub qname: String,
    /// Its namespace, empty for none.
    pub namespace: String,
    /// Its value.
    pub value: String,
}

/// What stands in an element; comments and instructions are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An element.
    Element(Element),
    /// Character data, references resolved.
    Text(String),
}

fn local(qname: &str) -> &str {
    qname.split_once(':').map_or(qname, |(_, local)| local)
}

impl Element {
    /// An element with a prefix that is declared around it.
    pub(crate) fn new(qname: &str, namespace: &str) -> Self {
        Self { qname: qname.to_owned(), namespace: namespace.to_owned(), ..Self::default() }
    }

    /// The same with a text in it.
    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// Its local name.
    pub(crate) fn local(&self) -> &str {
        local(&self.qname)
    }

    /// Whether it has this name.
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.local() == name && self.namespace == namespace
    }

    /// Its child elements.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Its first child of this name.
    pub(crate) fn child(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.is(namespace, name))
    }

    /// The element at the end of a path of names of one namespace.
    pub(crate) fn at(&self, namespace: &str, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(namespace, name))
    }

    /// An attribute without namespace.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_of("", name)
    }

    /// An attribute.
    pub(crate) fn attribute_of(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = |a: &&Attribute| local(&a.qname) == name && a.namespace == namespace;
        self.attributes.iter().find(found).map(|attribute| attribute.value.as_str())
    }

    /// Its own text, without white space around it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for node in &self.children {
            if let Node::Text(text) = node {
                out.push_str(text);
            }
        }
        out.trim().to_owned()
    }

    /// Writes it, with the namespaces it declares.
    pub(crate) fn write(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.qname);
        for (prefix, uri) in &self.declared {
            let colon = if prefix.is_empty() { "" } else { ":" };
            let _ = write!(out, " xmlns{colon}{prefix}=\"");
            escape(uri, out);
            out.push('"');
        }
        for attribute in &self.attributes {
            let _ = write!(out, " {}=\"", attribute.qname);
            escape(&attribute.value, out);
            out.push('"');
        }
        if self.children.is_empty() {
            return out.push_str("/>");
        }
        out.push('>');
        for node in &self.children {
            match node {
                Node::Element(element) => element.write(out),
                Node::Text(text) => escape(text, out),
            }
        }
        let _ = write!(out, "</{}>", self.qname);
    }

    /// Written.
    pub(crate) fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// An element that is open while the octets pass by.
struct Open {
    element: Element,
    /// Its text since its last child.
    text: String,
}

/// Reads a document of at most `bound` octets into a tree. The children of the root's children bring
/// the namespaces in scope with them, so that each can stand alone.
///
/// # Errors
/// AW-0101 to AW-0104.
pub(crate) fn read(octets: &[u8], bound: usize) -> Result<Element, Refusal> {
    walked(octets, bound, 2)
}

/// Reads what [`Element::to_xml`] wrote.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_part(octets: &[u8], bound: usize) -> Result<Element, Refusal> {
    walked(octets, bound, 0)
}

/// Elements at the depth `alone` bring the namespaces in scope with them.
fn walked(octets: &[u8], bound: usize, alone: usize) -> Result<Element, Refusal> {
    let limits = Limits { octets: bound, depth: DEPTH, elements: ELEMENTS, text: bound, ..Limits::default() };
    let document = Document::check(octets, &limits)?;
    let mut walk = Walk::new(document, &limits)?;
    let mut open: Vec<Open> = Vec::with_capacity(DEPTH);
    let mut root = None;
    loop {
        match walk.next()? {
            Walked::Eof => break,
            Walked::Start => {
                open.push(Open { element: start(&walk, open.len() == alone), text: String::new() })
            }
            Walked::Text | Walked::Cdata => characters(&mut open, &walk.lines()),
            Walked::Reference(c) => characters(&mut open, c.encode_utf8(&mut [0; 4])),
            Walked::Instruction => {
                // SOAP 1.2, part 1, section 5: no processing instruction in a message.
                return Err(
                    walk.refuse(Code::Forbidden, "a processing instruction has no place in a SOAP message")
                );
            }
            Walked::Comment => {}
            Walked::End => {
                let Some(mut ended) = open.pop() else { continue };
                flush(&mut ended);
                match open.last_mut() {
                    Some(parent) => {
                        flush(parent);
                        parent.element.children.push(Node::Element(ended.element));
                    }
                    None => root = Some(ended.element),
                }
            }
        }
    }
    root.ok_or_else(|| Refusal::new(Code::NotWellFormed, "the SOAP message has no root element"))
}

fn characters(open: &mut [Open], text: &str) {
    if let Some(last) = open.last_mut() {
        last.text.push_str(text);
    }
}

/// White space between elements is layout; any other text is content.
fn flush(open: &mut Open) {
    let text = std::mem::take(&mut open.text);
    if !text.is_empty() && !text.bytes().all(|octet| octet.is_ascii_whitespace()) {
        open.element.children.push(Node::Text(text));
    }
}

/// The element that starts; with all namespaces in scope where it is to stand alone.
fn start(walk: &Walk<'_>, alone: bool) -> Element {
    let from = if alone { 2 } else { walk.mark() };
    let mut declared: Vec<(String, String)> = Vec::new();
    for number in (from..walk.namespaces.len()).rev() {
        let binding = walk.namespaces.get(number);
        // The innermost declaration of a prefix counts; that there is no default needs no words.
        if declared.iter().all(|(prefix, _)| prefix != binding.prefix) {
            declared.push((binding.prefix.to_owned(), binding.uri.clone().into_owned()));
        }
    }
    declared.retain(|(prefix, uri)| !(alone && prefix.is_empty() && uri.is_empty()) && prefix != "xml");
    declared.sort();
    let attribute = |a: &crate::verify::WalkedAttribute<'_>| Attribute {
        qname: a.qname.to_owned(),
        namespace: walk.namespaces.uri(a.binding).to_owned(),
        value: a.value().into_owned(),
    };
    Element {
        qname: walk.element.qname.to_owned(),
        namespace: walk.namespaces.uri(walk.element.binding).to_owned(),
        declared,
        attributes: walk.attributes.iter().map(attribute).collect(),
        children: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_read_is_written_with_the_same_meaning_and_can_stand_alone() {
        let text = "<a:e xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" xmlns=\"urn:d\"><a:h><b:x q=\"&lt;&#10;\" b:r='1'> \
                    <y xmlns=\"\">t &amp; <![CDATA[<u>]]></y></b:x></a:h></a:e>";
        let tree = read(text.as_bytes(), 4096).unwrap();
        let part = tree.at("urn:a", &["h"]).unwrap().child("urn:b", "x").unwrap();
        let alone = part.to_xml();
        let again = read(format!("<r xmlns=\"urn:r\"><s>{alone}</s></r>").as_bytes(), 4096).unwrap();
        let back = again.at("urn:r", &["s"]).unwrap().child("urn:b", "x").unwrap();
        assert_eq!(back.attribute("q"), Some("<\n"));
        assert_eq!(back.attribute_of("urn:b", "r"), Some("1"));
        assert_eq!(back.child("", "y").unwrap().text(), "t & <u>");
        assert_eq!(back.to_xml(), alone);
    }

    #[test]
    fn line_ends_are_line_feeds() {
        let tree = read(b"<a>1\r\n2\r<![CDATA[3\r\n4\r]]>&#13;5</a>", 4096).unwrap();
        assert_eq!(tree.text(), "1\n2\n3\n4\n\r5");
    }

    #[test]
    fn hostile_envelopes_are_refused() {
        for (text, code) in [
            ("<!DOCTYPE a><a/>".to_owned(), Code::Forbidden),
            ("<a><?x y?></a>".to_owned(), Code::Forbidden),
            ("<a>&e;</a>".to_owned(), Code::Forbidden),
            ("<a>".repeat(50), Code::OverLimit),
            (format!("<a>{}</a>", "<b/>".repeat(ELEMENTS)), Code::OverLimit),
            ("<a".to_owned(), Code::NotWellFormed),
        ] {
            assert_eq!(read(text.as_bytes(), 1 << 20).unwrap_err().code, code, "{text:.40}");
        }
        assert_eq!(read(b"<a></a>", 5).unwrap_err().code, Code::OverLimit);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&octets, 1000);
        }

        #[test]
        fn any_text_comes_back(text in "[^\u{0}-\u{1f}\u{fffe}\u{ffff}]{1,80}") {
            let xml = Element::new("a", "").with_text(text.clone()).to_xml();
            prop_assert_eq!(read(xml.as_bytes(), 1 << 16).unwrap().text(), text.trim());
        }
    }
}
