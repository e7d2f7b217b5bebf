//! The gateway as a whole: start, reload, stop, watching, checking.

mod binary;
mod checking;
mod lifecycle;
mod opinion;
mod reload;
mod sealed;
mod signing;
pub mod site;
pub mod watching;
