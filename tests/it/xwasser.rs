//! XWasser 1.0.0, the first foreign standard: with its folder as a schema set the gateway takes
//! its valid examples, signed by `amtsweg sign`, and routes them by their reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::{Gateway, Setup};
use crate::wire::Http;

fn folder() -> Option<PathBuf> {
    let reference = std::env::var_os("AMTSWEG_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference"), PathBuf::from);
    let folder = reference.join("xwasser-1.0.0");
    folder.is_dir().then_some(folder)
}

fn setup(folder: &Path) -> Setup {
    let setup = Setup::new(|config| {
        let own = format!("identifiers = [\"{}\"]", crate::child::AUTHOR);
        config
            .replace(
                "[directory]",
                &format!("[schemas]\nfolders = [{:?}]\n[directory]", folder.display().to_string()),
            )
            .replace(&own, "identifiers = [\"psw:11113110\", \"gha:090\", \"wus:1\", \"psw:01003110\"]")
            .replace(
                "[\"kop:06534014\"]",
                "[\"psw:01003110\", \"psw:11113110\", \"olb:09000000\", \"bwv:1\"]",
            )
    });
    // The example's readers are one authority of the directory, with no competence of its own.
    let authorities = setup.folder().join("directory/authorities.csv");
    let text = std::fs::read_to_string(&authorities).unwrap();
    let readers = "psw:01003110 psw:11113110 olb:09000000 bwv:1";
    std::fs::write(&authorities, format!("{text}wasser;Wasser (Muster);{readers};marburg-mailbox\n"))
        .unwrap();
    setup
}

fn sign(setup: &Setup, from: &Path) -> Vec<u8> {
    let to = setup.folder().join("signed.xml");
    let pki = setup.pki();
    let signed = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
        .args(["sign", "--cert"])
        .arg(pki.join("signer.pem"))
        .arg("--key")
        .arg(pki.join("signer.key"))
        .arg(from)
        .arg("-o")
        .arg(&to)
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let octets = std::fs::read(&to).unwrap();
    std::fs::remove_file(to).unwrap();
    octets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valid_examples_signed_by_us_are_taken_and_routed_by_their_reader() {
    let Some(folder) = folder() else {
        println!("skipped: the reference folder with xwasser-1.0.0 was not found");
        return;
    };
    let setup = setup(&folder);
    let gateway = Gateway::start(&setup).await;
    let portal = Http::new(&setup.pki(), Some("portal"));
    let authority = Http::new(&setup.pki(), Some("authority"));
    let url = gateway.url("/v1/messages");
    for (name, reader) in [
        ("administration_receipt.xml", "psw:01003110"),
        ("olb_report_minimal.xml", "olb:09000000"),
        ("quality_report_maximal.xml", "bwv:1"),
        ("quality_report_minimal.xml", "psw:11113110"),
    ] {
        let example = folder.join("examples").join(name);
        let signed = sign(&setup, &example);
        let answer = portal.post(&url, signed.clone()).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 201, "{name}: {text}");
        let listed = authority.get(&gateway.url("/v1/mailbox")).await.unwrap();
        let listed = String::from_utf8_lossy(&listed.body).into_owned();
        assert!(listed.contains(reader), "{name}: {listed}");
        let unsigned = portal.post(&url, std::fs::read(&example).unwrap()).await.unwrap();
        assert_eq!(unsigned.code(), "AW-0120", "{name}");
        let changed = String::from_utf8(signed).unwrap().replacen(
            "nachrichtentyp listURI=\"urn",
            "nachrichtentyp listURI=\"urm",
            1,
        );
        let changed = portal.post(&url, changed).await.unwrap();
        assert_eq!(changed.code(), "AW-0122", "{name}");
    }
    // Not valid against its own schema, and without reader and author: refused with the place.
    for name in ["monitoring_plan_minimal.xml", "olb_report_signature.xml"] {
        let example = std::fs::read_to_string(folder.join("examples").join(name)).unwrap();
        let unsigned = match (example.find("<ds:Signature"), example.find("</ds:Signature>")) {
            (Some(from), Some(to)) => format!("{}{}", &example[..from], &example[to + 15..]),
            _ => example,
        };
        let draft = setup.folder().join("draft.xml");
        std::fs::write(&draft, unsigned).unwrap();
        let answer = portal.post(&url, sign(&setup, &draft)).await.unwrap();
        assert_eq!(answer.code(), "AW-0111", "{name}: {}", String::from_utf8_lossy(&answer.body));
    }
}
