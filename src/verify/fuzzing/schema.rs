//! The compiler of schemas, and documents by what it made.

use crate::error::Refusal;
use crate::verify::xsd::{self, Files, Run};
use crate::verify::{Document, Limits, Node, Walk};

/// The files of an input, parted by octets 0: `main.xsd`, then `1.xsd`, `2.xsd` and so on. The last part of several is a
/// document.
pub(super) struct Parts<'i> {
    pub(super) files: Vec<(String, &'i [u8])>,
    pub(super) document: Option<&'i [u8]>,
}

impl<'i> Parts<'i> {
    pub(super) fn of(octets: &'i [u8]) -> Self {
        let mut parts: Vec<&[u8]> = octets.split(|octet| *octet == 0).collect();
        let document = if parts.len() > 1 { parts.pop() } else { None };
        let name = |number| if number == 0 { "main.xsd".to_owned() } else { format!("{number}.xsd") };
        let files = parts.into_iter().enumerate().map(|(number, part)| (name(number), part)).collect();
        Self { files, document }
    }
}

impl Files for Parts<'_> {
    fn resolve(&self, _: &str, reference: &str) -> Option<String> {
        self.octets(reference).map(|_| reference.to_owned())
    }

    fn octets(&self, path: &str) -> Option<&[u8]> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, octets)| *octets)
    }
}

/// Compiles the schemas of an input, twice: components are read in the order of a hash table, which must not change the
/// verdict, neither on them nor on the document.
pub fn schema(octets: &[u8]) {
    let parts = Parts::of(octets);
    let compiled = [(); 2].map(|()| xsd::compile(&parts, &["main.xsd"]));
    match compiled {
        [Ok(one), Ok(other)] => {
            let Some(document) = parts.document else { return };
            let limits = Limits::default();
            assert_eq!(check(&one, document, &limits), check(&other, document, &limits), "the document");
        }
        [one, other] => assert_eq!(one.err().is_some(), other.err().is_some(), "the schema"),
    }
}

/// Checks a document by a schema alone.
pub(crate) fn check(schema: &xsd::Schema, octets: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let mut walk = Walk::new(Document::check(octets, limits)?, limits)?;
    let mut run = Run::new(schema);
    loop {
        match walk.step()? {
            Node::Eof => return Ok(()),
            node => run.node(&walk, node)?,
        }
    }
}
