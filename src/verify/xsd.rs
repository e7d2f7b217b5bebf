//! XML Schema 1.0.

#[allow(dead_code, reason = "the validator that uses the types comes with the next merge")]
pub(crate) mod types;
