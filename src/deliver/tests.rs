//! Delivery against a real TLS server and the real store.

pub(crate) mod authority;
mod grpc;
mod obsolete;
mod outcomes;
mod scheduling;
mod steering;
pub(crate) mod world;
