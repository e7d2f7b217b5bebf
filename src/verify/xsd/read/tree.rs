//! A schema document as a tree, annotations left out.

use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::super::types::Scope;
use super::shape;
use crate::verify::names;

/// Namespace of schema documents.
pub(super) const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// Namespace of the prefix `xml`.
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Elements nested in a schema document.
const MAX_DEPTH: usize = 256;
/// Octets of a document type declaration, and entities in it.
const MAX_DOCTYPE: usize = 16 << 10;

/// The prefixes in scope at an element.
#[derive(Debug, Default)]
pub(crate) struct Prefixes(Vec<(Box<str>, Box<str>)>);

impl Scope for Prefixes {
    fn namespace(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML);
        }
        self.0.iter().rev().find(|(known, _)| **known == *prefix).map(|(_, uri)| uri.as_ref())
    }
}

/// An element of the namespace of XML Schema.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its local name.
    pub(super) local: Box<str>,
    /// Its attributes without a namespace.
    attributes: Vec<(Box<str>, Box<str>)>,
    pub(super) scope: Arc<Prefixes>,
    line: usize,
    file: Arc<str>,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// The value of an attribute, white space around it taken off.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(|value| value.trim_matches([' ', '\t', '\n', '\r']))
    }

    /// The value of an attribute as it is.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.as_ref())
    }

    /// The value of an attribute that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| self.fault(format!("{} needs the attribute {name}", self.local)))
    }

    /// A boolean attribute; `false` if it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.fault(format!("{name} is true or false"))),
        }
    }

    /// A sentence with the place.
    pub(super) fn fault(&self, what: impl AsRef<str>) -> String {
        format!("{}, line {}: {}", self.file, self.line, what.as_ref())
    }

    /// The first child of this name.
    pub(super) fn child(&self, local: &str) -> Option<&Node> {
        self.children.iter().find(|child| *child.local == *local)
    }
}

/// Reads a schema document. A DOCTYPE may stand there, as in the standard's own schema of XML Signature; of it the
/// texts of entities are taken, and nothing else.
///
/// # Errors
/// A sentence: not UTF-8, not well-formed, no schema document, or a part that XML Schema 1.0 does not have.
pub(super) fn read(file: &Arc<str>, octets: &[u8]) -> Result<Node, String> {
    let text = std::str::from_utf8(octets).map_err(|_| format!("{file}: it is not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().check_comments = true;
    let mut reading = Reading {
        file,
        text,
        open: Vec::new(),
        scopes: Vec::new(),
        entities: Vec::new(),
        skipped: 0,
        lines: 0,
        counted: 0,
        root: None,
    };
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = reader.read_event();
        let event = event.map_err(|e| reading.fault(at, format!("it is not well-formed: {e}")))?;
        match event {
            Event::Start(element) => reading.start(&element, at)?,
            Event::End(_) => reading.end(),
            Event::Text(content) => reading.text(&content, at)?,
            Event::CData(content) => reading.text(&content, at)?,
            Event::DocType(content) => reading.doctype(&content, at)?,
            Event::Eof => break,
            _ => {}
        }
    }
    if !reading.open.is_empty() || reading.skipped > 0 {
        return Err(format!("{file}: it is not well-formed: it ends within an element"));
    }
    reading.root.ok_or_else(|| format!("{file}: it has no root element schema"))
}

/// Whether this is a name, or two with a colon between (Namespaces in XML 1.0, section 4).
fn qualified_name(text: &str) -> bool {
    names::scan(text, 0).is_some_and(|name| name.end == text.len())
}

struct Reading<'r> {
    file: &'r Arc<str>,
    text: &'r str,
    open: Vec<Node>,
    scopes: Vec<Arc<Prefixes>>,
    entities: Vec<(String, String)>,
    /// Lines before an octet up to which they have been counted.
    lines: usize,
    counted: usize,
    /// Open elements of an annotation.
    skipped: usize,
    root: Option<Node>,
}

