//! Backup beside a working gateway, restore, and what is said of the time between.

use std::process::{Command, Output};

use serde_json::Value;

use super::{Place, amtsweg, exits, json, text};
use crate::app::site::{Site, until};
use crate::app::watching::client;

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_the_backup_is_named_and_not_sent_again_unasked() {
    let mut place = Place::start().await;
    let (data, to, back) = (place.path("data"), place.path("backups"), place.path("back"));
    let backup = || json(&amtsweg(&["backup", "--data", &data, "--to", &to, "--json"]));
    let first = place.submit("first.xml");
    let lease = place.fetch(&first);
    place.close(&first, &lease);
    let made = backup();
    assert_eq!((&made["generation"], &made["checked"]), (&1.into(), &1.into()), "{made:#}");
    let second = place.submit("second.xml");
    place.proven("portal", &second);
    let made = backup();
    assert_eq!((&made["generation"], &made["checked"]), (&2.into(), &1.into()), "{made:#}");
    // The lost time: one more comes, and the second is taken over.
    let third = place.submit("third.xml");
    let lease = place.fetch(&second);
    place.close(&second, &lease);
    place.stop().await;
    let later = text(&place.export(&data));
    let cert = place.path("pki/gateway.pem");

    let restored =
        amtsweg(&["restore", "--from", &to, "--to", &back, "--compare", &later, "--cert", &cert, "--json"]);
    exits(&restored, 1);
    let lost: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(lost["missing"].as_array().unwrap().len(), 1, "{lost:#}");
    assert_eq!(
        (&lost["missing"][0]["message"], &lost["missing"][0]["here"]),
        (&third.clone().into(), &"".into())
    );
    assert_eq!(lost["behind"].as_array().unwrap().len(), 1, "{lost:#}");
    let behind = &lost["behind"][0];
    assert_eq!(behind["message"], second.as_str());
    assert_eq!((&behind["here"], &behind["there"]), (&"Available".into(), &"Closed".into()));
    assert_eq!(lost["twice"], Value::from(vec![second.clone()]));
    let again = amtsweg(&["restore", "--from", &to, "--to", &back]);
    exits(&again, 2);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));

    // The gateway works on with it: what it had it has, the second waits for an operator.
    place.site.edit("amtsweg.toml", "data = \"data\"", "data = \"back\"");
    let app = place.site.start().await;
    place.addr = app.addr();
    place.app = Some(app);
    let state = |id: &str| json(&place.ask("portal", &["status", id, "--json"]))["state"].clone();
    assert_eq!((state(&first), state(&second)), ("Closed".into(), "Parked".into()));
    exits(&place.ask("portal", &["status", &third, "--json"]), 1);
    // Handing in again what was lost makes it a message of its own.
    let new = json(&place.ask("portal", &["submit", &place.path("third.xml"), "--json"]));
    assert_eq!(new["repeated"], false);
    place.proven("portal", &first);
    place.stop().await;
    let sound = json(&amtsweg(&["ledger", "verify", "--data", &back, "--cert", &cert, "--json"]));
    assert_eq!((&sound["verdict"], &sound["sealed"]["restored"]), (&"intact".into(), &1.into()), "{sound:#}");
    // Compared again, the answer is the same although the ledger has gone on.
    let compared =
        amtsweg(&["ledger", "compare", "--data", &back, "--export", &later, "--cert", &cert, "--json"]);
    exits(&compared, 1);
    let compared: Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!((&compared["missing"], &compared["behind"]), (&lost["missing"], &lost["behind"]));
    let same = amtsweg(&["ledger", "compare", "--data", &data, "--export", &later, "--cert", &cert]);
    exits(&same, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_shares_what_has_not_changed_and_a_damaged_one_is_refused() {
    use std::os::unix::fs::MetadataExt as _;
    let mut place = Place::start().await;
    let (data, to) = (place.path("data"), place.path("backups"));
    place.submit("one.xml");
    exits(&amtsweg(&["backup", "--data", &data, "--to", &to]), 0);
    place.submit("two.xml");
    place.stop().await;
    exits(&amtsweg(&["backup", "--data", &data, "--to", &to, "--full"]), 0);
    exits(&amtsweg(&["backup", "--data", &data, "--to", &to]), 0);
    let backups = place.site.path("backups");
    let size = |generation: &str| {
        let segment = backups.join(generation).join("ledger/00000000000000000001.ledger");
        std::fs::metadata(segment).unwrap().size()
    };
    assert!(size("000001") < size("000002") && size("000002") == size("000003"));
    let restore = |generation: &str, back: &str| {
        amtsweg(&["restore", "--from", &to, "--generation", generation, "--to", &place.path(back), "--json"])
    };
    for (generation, frames) in [("1", 1), ("2", 2), ("3", 2)] {
        let back = format!("back-{generation}");
        assert_eq!(json(&restore(generation, &back))["last"], frames);
        let sound = json(&amtsweg(&["ledger", "verify", "--data", &place.path(&back), "--json"]));
        assert_eq!(sound["frames"], frames);
    }
    let segment = backups.join("000002/content/segments/0000000001.content");
    let mut octets = std::fs::read(&segment).unwrap();
    octets[200] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    let damaged = restore("2", "back-4");
    exits(&damaged, 2);
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("0000000001.content is damaged"));
    exits(&restore("9", "back-5"), 2);
    exits(&amtsweg(&["backup", "--data", &place.path("pki"), "--to", &to]), 2);
}

