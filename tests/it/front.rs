//! The fronts, over real connections.

mod bounds;
mod hostile;
mod large;
mod mailbox;
mod operators;
mod refusals;
mod submit;
