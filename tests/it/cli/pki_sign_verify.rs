//! `pki init`, `sign`, `verify`, `validate`: roundtrips and exit codes.

use std::path::{Path, PathBuf};

use super::{amtsweg, exits, stderr, stdout, text};

const DOCUMENT: &str =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"urn:test\"><b c=\"1\">für</b></a>\n";

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        exits(&amtsweg(["pki", "init", "--dir", &text(&desk.path("pki"))]), 0);
        std::fs::write(desk.path("in.xml"), DOCUMENT).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sign(&self, out: &str, more: &[&str]) -> std::process::Output {
        let [cert, key, input, out] =
            ["pki/signer.pem", "pki/signer.key", "in.xml", out].map(|n| text(&self.path(n)));
        let mut args = vec!["sign", "--cert", &cert, "--key", &key, &input, "-o", &out];
        args.extend(more);
        amtsweg(args)
    }

    fn verify(&self, input: &Path, more: &[&str]) -> std::process::Output {
        let (anchors, input) = (text(&self.path("pki/ca.pem")), text(input));
        let mut args = vec!["verify", "--anchors", &anchors, &input];
        args.extend(more);
        amtsweg(args)
    }
}

#[test]
fn what_is_signed_verifies_in_every_form_of_the_profile() {
    let desk = Desk::new();
    let forms: [&[&str]; 7] = [
        &[],
        &["--c14n", "inclusive", "--hash", "sha384"],
        &["--c14n", "inclusive11-comments", "--hash", "sha512"],
        &["--c14n", "exclusive-comments"],
        &["--c14n", "inclusive11"],
        &["--xades"],
        &["--xades", "--c14n", "inclusive-comments", "--hash", "sha512"],
    ];
    for (i, form) in forms.iter().enumerate() {
        let out = format!("out{i}.xml");
        exits(&desk.sign(&out, form), 0);
        let crls = text(&desk.path("pki/ca.crl.pem"));
        let verdict = desk.verify(&desk.path(&out), &["--crls", &crls]);
        exits(&verdict, 0);
        assert!(stdout(&verdict).starts_with("accepted: signed by "), "{}", stdout(&verdict));
    }
}

#[test]
fn the_json_verdict_names_signer_cover_and_algorithms() {
    let desk = Desk::new();
    exits(&desk.sign("out.xml", &[]), 0);
    let verdict = desk.verify(&desk.path("out.xml"), &["--json"]);
    exits(&verdict, 0);
    let value: serde_json::Value = serde_json::from_slice(&verdict.stdout).unwrap();
    assert_eq!(value["verdict"], "accepted");
    assert!(value["code"].is_null());
    assert!(value["signer"].as_str().unwrap().contains("Sample portal (signature)"));
    assert!(!value["covered"].as_str().unwrap().is_empty());
    assert!(value["algorithms"].as_array().unwrap().len() >= 3);
    assert!(value["until"].as_str().unwrap().ends_with('Z'), "{value}");
    assert_eq!((value["form"].as_str(), value["signed_at"].is_null()), (Some("XMLDSig"), true));
    assert_eq!(value["notes"].as_array().unwrap().len(), 1, "no revocation list was given: {value}");
    exits(&desk.sign("xades.xml", &["--xades"]), 0);
    let crls = text(&desk.path("pki/ca.crl.pem"));
    let verdict = desk.verify(&desk.path("xades.xml"), &["--json", "--crls", &crls]);
    let value: serde_json::Value = serde_json::from_slice(&verdict.stdout).unwrap();
    assert_eq!((value["form"].as_str(), value["signed_at"].is_string()), (Some("XAdES B-B"), true));
    assert!(value["notes"].as_array().unwrap().is_empty(), "{value}");
    // A root without an id can't be referred to by one.
    let refused = desk.sign("by-id.xml", &["--by-id"]);
    assert!(stderr(&refused).contains("no id to refer to"), "{}", stderr(&refused));
}

#[test]
fn a_changed_document_is_refused_with_its_code_on_stdout() {
    let desk = Desk::new();
    exits(&desk.sign("out.xml", &[]), 0);
    let signed = std::fs::read_to_string(desk.path("out.xml")).unwrap();
    std::fs::write(desk.path("changed.xml"), signed.replace("c=\"1\"", "c=\"2\"")).unwrap();
    let verdict = desk.verify(&desk.path("changed.xml"), &[]);
    exits(&verdict, 1);
    assert!(stdout(&verdict).starts_with("AW-0122"), "{}", stdout(&verdict));
    let verdict = desk.verify(&desk.path("changed.xml"), &["--json"]);
    exits(&verdict, 1);
    let value: serde_json::Value = serde_json::from_slice(&verdict.stdout).unwrap();
    assert_eq!((value["verdict"].as_str(), value["code"].as_str()), (Some("refused"), Some("AW-0122")));
    assert!(value["signer"].is_null());
}

