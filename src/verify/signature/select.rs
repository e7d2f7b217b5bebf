//! XPath filters (XML Signature 1.1, section 6.6.3) that keep every node of the document.
//!
//! The filter is evaluated once for each node of the input, and keeps those for which it is true.
//! Two kinds of expression are known to keep all but the signature, whatever else is in the
//! document; see ARCHITECTURE.md for why. All others are refused.
//! - `not(ancestor-or-self::ds:Signature)`: drops the one signature that a message may have, which is
//!   what the enveloped-signature transform does.
//! - An absolute path such as `/*[local-name()='a']/*[local-name()='b']`: it does not depend on the
//!   node, so it is true for all of them or for none, and true where it selects anything.

use crate::error::Refusal;
use crate::verify::Limits;
use crate::verify::document::Document;
use crate::verify::names;
use crate::verify::walk::{Node, Walk};

/// At most so many steps of a path.
const STEPS: usize = 16;

/// A filter that is known to be harmless, under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All but signatures.
    NotSignature,
    /// All or nothing: by the steps of a path, each any element (`None`) or one of a local name.
    Path(Vec<Option<String>>),
}

impl Filter {
    /// Reads an expression; `signature` are the prefixes that stand for XML Signature.
    pub(super) fn read(text: &str, signature: &[String]) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let inner =
            text.strip_prefix("not(ancestor-or-self::").and_then(|rest| rest.strip_suffix(":Signature)"));
        if let Some(prefix) = inner {
            // The default namespace does not count in XPath 1.0 (section 2.3).
            return signature
                .iter()
                .any(|known| known == prefix && !prefix.is_empty())
                .then_some(Self::NotSignature);
        }
        let steps: Vec<Option<String>> =
            text.strip_prefix('/')?.split('/').take(STEPS + 1).map(step).collect::<Option<_>>()?;
        (steps.len() <= STEPS).then_some(Self::Path(steps))
    }

    /// Whether it keeps the document's nodes: something is selected outside of the signature.
    ///
    /// # Errors
    /// None that the first pass over the document has not had.
    pub(crate) fn keeps(
        &self,
        document: Document<'_>,
        limits: &Limits,
        signature: &std::ops::Range<usize>,
    ) -> Result<bool, Refusal> {
        let Self::Path(steps) = self else { return Ok(true) };
        let mut walk = Walk::new(document, limits)?;
        // How many of the open elements match the path's steps from the root on.
        let mut matched = 0;
        loop {
            match walk.next()? {
                Node::Start => {
                    let depth = walk.depth();
                    let fits = steps
                        .get(depth - 1)
                        .is_some_and(|step| step.as_ref().is_none_or(|local| local == walk.element.local));
                    if matched == depth - 1 && fits && !signature.contains(&walk.range().start) {
                        matched = depth;
                        if matched == steps.len() {
                            return Ok(true);
                        }
                    }
                }
                Node::End => matched = matched.min(walk.depth()),
                Node::Eof => return Ok(false),
                _ => {}
            }
        }
    }
}

/// `*` or `*[local-name()='name']`.
fn step(text: &str) -> Option<Option<String>> {
    let rest = text.strip_prefix('*')?;
    if rest.is_empty() {
        return Some(None);
    }
    let quoted = rest.strip_prefix("[local-name()=")?.strip_suffix(']')?;
    let inner = |quote: char| quoted.strip_prefix(quote)?.strip_suffix(quote);
    let name = inner('\'').or_else(|| inner('"'))?;
    names::is_ncname(name).then(|| Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_two_kinds_of_expression_and_no_other() {
        let ds = ["ds".to_owned()];
        assert_eq!(Filter::read(" not(ancestor-or-self::ds:Signature)\n", &ds), Some(Filter::NotSignature));
        let path = Filter::read("/*[local-name()='a.1']/*/*[local-name()=\"b\"]", &ds);
        assert_eq!(path, Some(Filter::Path(vec![Some("a.1".to_owned()), None, Some("b".to_owned())])));
        for other in [
            "",
            "1",
            "true()",
            "/",
            "//*",
            "/a",
            "/*[1]",
            "*",
            "/*[local-name()='a' or 1]",
            "/*[local-name()='a'][2]",
            "/*[local-name()='']",
            "/*[local-name()=a]",
            "not(ancestor-or-self::x:Signature)",
            "not(ancestor-or-self::ds:Signature) and not(ancestor-or-self::b)",
            "not(ancestor-or-self::ds:Signature",
            "not(ancestor::ds:Signature)",
            "self::text()",
            "ancestor-or-self::b",
            "count(here()/ancestor::ds:Signature)=1",
        ] {
            assert_eq!(Filter::read(other, &ds), None, "{other}");
        }
        assert_eq!(Filter::read(&"/*".repeat(STEPS + 1), &ds), None);
    }
}
