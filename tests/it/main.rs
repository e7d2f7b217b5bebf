//! Behaviour against the real server. One binary.

mod app;
mod cli;
mod deploy;
mod front;
mod pages;
mod support;
mod xmlsec;
