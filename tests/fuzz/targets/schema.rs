#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| amtsweg::verify::fuzzing::schema(octets));
