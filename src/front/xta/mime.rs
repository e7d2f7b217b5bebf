//! Requests as they come over HTTP: the envelope alone, or MTOM/XOP with the envelope as its first
//! part and the payloads behind it (SOAP 1.2 MTOM; XOP 1.0; RFC 2387).

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};

use super::fault::Fault;
use crate::error::{Code, Refusal};
use crate::front::body::{Hold, append};
use crate::front::multipart::{Head, Multipart, boundary, next_data, parameter};

/// What a request's `Content-Type` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// The boundary of the parts; `None`: the envelope alone.
    boundary: Option<String>,
    /// The content id of the part with the envelope, where it is named.
    start: Option<String>,
    /// The action, where it is named.
    pub action: Option<String>,
}

impl Media {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// A fault for what is no SOAP 1.2.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = text(header::CONTENT_TYPE);
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let named = |name| parameter(parameters, name);
        let unquoted = text(header::HeaderName::from_static("soapaction")).trim_matches(['"', ' ']);
        let soap_action = (!unquoted.is_empty()).then(|| unquoted.to_owned());
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/soap+xml" => {
                Ok(Self { boundary: None, start: None, action: named("action").or(soap_action) })
            }
            "multipart/related" => {
                let boundary = boundary(parameters).ok_or_else(|| {
                    Fault::Sender("the Content-Type names no boundary of 1 to 70 characters".to_owned())
                })?;
                if named("type").is_some_and(|t| !t.eq_ignore_ascii_case("application/xop+xml")) {
                    return Err(Fault::Sender(
                        "send MTOM: multipart/related; type=\"application/xop+xml\"".to_owned(),
                    ));
                }
                let start = named("start").map(|id| bare(&id).to_owned());
                let inner = named("start-info").and_then(|info| parameter(info.split_once(';')?.1, "action"));
                Ok(Self {
                    boundary: Some(boundary),
                    start,
                    action: inner.or_else(|| named("action")).or(soap_action),
                })
            }
            "text/xml" => Err(Fault::Version),
            _ => Err(Fault::Sender("send application/soap+xml, or multipart/related with MTOM".to_owned())),
        }
    }
}

fn bare(id: &str) -> &str {
    id.trim().strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// The envelope, and the parts that are still to be read.
pub(crate) struct Message {
    /// The octets of the envelope.
    pub envelope: Bytes,
    /// The rest.
    pub parts: Parts,
}

/// The parts behind the envelope.
pub(crate) struct Parts(Option<Multipart>);

/// Reads up to the end of the envelope.
///
/// # Errors
/// The body's own, AW-0103 over `bound`, AW-0301, and faults of MTOM.
pub(crate) async fn open(media: &Media, mut body: Body, bound: usize, hold: &Hold) -> Result<Message, Fault> {
    let mut envelope = BytesMut::new();
    let mut add = |chunk: Bytes| -> Result<(), Refusal> {
        if envelope.len() + chunk.len() > bound {
            let words =
                format!("the SOAP envelope has more than {bound} octets; send contents as MTOM parts");
            return Err(Refusal::new(Code::OverLimit, words));
        }
        hold.take(chunk.len())?;
        append(&mut envelope, &chunk, bound as u64);
        Ok(())
    };
    let Some(boundary) = &media.boundary else {
        while let Some(chunk) = next_data(&mut body).await? {
            add(chunk)?;
        }
        return Ok(Message { envelope: envelope.freeze(), parts: Parts(None) });
    };
    let mut parts = Multipart::new(body, boundary);
    let Some(head) = parts.next_part().await? else {
        return Err(Fault::Sender("the multipart body has no part".to_owned()));
    };
    readable(&head)?;
    if media.start.is_some() && media.start != head.id {
        return Err(Fault::Sender("the part with the envelope must come first".to_owned()));
    }
    while let Some(chunk) = parts.chunk().await? {
        add(chunk)?;
    }
    Ok(Message { envelope: envelope.freeze(), parts: Parts(Some(parts)) })
}

impl Parts {
    /// The content id of the next part, `None` after the last.
    ///
    /// # Errors
    /// As [`open`].
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Fault> {
        let Some(parts) = &mut self.0 else { return Ok(None) };
        let Some(head) = parts.next_part().await? else { return Ok(None) };
        readable(&head)?;
        let id = head.id.ok_or_else(|| Fault::Sender("a part has no Content-ID".to_owned()))?;
        Ok(Some(id))
    }

    /// The next octets of the present part, `None` at its end.
    ///
    /// # Errors
    /// As [`open`].
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        match &mut self.0 {
            Some(parts) => Ok(parts.chunk().await?),
            None => Ok(None),
        }
    }
}

/// Whether a part's octets are its content: no transfer encoding, no parts within parts.
fn readable(head: &Head) -> Result<(), Fault> {
    let plain = |encoding: &str| matches!(encoding, "binary" | "8bit" | "7bit");
    if !head.encoding.as_deref().is_none_or(plain) {
        return Err(Fault::Sender("send the parts with Content-Transfer-Encoding: binary".to_owned()));
    }
    let nested = |media: &str| {
        let kind = media.trim_start().as_bytes();
        kind.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
    };
    if head.media.as_deref().is_some_and(nested) {
        return Err(Fault::Sender("a part must not hold parts itself".to_owned()));
    }
    Ok(())
}

/// The content id that a `cid:` URL names (RFC 2392).
pub(crate) fn content_id(href: &str) -> Option<String> {
    let rest = href.trim().strip_prefix("cid:")?;
    let mut octets = Vec::with_capacity(rest.len());
    let mut bytes = rest.bytes();
    while let Some(octet) = bytes.next() {
        octets.push(match octet {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit()? * 16 + digit()?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str) -> Result<Media, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        Media::of(&headers)
    }

    #[test]
    fn content_types_of_known_clients_are_read() {
        let media =
            of("multipart/related; type=\"application/xop+xml\"; start=\"<root.message@cxf.apache.org>\"; \
                        start-info=\"application/soap+xml; action=\\\"urn:a;b\\\"\"; boundary=\"uuid:1-2\"")
            .unwrap();
        assert_eq!(media.boundary.as_deref(), Some("uuid:1-2"));
        assert_eq!(media.start.as_deref(), Some("root.message@cxf.apache.org"));
        assert_eq!(media.action.as_deref(), Some("urn:a;b"));
        let plain = of("application/soap+xml; charset=utf-8; action=\"urn:x\"").unwrap();
        assert_eq!((plain.boundary, plain.action.as_deref()), (None, Some("urn:x")));
        assert_eq!(of("text/xml").unwrap_err(), Fault::Version);
        assert!(of("multipart/related; type=\"text/xml\"; boundary=a").is_err());
        assert!(of("multipart/related").is_err());
    }

    #[test]
    fn content_ids_are_decoded() {
        assert_eq!(content_id("cid:a%40b%C3%A4").as_deref(), Some("a@bä"));
        for bad in ["cid:", "cid:%4", "cid:%zz", "http://x", "cid:%ff"] {
            assert_eq!(content_id(bad), None, "{bad}");
        }
    }
}
