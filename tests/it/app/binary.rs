//! The binary as a service manager sees it: signals, log lines, exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::Site;

/// A running `amtsweg serve`, killed when dropped.
struct Served {
    child: Child,
    log: Receiver<Value>,
}

impl Served {
    fn start(site: &Site) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
            .args(["serve", "--config"])
            .arg(site.config_file())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (send, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                if send.send(entry).is_err() {
                    break;
                }
            }
        });
        Self { child, log }
    }

    /// The next log entry with this message.
    fn says(&self, message: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let entry = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("never said {message:?}"));
            if entry["message"] == message {
                return entry;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn reloads_on_sighup_and_drains_on_sigterm() {
    let site = Site::new();
    let mut served = Served::start(&site);
    assert_eq!(served.says("the store is open")["stopped"], "Never");
    let up = served.says("the gateway is up");
    assert!(up["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{up}");

    served.signal("HUP");
    served.says("reloaded");
    site.edit("directory/competences.csv", "marburg;99102013*;", "nobody;99102013*;");
    served.signal("HUP");
    let refused = served.says("reload refused");
    assert!(refused["fault"].as_str().unwrap().contains("competences.csv"), "{refused}");
    served.says("reload refused as a whole; the old state stays in force");

    served.signal("TERM");
    served.says("stopped");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));

    site.edit("directory/competences.csv", "nobody;99102013*;", "marburg;99102013*;");
    let served = Served::start(&site);
    assert_eq!(served.says("the store is open")["stopped"], "Cleanly");
    served.says("the gateway is up");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_it_stops_at_once() {
    let site = Site::new();
    site.edit("amtsweg.toml", "drain = \"10 s\"", "drain = \"5 min\"");
    let mut served = Served::start(&site);
    let up = served.says("the gateway is up");
    let addr = |key: &str| up[key].as_str().unwrap().parse::<std::net::SocketAddr>().unwrap();
    let _half = site.half_submit(addr("address")).await;
    let watched = super::watching::client(&site, addr("operators"));
    super::site::until("the request is in work", || async {
        watched.get("/metrics").await.is_some_and(|(_, text)| text.contains("\namtsweg_in_flight 1\n"))
    })
    .await;
    served.signal("TERM");
    served.says("stopping: requests and attempts in work are being finished");
    served.signal("TERM");
    served.says("told to stop twice: what is in work is cut");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_killed_gateway_starts_again() {
    let site = Site::new();
    let served = Served::start(&site);
    served.says("the gateway is up");
    drop(served);
    let served = Served::start(&site);
    assert_eq!(served.says("the store is open")["stopped"], "Killed");
    let began = served.says("the gateway is up");
    assert!(began["milliseconds"].as_u64().is_some());
}

#[test]
fn a_faulty_configuration_stops_the_start_with_all_its_faults() {
    let site = Site::new();
    site.edit("amtsweg.toml", "drain = \"10 s\"", "drain = \"soon\"");
    site.edit("amtsweg.toml", "[store]", "[sture]");
    for command in ["serve", "check"] {
        let output = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
            .args([command, "--config"])
            .arg(site.config_file())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("gateway.drain") && said.contains("sture"), "{command}: {said}");
    }
}
