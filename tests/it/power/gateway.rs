//! The same with the whole gateway.
