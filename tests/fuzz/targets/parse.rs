#![no_main]

use std::sync::LazyLock;

use amtsweg::verify::fuzzing::Parse;
use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose};

static PARSE: LazyLock<Parse> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Fuzz");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let anchor = params.self_signed(&key).unwrap().pem();
    Parse::new(anchor.as_bytes(), key.serialize_pem().as_bytes(), anchor.as_bytes()).unwrap()
});

libfuzzer_sys::fuzz_target!(|octets: &[u8]| PARSE.run(octets));
