//! Behaviour against the real server. One binary.
mod deploy;
mod pages;
