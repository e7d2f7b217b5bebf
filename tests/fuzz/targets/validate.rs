#![no_main]

use std::sync::LazyLock;

use amtsweg::verify::fuzzing::Validate;

static VALIDATE: LazyLock<Validate> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rich");
    Validate::new(folder.into(), include_bytes!("../anchor.pem")).unwrap()
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| { VALIDATE.run(octets); });
