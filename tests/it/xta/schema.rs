//! The standard's schemas, where they are at hand.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A schema that knows the envelope and all that can stand in it; `None` without the standard's files.
fn driver() -> Option<&'static Path> {
    static DRIVER: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = DRIVER.get_or_init(|| {
        let Some(reference) = std::env::var_os("AMTSWEG_REFERENCE") else {
            println!("answers are not validated: AMTSWEG_REFERENCE is not set");
            return None;
        };
        if Command::new("xmllint").arg("--version").stderr(Stdio::null()).status().is_err() {
            println!("answers are not validated: there is no xmllint");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let reference = Path::new(&reference).join("xta-2.1.1");
        let at = |name: &str| reference.join(name).display().to_string();
        let xta = format!(
            "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" targetNamespace=\"http://xoev.de/transport/xta/211\">\
             <xs:include schemaLocation=\"{}\"/><xs:include schemaLocation=\"{}\"/></xs:schema>",
            at("XTA-Webservice-Globale-Elemente.xsd"),
            at("XTA-Webservice-Exceptions.xsd")
        );
        std::fs::write(folder.path().join("xta.xsd"), xta).unwrap();
        let imports: String = [
            ("http://xoev.de/transport/xta/211", "xta.xsd".to_owned()),
            ("http://www.w3.org/2003/05/soap-envelope", at(".xsd")),
            ("http://www.osci.eu/ws/2008/05/transport", at("OSCI2_02.xsd")),
            ("http://www.osci.eu/ws/2014/10/transport", at("OSCI_MessageMetaData_V2.02.xsd")),
            ("http://www.w3.org/2005/08/addressing", at("ws-addr.xsd")),
        ]
        .iter()
        .map(|(namespace, file)| format!("<xs:import namespace=\"{namespace}\" schemaLocation=\"{file}\"/>"))
        .collect();
        let all = format!("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">{imports}</xs:schema>");
        let path = folder.path().join("all.xsd");
        std::fs::write(&path, all).unwrap();
        Some((folder, path))
    });
    made.as_ref().map(|(_, path)| path.as_path())
}

/// What xmllint says of an envelope; `None` where it can't be asked. What stands in the envelope by reference
/// is put in first, as XOP has it.
fn judged(envelope: &str) -> Option<Result<(), String>> {
    let driver = driver()?;
    let include = regex::Regex::new("<xop:Include[^>]*/>").unwrap();
    let whole = include.replace_all(envelope, "AAAA");
    let mut xmllint = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(driver)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    xmllint.stdin.take().unwrap().write_all(whole.as_bytes()).unwrap();
    let output = xmllint.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { Ok(()) } else { Err(said) })
}

/// Validates an envelope.
pub fn check(envelope: &str) {
    if let Some(Err(said)) = judged(envelope) {
        panic!("{said}\n{envelope}");
    }
}

/// Shows that the schemas find something: they refuse the envelope with `to` in place of `from`.
pub fn refuses(envelope: &str, from: &str, to: &str) {
    assert!(envelope.contains(from), "{from} in {envelope}");
    if let Some(judged) = judged(&envelope.replace(from, to)) {
        assert!(judged.is_err(), "{to} instead of {from} is taken for valid");
    }
}
