use std::path::Path;

use super::*;

const DEFAULT: &str = include_str!("../../deploy/amtsweg.toml");

/// A folder with the files that the default configuration names.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    std::fs::create_dir(&pki).unwrap();
    std::fs::create_dir(dir.path().join("directory")).unwrap();
    for name in ["server", "gateway", "portal", "authority", "operator"] {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(pki.join(format!("{name}.pem")), made.cert.pem()).unwrap();
        std::fs::write(pki.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    std::fs::copy(pki.join("server.pem"), pki.join("ca.pem")).unwrap();
    dir
}

fn parse(dir: &Path, text: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(text, &dir.join("amtsweg.toml"))
}

/// The default configuration with its example accounts switched on.
fn with_accounts() -> String {
    DEFAULT
        .lines()
        .map(|line| line.strip_prefix("#| ").unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn offline_checks_have_the_limits_of_a_gateway_that_sets_none() {
    let dir = folder();
    let config = parse(dir.path(), DEFAULT).unwrap();
    assert_eq!(config.limits.document, crate::verify::Limits::default());
}

#[test]
fn the_documented_default_is_a_good_configuration() {
    let dir = folder();
    let config = parse(dir.path(), DEFAULT).unwrap();
    assert_eq!(config.gateway.name, "hessen");
    assert_eq!(config.listen.address.port(), 8443);
    assert_eq!(config.listen.operators.to_string(), "127.0.0.1:9443");
    assert_eq!(config.tls.pair.certificate, dir.path().join("pki/server.pem"));
    assert_eq!(config.delivery.pair, config.tls.pair);
    assert_eq!(config.delivery.ca, config.tls.client_ca);
    assert!(config.accounts.is_empty());

    let config = parse(dir.path(), &with_accounts()).unwrap();
    let names: Vec<_> = config.accounts.iter().map(|a| a.account.name.as_str()).collect();
    assert_eq!(names, ["portal", "authority", "operator"]);
    assert!(config.accounts.iter().all(|account| account.fingerprints.len() == 1));
}

#[test]
fn the_documented_default_says_what_holds_without_it() {
    let dir = folder();
    let full = parse(dir.path(), DEFAULT).unwrap();
    // Only what has no default.
    let bare = r#"
        [gateway]
        name = "hessen"
        identifier = "kop:06000000"
        data = "/var/lib/amtsweg"
        [tls]
        certificate = "pki/server.pem"
        key = "pki/server.key"
        client_ca = "pki/ca.pem"
        [signing]
        certificate = "pki/gateway.pem"
        key = "pki/gateway.key"
        [trust]
        anchors = "pki/ca.pem"
        [directory]
        folder = "directory"
    "#;
    let bare = parse(dir.path(), bare).unwrap();
    assert_eq!(full, bare);
}

#[test]
fn all_faults_are_reported_at_once_with_key_and_line() {
    let dir = folder();
    let text = r#"
[gateway]
name = "Hessen & Co"
identifier = "not an identifier"
drain = "soon"
[listen]
address = "localhost"
[tls]
certificate = "pki/nowhere.pem"
key = "pki/server.key"
[signing]
certificate = "pki/gateway.pem"
key = "-----BEGIN PRIVATE KEY----- verysecret"
[trust]
anchors = "pki/ca.pem"
anchor = "pki/ca.pem"
[directory]
folder = "pki/ca.pem"
[limits]
document = "16 MB"
depth = 0
[log]
level = "chatty"
[[account]]
name = "a"
fingerprint = "12"
roles = ["portal", "king"]
[[account]]
name = "b"
certificate = "pki/portal.pem"
roles = ["portal"]
identifiers = ["kop:1", "kop"]
[[account]]
name = "b"
certificate = "pki/portal.pem"
roles = ["operator"]
[unknown]
"#;
    let faults = parse(dir.path(), text).unwrap_err();
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for (line, key) in [
        (3, "gateway.name"),
        (4, "gateway.identifier"),
        (5, "gateway.drain"),
        (2, "gateway.data"),
        (7, "listen.address"),
        (9, "tls.certificate"),
        (8, "tls.client_ca"),
        (13, "signing.key"),
        (16, "trust.anchor"),
        (18, "directory.folder"),
        (20, "limits.document"),
        (21, "limits.depth"),
        (23, "log.level"),
        (26, "account[1].fingerprint"),
        (27, "account[1].roles"),
        (32, "account[2].identifiers"),
        (33, "account[3].name"),
        (33, "account[3].certificate"),
        (37, "unknown"),
    ] {
        let found = faults.iter().any(|fault| fault.key == key && fault.line == Some(line));
        assert!(found, "line {line}: {key} is missing in {shown:#?}");
    }
    assert!(!shown.join("").contains("verysecret"), "a pasted key must not be repeated");
    assert!(shown.iter().any(|fault| fault.contains("anchors, crls")), "known keys are named: {shown:#?}");
}

#[test]
fn faults_of_syntax_do_not_hide_the_others() {
    let dir = folder();
    let faults = parse(dir.path(), "[gateway]\nname = \n[log]\nlevel = \"chatty\"\n").unwrap_err();
    assert!(faults.iter().any(|fault| fault.line == Some(2) && fault.problem.contains("TOML")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.key == "log.level"), "{faults:?}");
}

#[test]
fn debug_output_names_no_key_file() {
    let dir = folder();
    let shown = format!("{:?}", parse(dir.path(), &with_accounts()).unwrap());
    assert!(!shown.contains(".key"), "{shown}");
    assert!(shown.contains("KeyFile(redacted)"));
}

#[test]
fn a_file_that_is_not_there_is_one_clear_fault() {
    let faults = Config::load(Path::new("/nonexistent/amtsweg.toml")).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].problem.contains("/nonexistent/amtsweg.toml"));
}

#[test]
fn a_name_that_would_break_message_ids_is_refused() {
    let dir = folder();
    let text = DEFAULT.replace("name = \"hessen\"", &format!("name = \"{}\"", "x".repeat(60)));
    let faults = parse(dir.path(), &text).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].key, "gateway.name");
}

#[test]
fn certificate_and_key_of_deliveries_belong_together() {
    let dir = folder();
    let text = DEFAULT.replace("[delivery]", "[delivery]\ncertificate = \"pki/portal.pem\"");
    let faults = parse(dir.path(), &text).unwrap_err();
    assert!(faults.iter().any(|fault| fault.key == "delivery.key"), "{faults:?}");
}

#[test]
fn an_account_may_have_two_certificates_while_one_is_replaced() {
    let dir = folder();
    let text = with_accounts().replace(
        "certificate = \"pki/portal.pem\"",
        "certificate = [\"pki/portal.pem\", \"pki/gateway.pem\"]",
    );
    let config = parse(dir.path(), &text).unwrap();
    assert_eq!(config.accounts[0].fingerprints.len(), 2);
}

proptest::proptest! {
    #[test]
    fn nothing_read_makes_it_panic(text in ".{0,400}") {
        let _ = Config::parse(&text, Path::new("/etc/amtsweg/amtsweg.toml"));
    }
}
