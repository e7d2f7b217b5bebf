//! Arguments to command; the only place with exit codes.
fn main() {}
