//! The gateway as a whole: start, reload, stop, watching, checking.

mod binary;
mod checking;
mod lifecycle;
mod reload;
mod sealed;
pub mod site;
mod watching;
