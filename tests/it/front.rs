//! The fronts, over real connections.

mod bounds;
mod large;
mod mailbox;
mod operators;
mod refusals;
mod submit;
