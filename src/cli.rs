//! Commands.

pub mod route;
