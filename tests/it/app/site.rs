//! A place where a gateway can run: certificates, the directory of Hesse, a configuration with
//! free ports, and signed messages to hand in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use amtsweg::app::App;
use amtsweg::cli::{client::Connection, pki};
use amtsweg::config::Config;
use amtsweg::proto;
use amtsweg::proto::mailbox_client::MailboxClient;
use amtsweg::proto::routing_client::RoutingClient;
use amtsweg::proto::submission_client::SubmissionClient;
use amtsweg::route::Files;
use amtsweg::verify::sign::{Canonicalisation, Form, Hash, Profile, Signer};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Anmeldung zur Hundesteuer.
pub const DOG_TAX: &str = "99102013104000";
/// Darmstadt, whose authority is pushed to.
pub const DARMSTADT: &str = "064110000000";
/// Marburg, whose authority pulls.
pub const MARBURG: &str = "065340014014";

/// A request in work.
pub struct Half {
    send: mpsc::Sender<proto::SubmitChunk>,
    rest: Bytes,
    answer: tokio::task::JoinHandle<Result<tonic::Response<proto::SubmitResponse>, tonic::Status>>,
}

impl Half {
    /// Sends the rest.
    pub async fn finish(self) -> proto::SubmitResponse {
        self.send.send(chunk(self.rest)).await.unwrap();
        drop(self.send);
        self.answer.await.unwrap().unwrap().into_inner()
    }
}

fn chunk(octets: Bytes) -> proto::SubmitChunk {
    proto::SubmitChunk { part: Some(proto::submit_chunk::Part::Document(octets)) }
}

pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        pki::init(&dir.path().join("pki")).unwrap();
        Files::embedded().write_to(&dir.path().join("directory")).unwrap();
        std::fs::write(dir.path().join("amtsweg.toml"), CONFIG).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config_file(&self) -> PathBuf {
        self.path("amtsweg.toml")
    }

    pub fn config(&self) -> Config {
        Config::load(&self.config_file()).unwrap()
    }

    /// Changes a text file of the site; the text to be replaced must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not hold {from:?}");
        std::fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    pub async fn start(&self) -> App {
        App::start(self.config()).await.unwrap()
    }

    pub async fn channel(&self, addr: std::net::SocketAddr, who: &str) -> Channel {
        let connection = Connection {
            url: format!("https://localhost:{}", addr.port()),
            ca: self.path("pki/ca.pem"),
            cert: self.path(&format!("pki/{who}.pem")),
            key: self.path(&format!("pki/{who}.key")),
        };
        connection.open().await.unwrap()
    }

    pub async fn portal(&self, app: &App) -> SubmissionClient<Channel> {
        SubmissionClient::new(self.channel(app.addr(), "portal").await)
    }

    pub async fn authority(&self, app: &App) -> MailboxClient<Channel> {
        MailboxClient::new(self.channel(app.addr(), "authority").await)
    }

    /// The authority that the running gateway finds for the dog tax in Marburg, or the code of
    /// its refusal.
    pub async fn competent(&self, app: &App) -> String {
        let mut routing = RoutingClient::new(self.channel(app.addr(), "portal").await);
        let request = proto::ExplainRequest {
            service: DOG_TAX.to_owned(),
            area: MARBURG.to_owned(),
            date: String::new(),
        };
        let answer = routing.explain(request).await.unwrap().into_inner();
        answer.route.map(|route| route.authority_id).filter(|id| !id.is_empty()).unwrap_or(answer.outcome)
    }

    /// A signed application for the dog tax in Marburg.
    pub fn message(&self, uuid: uuid::Uuid) -> Bytes {
        self.message_to(uuid, MARBURG)
    }

    /// A signed application for the dog tax in another area.
    pub fn message_to(&self, uuid: uuid::Uuid, area: &str) -> Bytes {
        sign(&self.path("pki"), &application(uuid).replace(MARBURG, area))
    }

    /// Begins to hand in a message and sends no more than its first half: the request stays in
    /// work. The rest, and the answer to come.
    pub async fn half_submit(&self, addr: std::net::SocketAddr) -> Half {
        let document = self.message(uuid::Uuid::new_v4());
        let rest = document.slice(document.len() / 2..);
        let (send, chunks) = mpsc::channel(1);
        let mut portal = SubmissionClient::new(self.channel(addr, "portal").await);
        let answer = tokio::spawn(async move { portal.submit_stream(ReceiverStream::new(chunks)).await });
        send.send(chunk(document.slice(..document.len() / 2))).await.unwrap();
        Half { send, rest, answer }
    }

    /// The same, signed with XAdES B-B.
    pub fn message_with_properties(&self, uuid: uuid::Uuid) -> Bytes {
        let form = Form { xades: Some(amtsweg::domain::Timestamp::now()), ..Form::default() };
        sign_as(&self.path("pki"), &application(uuid), form)
    }

    pub async fn submit(&self, app: &App) -> proto::SubmitResponse {
        let request =
            proto::SubmitRequest { document: self.message(uuid::Uuid::new_v4()), attachments: Vec::new() };
        self.portal(app).await.submit(request).await.unwrap().into_inner()
    }
}

