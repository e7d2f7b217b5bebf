//! The validator's findings in plain words, without any of the document's text.

use std::ops::Range;

use fastxml::error::{StructuredError, ValidationErrorType as Kind};

use crate::error::{Code, Location, Refusal};

/// Characters of a list of expected elements.
const MAX_EXPECTED: usize = 300;

/// Whether the finding is a reference of type `xs:IDREF` that leads to nothing. XML Schema 1.0 part 1
/// (3.15.4) forbids that, but libxml2, with which most of the field validates, has never looked, and
/// the official examples of XWasser 1.0.0 contain such references: they are let pass.
pub(super) fn dangling(finding: &StructuredError) -> bool {
    finding.error_type == Kind::IdentityConstraint && finding.message.starts_with("IDREF ")
}

/// AW-0111 for a finding.
///
/// `text` is the document and `cuts` what the validator did not see of it: its lines and columns are
/// counted without.
pub(super) fn refusal(finding: &StructuredError, text: &str, cuts: &[Range<usize>]) -> Refusal {
    let path = finding.location.xpath.as_deref().map(local_path).unwrap_or_default();
    let name = finding.node_name.as_deref().map(local).unwrap_or_default();
    let at = if name.is_empty() { path.rsplit('/').next().unwrap_or_default() } else { &name };
    let expected = finding.expected.as_deref().map(expected).unwrap_or_default();
    let reason = match finding.error_type {
        Kind::UnknownElement | Kind::UnexpectedElement | Kind::NamespaceMismatch => {
            format!(
                "the schema has no element {at} here; check its name, its namespace and its place{expected}"
            )
        }
        Kind::InvalidContent | Kind::ElementOutOfOrder | Kind::ContentModelViolation => {
            format!(
                "the content at {at} is not as the schema asks; check which elements stand there and in which order{expected}"
            )
        }
        Kind::MissingRequiredElement | Kind::TooFewOccurrences => {
            format!("at {at} an element is missing that the schema asks for{expected}")
        }
        Kind::TooManyOccurrences => {
            format!("the element {at} stands there more often than the schema allows")
        }
        Kind::UnknownAttribute | Kind::MissingRequiredAttribute | Kind::InvalidAttributeValue => {
            format!("an attribute of {at} is missing, not allowed, or has a value that the schema forbids")
        }
        Kind::InvalidTextContent | Kind::FacetViolation => {
            format!("the value of {at} is not of the form that the schema asks for")
        }
        Kind::IdentityConstraint => format!("at {at} an identifier stands twice or refers to nothing"),
        Kind::SchemaNotFound | Kind::TypeNotFound => {
            format!("{at} names a type that its schema does not have")
        }
        Kind::UnclosedElement | Kind::Other => format!("{at} is not as the schema asks"),
    };
    let place = finding.location.line.zip(finding.location.column);
    let place = place.map(|(line, column)| place_in(text, cuts, line, column)).unwrap_or_default();
    Refusal::new(Code::SchemaInvalid, reason).at(Location { path, ..place })
}

/// The place in the whole document that is at `line` and `column` without the cuts.
fn place_in(text: &str, cuts: &[Range<usize>], line: usize, column: usize) -> Location {
    let (mut seen, mut real) = ((1_usize, 1_usize), (1_u64, 1_u64));
    let mut cuts = cuts.iter().peekable();
    for (offset, c) in text.char_indices() {
        while cuts.next_if(|cut| cut.end <= offset).is_some() {}
        let cut = cuts.peek().is_some_and(|cut| cut.contains(&offset));
        if !cut && seen >= (line, column) {
            let offset = u64::try_from(offset).unwrap_or(0);
            return Location { offset, line: real.0, column: real.1, path: String::new() };
        }
        real = if c == '\n' { (real.0 + 1, 1) } else { (real.0, real.1 + 1) };
        if !cut {
            seen = if c == '\n' { (seen.0 + 1, 1) } else { (seen.0, seen.1 + 1) };
        }
    }
    Location {
        offset: u64::try_from(text.len()).unwrap_or(0),
        line: real.0,
        column: real.1,
        path: String::new(),
    }
}

/// `/a:b/c` as `/b/c`.
fn local_path(path: &str) -> String {
    path.split('/').map(local).collect::<Vec<_>>().join("/")
}

fn local(name: &str) -> String {
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    local.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The names that the schema expects; they come from the schema, not from the document.
fn expected(names: &str) -> String {
    let cut: String = names.chars().take(MAX_EXPECTED).collect();
    if cut.is_empty() { cut } else { format!(" (expected: {cut})") }
}
