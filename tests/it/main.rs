//! Behaviour against the real server. One binary.

mod front;
mod support;
mod xmlsec;
