#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| amtsweg::front::xta::fuzzing::soap(octets));
