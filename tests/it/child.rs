//! The real program in a process of its own: to be killed, fed with rubbish, and measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use amtsweg::antrag::{Application, Content, Party, Product};
use amtsweg::domain::Timestamp;
use amtsweg::verify::sign::{Profile, Signer};

use crate::wire::{self, Http};

/// A folder with PKI, directory, configuration and data, for one or more starts of the gateway.
pub struct Setup {
    folder: tempfile::TempDir,
    signer: Signer,
    /// Port of the gateway.
    pub port: u16,
    /// Its operators' port.
    pub operators: u16,
    /// Port of the authority that is pushed to.
    pub authority: u16,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Setup {
    /// A new folder; `change` may edit the configuration's text.
    pub fn new(change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let made = Command::new(env!("CARGO_BIN_EXE_amtsweg"))
            .args(["pki", "init", "--dir"])
            .arg(&pki)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |name: &str| std::fs::read(pki.join(name)).unwrap();
        let signer = Signer::from_pem(&read("signer.pem"), &read("signer.key")).unwrap();
        let setup =
            Self { signer, port: free_port(), operators: free_port(), authority: free_port(), folder };
        directory(&setup.folder.path().join("directory"), setup.authority);
        std::fs::write(setup.config(), change(setup.configuration())).unwrap();
        setup
    }

    /// The whole folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    /// The configuration's file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("amtsweg.toml")
    }

    /// What the gateway has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The store's folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn configuration(&self) -> String {
        format!(
            r#"
[gateway]
name = "test"
identifier = "kop:06000000"
data = "data"
[listen]
address = "127.0.0.1:{}"
operators = "127.0.0.1:{}"
[tls]
certificate = "pki/server.pem"
key = "pki/server.key"
client_ca = "pki/ca.pem"
[signing]
certificate = "pki/gateway.pem"
key = "pki/gateway.key"
[trust]
anchors = "pki/ca.pem"
[directory]
folder = "directory"
[limits]
[delivery]
allow_private = true
[store]
min_free = 0
[[account]]
name = "portal"
certificate = "pki/portal.pem"
roles = ["portal"]
identifiers = ["{AUTHOR}"]
[account.quota]
in_flight = 256
messages_per_minute = 10000000
[[account]]
name = "authority"
certificate = "pki/authority.pem"
roles = ["authority"]
identifiers = ["kop:06534014"]
[account.quota]
in_flight = 256
messages_per_minute = 10000000
[[account]]
name = "operator"
certificate = "pki/operator.pem"
roles = ["operator"]
"#,
            self.port, self.operators
        )
    }

    /// A signed application; odd numbers go to the push authority, even ones to the mailbox.
    pub fn signed_application(&self, number: usize) -> Vec<u8> {
        self.application(uuid::Uuid::new_v4(), number)
    }

    /// The same with a given UUID.
    pub fn application(&self, uuid: uuid::Uuid, number: usize) -> Vec<u8> {
        self.sized_application(uuid, number, 0)
    }

    /// An application, signed.
    pub fn sign(&self, application: &Application) -> Vec<u8> {
        self.signer.sign(&application.to_xml().unwrap(), Profile::default()).unwrap()
    }

    /// The same with about so many octets in all.
    pub fn sized_application(&self, uuid: uuid::Uuid, number: usize, octets: usize) -> Vec<u8> {
        let area = if number % 2 == 1 { PUSH_AREA } else { PULL_AREA };
        // One field of the form carries the filling, so that the rest looks like a real form.
        let form = |filling: usize| {
            let fields: String = (0..6)
                .map(|n| {
                    format!("<f:feld nummer=\"{n}\">Angabe zum Hund Nr. {n}: Größe, Rasse, Halter</f:feld>")
                })
                .collect();
            format!(
                "<f:formular xmlns:f=\"urn:example:formular\">{fields}<f:text>{}</f:text></f:formular>",
                "x".repeat(filling)
            )
        };
        let write = |filling: usize| {
            let application = Application {
                uuid,
                created: Timestamp::now(),
                author: Party { identifier: AUTHOR.parse().unwrap(), name: "Portal der Tests".to_owned() },
                reader: None,
                service: Some((SERVICE.parse().unwrap(), area.parse().unwrap())),
                date: None,
                product: Product::gateway(),
                test: false,
                content: Content::Element(form(filling)),
                attachments: Vec::new(),
            };
            self.sign(&application)
        };
        let plain = write(0);
        match octets.checked_sub(plain.len()) {
            Some(filling) if filling > 0 => write(filling),
            _ => plain,
        }
    }
}

