//! Whole schemas and documents, with xmllint beside: where the two differ, the standard's text decides, and the case
//! says so.

mod cases;
mod faults;
mod redefine;
mod w3c;

use std::collections::BTreeMap;
use std::process::Command;

use super::*;
use crate::error::Refusal;
use crate::verify::Limits;

/// Files by path.
struct Folder(BTreeMap<String, Vec<u8>>);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Folder {
    fn resolve(&self, _: &str, reference: &str) -> Option<String> {
        self.0.contains_key(reference).then(|| reference.to_owned())
    }

    fn octets(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }
}

fn wide() -> Limits {
    Limits { depth: 1_000, attributes: 100_000, namespaces: 1_000, elements: usize::MAX, ..Limits::default() }
}

fn check(schema: &Schema, octets: &[u8]) -> Result<(), Refusal> {
    crate::verify::fuzzing::schema::check(schema, octets, &wide())
}

/// A schema document: its namespace is `urn:t`, with the prefix `t`; names are qualified.
fn document(content: &str) -> String {
    format!(
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:t=\"urn:t\" targetNamespace=\"urn:t\" \
         elementFormDefault=\"qualified\">{content}</xs:schema>"
    )
}

/// Around a document: the prefixes that the cases use.
fn instance(content: &str) -> String {
    let at = content.find([' ', '>', '/']).unwrap();
    let (start, rest) = content.split_at(at);
    format!(
        "{start} xmlns=\"urn:t\" xmlns:t=\"urn:t\" xmlns:o=\"urn:o\" \
         xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"{rest}"
    )
}

/// xmllint's verdicts on documents by the schema `main.xsd` in a folder; `None` when it is not here.
fn xmllint(files: &[(&str, &str)], documents: &[String]) -> Option<Vec<bool>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for (number, document) in documents.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.xml")), document).unwrap();
    }
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", "main.xsd"])
        .args((0..documents.len()).map(|number| format!("{number}.xml")))
        .current_dir(folder.path())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("failed to compile"), "{said}");
    let good = |number: usize| said.lines().any(|line| line == format!("{number}.xml validates"));
    Some((0..documents.len()).map(good).collect())
}

#[test]
fn twenty_thousand_attributes_on_one_element_are_checked_one_by_one() {
    let with = |wildcard: &str| {
        let content = format!(
            "<xs:element name=\"a\"><xs:complexType><xs:attribute name=\"b\" use=\"required\"/>{wildcard}</xs:complexType></xs:element>"
        );
        compile(&Folder::new(&[("main.xsd", &document(&content))]), &["main.xsd"]).unwrap()
    };
    let many: String = (0..20_000).map(|number| format!(" n{number}=\"\"")).collect();
    let reason = |schema: &Schema, start: &str| {
        check(schema, instance(&format!("<a{start}{many}/>")).as_bytes()).err().map(|refusal| refusal.reason)
    };
    let strict = reason(&with(""), " b=\"\"").unwrap();
    assert!(strict.contains("has no attribute n0 at this element (allowed: b)"), "{strict}");
    let free = with("<xs:anyAttribute processContents=\"lax\"/>");
    assert_eq!(reason(&free, " b=\"\""), None);
    assert!(reason(&free, "").unwrap().contains("attribute b is missing"));
}
