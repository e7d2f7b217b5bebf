//! XTA 2 over real connections: every operation, every fault, and clients that others wrote.

mod bounds;
mod faults;
mod large;
mod operations;
mod push;
mod replay;
mod schema;
mod tool;
mod wire;
mod zeep;
