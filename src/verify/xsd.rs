//! XML Schema 1.0, so far its simple types (part 2): the validator that will replace the one behind
//! `schema` is built on them. Nothing of the product uses them yet, so they are part of the tests alone.

#[allow(dead_code, reason = "some of it is for the validator to come")]
pub(crate) mod types;
