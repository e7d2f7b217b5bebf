//! Backup beside a working gateway, restore, and what is said of the time between.

use serde_json::Value;

use super::{Place, amtsweg, exits, json, text};

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
