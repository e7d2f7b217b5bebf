//! Refusals in plain words, without any of the document's text.

use super::Run;
use crate::error::{Code, Refusal};
use crate::verify::Walk;
use crate::verify::xsd::automaton::{Content, Step};
use crate::verify::xsd::model::{Type, TypeId};

/// Names of a list of expected elements.
const MAX_EXPECTED: usize = 12;

/// What is wrong at a place that the caller knows.
pub(super) enum Trouble {
    /// In a sentence.
    Invalid(String),
    /// More than so many of something would have to be remembered.
    Bound(&'static str, usize),
}

impl Trouble {
    fn parts(self) -> (Code, String) {
        match self {
            Self::Invalid(reason) => (Code::SchemaInvalid, reason),
            Self::Bound(what, most) => {
                let reason =
                    format!("the document has more {what} than can be compared ({most}); send it in parts");
                (Code::OverLimit, reason)
            }
        }
    }

    /// At the start tag that is being read.
    pub(super) fn at_start(self, walk: &Walk<'_>) -> Refusal {
        let (code, reason) = self.parts();
        local(walk.refuse(code, reason))
    }

    /// At the element that began at `offset` and ends now.
    pub(super) fn at_end(self, walk: &Walk<'_>, offset: usize, qname: &str) -> Refusal {
        let (code, reason) = self.parts();
        let mut refusal = walk.refuse_at(offset, code, reason);
        if let Some(location) = &mut refusal.location {
            location.path.push('/');
            location.path.extend(qname.chars().take(100));
        }
        local(refusal)
    }
}

/// AW-0111 at the node that is being read.
#[cold]
pub(super) fn at_start(walk: &Walk<'_>, reason: &str) -> Refusal {
    local(walk.refuse(Code::SchemaInvalid, reason))
}

/// AW-0111 at an offset.
#[cold]
pub(super) fn at(walk: &Walk<'_>, offset: usize, reason: &str) -> Refusal {
    local(walk.refuse_at(offset, Code::SchemaInvalid, reason))
}

/// AW-0111 at the element that began at `offset` and ends now.
#[cold]
pub(super) fn at_end(walk: &Walk<'_>, offset: usize, qname: &str, reason: &str) -> Refusal {
    Trouble::Invalid(reason.to_owned()).at_end(walk, offset, qname)
}

/// The path without prefixes.
fn local(mut refusal: Refusal) -> Refusal {
    if let Some(location) = &mut refusal.location {
        let parts =
            location.path.split('/').map(|name| name.rsplit_once(':').map_or(name, |(_, local)| local));
        location.path = parts.collect::<Vec<_>>().join("/");
    }
    refusal
}

impl Run<'_, '_> {
    /// An element that may not stand where it does.
    #[cold]
    pub(super) fn stray(&self, walk: &Walk<'_>, step: Step) -> Refusal {
        let Some(parent) = self.frames.last() else {
            return at_start(walk, "the element may not stand here");
        };
        let local: String = walk.element.local.chars().filter(|c| !c.is_control()).take(120).collect();
        if parent.nil {
            return at_start(walk, "an element with xsi:nil=\"true\" is empty");
        }
        match self.schema.kind(parent.kind) {
            Some(Type::Complex(complex)) if matches!(complex.content, Content::Empty) => {
                return at_start(walk, "the schema has this element's parent empty");
            }
            Some(Type::Complex(complex)) if !matches!(complex.content, Content::Simple(_)) => {}
            _ => return at_start(walk, "the schema has a value here, no elements"),
        }
        let counters = self.counters.get(parent.counters..).unwrap_or_default();
        let expected = self.expected(parent.kind, parent.state, counters);
        let reason = match step {
            Step::Miscounted => {
                format!("there are more or fewer elements before {local} than the schema allows{expected}")
            }
            _ => format!(
                "the schema has no element {local} here; check its name, its namespace and its place{expected}"
            ),
        };
        at_start(walk, &reason)
    }

    /// The names that the schema has next; they come from the schema, not from the document.
    pub(super) fn expected(&self, kind: TypeId, state: u32, counters: &[u32]) -> String {
        let Some(complex) = self.complex(kind) else { return String::new() };
        let (names, wild) = match &complex.content {
            Content::Ordered(automaton) => automaton.expected(state, counters),
            Content::All(group) => (group.expected(counters), false),
            _ => return String::new(),
        };
        let mut shown: Vec<&str> = names.iter().map(|name| self.schema.names.local(*name)).collect();
        // The same however the schema's files are ordered.
        shown.sort_unstable();
        shown.truncate(MAX_EXPECTED);
        if names.len() > MAX_EXPECTED {
            shown.push("or others");
        }
        if wild {
            shown.push("an element of another schema");
        }
        match shown.is_empty() {
            true => " (expected: no further element)".to_owned(),
            false => format!(" (expected: {})", shown.join(", ")),
        }
    }
}
