//! `demo --once` twice on one folder, and what it leaves behind.

use std::path::Path;

use super::{amtsweg, exits, stderr, stdout, text};

fn demo(dir: &Path, messages: &str) -> serde_json::Value {
    let output = amtsweg(["demo", "--once", "--json", "--messages", messages, "--dir", &text(dir)]);
    exits(&output, 0);
    serde_json::from_slice(&output.stdout).expect("one JSON object on standard output")
}

#[test]
fn carries_every_good_message_to_closed_and_has_every_bad_one_refused_twice_on_one_folder() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("demo");
    let first = demo(&dir, "40");
    assert_eq!((&first["verdict"], &first["closed"]), (&"good".into(), &40.into()), "{first:#}");
    let messages = first["messages"].as_array().unwrap();
    assert!(messages.iter().all(|m| m["state"] == "Closed"));
    let ways: std::collections::BTreeSet<_> = messages.iter().filter_map(|m| m["way"].as_str()).collect();
    assert_eq!(ways.into_iter().collect::<Vec<_>>(), ["pull", "push"]);
    assert!(messages.iter().any(|m| m["attempts"].as_u64() > Some(1)), "the authority fails at first");
    let refused = first["refused"].as_array().unwrap();
    assert!(refused.len() >= 14, "{first:#}");
    assert!(refused.iter().all(|r| r["code"] == r["expected"]), "{first:#}");

    let ca = std::fs::read(dir.join("pki/ca.pem")).unwrap();
    let second = demo(&dir, "10");
    assert_eq!((&second["verdict"], &second["closed"]), (&"good".into(), &10.into()), "{second:#}");
    assert_eq!(std::fs::read(dir.join("pki/ca.pem")).unwrap(), ca, "the PKI is kept");
    let ids = |v: &serde_json::Value| -> Vec<String> {
        v["messages"].as_array().unwrap().iter().map(|m| m["message_id"].to_string()).collect()
    };
    assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)), "new messages have new ids");
    leaves_good_things_behind(&dir);
}

/// Samples that verify, a configuration that checks, accounts, an intact ledger.
fn leaves_good_things_behind(dir: &Path) {
    let samples: Vec<_> = std::fs::read_dir(dir.join("samples"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .collect();
    assert!(samples.len() >= 6);
    for sample in &samples {
        let (anchors, crls) = (text(&dir.join("pki/ca.pem")), text(&dir.join("pki/ca.crl.pem")));
        exits(&amtsweg(["verify", "--anchors", &anchors, "--crls", &crls, &text(sample)]), 0);
        exits(&amtsweg(["validate", &text(sample)]), 0);
    }
    let [unsigned, signed, cert, key, anchors] =
        ["samples/unsigned/message.xml", "signed.xml", "pki/signer.pem", "pki/signer.key", "pki/ca.pem"]
            .map(|name| text(&dir.join(name)));
    exits(&amtsweg(["sign", "--cert", &cert, "--key", &key, &unsigned, "-o", &signed]), 0);
    exits(&amtsweg(["validate", &signed]), 0);
    exits(&amtsweg(["verify", "--anchors", &anchors, &signed]), 0);
    let config = text(&dir.join("amtsweg.toml"));
    exits(&amtsweg(["check", "--config", &config]), 0);
    let late = amtsweg(["check", "--config", &config, "--at", "2099-01-01", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&late.stdout).unwrap();
    assert!(report["expiring"].as_array().unwrap().iter().any(|e| e["vital"] == true), "{report:#}");
    let accounts = amtsweg(["accounts", "--config", &config, "--json"]);
    exits(&accounts, 0);
    let accounts: serde_json::Value = serde_json::from_slice(&accounts.stdout).unwrap();
    let names: Vec<&str> = accounts.as_array().unwrap().iter().filter_map(|a| a["name"].as_str()).collect();
    assert!(["portal", "authority", "operator"].iter().all(|n| names.contains(n)), "{names:?}");
    let data = text(&dir.join("data"));
    let ledger = amtsweg(["ledger", "verify", "--data", &data, "--json"]);
    exits(&ledger, 0);
    let ledger: serde_json::Value = serde_json::from_slice(&ledger.stdout).unwrap();
    assert_eq!(ledger["verdict"], "intact");
    assert!(ledger["frames"].as_u64() >= Some(50));
}

#[test]
fn somebody_elses_folder_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("diary.txt"), "mine").unwrap();
    let output = amtsweg(["demo", "--once", "--dir", &text(temp.path())]);
    exits(&output, 2);
    assert!(stderr(&output).contains("diary.txt"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing was made there");
}

#[test]
fn routes_are_explained_from_the_built_in_sample() {
    let explain =
        |area: &str| amtsweg(["route", "explain", "--service", "99102013104000", "--area", area, "--json"]);
    let good = explain("064140000000");
    exits(&good, 0);
    assert!(stdout(&good).contains("wiesbaden-push"), "{}", stdout(&good));
    exits(&explain("064120000000"), 1);
    exits(&explain("0641"), 2);
    exits(&amtsweg(["route", "coverage", "--service", "99102013104000"]), 0);
}
