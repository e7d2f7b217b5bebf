//! Behaviour against the real server. One binary.

mod app;
mod child;
mod cli;
mod deploy;
mod faults;
mod front;
mod hostile;
mod kill;
mod pages;
mod support;
mod wire;
mod xmlsec;
mod xwasser;
