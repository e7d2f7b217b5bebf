//! XTA 2 over real connections: every operation, every fault, and clients that others wrote.

mod bounds;
mod crowd;
mod faults;
mod large;
mod operations;
mod push;
mod replay;
mod schema;
mod soap;
mod tool;
mod wire;
mod zeep;