/// The portal's identifier.
pub const AUTHOR: &str = "kop:06000001";
/// The service of all test applications.
pub const SERVICE: &str = "99102013104000";
/// The area whose authority is pushed to.
pub const PUSH_AREA: &str = "064110000000";
/// The area whose authority pulls.
pub const PULL_AREA: &str = "065340014014";

/// The endpoint of the authority that is pushed to.
pub const PUSH_ENDPOINT: &str = "darmstadt-push";
/// The endpoint of the authority that pulls.
pub const PULL_ENDPOINT: &str = "marburg-mailbox";

/// A directory of two authorities: Darmstadt is pushed to, Marburg pulls.
pub fn directory(folder: &Path, authority: u16) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "areas.csv",
        &format!(
            "ars;name;kind;valid_from;valid_to;successor\n06;Hessen;Land;;;\n06411;Darmstadt;kreisfreie Stadt;;;\n\
             {PUSH_AREA};Darmstadt;kreisfreie Stadt (Gemeinde);;;\n06534;Marburg-Biedenkopf;Landkreis;;;\n\
             {PULL_AREA};Marburg;Stadt;;;\n"
        ),
    );
    write("services.csv", &format!("service;name\n{SERVICE};Hundesteuer Anmeldung\n"));
    write(
        "authorities.csv",
        &format!(
            "authority;name;identifiers;endpoint\ndarmstadt;Darmstadt;kop:06411000;{PUSH_ENDPOINT}\n\
             marburg;Marburg;kop:06534014;{PULL_ENDPOINT}\n"
        ),
    );
    write(
        "competences.csv",
        &format!(
            "authority;service;area;valid_from;valid_to\ndarmstadt;{SERVICE};{PUSH_AREA};;\n\
             marburg;{SERVICE};{PULL_AREA};;\n"
        ),
    );
    write(
        "endpoints.toml",
        &format!(
            "[[endpoint]]\nid = \"{PUSH_ENDPOINT}\"\nkind = \"push\"\nprotocol = \"https\"\n\
             url = \"https://localhost:{authority}/take\"\ntimeout = \"2s\"\nconcurrency = 32\n\
             backoff_min = \"100ms\"\nbackoff_max = \"500ms\"\n\n\
             [[endpoint]]\nid = \"{PULL_ENDPOINT}\"\nkind = \"mailbox\"\nlease = \"10s\"\n"
        ),
    );
}

/// A running gateway; killed when dropped.
pub struct Gateway {
    process: std::process::Child,
    port: u16,
    /// Time from the start to readiness.
    pub ready_after: Duration,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub async fn start(setup: &Setup) -> Self {
        Self::start_with(setup, None).await
    }

    /// The same with so many file descriptors at most.
    pub async fn start_with(setup: &Setup, descriptors: Option<u32>) -> Self {
        Self::launch(setup, descriptors, &[]).await
    }

    /// The same with these environment variables.
    pub async fn start_under(setup: &Setup, variables: &[(&str, &Path)]) -> Self {
        Self::launch(setup, None, variables).await
    }

    async fn launch(setup: &Setup, descriptors: Option<u32>, variables: &[(&str, &Path)]) -> Self {
        let began = Instant::now();
        let log =
            std::fs::File::options().create(true).append(true).open(setup.folder.path().join("log")).unwrap();
        let program = env!("CARGO_BIN_EXE_amtsweg");
        let mut command = match descriptors {
            None => Command::new(program),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        let process = command
            .args(["serve", "--config"])
            .arg(setup.config())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut gateway = Self { process, port: setup.port, ready_after: Duration::ZERO };
        let http = Http::new(&setup.pki(), None);
        let url = format!("https://localhost:{}/health/ready", setup.operators);
        loop {
            if let Ok(answer) = http.get(&url).await
                && answer.status == 200
            {
                break;
            }
            let ended = gateway.process.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended: {ended:?}\n{}", setup.log());
            assert!(began.elapsed() < Duration::from_secs(60), "not ready after 60 s\n{}", setup.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gateway.ready_after = began.elapsed();
        gateway
    }

    /// A URL of the main port.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Processor time used so far.
    pub fn worked(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        // Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Sets the peak of resident memory back; the present resident memory in octets.
    pub fn reset_peak(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
        self.memory("VmRSS:")
    }

    /// The peak of resident memory since then, in octets.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// A raw TLS connection as `name`.
    pub async fn tls_stream(
        &self,
        setup: &Setup,
        name: &str,
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connector =
            tokio_rustls::TlsConnector::from(std::sync::Arc::new(wire::tls(&setup.pki(), Some(name))));
        connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
