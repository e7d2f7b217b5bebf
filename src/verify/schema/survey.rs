//! What one XSD file declares, as far as the gateway itself needs to know.

use std::collections::HashSet;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// One XSD file.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// `targetNamespace`; `None` where the file has none and takes that of whoever includes it.
    pub(super) namespace: Option<String>,
    /// Locations of includes, imports and redefinitions.
    pub(super) references: Vec<String>,
    /// Global elements.
    pub(super) globals: Vec<String>,
    /// Local elements that carry the target namespace.
    pub(super) qualified: HashSet<String>,
    /// Local elements without a namespace.
    pub(super) unqualified: HashSet<String>,
    /// Each declared element with the local name of its type, where it names one.
    pub(super) typed: Vec<(String, Option<String>)>,
    /// Types that extend `base64Binary` by attributes.
    pub(super) base64: HashSet<String>,
    /// Types of any other kind.
    pub(super) others: HashSet<String>,
    /// The named type in whose definition the survey stands.
    inside: Option<String>,
}

/// Surveys a file; a fault says where it is not well-formed.
pub(super) fn survey(octets: &[u8]) -> Result<Survey, String> {
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let (mut survey, mut qualified_by_default, mut depth) = (Survey::default(), false, 0_usize);
    loop {
        match reader.read_resolved_event() {
            Ok((namespace, Event::Start(element))) => {
                depth += 1;
                if namespace != ResolveResult::Bound(quick_xml::name::Namespace(XSD)) {
                    continue;
                }
                match element.local_name().as_ref() {
                    "schema" if depth == 1 => {
                        survey.namespace = attribute(&element, "targetNamespace");
                        qualified_by_default =
                            attribute(&element, "elementFormDefault").as_deref() == Some("qualified");
                    }
                    "include" | "import" | "redefine" => {
                        survey.references.extend(attribute(&element, "schemaLocation"));
                    }
                    "element" => survey.element(&element, depth, qualified_by_default),
                    "simpleType" | "complexType" if depth == 2 => survey.named_type(&element),
                    "extension" if depth == 4 => survey.extends(&element),
                    _ => {}
                }
            }
            Ok((_, Event::End(_))) => depth -= 1,
            Ok((_, Event::Eof)) => return Ok(survey),
            Ok(_) => {}
            Err(e) => return Err(format!("not well-formed at octet {}: {e}", reader.error_position())),
        }
    }
}

impl Survey {
    fn named_type(&mut self, element: &BytesStart<'_>) {
        self.inside = attribute(element, "name");
        self.others.extend(self.inside.clone());
    }

    /// `complexType/simpleContent/extension`, the one place below a named type where depth is 4 and
    /// the base may be a simple type.
    fn extends(&mut self, element: &BytesStart<'_>) {
        let base = attribute(element, "base").as_deref().map(local);
        if base.as_deref() == Some("base64Binary")
            && let Some(name) = self.inside.take()
        {
            self.others.remove(&name);
            self.base64.insert(name);
        }
    }

    fn element(&mut self, element: &BytesStart<'_>, depth: usize, qualified_by_default: bool) {
        let Some(name) = attribute(element, "name") else { return };
        let form = attribute(element, "form");
        self.typed.push((name.clone(), attribute(element, "type").as_deref().map(local)));
        if depth == 2 {
            self.globals.push(name);
        } else if form.map_or(qualified_by_default, |form| form == "qualified") {
            self.qualified.insert(name);
        } else {
            self.unqualified.insert(name);
        }
    }
}

/// Whether every element of this name is Base64 without further rules, in all of `surveys`.
pub(super) fn always_base64<'s>(surveys: impl Iterator<Item = &'s Survey> + Clone) -> HashSet<String> {
    let others: HashSet<&String> = surveys.clone().flat_map(|s| &s.others).collect();
    let mut base64: HashSet<&str> = surveys
        .clone()
        .flat_map(|s| &s.base64)
        .filter(|name| !others.contains(name))
        .map(String::as_str)
        .collect();
    if !others.contains(&"base64Binary".to_owned()) {
        base64.insert("base64Binary");
    }
    let (mut yes, mut no) = (HashSet::new(), HashSet::new());
    for (name, kind) in surveys.flat_map(|s| &s.typed) {
        let is = kind.as_deref().is_some_and(|kind| base64.contains(kind));
        if is {
            yes.insert(name.clone())
        } else {
            no.insert(name.clone())
        };
    }
    yes.retain(|name| !no.contains(name));
    yes
}

fn local(name: &str) -> String {
    name.rsplit_once(':').map_or(name, |(_, local)| local).to_owned()
}

/// An attribute's value. Schema files may use entities of a DTD of their own, which are of no
/// interest here: such a value counts as absent.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    found.normalized_value(XmlVersion::Explicit1_0).ok().map(std::borrow::Cow::into_owned)
}
