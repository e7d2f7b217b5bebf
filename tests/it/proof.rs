//! The ledger as proof, with the real server and the binary: what a portal can show of its message,
//! what an auditor sees of an export, what a backup brings back and what it lacks.

mod backup;
mod oracle;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use amtsweg::app::App;
use serde_json::Value;

use crate::app::site::Site;
use crate::support::{Client, Draft, Gateway, Options};

/// A gateway at work, and the commands of those who use it.
struct Place {
    site: Site,
    addr: SocketAddr,
    app: Option<App>,
}

impl Place {
    async fn start() -> Self {
        let site = Site::new();
        let app = site.start().await;
        Self { addr: app.addr(), app: Some(app), site }
    }

    fn path(&self, name: &str) -> String {
        text(&self.site.path(name))
    }

    /// Runs a client command.
    fn ask(&self, account: &str, args: &[&str]) -> Output {
        let url = format!("https://localhost:{}", self.addr.port());
        let [ca, cert, key] = ["ca.pem".to_owned(), format!("{account}.pem"), format!("{account}.key")]
            .map(|name| self.path(&format!("pki/{name}")));
        let (command, rest) = args.split_first().unwrap();
        let mut all = vec![*command, "--url", &url, "--ca", &ca, "--cert", &cert, "--key", &key];
        all.extend(rest);
        amtsweg(&all)
    }

    /// A message for the authority that pulls, handed in from a file; its id.
    fn submit(&self, name: &str) -> String {
        std::fs::write(self.site.path(name), self.site.message(uuid::Uuid::new_v4())).unwrap();
        let answer = json(&self.ask("portal", &["submit", &self.path(name), "--json"]));
        answer["message_id"].as_str().unwrap().to_owned()
    }

    /// Has the authority fetch a message; the lease.
    fn fetch(&self, id: &str) -> String {
        let to = self.path(&format!("inbox-{}", uuid::Uuid::new_v4()));
        let answer = json(&self.ask("authority", &["fetch", id, "-o", &to, "--json"]));
        answer["lease"].as_str().unwrap().to_owned()
    }

    fn close(&self, id: &str, lease: &str) {
        json(&self.ask("authority", &["close", id, "--lease", lease, "--json"]));
    }

    /// The proof as the portal gets it, checked with the gateway's certificate alone.
    fn proven(&self, account: &str, id: &str) -> Value {
        let file = self.path("proof.json");
        exits(&self.ask(account, &["proof", id, "-o", &file, "--force"]), 0);
        let verified = amtsweg(&[
            "ledger",
            "verify",
            "--proof",
            &file,
            "--cert",
            &self.path("pki/gateway.pem"),
            "--json",
        ]);
        json(&verified)
    }

    /// Exports the ledger; the file.
    fn export(&self, data: &str) -> PathBuf {
        let file = self.site.path("ledger.export");
        exits(&amtsweg(&["ledger", "export", "--data", data, "-o", &text(&file), "--force"]), 0);
        file
    }

    async fn stop(&mut self) {
        self.app.take().unwrap().shutdown().await;
    }
}

fn amtsweg(args: &[&str]) -> Output {
    let run = || Command::new(env!("CARGO_BIN_EXE_amtsweg")).args(args).output().unwrap();
    tokio::task::block_in_place(run)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
}

