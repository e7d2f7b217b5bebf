//! A gateway whose store is encrypted: what is on its disk, and how its master key is replaced.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use amtsweg::app::{App, StartError, check};
use amtsweg::backup::{self, Watch};
use amtsweg::proto;
use amtsweg::store::{MasterKey, MasterSource, ReadingKeys};

use super::site::{Site, until};

/// Writes a master key; gives the line that names it.
fn key(site: &Site, name: &str, octet: &str) {
    std::fs::write(site.path(name), octet.repeat(32) + "\n").unwrap();
    std::fs::set_permissions(site.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn encrypted() -> Site {
    let site = Site::new();
    key(&site, "first.key", "a1");
    key(&site, "second.key", "b2");
    site.edit("amtsweg.toml", "[store]", "[store.encryption]\nkeys = [\"first.key\"]\n[store]");
    site
}

/// Whether any file below a folder holds these octets.
fn holds(folder: &Path, word: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let octets = || std::fs::read(&path).unwrap_or_default();
        if path.is_dir() { holds(&path, word) } else { memchr::memmem::find(&octets(), word).is_some() }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_replaced_on_a_reload_and_the_old_one_is_not_needed_any_more() {
    let site = encrypted();
    let app = site.start().await;
    let first = site.submit(&app).await;
    for word in ["Bello", "psw:06000001", "antrag.einreichen", "06534014"] {
        assert!(!holds(&site.path("data"), word.as_bytes()), "{word} stands on the disk");
    }
    assert!(holds(&site.path("data"), b"AMTSSLOT"), "the search finds nothing at all");
    assert!(check(&site.config_file(), None).warnings.iter().all(|w| !w.contains("master key")));
    // The new key first, the old one behind it.
    site.edit("amtsweg.toml", "[\"first.key\"]", "[\"second.key\", \"first.key\"]");
    let report = check(&site.config_file(), None);
    assert!(report.is_good() && report.warnings.iter().any(|w| w.contains("still needed")), "{report:?}");
    assert_eq!(app.reload().await.unwrap(), Vec::<&str>::new(), "no restart is needed");
    let file = site.config_file();
    until("the old key is not needed any more", || async {
        check(&file, None).warnings.iter().any(|w| w.contains("not needed any more"))
    })
    .await;
    site.edit("amtsweg.toml", "[\"second.key\", \"first.key\"]", "[\"second.key\"]");
    std::fs::remove_file(site.path("first.key")).unwrap();
    assert_eq!(app.reload().await.unwrap(), Vec::<&str>::new());
    let second = site.submit(&app).await;
    app.shutdown().await;
    let app = site.start().await;
    let status = |id: &str| proto::StatusRequest { message_id: id.to_owned() };
    for id in [&first.message_id, &second.message_id] {
        let report = site.portal(&app).await.get_status(status(id)).await;
        assert!(report.is_ok(), "{report:?}");
        let proof = site.portal(&app).await.get_proof(status(id)).await;
        assert!(proof.is_ok(), "{proof:?}");
    }
    assert!(!holds(&site.path("data"), b"Bello"));
    app.shutdown().await;
    // Another key alone, or none: it does not start, and says what to do; so does a check.
    key(&site, "first.key", "a1");
    site.edit("amtsweg.toml", "[\"second.key\"]", "[\"first.key\"]");
    refused(&site, "store.encryption.keys").await;
    site.edit("amtsweg.toml", "keys = [\"first.key\"]", "on = false");
    refused(&site, "store.encryption.keys").await;
}

/// Files of this name below a folder.
fn named(folder: &Path, name: &str) -> usize {
    let count = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { named(&path, name) } else { usize::from(path.file_name().unwrap() == name) }
    };
    std::fs::read_dir(folder).unwrap().map(count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_keys_once_and_what_is_put_back_is_read_with_the_master_key() {
    let site = encrypted();
    let app = site.start().await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        sent.push(site.submit(&app).await.message_id);
        let made =
            backup::backup(&site.path("data"), None, &site.path("copies"), false, &Watch::default()).unwrap();
        assert_eq!(made.generation, sent.len() as u64);
    }
    assert_eq!(named(&site.path("copies"), "keyring.json"), 1, "no generation has keys of its own");
    assert!(!holds(&site.path("copies"), b"Bello"));
    app.shutdown().await;
    let masters: Vec<Arc<dyn MasterKey>> =
        vec![Arc::new(MasterSource::File(site.path("first.key")).load().unwrap())];
    let keys = ReadingKeys::open(&site.path("data"), &masters).unwrap();
    assert!(keys.are_there() && ReadingKeys::open(&site.path("data"), &[]).is_err());
    let made = backup::backup(&site.path("data"), Some(&keys), &site.path("copies"), true, &Watch::default())
        .unwrap();
    assert_eq!(made.checked, 2, "contents are compared where there is a key");
    backup::restore(&site.path("copies"), Some(2), &site.path("back")).unwrap();
    site.edit("amtsweg.toml", "data = \"data\"", "data = \"back\"");
    let app = site.start().await;
    for message_id in sent {
        let status = proto::StatusRequest { message_id: message_id.clone() };
        site.portal(&app).await.get_status(status).await.unwrap();
        let fetch = proto::FetchRequest { message_id, ..proto::FetchRequest::default() };
        let mut chunks = site.authority(&app).await.fetch(fetch).await.unwrap().into_inner();
        let mut octets = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            if let Some(proto::fetch_chunk::Part::Document(part)) = chunk.part {
                octets.extend_from_slice(&part);
            }
        }
        assert!(memchr::memmem::find(&octets, b"Bello").is_some());
    }
    app.shutdown().await;
}

async fn refused(site: &Site, says: &str) {
    let report = check(&site.config_file(), None);
    assert!(report.faults.iter().any(|fault| fault.to_string().contains(says)), "{report:?}");
    let Err(fault) = App::start(site.config()).await else { panic!("it started without its key") };
    assert!(matches!(fault, StartError::Store(_)) && fault.to_string().contains(says), "{fault}");
}

#[tokio::test]
async fn a_key_that_others_may_read_or_that_is_none_is_refused_with_what_to_do() {
    let site = encrypted();
    let says = |site: &Site| {
        let report = check(&site.config_file(), None);
        report.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(says(&site), "");
    std::fs::set_permissions(site.path("first.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(says(&site).contains("chmod 600"), "{}", says(&site));
    key(&site, "first.key", "zz");
    assert!(says(&site).contains("64 hexadecimal digits") && !says(&site).contains("zzz"), "{}", says(&site));
    key(&site, "first.key", "b2");
    site.edit("amtsweg.toml", "[\"first.key\"]", "[\"first.key\", \"second.key\"]");
    assert!(says(&site).contains("listed twice"), "{}", says(&site));
    site.edit("amtsweg.toml", "[\"first.key\", \"second.key\"]", "[\"credential:../x\"]");
    assert!(says(&site).contains("credential"), "{}", says(&site));
    site.edit("amtsweg.toml", "[\"credential:../x\"]", "[\"credential:no-such-credential\"]");
    assert!(says(&site).contains("no-such-credential"), "{}", says(&site));
    site.edit("amtsweg.toml", "keys = [\"credential:no-such-credential\"]", "on = true");
    assert!(says(&site).contains("openssl rand -hex 32"), "{}", says(&site));
}
