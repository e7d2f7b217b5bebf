//! `xta-tool` 0.9.0, a client that others wrote, unmodified.

use std::path::{Path, PathBuf};
use std::process::Command;

use amtsweg::domain::Digest;
use amtsweg::store::ReadPort as _;

use super::wire::gateway;
use crate::support::Gateway;

/// The command: `AMTSWEG_XTA_TOOL`, else `xta` on the path.
fn command() -> Option<PathBuf> {
    let named = std::env::var_os("AMTSWEG_XTA_TOOL").map_or_else(|| PathBuf::from("xta"), PathBuf::from);
    let there = Command::new(&named).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: xta-tool is not there (it needs Python 3.12; name it in AMTSWEG_XTA_TOOL)");
    }
    there.then_some(named)
}

struct Tool {
    command: PathBuf,
    folder: tempfile::TempDir,
}

impl Tool {
    /// Configured as `name`, asking as `identifier`.
    fn new(command: &Path, gateway: &Gateway, name: &str, identifier: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = |file: &str| gateway.pki.file(file);
        for (from, to) in [
            ("ca.pem".to_owned(), "ca.crt"),
            (format!("{name}.pem"), "tls.crt"),
            (format!("{name}.key"), "tls.key"),
        ] {
            std::fs::create_dir_all(folder.path().join("xta")).unwrap();
            std::fs::copy(pki(&from), folder.path().join("xta").join(to)).unwrap();
        }
        let config = format!(
            "base_url = \"https://localhost:{}\"\n[self_identifier]\nvalue = \"{identifier}\"\n",
            gateway.addr.port()
        );
        std::fs::write(folder.path().join("xta/config.toml"), config).unwrap();
        Self { command: command.to_owned(), folder }
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.command)
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("XDG_CONFIG_DIRS", self.folder.path().join("none"))
            .env("PYTHONUTF8", "1")
            .output()
            .unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    async fn ask(self: &std::sync::Arc<Self>, arguments: &[&str]) -> Result<String, String> {
        let (tool, arguments): (_, Vec<String>) =
            (self.clone(), arguments.iter().map(|&argument| argument.to_owned()).collect());
        let run = move || tool.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

/// A message with an attachment, a folder that is sent as ZIP, and umlauts in file names.
fn message(folder: &Path, reader: &str) {
    std::fs::create_dir_all(folder.join("ordner")).unwrap();
    std::fs::write(folder.join("antrag.xml"), "<a xmlns=\"urn:frei\">Grüße</a>").unwrap();
    std::fs::write(folder.join("Maß.bin"), (0..=255u8).cycle().take(300_000).collect::<Vec<_>>()).unwrap();
    std::fs::write(folder.join("ordner/ä.txt"), "Überraschung").unwrap();
    let yaml = format!(
        "metadata:\n  author: {{value: 'psw:portal'}}\n  reader: {{value: '{reader}', name: 'Bürgeramt'}}\n  service: urn:fim:probe:1.0\n  \
         businessScenario: {{code: PROBE}}\n  messageType: {{code: frei}}\n  messageTypePayloadSchema: urn:frei\n\
         message: {{fileName: antrag.xml, content: antrag.xml, contentType: application/xml}}\nattachments:\n\
         - {{fileName: Maß.bin, content: Maß.bin}}\n- {{fileName: ordner.zip, content: ordner, contentType: application/zip}}\n"
    );
    std::fs::write(folder.join("xta-message.yaml"), yaml).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_sends_lists_fetches_inspects_and_closes() {
    let Some(command) = command() else { return };
    let gateway = gateway().await;
    let tool = |name: &str, id: &str| std::sync::Arc::new(Tool::new(&command, &gateway, name, id));
    let (portal, authority) = (tool("portal", "psw:portal"), tool("authority", "kop:06534014"));
    let folder = tempfile::tempdir().unwrap();
    let (out, wrong) = (folder.path().join("out"), folder.path().join("wrong"));
    message(&out, "kop:06534014");
    message(&wrong, "kop:unbekannt");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let id = portal.ask(&["new"]).await.unwrap();
    assert_eq!(portal.ask(&["send", &id, &path(&out)]).await.as_deref(), Ok(id.as_str()));
    assert_eq!(authority.ask(&["ls"]).await.as_deref(), Ok(id.as_str()));
    assert!(authority.ask(&["inspect", &id]).await.unwrap().contains("status: '0'"));
    let inbox = folder.path().join("in");
    std::fs::create_dir(&inbox).unwrap();
    authority.ask(&["get", &id, &path(&inbox)]).await.unwrap();
    for name in ["antrag.xml", "Maß.bin"] {
        assert!(std::fs::read(inbox.join(name)).unwrap() == std::fs::read(out.join(name)).unwrap(), "{name}");
    }
    // The folder's archive is the client's own: it came as it was kept, and holds the file.
    let zip = std::fs::read(inbox.join("ordner.zip")).unwrap();
    let record = gateway.store.get(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(Digest::of(&zip), record.attachments[1].content.sha256);
    assert!(zip.starts_with(b"PK") && zip.windows(6).any(|window| window == "ä.txt".as_bytes()), "{zip:?}");
    assert!(std::fs::read_to_string(inbox.join("xta-message.yaml")).unwrap().contains("rgeramt"));
    assert_eq!(authority.ask(&["close", &id]).await.as_deref(), Ok(id.as_str()));
    let report = portal.ask(&["inspect", &id]).await.unwrap();
    assert!(report.contains("status: '1'") && report.contains("closed"), "{report}");
    let refused = |said: Result<String, String>, tag: &str, code: &str| {
        let said = said.unwrap_err();
        assert!(said.contains(&format!("{tag}Exception")) && said.contains(code), "{tag} {code}: {said}");
    };
    refused(portal.ask(&["send", &id, &path(&out)]).await, "ParameterIsNotValid", "9024");
    refused(portal.ask(&["send", "new", &path(&wrong)]).await, "XTAWSTechnicalProblem", "9031");
    let foreign = tool("authority2", "kop:06631013");
    refused(foreign.ask(&["get", &id, &path(&inbox)]).await, "InvalidMessageID", "9070");
    refused(foreign.ask(&["close", &id]).await, "InvalidMessageID", "9070");
    refused(foreign.ask(&["inspect", &id]).await, "InvalidMessageID", "9070");
    refused(tool("nobody", "psw:portal").ask(&["new"]).await, "PermissionDenied", "9012");
    refused(tool("portal2", "psw:portal").ask(&["new"]).await, "PermissionDenied", "9014");
    gateway.stop().await;
}