impl Reading<'_> {
    /// The line of an octet, from 1.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(self.counted..at).unwrap_or_default();
        self.lines + memchr::memchr_iter(b'\n', before).count() + 1
    }

    fn fault(&self, at: usize, what: impl AsRef<str>) -> String {
        format!("{}, line {}: {}", self.file, self.line(at), what.as_ref())
    }

    fn start(&mut self, element: &BytesStart<'_>, at: usize) -> Result<(), String> {
        if self.open.len() + self.skipped >= MAX_DEPTH {
            return Err(self.fault(at, format!("elements are nested more than {MAX_DEPTH} deep")));
        }
        if self.skipped > 0 {
            self.skipped += 1;
            return Ok(());
        }
        self.lines = self.line(at) - 1;
        self.counted = at;
        let (mut written, mut declared) = (Vec::new(), Vec::new());
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|e| self.fault(at, format!("it is not well-formed: {e}")))?;
            // The reader looks neither at names nor for `<` (XML 1.0, section 3.1; Namespaces in XML 1.0, section 4).
            if !qualified_name(attribute.key.0) || attribute.value.contains('<') {
                let what = format!("it is not well-formed: the attribute {} is none", attribute.key.0);
                return Err(self.fault(at, what));
            }
            let resolve = |name: &str| {
                let own =
                    self.entities.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
                own.or_else(|| quick_xml::escape::resolve_predefined_entity(name))
            };
            let value = attribute.normalized_value_with(XmlVersion::Explicit1_0, 1, resolve);
            let value = value.map_err(|e| self.fault(at, format!("it is not well-formed: {e}")))?;
            match attribute.key.0.split_once(':') {
                None if attribute.key.0 == "xmlns" => declared.push(("".into(), value.into())),
                Some(("xmlns", prefix)) => declared.push((prefix.into(), value.into())),
                parts => written.push((parts, attribute.key.0.to_owned(), value.into_owned())),
            }
        }
        let scope = self.scope(declared);
        if !qualified_name(element.name().0) {
            return Err(self.fault(at, "it is not well-formed: this is no name of an element"));
        }
        let (prefix, local) = element.name().0.split_once(':').unwrap_or(("", element.name().0));
        let (local, namespace) = (local.to_owned(), scope.namespace(prefix));
        let undeclared =
            |prefix: &str| self.fault(at, format!("no namespace is declared for the prefix {prefix}"));
        if namespace.is_none() && !prefix.is_empty() {
            return Err(undeclared(prefix));
        }
        if namespace != Some(XSD) {
            return Err(
                self.fault(at, format!("{local} is no element of XML Schema; foreign ones stand in appinfo"))
            );
        }
        if &*local == "annotation" {
            self.skipped = 1;
            return Ok(());
        }
        let mut attributes: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (parts, key, value) in written {
            match parts {
                None => attributes.push((key.into(), value.into())),
                Some((prefix, _)) => match scope.namespace(prefix) {
                    None => return Err(undeclared(prefix)),
                    Some(XSD) => {
                        let what =
                            format!("the attribute {key} has no place in a schema; take off its prefix");
                        return Err(self.fault(at, what));
                    }
                    Some(_) => {}
                },
            }
        }
        let node = Node {
            local: local.into(),
            attributes,
            scope: scope.clone(),
            line: self.lines + 1,
            file: self.file.clone(),
            children: Vec::new(),
        };
        let parent = self.open.last().map(|parent| &*parent.local);
        let names = node.attributes.iter().map(|(name, _)| &**name);
        shape::check(parent, &node.local, names).map_err(|what| node.fault(what))?;
        self.scopes.push(scope);
        self.open.push(node);
        Ok(())
    }

    fn scope(&self, declared: Vec<(Box<str>, Box<str>)>) -> Arc<Prefixes> {
        match (self.scopes.last(), declared.is_empty()) {
            (Some(parent), true) => parent.clone(),
            (None, true) => Arc::default(),
            (parent, false) => {
                let mut all = parent.map_or_else(Vec::new, |parent| parent.0.clone());
                all.extend(declared);
                Arc::new(Prefixes(all))
            }
        }
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        self.scopes.pop();
        let Some(node) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }

    fn text(&self, content: &str, at: usize) -> Result<(), String> {
        match self.skipped > 0 || content.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            true => Ok(()),
            false => Err(self.fault(at, "text stands outside a documentation")),
        }
    }

    /// Takes the texts of general entities out of an internal subset.
    fn doctype(&mut self, content: &str, at: usize) -> Result<(), String> {
        if content.len() > MAX_DOCTYPE {
            return Err(
                self.fault(at, format!("the DOCTYPE is longer than {MAX_DOCTYPE} octets; leave it out"))
            );
        }
        let mut rest = content;
        while let Some((_, after)) = rest.split_once("<!ENTITY") {
            rest = after;
            let mut words = after.trim_start().splitn(2, [' ', '\t', '\n', '\r']);
            let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
            let value = value.trim_start();
            let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
            let text = value.get(1..).and_then(|value| value.split_once(quote)).map(|(text, _)| text);
            // What holds markup or refers to others is left out: whoever uses it gets a fault.
            if let Some(text) = text.filter(|text| name != "%" && !text.contains(['<', '&', '%'])) {
                self.entities.push((name.to_owned(), text.to_owned()));
            }
        }
        Ok(())
    }
}
