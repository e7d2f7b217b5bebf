//! Amtsweg: an interoperability gateway for signed XÖV messages.
//!
//! A message's way is one direction: `front` takes octets off the network, `intake` has them
//! verified (`verify`), routed (`route`) and stored (`store`), and only then acknowledges.
//! `deliver` pushes what is due, `mailbox` hands out what is pulled, `observe` watches.
//!
//! The invariants are listed in ARCHITECTURE.md; the ones that the types enforce:
//! only [`verify`] can make a [`verify::Verified`]; [`domain`] knows no clock, no I/O and no
//! randomness; no transport type stands outside `front`, `deliver::client` and `cli` (and the router
//! of `observe::http`); sled is named in `store::index` alone. `tests/it/rooms.rs` checks it.

pub mod antrag;
pub mod app;
pub mod backup;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod domain;
pub mod error;
pub mod front;
pub mod intake;
pub mod mailbox;
pub mod observe;
mod pem;
pub mod proof;
pub mod proto;
pub mod route;
pub mod store;
pub mod verify;
mod xml;
mod xta;

/// Messages are many small allocations on several threads, and the index copies its nodes: the C
/// library's allocator took half the time of a rebuild (ARCHITECTURE.md, decisions). Unit tests have one that counts
/// (`verify/tests/memory`).
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
