//! Generated from `proto/amtsweg/v1/amtsweg.proto`. Only `front`, `deliver::client` and `cli` use it.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("amtsweg.v1");

/// The descriptor set, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/amtsweg.bin"));
