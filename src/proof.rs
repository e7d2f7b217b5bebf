//! The ledger as proof: what the gateway signs of it, and how anybody can check that nothing was
//! changed, left out or put in.
//!
//! Each frame of the ledger is an event ([`event`]) with a number of its own for its destination. The
//! events are the leaves of a Merkle tree ([`tree`]), whose root the gateway signs ([`checkpoint`])
//! every minute and every thousand events ([`seal`]), beside the accepting of messages and never in
//! its way. Checkpoints are kept beside the ledger ([`book`]). The whole can be exported ([`export`])
//! and checked elsewhere with the gateway's certificate alone ([`audit`]); for one message there is a
//! short proof ([`message`]).

pub mod audit;
pub mod book;
pub mod checkpoint;
pub mod event;
pub mod export;
pub mod message;
mod prover;
pub mod seal;
pub mod tree;

pub use prover::Prover;
