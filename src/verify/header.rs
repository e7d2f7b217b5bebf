//! Header rules: where a standard's messages carry UUID, type, author, reader, service and area.
//!
//! The rules stand in TOML (`xsd/rules.toml`, and `rules.toml` in the folder of a schema set). Each
//! is compiled to a small tree of element names; a [`Picker`] walks it while the document passes by,
//! so an element outside the header costs one comparison. Names are compared with their namespace:
//! a header element that is qualified where the rule has it unqualified is not found, and the
//! message is refused.

mod file;
mod picker;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

pub use picker::Picker;

use crate::error::{Code, Refusal};

/// The rules of the gateway's own messages and of XWasser 1.0.0.
const BUILT_IN: &str = include_str!("../../xsd/rules.toml");

/// The loaded rules (`xsd/rules.toml` and the `rules.toml` of further schema sets).
pub struct Rules {
    by_namespace: HashMap<String, Rule>,
}

impl Rules {
    /// The rules of the gateway's own messages, built in.
    #[must_use]
    pub fn built_in() -> Self {
        let mut rules = Self { by_namespace: HashMap::new() };
        // The text is part of the program and a test compiles it; should it ever be faulty, the
        // gateway knows no standard and refuses everything.
        let _ = rules.add(BUILT_IN);
        rules
    }

    /// Adds the rules of a TOML text. A rule replaces an earlier one for the same namespace.
    ///
    /// # Errors
    /// A sentence per fault; then nothing was added.
    pub fn add(&mut self, toml: &str) -> Result<(), Vec<String>> {
        for rule in file::compile(toml)? {
            self.by_namespace.insert(rule.namespace.clone(), rule);
        }
        Ok(())
    }

    /// Adds `rules.toml` from the folder of a schema set; `false` when there is none.
    ///
    /// # Errors
    /// A sentence per fault, with the file's name.
    pub fn add_folder(&mut self, folder: &Path) -> Result<bool, Vec<String>> {
        let path = folder.join("rules.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(vec![format!("{} can't be read: {e}", path.display())]),
        };
        let in_file = |fault: String| format!("{}: {fault}", path.display());
        self.add(&text).map(|()| true).map_err(|faults| faults.into_iter().map(in_file).collect())
    }

    /// Whether there is a rule for the namespace.
    #[must_use]
    pub fn knows(&self, namespace: &str) -> bool {
        self.by_namespace.contains_key(namespace)
    }

    /// The namespaces for which there is a rule, sorted.
    #[must_use]
    pub fn namespaces(&self) -> Vec<&str> {
        let mut all: Vec<_> = self.by_namespace.keys().map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    /// A picker for a document with this root.
    ///
    /// # Errors
    /// AW-0110 when no rule knows the root.
    pub fn picker(&self, namespace: &str, root: &str) -> Result<Picker<'_>, Refusal> {
        let Some(rule) = self.by_namespace.get(namespace) else {
            let reason = if namespace.is_empty() {
                "the document's root has no namespace; send a message of a standard that this gateway knows"
                    .to_owned()
            } else {
                format!(
                    "there is no header rule for the namespace {}; send a message of a standard that this gateway \
                     knows, or have its operator add the standard",
                    short(namespace)
                )
            };
            return Err(Refusal::new(Code::UnknownStandard, reason));
        };
        let Some(captures) = rule.roots.captures(root) else {
            let reason =
                format!("the standard has no message {}; check the name of the root element", short(root));
            return Err(Refusal::new(Code::UnknownStandard, reason));
        };
        let number = captures.get(1).map(|m| m.as_str().to_owned());
        Ok(Picker::new(rule, root, number))
    }
}

/// At most 120 characters of a name that a document brought, without control characters.
fn short(text: &str) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// One standard's rule, compiled.
struct Rule {
    namespace: String,
    roots: regex::Regex,
    name: Option<String>,
    versions: Vec<String>,
    type_is_root_number: bool,
    reader_required: bool,
    attachment_roots: Option<regex::Regex>,
    /// Node 0 is the root element.
    nodes: Vec<Node>,
    /// The path of each field as the rule writes it, for refusals.
    paths: HashMap<Field, String>,
}

/// An element that leads to a field.
#[derive(Default)]
struct Node {
    children: Vec<(String, String, usize)>,
    attributes: Vec<(String, String, Field)>,
    text: Option<Field>,
    attachment: bool,
}

/// What a rule can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Field {
    Standard,
    Version,
    Test,
    Uuid,
    Type,
    Created,
    Author,
    Reader,
    Service,
    Area,
    Date,
    AttachmentName,
    AttachmentMediaType,
    AttachmentSize,
    AttachmentSha256,
}

impl Field {
    /// Whether it stands in each attachment anew.
    fn of_attachment(self) -> bool {
        matches!(
            self,
            Self::AttachmentName | Self::AttachmentMediaType | Self::AttachmentSize | Self::AttachmentSha256
        )
    }
}
