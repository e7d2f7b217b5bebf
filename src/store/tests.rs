//! The store as a whole: what it answers, and what it still knows after every kind of stop.

mod backups;
mod crash;
mod fixture;
mod keeping;
mod lost_keys;
mod model;
mod older;
mod ports;
mod proof;
mod pruned;
mod records;
mod sealed;
mod sealed_keeping;
mod secret;
mod upgrade;
mod walking;
