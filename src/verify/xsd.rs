//! XML Schema 1.0: schema documents are compiled once into tables ([`read`], [`automaton`], [`types`]), over which a
//! document is run as it passes by ([`run`]).

pub(crate) mod automaton;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod run;
#[cfg(test)]
mod tests;
pub(crate) mod types;
pub(crate) mod wildcard;

pub(crate) use model::Schema;
pub(crate) use read::{Files, compile, survey};
pub(crate) use run::Run;
