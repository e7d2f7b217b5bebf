//! Documents by fixed schemas, and the same documents written otherwise.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::respell::Change;
use crate::antrag::NAMESPACE;
use crate::domain::Header;
use crate::error::{Code, Refusal};
use crate::verify::header::Rules;
use crate::verify::schema::Schemas;
use crate::verify::trust::Trust;
use crate::verify::{Document, Limits, Node, Settings, Verifier, Walk};

/// The namespace of `tests/fuzz/rich/rich.xsd`.
const RICH: &str = "urn:amtsweg:fuzz:rich";

/// What is said of a document, without line and column, which change with how it is written.
type Said<T> = Result<T, (Code, String, String)>;

fn said<T>(result: Result<T, Refusal>) -> Said<T> {
    result.map_err(|refusal| {
        let path = refusal.location.map_or_else(String::new, |location| location.path);
        (refusal.code, refusal.reason, path)
    })
}

/// All that is said of a document.
#[derive(Debug, PartialEq)]
struct Verdict {
    antrag: Said<()>,
    rich: Said<()>,
    validated: Said<Header>,
}

/// Checks documents by the built-in schemas and those of a folder.
pub struct Validate {
    verifier: Verifier,
    schemas: Arc<Schemas>,
}

impl Validate {
    /// With the folder of the schema `rich.xsd`, and any anchor (PEM); `None` when they are none.
    #[must_use]
    pub fn new(folder: PathBuf, anchor: &[u8]) -> Option<Self> {
        let schemas = Arc::new(Schemas::load(&[folder]).ok()?);
        let verifier = Verifier::new(Settings {
            limits: Limits::default(),
            rules: Arc::new(Rules::built_in()),
            schemas: schemas.clone(),
            trust: Arc::new(Trust::from_octets(anchor, &[]).ok()?),
        });
        Some(Self { verifier, schemas })
    }

    fn verdict(&self, octets: &[u8]) -> Verdict {
        let verdict = Verdict {
            antrag: said(self.schemas.check(octets, NAMESPACE)),
            rich: said(self.schemas.check(octets, RICH)),
            validated: said(self.verifier.validate(&Bytes::copy_from_slice(octets))),
        };
        let accepted = verdict.validated.as_ref().is_ok_and(|header| header.namespace == NAMESPACE);
        assert!(!accepted || verdict.antrag.is_ok(), "validated, but not by its schema: {verdict:?}");
        verdict
    }

    /// Whether the document is valid by one of the schemas. What is said of it is said again, and also where it is
    /// written otherwise.
    pub fn run(&self, octets: &[u8]) -> bool {
        let verdict = self.verdict(octets);
        assert_eq!(verdict, self.verdict(octets), "the same document again");
        if let Some(text) = well_formed(octets) {
            for change in Change::ALL {
                let Some(other) = change.made(text) else { continue };
                assert_eq!(verdict, self.verdict(other.as_bytes()), "{change:?}: {other}");
            }
        }
        verdict.antrag.is_ok() || verdict.rich.is_ok()
    }
}

/// The text of a document that is well-formed up to its end: a schema's first fault may come before a fault in the markup.
fn well_formed(octets: &[u8]) -> Option<&str> {
    let limits = Limits::default();
    let document = Document::check(octets, &limits).ok()?;
    let mut walk = Walk::new(document, &limits).ok()?;
    while walk.step().ok()? != Node::Eof {}
    std::str::from_utf8(octets).ok()
}