#[test]
fn each_kind_of_bad_document_has_its_code() {
    let desk = Desk::new();
    let cases = [
        ("unsigned", DOCUMENT.to_owned(), "AW-0120"),
        ("broken", "<a>".to_owned(), "AW-0101"),
        ("dtd", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".to_owned(), "AW-0102"),
        ("deep", format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000)), "AW-0103"),
    ];
    for (name, document, code) in cases {
        let path = desk.path(name);
        std::fs::write(&path, document).unwrap();
        let verdict = desk.verify(&path, &[]);
        exits(&verdict, 1);
        assert!(stdout(&verdict).starts_with(code), "{name}: {}", stdout(&verdict));
    }
    std::fs::write(desk.path("latin1.xml"), b"<a>\xfc</a>").unwrap();
    let verdict = desk.verify(&desk.path("latin1.xml"), &[]);
    exits(&verdict, 1);
    assert!(stdout(&verdict).starts_with("AW-0104"), "{}", stdout(&verdict));
}

#[test]
fn a_signer_of_another_ca_is_untrusted() {
    let (desk, other) = (Desk::new(), Desk::new());
    exits(&other.sign("out.xml", &[]), 0);
    let verdict = desk.verify(&other.path("out.xml"), &[]);
    exits(&verdict, 1);
    assert!(stdout(&verdict).starts_with("AW-0132"), "{}", stdout(&verdict));
}

#[test]
fn faults_of_the_call_exit_2_and_say_what_to_do() {
    let desk = Desk::new();
    exits(&desk.sign("out.xml", &[]), 0);
    let again = desk.sign("out.xml", &[]);
    exits(&again, 2);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    exits(&desk.sign("out.xml", &["--force"]), 0);
    let missing = desk.verify(&desk.path("missing.xml"), &[]);
    exits(&missing, 2);
    assert!(stdout(&missing).is_empty() && stderr(&missing).contains("missing.xml"));
    let twice = amtsweg(["pki", "init", "--dir", &text(&desk.path("pki"))]);
    exits(&twice, 2);
    assert!(stderr(&twice).contains("nothing was changed"));
    exits(&amtsweg(["verify", "--no-such-flag"]), 2);
    exits(&amtsweg(["no-such-command"]), 2);
    exits(&amtsweg(["verify", &text(&desk.path("out.xml"))]), 2);
    exits(&amtsweg(["--help"]), 0);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    use std::process::{Command, Stdio};
    let desk = Desk::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
        .args([
            "sign",
            "--cert",
            &text(&desk.path("pki/signer.pem")),
            "--key",
            &text(&desk.path("pki/signer.key")),
        ])
        .args(["-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads the output when it comes: the document goes in only after the pipe is closed.
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, DOCUMENT.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    exits(&output, 0);
    assert_eq!(stderr(&output), "");
}

#[test]
fn validate_checks_header_and_schema_alone() {
    let desk = Desk::new();
    let verdict = amtsweg(["validate", "--json", &text(&desk.path("in.xml"))]);
    exits(&verdict, 1);
    let value: serde_json::Value = serde_json::from_slice(&verdict.stdout).unwrap();
    assert_eq!(value["code"], "AW-0110");
    exits(&amtsweg(["validate", "--schemas", &text(&desk.path("none")), &text(&desk.path("in.xml"))]), 2);
}

#[test]
fn a_foreign_standard_is_validated_signed_and_verified_with_its_schema_set() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = std::env::var_os("AMTSWEG_REFERENCE")
        .map_or_else(|| manifest.join("../shared/reference"), PathBuf::from)
        .join("xwasser-1.0.0");
    let Ok(examples) = std::fs::read_dir(reference.join("examples")) else {
        println!("skipped: {} not found", reference.display());
        return;
    };
    let (desk, schemas) = (Desk::new(), text(&reference));
    let mut valid = 0;
    for example in examples.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "xml")) {
        if amtsweg(["validate", "--schemas", &schemas, &text(&example)]).status.code() != Some(0) {
            continue;
        }
        valid += 1;
        std::fs::copy(&example, desk.path("in.xml")).unwrap();
        exits(&desk.sign("out.xml", &["--force"]), 0);
        exits(&desk.verify(&desk.path("out.xml"), &["--schemas", &schemas]), 0);
        exits(&desk.verify(&desk.path("out.xml"), &["--schemas", &text(&manifest.join("xsd"))]), 1);
    }
    assert!(valid > 0, "the reference holds valid examples");
}
