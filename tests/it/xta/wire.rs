//! A client that writes what is asked of it, octet by octet.

use amtsweg::domain::Demand;
use amtsweg::front::xta::{PayloadPolicy, Settings};
use axum::http::StatusCode;

use super::schema;
use crate::support::client::Answer;
use crate::support::{Client, Gateway, Options};

pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
pub const META: &str = "http://www.osci.eu/ws/2014/10/transport";
pub const OSCI: &str = "http://www.osci.eu/ws/2008/05/transport";
pub const XTA: &str = "http://xoev.de/transport/xta/211";
const BOX: &str = "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/";

/// Port and action of each operation.
pub fn place(operation: &str) -> (&'static str, String) {
    let port = match operation {
        "CheckAccountActive" | "IsServiceAvailable" | "CreateMessageID" | "GetTransportReport"
        | "CancelMessage" => "ManagementPort",
        "SendMessage" | "SendMessageSync" => "SendXtaPort",
        _ => "MsgBoxPort",
    };
    let base = if port == "MsgBoxPort" { BOX } else { "http://www.xta.de/XTA/" };
    (port, format!("{base}{operation}"))
}

/// A gateway whose portal may send type `frei` unsigned.
pub async fn gateway() -> Gateway {
    let policy = PayloadPolicy {
        accounts: vec!["portal".parse().unwrap()],
        types: vec!["frei".to_owned()],
        signature: Demand::IfPresent,
        schema: Demand::IfPresent,
    };
    let xta = Settings { policies: vec![policy], ..Settings::default() };
    Gateway::start(Options { xta, ..Options::default() }).await
}

/// A client with its identifier.
pub struct Party {
    pub client: Client,
    pub identifier: &'static str,
}

impl Party {
    pub fn new(gateway: &Gateway, name: &str, identifier: &'static str) -> Self {
        Self { client: Client::new(&gateway.pki, gateway.addr, Some(name)), identifier }
    }

    pub fn author(&self) -> String {
        format!(
            "<m:Author xmlns:m=\"{META}\"><m:Identifier type=\"xoev\">{}</m:Identifier></m:Author>",
            self.identifier
        )
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
        Said::of(self.client.post(&path, &[("content-type", media)], octets).await)
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
        let ids: Vec<String> = (0..contents.len()).map(|n| format!("part{n}@test")).collect();
        let mut body = format!("<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer>");
        for (number, (name, _)) in contents.iter().enumerate() {
            let element = if number == 0 { "Message" } else { "Attachment" };
            let media = if number == 0 { order.media } else { "application/pdf" };
            body.push_str(&format!(
                "<x:{element} contentType=\"{media}\" filename=\"{name}\"><i:Include \
                 xmlns:i=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{}\"/></x:{element}>",
                ids[number]
            ));
        }
        body.push_str("</x:ContentContainer></x:GenericContentContainer>");
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
        let body = format!(
            "<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\"><o:MsgSelector><a:MessageID xmlns:a=\"{WSA}\">{id}</a:MessageID>\
             </o:MsgSelector></o:MsgBoxFetchRequest>"
        );
        self.ask("MsgBoxFetchRequest", &body).await
    }

    pub async fn close(&self, id: &str) -> Said {
        let body = format!(
            "<o:MsgBoxCloseRequest xmlns:o=\"{OSCI}\" MsgBoxRequestID=\"1\"><o:LastMsgReceived>{id}</o:LastMsgReceived>\
             </o:MsgBoxCloseRequest>"
        );
        self.ask("MsgBoxCloseRequest", &body).await
    }

    pub async fn about(&self, operation: &str, id: &str) -> Said {
        self.ask(operation, &format!("<a:MessageID xmlns:a=\"{WSA}\">{id}</a:MessageID>")).await
    }
}

/// What MessageMetaData says.
#[derive(Clone)]
pub struct Order {
    pub author: String,
    pub reader: String,
    pub service: String,
    pub kind: String,
    pub media: &'static str,
    pub attributes: String,
    pub relates: String,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            author: "psw:portal".to_owned(),
            reader: "kop:06534014".to_owned(),
            service: "urn:fim:Hundesteuer:1.0".to_owned(),
            kind: "frei".to_owned(),
            media: "application/xml",
            attributes: String::new(),
            relates: String::new(),
        }
    }
}

impl Order {
    pub fn xml(&self, id: &str) -> String {
        let Self { author, reader, service, kind, attributes, relates, .. } = self;
        format!(
            "<m:MessageMetaData xmlns:m=\"{META}\" xmlns:a=\"{WSA}\"><m:DeliveryAttributes>{attributes}</m:DeliveryAttributes>\
             <m:Originators><m:Author><m:Identifier type=\"xoev\" name=\"Stra&#xDF;e &amp; Co\">{author}</m:Identifier></m:Author>\
             </m:Originators><m:Destinations><m:Reader><m:Identifier type=\"xoev\">{reader}</m:Identifier></m:Reader>\
             </m:Destinations><m:MsgIdentification><a:MessageID>{id}</a:MessageID>{relates}</m:MsgIdentification>\
             <m:Qualifier><m:Service>{service}</m:Service><m:BusinessScenario><m:Defined listURI=\"urn:x\" \
             listVersionID=\"1\"><code>PROBE</code></m:Defined></m:BusinessScenario><m:MessageType payloadSchema=\"urn:y\" \
             listURI=\"urn:z\" listVersionID=\"1\"><code>{kind}</code></m:MessageType></m:Qualifier></m:MessageMetaData>"
        )
    }
}

pub fn envelope(action: &str, headers: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header><Action xmlns=\"{WSA}\">{action}</Action>\
         <MessageID xmlns=\"{WSA}\">urn:uuid:probe</MessageID>{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// MTOM as Apache CXF writes it.
pub fn mtom(action: &str, envelope: &str, parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "uuid:11111111-2222";
    let mut octets = format!(
        "--{boundary}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"application/soap+xml; \
         action=\\\"{action}\\\"\"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <root.message@cxf.apache.org>\r\n\r\n{envelope}"
    )
    .into_bytes();
    for (id, content) in parts {
        octets.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
                 Content-ID: <{id}>\r\n\r\n"
            )
            .as_bytes(),
        );
        octets.extend_from_slice(content);
    }
    octets.extend_from_slice(format!("\r\n--{boundary}--").as_bytes());
    let media = format!(
        "multipart/related; type=\"application/xop+xml\"; start=\"<root.message@cxf.apache.org>\"; \
         start-info=\"application/soap+xml; action=\\\"{action}\\\"\"; boundary=\"{boundary}\""
    );
    (media, octets)
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
        let said = match between(&media, "boundary=\"", "\"") {
            None => {
                assert!(media.starts_with("application/soap+xml; charset=UTF-8; action="), "{media}");
                let envelope = String::from_utf8(answer.body.to_vec()).unwrap();
                Self { status: answer.status, envelope, parts: Vec::new() }
            }
            Some(boundary) => Self::parted(&answer, &boundary),
        };
        schema::check(&said.envelope);
        said
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

pub fn between(text: &str, begin: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found.to_owned())
}
