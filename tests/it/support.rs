//! A real gateway for tests: real store, real TLS on port 0, the directory of Hesse, and
//! certificates made for the occasion.

#[cfg(test)]
pub mod client;
#[cfg(test)]
pub mod gateway;
#[cfg(test)]
pub mod message;
#[cfg(test)]
pub mod pki;

#[cfg(test)]
pub use client::Client;
#[cfg(test)]
pub use gateway::{Gateway, Options};
#[cfg(test)]
pub use message::Draft;
