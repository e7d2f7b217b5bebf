//! Behaviour against the real server. One binary.

mod app;
mod deploy;
mod pages;
mod xmlsec;
