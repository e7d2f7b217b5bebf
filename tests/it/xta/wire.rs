//! A client that writes what is asked of it, octet by octet.

use amtsweg::domain::Demand;
use amtsweg::front::xta::{PayloadPolicy, Settings};
use axum::http::StatusCode;

use super::schema;
pub use super::soap::{META, OSCI, Order, SOAP, WSA, XTA, between, envelope, mtom, place};
use super::soap::{asking_as, closing, container, fetching, part_ids};
use crate::support::client::Answer;
use crate::support::{Client, Gateway, Options};

/// The portal may send type `frei` unsigned.
pub fn policies() -> Settings {
    let policy = PayloadPolicy {
        accounts: vec!["portal".parse().unwrap()],
        types: vec!["frei".to_owned()],
        signature: Demand::IfPresent,
        schema: Demand::IfPresent,
    };
    Settings { policies: vec![policy], ..Settings::default() }
}

/// A gateway whose portal may send type `frei` unsigned.
pub async fn gateway() -> Gateway {
    Gateway::start(Options { xta: policies(), ..Options::default() }).await
}

/// A client with its identifier.
pub struct Party {
    pub client: Client,
    pub identifier: &'static str,
    /// Whether each answer is validated against the standard's schemas.
    pub checked: bool,
}

impl Party {
    pub fn new(gateway: &Gateway, name: &str, identifier: &'static str) -> Self {
        Self { client: Client::new(&gateway.pki, gateway.addr, Some(name)), identifier, checked: true }
    }

    pub fn author(&self) -> String {
        asking_as(self.identifier)
    }

    /// Asks as its identifier.
    pub async fn ask(&self, operation: &str, body: &str) -> Said {
        self.ask_with(operation, &self.author(), body, &[]).await
    }

    /// Asks with these header blocks and parts.
    pub async fn ask_with(
        &self,
        operation: &str,
        headers: &str,
        body: &str,
        parts: &[(&str, &[u8])],
    ) -> Said {
        let (port, action) = place(operation);
        let envelope = envelope(&action, headers, body);
        let (media, octets) = mtom(&action, &envelope, parts);
        self.post(port, &media, octets).await
    }

    pub async fn post(&self, port: &str, media: &str, octets: Vec<u8>) -> Said {
        let path = format!("/services/XTAService/{port}");
        let said = Said::of(self.client.post(&path, &[("content-type", media)], octets).await);
        if self.checked {
            schema::check(&said.envelope);
        }
        said
    }

    pub async fn new_id(&self) -> String {
        let said = self.ask("CreateMessageID", "").await;
        said.good();
        between(&said.envelope, "<wsa:MessageID xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">", "<")
            .unwrap()
    }

    /// Sends a message with these contents under a new id, which it gives.
    pub async fn send(&self, order: &Order, contents: &[(&str, &[u8])]) -> String {
        let id = self.new_id().await;
        self.try_send(&id, order, contents).await.good();
        id
    }

    pub async fn try_send(&self, id: &str, order: &Order, contents: &[(&str, &[u8])]) -> Said {
        let ids = part_ids(contents.len());
        let kinds: Vec<(&str, &str)> = contents
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (*name, if number == 0 { order.media } else { "application/pdf" }))
            .collect();
        let body = container(&kinds, &ids);
        let parts: Vec<(&str, &[u8])> =
            ids.iter().zip(contents).map(|(id, (_, octets))| (id.as_str(), *octets)).collect();
        self.ask_with("SendMessage", &order.xml(id), &body, &parts).await
    }

    pub async fn list(&self, attributes: &str, selector: &str) -> Said {
        let body = format!(
            "<o:MsgBoxStatusListRequest xmlns:o=\"{OSCI}\" xmlns:a=\"{WSA}\" {attributes}>{selector}</o:MsgBoxStatusListRequest>"
        );
        self.ask("MsgBoxStatusListRequest", &body).await
    }

    pub async fn fetch(&self, id: &str) -> Said {
        self.ask("MsgBoxFetchRequest", &fetching(Some(id))).await
    }

    /// Fetches the first message that can be had.
    pub async fn fetch_next(&self) -> Said {
        self.ask("MsgBoxFetchRequest", &fetching(None)).await
    }

    pub async fn close(&self, id: &str) -> Said {
        self.ask("MsgBoxCloseRequest", &closing(id)).await
    }

    pub async fn about(&self, operation: &str, id: &str) -> Said {
        self.ask(operation, &format!("<a:MessageID xmlns:a=\"{WSA}\">{id}</a:MessageID>")).await
    }
}

/// An answer.
pub struct Said {
    pub status: StatusCode,
    pub envelope: String,
    /// Contents behind the envelope.
    pub parts: Vec<Vec<u8>>,
}

impl Said {
    fn of(answer: Answer) -> Self {
        let media = answer.headers["content-type"].to_str().unwrap().to_owned();
        match between(&media, "boundary=\"", "\"") {
            None => {
                assert!(media.starts_with("application/soap+xml; charset=UTF-8; action="), "{media}");
                let envelope = String::from_utf8(answer.body.to_vec()).unwrap();
                Self { status: answer.status, envelope, parts: Vec::new() }
            }
            Some(boundary) => Self::parted(&answer, &boundary),
        }
    }

    fn parted(answer: &Answer, boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut octets = b"\r\n".to_vec();
        octets.extend_from_slice(&answer.body);
        let find = |from: usize, what: &[u8]| {
            octets[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
        };
        let mut contents = Vec::new();
        let mut at = find(0, &delimiter).unwrap() + delimiter.len();
        while let Some(next) = find(at, &delimiter) {
            let begin = find(at, b"\r\n\r\n").unwrap() + 4;
            contents.push(octets[begin..next].to_vec());
            at = next + delimiter.len();
        }
        assert_eq!(&octets[at..], b"--\r\n");
        let envelope = String::from_utf8(contents.remove(0)).unwrap();
        Self { status: answer.status, envelope, parts: contents }
    }

    #[track_caller]
    pub fn good(&self) -> &Self {
        assert_eq!(self.status, 200, "{}", self.envelope);
        assert!(self.envelope.contains("<wsa:RelatesTo>urn:uuid:probe</wsa:RelatesTo>"), "{}", self.envelope);
        self
    }

    /// The exception's element and number.
    pub fn exception(&self) -> (String, String) {
        assert_eq!(self.status, 500, "{}", self.envelope);
        let element = between(&self.envelope, "<soap:Detail><xta:", " ");
        let number = between(&self.envelope, "<code>", "<");
        (element.unwrap_or_else(|| self.envelope.clone()), number.unwrap_or_default())
    }

    #[track_caller]
    pub fn is(&self, exception: &str, number: &str) {
        assert_eq!(
            self.exception(),
            (format!("{exception}Exception"), number.to_owned()),
            "{}",
            self.envelope
        );
    }

    /// The SOAP layer's own fault.
    pub fn fault(&self) -> String {
        assert_eq!(self.status, 500, "{}", self.envelope);
        assert!(!self.envelope.contains("Detail"), "{}", self.envelope);
        between(&self.envelope, "<soap:Value>soap:", "<").unwrap()
    }

    pub fn has(&self, text: &str) -> bool {
        self.envelope.contains(text)
    }
}
