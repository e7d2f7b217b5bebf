//! Schema validation: which sets there are, and which of them a message belongs to. The validator itself is `xsd`.
//!
//! A schema set is a folder with XSD files, an OASIS XML catalog `catalog.xml` and, if it likes,
//! Genericode lists under `codelists/`. All files are read and compiled once, when the set is
//! loaded; after that no file is opened, and there is no network code at all: what a document names
//! in `xsi:schemaLocation` is never looked at.

mod catalog;
mod codes;
mod listing;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mutations;
mod set;
mod sources;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Code, Refusal};
pub(crate) use set::Check;
use set::Set;
use sources::Sources;

/// Compiled schema sets.
#[derive(Clone)]
pub struct Schemas {
    by_namespace: HashMap<String, Arc<Set>>,
}

impl Schemas {
    /// The gateway's own schemas (built in) and those of `folders`, each with an XML catalog
    /// `catalog.xml`; nothing is ever fetched from a network.
    ///
    /// # Errors
    /// A sentence per fault, with file and line where known.
    pub fn load(folders: &[PathBuf]) -> Result<Self, Vec<String>> {
        let (mut faults, mut sets) = (Vec::new(), Vec::new());
        let built_in = std::iter::once(Ok(Sources::built_in()));
        for sources in built_in.chain(folders.iter().map(|folder| Sources::folder(folder))) {
            match sources.and_then(|sources| Set::compile(&sources)) {
                Ok(set) => sets.push(Arc::new(set)),
                Err(more) => faults.extend(more),
            }
        }
        let mut by_namespace: HashMap<String, Arc<Set>> = HashMap::new();
        for set in sets {
            for namespace in set.namespaces() {
                if let Some(other) = by_namespace.insert(namespace.to_owned(), set.clone()) {
                    faults.push(format!(
                        "{} and {} both define the namespace {namespace}; keep one of them",
                        other.name(),
                        set.name()
                    ));
                }
            }
        }
        if faults.is_empty() { Ok(Self { by_namespace }) } else { Err(faults) }
    }

    /// The namespaces of root elements that can be validated, sorted.
    #[must_use]
    pub fn namespaces(&self) -> Vec<&str> {
        let mut all: Vec<_> = self.by_namespace.keys().map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    /// Whether there is a schema for the namespace.
    #[must_use]
    pub fn knows(&self, namespace: &str) -> bool {
        self.by_namespace.contains_key(namespace)
    }

    /// Checks a well-formed document whose root has this namespace.
    ///
    /// Where the schema allows no `ds:Signature` at the end of the root, the document is validated
    /// as the transform `enveloped-signature` leaves it: without that one element, which the
    /// gateway's profile demands of every message whatever its standard says.
    ///
    /// # Errors
    /// AW-0110 when no schema has the namespace, AW-0111 with line, column and path, AW-0112 when a
    /// code is not in its list.
    pub fn check(&self, octets: &[u8], namespace: &str) -> Result<(), Refusal> {
        self.set(namespace)?.check(octets)
    }

    /// The same check, to be fed with the nodes of a document whose root has this namespace.
    ///
    /// # Errors
    /// AW-0110 when no schema has the namespace.
    pub(crate) fn begin<'d>(&self, namespace: &str) -> Result<Check<'_, 'd>, Refusal> {
        Ok(self.set(namespace)?.begin())
    }

    fn set(&self, namespace: &str) -> Result<&Set, Refusal> {
        self.by_namespace.get(namespace).map(Arc::as_ref).ok_or_else(|| {
            Refusal::new(
                Code::UnknownStandard,
                "there is no schema for the root element's namespace; send a message of a standard that this \
                 gateway knows, or have its operator add the schema set",
            )
        })
    }
}
