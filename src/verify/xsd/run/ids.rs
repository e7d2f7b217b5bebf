//! Ids: no two elements of a document have the same (XSD 1.0 part 2, section 3.3.8).
//!
//! References (`IDREF`) that lead to nothing are let pass, though the standard (part 1, section 3.15.4) forbids them:
//! libxml2, with which most of the field validates, has never looked, and the official examples of
//! XWasser 1.0.0 have such references. What a message is routed by is none of them.

use super::fault::Trouble;
use super::mark::{Marker, Marks};
use crate::verify::xsd::types::{IdKind, SimpleType};

/// Ids of one document.
const MAX_IDS: usize = 100_000;

/// The ids that have been seen.
#[derive(Default)]
pub(super) struct Ids {
    seen: Marks,
    marker: Marker,
}

impl Ids {
    /// Takes down the ids in a value of a type.
    pub(super) fn add(&mut self, kind: &SimpleType, text: &str) -> Result<(), Trouble> {
        let mut result = Ok(());
        kind.ids(text, &mut |kind, id| {
            if kind != IdKind::Id || result.is_err() {
                return;
            }
            if self.seen.len() >= MAX_IDS {
                result = Err(Trouble::Bound("ids", MAX_IDS));
            } else if !self.seen.insert(self.marker.mark(id)) {
                result = Err(Trouble::Invalid(
                    "this id stands at another element already; ids are unique".to_owned(),
                ));
            }
        });
        result
    }
}