#[track_caller]
fn json(output: &Output) -> Value {
    exits(output, 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_proves_each_level_with_the_gateways_certificate_alone() {
    let mut place = Place::start().await;
    let id = place.submit("message.xml");
    let shown = place.proven("portal", &id);
    assert_eq!(
        (&shown["verdict"], &shown["level"], &shown["message"]),
        (&"proven".into(), &"accepted".into(), &id.clone().into())
    );
    assert_eq!(shown["gateway"], "probe");
    let lease = place.fetch(&id);
    let shown = place.proven("portal", &id);
    assert_eq!((&shown["level"], &shown["closed"]), (&"handed".into(), &Value::Null));
    place.close(&id, &lease);
    // The reader may have it too.
    let shown = place.proven("authority", &id);
    assert_eq!(shown["level"], "closed");
    assert!(shown["handed"].is_string() && shown["closed"].is_string(), "{shown:#}");

    let (proof, cert) = (place.path("proof.json"), place.path("pki/gateway.pem"));
    let verify = |args: &[&str]| amtsweg(&[&["ledger", "verify", "--proof", &proof], args].concat());
    let document = place.path("message.xml");
    exits(&verify(&["--cert", &cert, "--message", &document]), 0);
    exits(&verify(&["--cert", &cert, "--message", &cert]), 1);
    exits(&verify(&["--cert", &place.path("pki/server.pem")]), 1);
    // What is changed in it does not pass.
    let octets = std::fs::read_to_string(&proof).unwrap();
    for (from, to) in [
        ("\\\"state\\\":\\\"Closed", "\\\"state\\\":\\\"Queued"),
        ("size: ", "size: 1"),
        ("\"index\":", "\"index\":1"),
    ] {
        assert!(octets.contains(from), "{from} in {octets}");
        std::fs::write(&proof, octets.replacen(from, to, 1)).unwrap();
        exits(&verify(&["--cert", &cert]), 1);
    }
    let unknown = "urn:de:xta:messageid:probe:01900000-0000-7000-8000-000000000000";
    let refused = place.ask("portal", &["proof", unknown, "-o", &proof, "--json"]);
    exits(&refused, 1);
    assert!(String::from_utf8_lossy(&refused.stdout).contains("AW-0401"));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_proof_is_the_same_and_anothers_message_is_unknown() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let receipt = portal.submit(&Draft::default().signed(&gateway.pki.signer("signer")), &[]).await.unwrap();
    let path = format!("/v1/messages/{}/proof", receipt.message_id);
    let answer = portal.get(&path).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let signer = gateway.pki.signer("signer");
    let shown = amtsweg::proof::message::check(&answer.body, &[signer.certificate()], None).unwrap();
    assert_eq!(shown.message, receipt.message_id);
    let request = amtsweg::proto::StatusRequest { message_id: receipt.message_id };
    let over_grpc = portal.submission().get_proof(request).await.unwrap().into_inner().proof;
    assert_eq!(over_grpc, answer.body);
    for (who, status) in [("authority", 200), ("portal2", 404), ("authority2", 404)] {
        let other = Client::new(&gateway.pki, gateway.addr, Some(who));
        assert_eq!(other.get(&path).await.status.as_u16(), status, "{who}");
    }
    assert_eq!(portal.get("/v1/messages/nonsense/proof").await.code(), "AW-0401");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_passes_and_each_change_is_named_by_the_binary() {
    let mut place = Place::start().await;
    let id = place.submit("a.xml");
    let lease = place.fetch(&id);
    place.close(&id, &lease);
    place.submit("b.xml");
    place.stop().await;
    let (data, cert) = (place.path("data"), place.path("pki/gateway.pem"));
    let folder = json(&amtsweg(&["ledger", "verify", "--data", &data, "--cert", &cert, "--json"]));
    assert_eq!(
        (&folder["verdict"], &folder["sealed"]["events"]),
        (&"intact".into(), &4.into()),
        "{folder:#}"
    );
    let file = place.export(&data);
    let octets = std::fs::read_to_string(&file).unwrap();
    for hidden in ["Bello", "psw:", "kop:", "Portal der Probe"] {
        assert!(!octets.contains(hidden), "{hidden} is in the export");
    }
    let verify = || amtsweg(&["ledger", "verify", "--export", &text(&file), "--cert", &cert, "--json"]);
    let whole = json(&verify());
    assert_eq!((&whole["events"], &whole["from"], &whole["restored"]), (&4.into(), &1.into(), &0.into()));
    let lines: Vec<_> = octets.split_inclusive('\n').collect();
    let third = lines.iter().position(|line| line.contains("{\"frame\":3,")).unwrap();
    let without = [&lines[..third], &lines[third + 1..]].concat().concat();
    std::fs::write(&file, without).unwrap();
    let output = verify();
    exits(&output, 1);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["line"], &found["frame"]), (&(third + 1).into(), &3.into()));
    assert!(found["reason"].as_str().unwrap().contains("frame 3 is missing"), "{found:#}");
    std::fs::write(&file, octets.replacen("Available", "Avail4ble", 1)).unwrap();
    exits(&verify(), 1);
    // In the folder too: a checkpoint that another key has signed does not count.
    let other =
        amtsweg(&["ledger", "verify", "--data", &data, "--cert", &place.path("pki/server.pem"), "--json"]);
    exits(&other, 1);
    let refused = amtsweg(&["ledger", "verify", "--export", &text(&file)]);
    exits(&refused, 2);
}
