//! A second stack: zeep makes a client from our own description, and calls every operation.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::wire::gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_from_our_description_calls_every_operation() {
    let python = std::env::var_os("AMTSWEG_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    if !Command::new(&python).args(["-c", "import zeep"]).output().is_ok_and(|output| output.status.success())
    {
        println!("skipped: no Python with zeep (name one in AMTSWEG_PYTHON)");
        return;
    }
    let gateway = gateway().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/xta/zeep_client.py");
    let (base, pki) = (format!("https://localhost:{}", gateway.addr.port()), gateway.pki.folder().to_owned());
    let run = move || Command::new(python).arg(script).arg(base).arg(pki).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "twelve operations");
    gateway.stop().await;
}
