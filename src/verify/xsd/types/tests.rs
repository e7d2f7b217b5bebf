//! Tests of simple types.

mod builtins;
mod oracle;
mod restrictions;

use super::*;

/// Knows the prefix `p`, and no default namespace.
pub(super) struct OnePrefix;

impl Scope for OnePrefix {
    fn namespace(&self, prefix: &str) -> Option<&str> {
        (prefix == "p").then_some("urn:p")
    }
}

pub(super) fn of(name: &str) -> Arc<SimpleType> {
    SimpleType::builtin(Builtin::of_name(name).unwrap())
}

pub(super) fn specs<'a>(facets: &[(Facet, &'a str)]) -> Vec<FacetSpec<'a>> {
    facets
        .iter()
        .map(|(name, value)| FacetSpec { name: *name, value, fixed: false, scope: &OnePrefix })
        .collect()
}

pub(super) fn derived(base: &Arc<SimpleType>, facets: &[(Facet, &str)]) -> Arc<SimpleType> {
    SimpleType::restriction(base, &specs(facets)).unwrap()
}

pub(super) fn accepts(of: &SimpleType, text: &str) -> bool {
    of.check(text, &OnePrefix).is_ok()
}

pub(super) fn fault(of: &SimpleType, text: &str) -> String {
    of.check(text, &OnePrefix).unwrap_err().to_string()
}
