//! The gateway's own pass over a document: what the validator is known to let pass, and where the
//! enveloped signature stands.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::codes::Codes;
use crate::error::{Code, Location, Refusal};

/// Namespace of XML signatures.
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Characters of one code.
const MAX_CODE: usize = 200;

/// What a set says that goes beyond the validator.
pub(super) struct Extra<'s> {
    /// By namespace: elements that the set declares without a namespace only, but whose name could
    /// be mistaken for one of this namespace.
    pub(super) unqualified: &'s HashMap<String, HashSet<String>>,
    /// Its code lists.
    pub(super) codes: &'s Codes,
}

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Local name of the root.
    pub(super) root: String,
    /// Octets of the one `ds:Signature` that is the root's last child element.
    pub(super) signature: Option<Range<usize>>,
    /// The first code that is not in its list. Reported after the schema's own findings.
    pub(super) code: Option<Refusal>,
}

/// Scans a document that is UTF-8 and well-formed.
pub(super) fn scan(text: &str, extra: &Extra<'_>) -> Result<Scan, Refusal> {
    let mut pass =
        Pass { text, extra, path: Vec::new(), lists: Vec::new(), found: Scan::default(), signatures: 0 };
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let before = position(&reader);
        let (namespace, event) =
            reader.read_resolved_event().map_err(|e| pass.broken(before, &e.to_string()))?;
        match event {
            Event::Start(element) => pass.start(namespace, &element, before)?,
            Event::End(_) => {
                let after = position(&reader);
                pass.end(after);
            }
            Event::Text(text) => pass.characters(&text.xml10_content()),
            Event::CData(text) => pass.characters(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => pass.characters(c.encode_utf8(&mut [0; 4])),
                _ => pass.characters(
                    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
                        .unwrap_or_default(),
                ),
            },
            Event::DocType(_) => {
                let reason = "a document type declaration is not allowed; leave it out";
                return Err(Refusal::new(Code::Forbidden, reason).at(pass.location(before)));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if pass.signatures != 1 {
        pass.found.signature = None;
    }
    Ok(pass.found)
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// An open element whose `code` child must be in a list.
struct Listed<'s> {
    depth: usize,
    list: &'s HashSet<String>,
    /// The code's text so far, while the child `code` is open.
    code: Option<String>,
}

struct Pass<'t, 's> {
    text: &'t str,
    extra: &'s Extra<'s>,
    path: Vec<String>,
    lists: Vec<Listed<'s>>,
    found: Scan,
    signatures: usize,
}

impl<'s> Pass<'_, 's> {
    fn start(
        &mut self,
        namespace: ResolveResult<'_>,
        element: &BytesStart<'_>,
        at: usize,
    ) -> Result<(), Refusal> {
        let local = element.local_name();
        let local = local.as_ref();
        let depth = self.path.len();
        if depth == 0 {
            local.clone_into(&mut self.found.root);
        }
        self.path.push(local.to_owned());
        if depth == 1 {
            // Any element after the signature means that it is not the last child.
            self.found.signature = None;
        }
        if let ResolveResult::Bound(Namespace(namespace)) = namespace {
            if depth == 1 && namespace == DSIG && local == "Signature" {
                self.signatures += 1;
                self.found.signature = Some(at..at);
            }
            if self.extra.unqualified.get(namespace).is_some_and(|names| names.contains(local)) {
                let reason = format!(
                    "the element {local} stands without a namespace in its schema; take off its prefix"
                );
                return Err(Refusal::new(Code::SchemaInvalid, reason).at(self.location(at)));
            }
        }
        if local == "code"
            && let Some(listed) = self.lists.last_mut()
            && listed.depth + 1 == depth + 1
        {
            listed.code = Some(String::new());
        }
        if !self.extra.codes.is_empty() && element.attributes_raw().contains("listURI") {
            self.listed(element, depth + 1);
        }
        Ok(())
    }

    /// An element with `listURI` and `listVersionID` (XÖV's type Code); its children have `depth`.
    fn listed(&mut self, element: &BytesStart<'_>, depth: usize) {
        let value = |name| {
            let found = element.try_get_attribute(name).ok().flatten();
            found.and_then(|a| a.normalized_value(XmlVersion::Explicit1_0).ok().map(|v| v.trim().to_owned()))
        };
        let (Some(uri), Some(version)) = (value("listURI"), value("listVersionID")) else { return };
        if let Some(list) = self.extra.codes.list(&uri, &version) {
            self.lists.push(Listed { depth, list, code: None });
        }
    }

    fn characters(&mut self, text: &str) {
        let Some(code) = self.lists.last_mut().and_then(|listed| listed.code.as_mut()) else { return };
        if code.len() <= MAX_CODE {
            code.push_str(text);
        }
    }

    fn end(&mut self, after: usize) {
        let depth = self.path.len();
        if let Some(listed) = self.lists.last_mut() {
            if depth == listed.depth + 1
                && let Some(code) = listed.code.take()
                && !listed.list.contains(code.trim())
                && self.found.code.is_none()
            {
                let reason = "this code is not in the list that the element names; write one from the list";
                let location = self.location(after);
                self.found.code = Some(Refusal::new(Code::UnknownCode, reason).at(location));
            } else if depth == listed.depth {
                self.lists.pop();
            }
        }
        if depth == 2
            && let Some(signature) = &mut self.found.signature
            && signature.end == signature.start
        {
            signature.end = after;
        }
        self.path.pop();
    }

    fn location(&self, at: usize) -> Location {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Location {
            offset: u64::try_from(at).unwrap_or(0),
            line: u64::try_from(line).unwrap_or(0),
            column: u64::try_from(column).unwrap_or(0),
            path: self.path.iter().fold(String::new(), |path, name| path + "/" + name),
        }
    }

    fn broken(&self, at: usize, what: &str) -> Refusal {
        Refusal::new(Code::NotWellFormed, format!("the document is not well-formed: {what}"))
            .at(self.location(at))
    }
}
