//! The texts that a client of XTA writes.

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

pub fn between(text: &str, begin: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found.to_owned())
}

/// A container with a message and attachments that come as the parts `ids`; names and media types.
pub fn container(contents: &[(&str, &str)], ids: &[String]) -> String {
    let mut body = format!("<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer>");
    for (number, ((name, media), id)) in contents.iter().zip(ids).enumerate() {
        let element = if number == 0 { "Message" } else { "Attachment" };
        body.push_str(&format!(
            "<x:{element} contentType=\"{media}\" filename=\"{name}\"><i:Include \
             xmlns:i=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{id}\"/></x:{element}>"
        ));
    }
    body.push_str("</x:ContentContainer></x:GenericContentContainer>");
    body
}

/// The part ids of so many contents.
pub fn part_ids(contents: usize) -> Vec<String> {
    (0..contents).map(|number| format!("part{number}@test")).collect()
}

/// The body that asks for a message, the first that can be had without an `id`.
pub fn fetching(id: Option<&str>) -> String {
    let selector = id.map_or_else(String::new, |id| {
        format!("<o:MsgSelector><a:MessageID xmlns:a=\"{WSA}\">{id}</a:MessageID></o:MsgSelector>")
    });
    format!("<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\">{selector}</o:MsgBoxFetchRequest>")
}

/// The body that closes a message.
pub fn closing(id: &str) -> String {
    format!(
        "<o:MsgBoxCloseRequest xmlns:o=\"{OSCI}\" MsgBoxRequestID=\"1\"><o:LastMsgReceived>{id}</o:LastMsgReceived>\
         </o:MsgBoxCloseRequest>"
    )
}

/// The header block that says as whom a client asks.
pub fn asking_as(identifier: &str) -> String {
    format!("<m:Author xmlns:m=\"{META}\"><m:Identifier type=\"xoev\">{identifier}</m:Identifier></m:Author>")
}
