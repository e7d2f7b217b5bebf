#![no_main]

use std::sync::LazyLock;

use amtsweg::verify::fuzzing::Verify;

static VERIFY: LazyLock<Verify> = LazyLock::new(|| {
    Verify::new(include_bytes!("../anchor.pem"), include_bytes!("../signed.xml")).unwrap()
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| VERIFY.run(octets));
