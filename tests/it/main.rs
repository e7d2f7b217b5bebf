//! Behaviour against the real server. One binary.

// Tells the lints that what stands here may panic, outside of test functions too.
#![cfg(test)]

mod app;
mod attacks;
mod child;
mod cli;
mod conformance;
mod deploy;
mod discretion;
mod faults;
mod front;
mod hostile;
mod kill;
mod life;
mod pages;
mod power;
mod proof;
mod rooms;
mod simulation;
mod support;
mod wire;
mod xmlsec;
mod xta;
mod xwasser;
