//! The documents of a schema set: what they include and import is found among the files, never elsewhere
//! (XSD 1.0 part 1, section 4.2).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::tree::{self, Node, XML};

/// Documents of one schema set, those that are included under several namespaces counted for each.
const MAX_DOCUMENTS: usize = 2_000;

/// The attributes of XML itself (XML 1.0, sections 2.10 and 2.12; XML Base; xml:id), for sets that have no document
/// of their own for its namespace.
const OF_XML: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='http://www.w3.org/XML/1998/namespace'>\
    <xs:attribute name='lang'><xs:simpleType><xs:union memberTypes='xs:language'><xs:simpleType><xs:restriction base='xs:string'>\
    <xs:enumeration value=''/></xs:restriction></xs:simpleType></xs:union></xs:simpleType></xs:attribute>\
    <xs:attribute name='space'><xs:simpleType><xs:restriction base='xs:NCName'><xs:enumeration value='default'/>\
    <xs:enumeration value='preserve'/></xs:restriction></xs:simpleType></xs:attribute>\
    <xs:attribute name='base' type='xs:anyURI'/><xs:attribute name='id' type='xs:ID'/>\
    <xs:attributeGroup name='specialAttrs'><xs:attribute ref='xml:base'/><xs:attribute ref='xml:lang'/>\
    <xs:attribute ref='xml:space'/><xs:attribute ref='xml:id'/></xs:attributeGroup></xs:schema>";

/// Where schema documents are.
pub(crate) trait Files {
    /// The path of the file that `reference`, written in the file `from`, means.
    fn resolve(&self, from: &str, reference: &str) -> Option<String>;
    /// The octets of a file.
    fn octets(&self, path: &str) -> Option<&[u8]>;
}

/// A schema document as a part of a namespace.
pub(super) struct Document {
    pub(super) root: Arc<Node>,
    /// The namespace of what it declares; empty for none.
    pub(super) target: String,
    /// It has no namespace of its own: names without a prefix are those of its includer (section 4.2.1).
    pub(super) chameleon: bool,
}

/// A file, the namespace that it is read for, and its root.
type Found = (String, String, Arc<Node>);

/// What is still to be done.
enum Step {
    Enter(Found),
    Leave(Document),
}

/// Loads documents and all that they refer to, each once.
pub(super) struct Loader<'f> {
    files: &'f dyn Files,
    parsed: HashMap<String, Arc<Node>>,
    seen: BTreeSet<(String, String)>,
    /// Each after those that it refers to, circles aside.
    pub(super) documents: Vec<Document>,
    pub(super) faults: Vec<String>,
    /// A document imports the namespace of XML itself, and says nowhere where it is.
    of_xml: bool,
}

impl<'f> Loader<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Self {
        Self {
            files,
            parsed: HashMap::new(),
            seen: BTreeSet::new(),
            documents: Vec::new(),
            faults: Vec::new(),
            of_xml: false,
        }
    }

    /// After the last entry: what needs no file.
    pub(super) fn finish(&mut self) {
        if self.of_xml && !self.documents.iter().any(|document| document.target == XML) {
            match tree::read(&"(xml.xsd)".into(), OF_XML.as_bytes()) {
                Ok(root) => {
                    let (root, target) = (Arc::new(root), XML.to_owned());
                    self.documents.push(Document { root, target, chameleon: false });
                }
                Err(fault) => self.fault(fault),
            }
        }
    }

    fn parse(&mut self, path: &str) -> Option<Arc<Node>> {
        if let Some(known) = self.parsed.get(path) {
            return Some(known.clone());
        }
        let read = match self.files.octets(path) {
            Some(octets) => tree::read(&path.into(), octets),
            None => Err(format!("{path} is not there")),
        };
        match read {
            Ok(root) => {
                let root = Arc::new(root);
                self.parsed.insert(path.to_owned(), root.clone());
                Some(root)
            }
            Err(fault) => {
                self.fault(fault);
                None
            }
        }
    }

    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Loads a file that the set begins with.
    pub(super) fn entry(&mut self, path: &str) {
        let Some(root) = self.parse(path) else { return };
        let target = root.get("targetNamespace").unwrap_or_default().to_owned();
        let mut open = vec![Step::Enter((path.to_owned(), target, root))];
        while let Some(step) = open.pop() {
            let (path, target, root) = match step {
                Step::Enter(found) => found,
                Step::Leave(document) => {
                    self.documents.push(document);
                    continue;
                }
            };
            if !self.seen.insert((path.clone(), target.clone())) {
                continue;
            }
            if self.seen.len() > MAX_DOCUMENTS {
                return self.fault(format!("the set has more than {MAX_DOCUMENTS} documents; split it"));
            }
            let mut found = Vec::new();
            for node in &root.children {
                match self.reference(&path, &target, node) {
                    Ok(more) => found.extend(more.map(Step::Enter)),
                    Err(fault) => self.fault(fault),
                }
            }
            let chameleon = root.get("targetNamespace").is_none() && !target.is_empty();
            open.push(Step::Leave(Document { root, target, chameleon }));
            open.extend(found);
        }
    }

    /// What an include, redefine or import leads to.
    fn reference(&mut self, path: &str, target: &str, node: &Node) -> Result<Option<Found>, String> {
        let include = match &*node.local {
            "include" | "redefine" => true,
            "import" => false,
            _ => return Ok(None),
        };
        let wanted = if include { target } else { node.get("namespace").unwrap_or_default() };
        if !include && wanted == target {
            return Err(node.fault("a schema can't import its own namespace; include the other document"));
        }
        let location = node.get("schemaLocation");
        if wanted == XML && location.and_then(|location| self.files.resolve(path, location)).is_none() {
            self.of_xml = true;
            return Ok(None);
        }
        let Some(location) = location else {
            // An import may leave it open where the components come from: another part of the set has them.
            return if include {
                Err(node.fault(format!("{} needs the attribute schemaLocation", node.local)))
            } else {
                Ok(None)
            };
        };
        let Some(found) = self.files.resolve(path, location) else {
            return Err(node.fault(format!(
                "{location} is neither in the folder nor in catalog.xml; put it there and name it"
            )));
        };
        let Some(root) = self.parse(&found) else { return Ok(None) };
        let own = root.get("targetNamespace");
        let fits = own.unwrap_or_default() == wanted || include && own.is_none();
        match fits {
            true => Ok(Some((found, wanted.to_owned(), root))),
            false => Err(node.fault(format!(
                "{location} has the namespace {}, not {}",
                own.unwrap_or("none"),
                if wanted.is_empty() { "none" } else { wanted }
            ))),
        }
    }
}

/// What a file refers to, and its namespace: enough to find out which files a set begins with.
///
/// # Errors
/// As [`tree::read`].
pub(crate) fn survey(path: &str, octets: &[u8]) -> Result<(Option<String>, Vec<String>), String> {
    let root = tree::read(&path.into(), octets)?;
    let references =
        root.children.iter().filter(|node| ["include", "import", "redefine"].contains(&&*node.local));
    let references = references.filter_map(|node| node.get("schemaLocation").map(str::to_owned)).collect();
    Ok((root.get("targetNamespace").map(str::to_owned), references))
}
