//! Behaviour against the real server. One binary.

mod cli;
mod deploy;
mod pages;
mod xmlsec;
