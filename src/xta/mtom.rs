//! SOAP with MTOM as it goes out: the container with its references, and the parts behind the envelope
//! (SOAP 1.2 MTOM; XOP 1.0; RFC 2387), in the form that Apache CXF writes.

use super::metadata::Kept;
use super::names::{XOP, XTA};
use crate::domain::Record;
use crate::xml::escaped;

/// Media type of an envelope.
pub(crate) const SOAP_XML: &str = "application/soap+xml";
/// Content id of the part with the envelope.
const ROOT: &str = "root.message@amtsweg";

/// `GenericContentContainer` with a reference to each content, and the content ids.
pub(crate) struct Container {
    /// The element.
    pub xml: String,
    /// Of the message and its attachments, in order.
    pub ids: Vec<String>,
}

impl Container {
    /// For a message; its parts are described as its order did, else as its header does.
    pub(crate) fn of(record: &Record, kept: Option<&Kept>) -> Self {
        let mut xml = format!("<xta:GenericContentContainer xmlns:xta=\"{XTA}\"><xta:ContentContainer>");
        let mut ids = Vec::new();
        for number in 0..=record.attachments.len() {
            let (name, len, own) = described(record, number);
            let attributes = kept.and_then(|kept| kept.parts.get(number)).unwrap_or(&own);
            let id = format!("{}@amtsweg", uuid::Uuid::new_v4());
            xml.push_str(&format!("<xta:{name}"));
            for (key, value) in attributes {
                xml.push_str(&format!(" {key}=\"{}\"", escaped(value)));
            }
            if len > 0 {
                xml.push_str(&format!(" size=\"{len}\""));
            }
            xml.push_str(&format!("><xop:Include xmlns:xop=\"{XOP}\" href=\"cid:{id}\"/></xta:{name}>"));
            ids.push(id);
        }
        xml.push_str("</xta:ContentContainer></xta:GenericContentContainer>");
        Self { xml, ids }
    }
}

/// Element name, length and attributes of a part by its number; 0 is the message.
fn described(record: &Record, number: usize) -> (&'static str, u64, Vec<(String, String)>) {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    match number.checked_sub(1).and_then(|at| record.attachments.get(at)) {
        None => {
            // What came by another front is XML; clients make a file of it.
            let own = vec![pair("contentType", record.media_type()), pair("filename", "message.xml")];
            ("Message", record.document.len, own)
        }
        Some(attachment) => {
            let (media, file) = (&attachment.declared.media_type, &attachment.declared.name);
            ("Attachment", attachment.content.len, vec![pair("contentType", media), pair("filename", file)])
        }
    }
}

/// A boundary that stands in no content.
pub(crate) fn boundary() -> String {
    format!("uuid:{}", uuid::Uuid::new_v4())
}

/// The Content-Type of the whole.
pub(crate) fn media(boundary: &str, action: &str) -> String {
    format!(
        "multipart/related; type=\"application/xop+xml\"; boundary=\"{boundary}\"; start=\"<{ROOT}>\"; \
         start-info=\"{SOAP_XML}; action=\\\"{action}\\\"\""
    )
}

/// What stands before the envelope.
pub(crate) fn first(boundary: &str, action: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"{SOAP_XML}; \
         action=\\\"{action}\\\"\"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{ROOT}>\r\n\r\n"
    )
}

/// What stands before the content with this id.
pub(crate) fn head(boundary: &str, id: &str) -> String {
    format!(
        "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
         Content-ID: <{id}>\r\n\r\n"
    )
}

/// The end.
pub(crate) fn end(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}
