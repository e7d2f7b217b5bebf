//! The attack corpus: every known way to make a verifier believe what was not signed. None of them is
//! accepted, and each is refused with its code: made anew with keys of the moment, replayed from the
//! files of `tests/data/attacks` with the program, and through a real front.
//!
//! `AMTSWEG_WRITE_ATTACKS=1 cargo test --test it attacks::the_files` makes the files anew.

mod forge;
mod forge_key;
mod forge_parser;
mod forge_signature;
mod forge_transform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amtsweg::domain::Timestamp;
use amtsweg::error::Refusal;
use amtsweg::verify::header::Rules;
use amtsweg::verify::schema::Schemas;
use amtsweg::verify::trust::Trust;
use amtsweg::verify::{Limits, Settings, Verifier, verify_signature};

use crate::support::{Client, Gateway, Options};
use forge::{Attack, Forge};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/attacks")
}

/// What is good must be accepted, or the rest says nothing.
fn good(forge: &Forge, trust: &Trust) {
    for (name, octets) in forge.good() {
        let verdict = verify_signature(octets.as_bytes(), &Limits::default(), trust, Timestamp::now());
        verdict.unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

/// Faults of the verdicts: what was accepted, and what was refused with another code.
fn faults(attacks: &[Attack], verdict: impl Fn(&Attack) -> Result<(), Refusal>) -> Vec<String> {
    let wrong = |attack: &Attack| match verdict(attack) {
        Ok(()) => Some(format!("{}: ACCEPTED", attack.name)),
        Err(refusal) if refusal.code.as_str() == attack.code => None,
        Err(refusal) => Some(format!("{}: {refusal} instead of {}", attack.name, attack.code)),
    };
    attacks.iter().filter_map(wrong).collect()
}

#[test]
fn no_forged_signature_is_accepted_and_each_is_refused_with_its_code() {
    let forge = Forge::new();
    let trust = Trust::from_octets(forge.anchor().as_bytes(), &[]).unwrap();
    good(&forge, &trust);
    let attacks = forge.attacks();
    let wrong = faults(&attacks, |attack| {
        verify_signature(&attack.octets, &Limits::default(), &trust, Timestamp::now()).map(|_| ())
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
    // The whole verifier, with header rules and schemas, accepts none either.
    let verifier = Verifier::new(Settings {
        limits: Limits::default(),
        rules: Arc::new(Rules::built_in()),
        schemas: Arc::new(Schemas::load(&[]).unwrap()),
        trust: Arc::new(trust),
    });
    for (name, octets) in forge.good() {
        verifier.verify(octets.into(), &[], Timestamp::now()).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    for attack in &attacks {
        let verdict = verifier.verify(attack.octets.clone().into(), &[], Timestamp::now());
        assert!(verdict.is_err(), "{}: ACCEPTED", attack.name);
    }
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for attack in &attacks {
        *classes.entry(attack.class).or_default() += 1;
    }
    println!("{} attacks in {} classes, 0 accepted: {classes:?}", attacks.len(), classes.len());
}

#[test]
fn the_files_of_the_corpus_are_refused_by_the_program_with_the_codes_of_their_names() {
    let folder = folder();
    if std::env::var_os("AMTSWEG_WRITE_ATTACKS").is_some() {
        write(&folder);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let listed = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let (mut refused, mut accepted, mut wrong) = (0, 0, Vec::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "xml")) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_amtsweg"))
            .args(["verify", "--json", "--anchors"])
            .arg(folder.join("anchor.pem"))
            .arg(file)
            .output()
            .unwrap();
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = value["code"].as_str();
        match name.split_once("--").unwrap() {
            ("good", _) if code.is_none() && output.status.code() == Some(0) => accepted += 1,
            (expected, short) if code == Some(expected) && output.status.code() == Some(1) => {
                assert!(listed.contains(&format!("| `{short}` |")), "{short} is not in the README");
                refused += 1;
            }
            _ => wrong.push(format!("{name}: {value}")),
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 80 && accepted > 1, "the corpus was not found: {refused} and {accepted}");
    println!("{refused} files refused, {accepted} good ones accepted");
}

/// Makes the files and their table anew.
fn write(folder: &Path) {
    let forge = Forge::new();
    std::fs::create_dir_all(folder).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    std::fs::write(folder.join("anchor.pem"), forge.anchor()).unwrap();
    for (name, octets) in forge.good() {
        std::fs::write(folder.join(format!("good--{name}.xml")), octets).unwrap();
    }
    let mut table = String::from(
        "# Attacks on signatures\n\n\
         Made by `tests/it/attacks` with keys that were thrown away; `anchor.pem` is the one anchor to trust. A file's name begins\n\
         with the code that it is refused with; what begins with `good` is accepted. Large bombs are made by the test alone.\n\n\
         | attack | code | class |\n|---|---|---|\n",
    );
    for attack in forge.attacks().iter().filter(|attack| attack.octets.len() < 20_000) {
        let name = format!("{}--{}.xml", attack.code, attack.name);
        std::fs::write(folder.join(name), &attack.octets).unwrap();
        table += &format!("| `{}` | {} | {} |\n", attack.name, attack.code, attack.class);
    }
    std::fs::write(folder.join("README.md"), table).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_comes_through_a_real_front() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let read = |name: &str| std::fs::read_to_string(gateway.pki.file(name)).unwrap();
    let forge = Forge::of(&read("signing-ca.pem"), &read("signer.pem"), &read("signer.key"));
    for (name, octets) in forge.good() {
        let answer = portal.post_message(octets.as_bytes(), &[]).await;
        assert!([200, 201].contains(&answer.status.as_u16()), "{name}: {}", answer.code());
    }
    let mut wrong = Vec::new();
    for attack in forge.attacks() {
        let answer = portal.post_message(&attack.octets, &[]).await;
        let code = answer.code();
        // The header rule comes first: where it does not know the root, or the header is bent, that is
        // the answer.
        let known = code == attack.code || ["AW-0110", "AW-0111"].contains(&code.as_str());
        if answer.status.is_success() || !known {
            wrong.push(format!("{}: {} {code} instead of {}", attack.name, answer.status, attack.code));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    gateway.stop().await;
}
