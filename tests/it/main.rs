//! Behaviour against the real server. One binary.

mod xmlsec;
