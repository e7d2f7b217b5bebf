//! A real gateway for tests: real store, real TLS on port 0, the directory of Hesse, and
//! certificates made for the occasion.

pub mod client;
pub mod gateway;
pub mod message;
pub mod pki;

pub use client::Client;
pub use gateway::{Gateway, Options};
pub use message::Draft;