fn sign(pki: &Path, document: &str) -> Bytes {
    sign_as(pki, document, Form::default())
}

fn sign_as(pki: &Path, document: &str, form: Form) -> Bytes {
    let read = |name: &str| std::fs::read(pki.join(name)).unwrap();
    let signer = Signer::from_pem(&read("signer.pem"), &read("signer.key")).unwrap();
    let profile = Profile { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false };
    signer.sign_as(document.as_bytes(), profile, form).unwrap().into()
}

fn application(uuid: uuid::Uuid) -> String {
    let list = "urn:xoev-de:amtsweg:codeliste";
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<a:antrag.einreichen.0100 xmlns:a="urn:xoev-de:amtsweg:standard:antrag_1.0" standard="Antrag" version="1.0" produkt="Probe" produkthersteller="Probe" test="true">
  <nachrichtenkopf.g2g>
    <identifikation.nachricht>
      <nachrichtenUUID>{uuid}</nachrichtenUUID>
      <nachrichtentyp listURI="{list}:nachrichtentyp" listVersionID="1"><code>0100</code></nachrichtentyp>
      <erstellungszeitpunkt>2026-05-01T10:00:00.000+02:00</erstellungszeitpunkt>
    </identifikation.nachricht>
    <autor>
      <verzeichnisdienst listURI="{list}:verzeichnisdienst" listVersionID="1"><code>dvdv</code></verzeichnisdienst>
      <kennung>psw:06000001</kennung>
      <name>Portal der Probe</name>
    </autor>
  </nachrichtenkopf.g2g>
  <a:leistung>{DOG_TAX}</a:leistung>
  <a:gebiet>{MARBURG}</a:gebiet>
  <a:fachdaten><hund xmlns="urn:example:hundesteuer">Bello</hund></a:fachdaten>
</a:antrag.einreichen.0100>"#
    )
}

/// Waits until `holds`, at most thirty seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const CONFIG: &str = r#"
[gateway]
name = "probe"
identifier = "kop:06999999"
data = "data"
drain = "10 s"
[listen]
address = "127.0.0.1:0"
operators = "127.0.0.1:0"
[tls]
certificate = "pki/server.pem"
key = "pki/server.key"
client_ca = "pki/ca.pem"
[signing]
certificate = "pki/gateway.pem"
key = "pki/gateway.key"
[trust]
anchors = "pki/ca.pem"
crls = "pki/ca.crl.pem"
[directory]
folder = "directory"
[delivery]
allow_private = true
[store]
min_free = "1 MiB"
[[account]]
name = "portal"
certificate = "pki/portal.pem"
roles = ["portal"]
identifiers = ["psw:06000001"]
[[account]]
name = "authority"
certificate = "pki/authority.pem"
roles = ["authority"]
identifiers = ["kop:06534014", "psw:06534014"]
[[account]]
name = "operator"
certificate = "pki/operator.pem"
roles = ["operator"]
"#;