/// A gateway that makes backups itself, in the folder `copies`.
async fn keeping() -> Place {
    let site = Site::new();
    site.edit("amtsweg.toml", "[directory]", "[backup]\nfolder = \"copies\"\n[directory]");
    let app = site.start().await;
    Place { addr: app.addr(), app: Some(app), site }
}

/// The backup command over the operators' port.
fn asked(place: &Place, account: &str, args: &[&str]) -> Output {
    let url = format!("https://localhost:{}", place.app.as_ref().unwrap().operators_addr().port());
    let [ca, cert, key] = ["ca.pem".to_owned(), format!("{account}.pem"), format!("{account}.key")]
        .map(|name| place.path(&format!("pki/{name}")));
    let connection = ["backup", "--url", &url, "--ca", &ca, "--cert", &cert, "--key", &key];
    amtsweg(&[&connection, args].concat())
}

/// Seconds since 1970 at which the newest generation was made, by the metrics.
async fn metric(place: &Place) -> f64 {
    let watched = client(&place.site, place.app.as_ref().unwrap().operators_addr());
    let (_, text) = watched.get("/metrics").await.unwrap();
    let name = "amtsweg_backup_last_success_timestamp_seconds ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

fn says(output: &Output, words: &str) {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(String::from_utf8_lossy(&said).contains(words), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_is_not_at_the_machine_has_a_backup_made_and_sees_what_came_of_it() {
    let mut place = keeping().await;
    let first = place.submit("first.xml");
    // Nobody else may, and nothing is made where no disk is.
    let refused = asked(&place, "portal", &["--json"]);
    exits(&refused, 1);
    says(&refused, "AW-0140");
    let refused = asked(&place, "operator", &["--json"]);
    exits(&refused, 1);
    says(&refused, "AW-0402");
    says(&refused, "mount it, or make it");
    assert!(!place.site.path("copies").exists());
    assert_eq!(metric(&place).await, 0.0);
    std::fs::create_dir(place.site.path("copies")).unwrap();
    let state = json(&asked(&place, "operator", &["--state", "--json"]));
    assert_eq!((&state["phase"], &state["newest"], &state["last"]), (&"".into(), &0.into(), &Value::Null));

    let made = json(&asked(&place, "operator", &["--json"]));
    assert_eq!(
        (&made["generation"], &made["checked"], &made["by"]),
        (&1.into(), &1.into(), &"operator".into())
    );
    assert!(made["octets"].as_u64().unwrap() > 1000 && made["copied"] == made["octets"], "{made:#}");
    let at = metric(&place).await;
    assert!(at > 1e9);
    place.submit("second.xml");
    let spoken = asked(&place, "operator", &["--full"]);
    exits(&spoken, 0);
    says(&spoken, "generation 2 up to frame 2");
    says(&spoken, "2 messages");
    // One that somebody makes at the machine goes to the same folder, and is seen.
    let (data, copies) = (place.path("data"), place.path("copies"));
    exits(&amtsweg(&["backup", "--data", &data, "--to", &copies]), 0);
    let state = json(&asked(&place, "operator", &["--state", "--json"]));
    assert_eq!((&state["newest"], &state["last"]["generation"]), (&3.into(), &2.into()), "{state:#}");
    assert!(metric(&place).await >= at);
    place.stop().await;
    let back = place.path("back");
    assert_eq!(json(&amtsweg(&["restore", "--from", &copies, "--to", &back, "--json"]))["generation"], 3);
    // It was put back as the folder of the same gateway, which knows the newest one from its start.
    place.site.edit("amtsweg.toml", "data = \"data\"", "data = \"back\"");
    let app = place.site.start().await;
    place.addr = app.addr();
    place.app = Some(app);
    assert!(metric(&place).await >= at);
    assert_eq!(json(&place.ask("portal", &["status", &first, "--json"]))["state"], "Available");
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_is_refused_while_one_is_under_way_and_a_damaged_store_makes_none() {
    let mut place = keeping().await;
    std::fs::create_dir(place.site.path("copies")).unwrap();
    place.submit("first.xml");
    // A pipe holds the first one up: whoever opens it waits for somebody at the other end.
    let pipe = place.site.path("data/content/files/00/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let begun = json(&asked(&place, "operator", &["--no-wait", "--json"]));
    assert_eq!((&begun["phase"], &begun["by"]), (&"copying".into(), &"operator".into()), "{begun:#}");
    let refused = asked(&place, "operator", &["--json"]);
    exits(&refused, 1);
    says(&refused, "AW-0301");
    let state = json(&asked(&place, "operator", &["--state", "--json"]));
    assert_eq!((&state["phase"], &state["since"]), (&begun["phase"], &begun["since"]));
    says(&asked(&place, "operator", &["--state"]), "copying since");
    drop(std::fs::File::options().write(true).open(&pipe).unwrap());
    let ended = || async {
        let state = json(&asked(&place, "operator", &["--state", "--json"]));
        state["phase"] == "" && state["last"]["generation"] == 1
    };
    until("it has ended", ended).await;
    std::fs::remove_file(&pipe).unwrap();
    // What it can't answer for is no generation, and the reason is told.
    let segment = place.site.path("data/content/segments/0000000001.content");
    let mut octets = std::fs::read(&segment).unwrap();
    octets[200] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    let failed = asked(&place, "operator", &["--full"]);
    exits(&failed, 2);
    says(&failed, "its checksum differs");
    let state = json(&asked(&place, "operator", &["--state", "--json"]));
    assert_eq!((&state["newest"], &state["last"]["generation"]), (&1.into(), &0.into()), "{state:#}");
    assert!(state["last"]["fault"].as_str().unwrap().contains("content of message"), "{state:#}");
    let left: Vec<_> =
        std::fs::read_dir(place.site.path("copies")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the generation and the lock: {left:?}");
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_for_them_no_backup_can_be_asked_for() {
    let mut place = Place::start().await;
    let refused = asked(&place, "operator", &["--state", "--json"]);
    exits(&refused, 1);
    says(&refused, "backup.folder");
    place.stop().await;
    for inside in ["data", "data/copies", "."] {
        let folder = format!("[backup]\nfolder = \"{inside}\"\n[directory]");
        place.site.edit("amtsweg.toml", "[directory]", &folder);
        let checked = amtsweg(&["check", "--config", &place.path("amtsweg.toml")]);
        exits(&checked, 1);
        says(&checked, "backup.folder");
        place.site.edit("amtsweg.toml", &folder, "[directory]");
    }
    exits(&amtsweg(&["backup"]), 2);
}
