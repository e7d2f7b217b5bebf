//! A day with `serve`: portal, authority and operator use their commands against a running gateway.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{amtsweg, exits, stderr, stdout, text};

/// A gateway over a demo's folder, ended by SIGTERM.
struct Gateway {
    dir: PathBuf,
    main: String,
    operators: String,
    child: Child,
    _temp: tempfile::TempDir,
}

impl Gateway {
    fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("demo");
        exits(&amtsweg(["demo", "--once", "--messages", "1", "--dir", &text(&dir)]), 0);
        let (main, operators) = (free_port(), free_port());
        let config = std::fs::read_to_string(dir.join("amtsweg.toml")).unwrap();
        let config =
            config.replace(":8443\"", &format!(":{main}\"")).replace(":9443\"", &format!(":{operators}\""));
        std::fs::write(dir.join("amtsweg.toml"), config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
            .args(["serve", "--config", &text(&dir.join("amtsweg.toml"))])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = |port: u16| format!("https://localhost:{port}");
        let gateway = Self { dir, main: url(main), operators: url(operators), child, _temp: temp };
        let begun = Instant::now();
        while gateway.ask("operator", &["queues"]).status.code() != Some(0) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the gateway does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        gateway
    }

    /// Runs a client command as `account`.
    fn ask(&self, account: &str, args: &[&str]) -> Output {
        let url = if account == "operator" { &self.operators } else { &self.main };
        let [ca, cert, key] = ["ca.pem".to_owned(), format!("{account}.pem"), format!("{account}.key")]
            .map(|name| text(&self.dir.join("pki").join(name)));
        let (command, rest) = args.split_first().unwrap();
        let mut all = vec![*command, "--url", url, "--ca", &ca, "--cert", &cert, "--key", &key];
        all.extend(rest);
        amtsweg(all)
    }

    /// The same with `--json`, which must succeed.
    #[track_caller]
    fn json(&self, account: &str, args: &[&str]) -> Value {
        let output = self.ask(account, &[args, &["--json"]].concat());
        exits(&output, 0);
        serde_json::from_slice(&output.stdout).expect("JSON on standard output")
    }

    fn sample(&self, begins: &str) -> PathBuf {
        let found = std::fs::read_dir(self.dir.join("samples")).unwrap().map(|e| e.unwrap().path());
        found.into_iter().find(|p| p.file_name().unwrap().to_str().unwrap().starts_with(begins)).unwrap()
    }

    fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        exits(&Command::new("kill").args(["-TERM", &pid.to_string()]).output().unwrap(), 0);
        assert!(self.child.wait().unwrap().success(), "SIGTERM drains and ends well");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Gone already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn portal_authority_and_operator_do_their_work() {
    let gateway = Gateway::start();
    let sample = text(&gateway.sample("05-"));
    let accepted = gateway.json("portal", &["submit", &sample]);
    let id = accepted["message_id"].as_str().unwrap();
    assert_eq!((&accepted["state"], &accepted["repeated"]), (&"Available".into(), &false.into()));
    let again = gateway.json("portal", &["submit", &sample]);
    assert_eq!((&again["message_id"], &again["repeated"]), (&accepted["message_id"], &true.into()));

    let list = gateway.json("authority", &["list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["message_id"], accepted["message_id"]);
    let taken = gateway.ask("authority", &["fetch", id, "-o", &sample]);
    exits(&taken, 2);
    assert!(stderr(&taken).contains("is no folder"), "{}", stderr(&taken));
    let inbox = gateway.dir.join("inbox");
    let fetched = gateway.json("authority", &["fetch", id, "-o", &text(&inbox)]);
    assert_eq!(std::fs::read(inbox.join("message.xml")).unwrap(), std::fs::read(&sample).unwrap());
    the_receipt_is_signed(&gateway, &inbox);
    let other = gateway.ask("authority", &["fetch", id, "-o", &text(&gateway.dir.join("inbox2"))]);
    exits(&other, 1);
    assert!(stderr(&other).contains("AW-0402"), "{}", stderr(&other));
    let lease = fetched["lease"].as_str().unwrap();
    let closed = gateway.json("authority", &["close", id, "--lease", lease]);
    assert_eq!(closed["state"], "Closed");
    let watch = gateway.ask("portal", &["watch", id]);
    exits(&watch, 0);
    assert!(stdout(&watch).contains("is Closed"), "{}", stdout(&watch));

    let unknown = "urn:de:xta:messageid:demo:01900000-0000-7000-8000-000000000000";
    let status = gateway.ask("portal", &["status", "--json", unknown]);
    exits(&status, 1);
    let problem: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(problem["code"], "AW-0401");
    rejecting_returns(&gateway);
    operating(&gateway);
    gateway.stop();
}

fn the_receipt_is_signed(gateway: &Gateway, inbox: &Path) {
    let anchors = text(&gateway.dir.join("pki/ca.pem"));
    exits(&amtsweg(["verify", "--anchors", &anchors, &text(&inbox.join("receipt.xml"))]), 0);
}

/// An authority refuses a message for good: the author is told.
fn rejecting_returns(gateway: &Gateway) {
    let sample = text(&gateway.sample("06-"));
    let accepted = gateway.json("portal", &["submit", &sample]);
    let id = accepted["message_id"].as_str().unwrap();
    let fetched = gateway.json("authority", &["fetch", id, "-o", &text(&gateway.dir.join("inbox3"))]);
    let lease = fetched["lease"].as_str().unwrap();
    let silent = gateway.ask("authority", &["reject", id, "--lease", lease, "--reason", " "]);
    exits(&silent, 2);
    assert!(stderr(&silent).contains("the author reads it"), "{}", stderr(&silent));
    gateway.json("authority", &["reject", id, "--lease", lease, "--reason", "not ours"]);
    let report = gateway.json("portal", &["status", id]);
    assert_eq!(report["state"], "Returned");
    assert!(report["facts"].as_array().unwrap().iter().any(|f| f["detail"] == "not ours"), "{report:#}");
}

/// The operator sees everything, suspends, parks and retries; nobody else does.
fn operating(gateway: &Gateway) {
    let endpoint = "darmstadt-push";
    let queue = gateway.json("operator", &["suspend", endpoint, "--reason", "maintenance"]);
    assert_eq!((&queue["suspended"], &queue["suspended_reason"]), (&true.into(), &"maintenance".into()));
    let accepted = gateway.json("portal", &["submit", &text(&gateway.sample("01-"))]);
    let id = accepted["message_id"].as_str().unwrap();
    assert_eq!(gateway.json("operator", &["show", id])["account"], "portal");
    assert_eq!(gateway.json("operator", &["park", id, "--reason", "look at it"])["state"], "Parked");
    let parked = gateway.json("operator", &["messages", "--state", "Parked"]);
    assert_eq!(parked[0]["message_id"], accepted["message_id"]);
    assert_eq!(gateway.json("operator", &["retry", id])["state"], "Queued");
    let queues = gateway.json("operator", &["queues"]);
    let darmstadt = queues.as_array().unwrap().iter().find(|q| q["endpoint"] == endpoint).unwrap();
    assert_eq!(darmstadt["by_state"]["Queued"], 1, "{darmstadt:#}");
    let stranger = gateway.ask("portal", &["show", id]);
    exits(&stranger, 2);
    assert!(stderr(&stranger).contains("port"), "{}", stderr(&stranger));
    assert_eq!(gateway.json("operator", &["resume", endpoint])["suspended"], false);
}
