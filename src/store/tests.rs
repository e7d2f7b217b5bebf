//! The store as a whole: what it answers, and what it still knows after every kind of stop.

mod crash;
mod fixture;
mod keeping;
mod model;
mod ports;
mod proof;
mod records;
mod sealed;
mod sealed_keeping;
