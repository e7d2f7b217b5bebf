//! A checker that nobody here wrote the hashing or the signatures of: Python's hashlib and openssl.

use std::process::Command;

use super::{Place, exits, text};

fn there(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_and_openssl_agree_on_roots_signatures_and_paths() {
    if !there("python3", "--version") || !there("openssl", "version") {
        println!("skipped: python3 or openssl is not here");
        return;
    }
    let mut place = Place::start().await;
    let mut last = String::new();
    for n in 0..5 {
        last = place.submit(&format!("{n}.xml"));
        let lease = place.fetch(&last);
        if n % 2 == 0 {
            place.close(&last, &lease);
        }
        // Has a checkpoint made.
        place.proven("portal", &last);
    }
    place.stop().await;
    let export = place.export(&place.path("data"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ledger_oracle.py");
    let check = || {
        let files = [text(&export), place.path("proof.json"), place.path("pki/gateway.pem")];
        Command::new("python3").arg(script).args(files).output().unwrap()
    };
    let output = check();
    exits(&output, 0);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("13 events") && said.contains(&last), "{said}");
    // It has teeth.
    let octets = std::fs::read_to_string(&export).unwrap();
    std::fs::write(&export, octets.replacen("Available", "Avail4ble", 1)).unwrap();
    exits(&check(), 1);
}
