//! The fronts, over real connections.

mod bounds;
mod early;
mod hostile;
pub mod large;
mod mailbox;
mod operators;
mod refusals;
mod submit;
