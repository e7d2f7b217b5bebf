//! Push by XML over HTTPS.
//!
//! `POST` of the original octets as `application/xml`; with attachments as `multipart/related`
//! (RFC 2387): the document first, then the attachments in document order. Always with a
//! Content-Length. Headers: `Idempotency-Key` and `Amtsweg-Message-Id` (the message id, the same
//! at every attempt), `Amtsweg-Attempt`, `Amtsweg-Reader`, `Amtsweg-Receipt` (base64 of the signed
//! receipt; from 8 KiB on, which servers refuse in a header, it comes as the last part with the
//! Content-ID `<receipt>` instead).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use tokio::time::Instant;

use super::body::Outgoing;
use super::connector::Connector;
use super::{Parcel, Piece, Reply, explain};
use crate::deliver::note;
use crate::domain::outcome::{HttpAnswer, Outcome, of_http};
use crate::domain::{DeclaredAttachment, MessageId, Timestamp};

/// The message id, in requests and (optionally) answers.
const MESSAGE_ID: HeaderName = HeaderName::from_static("amtsweg-message-id");
/// In answers: `false` when the authority will close the message later.
const TAKEN_OVER: HeaderName = HeaderName::from_static("amtsweg-taken-over");
/// Base64 octets of a receipt that fit a header.
const RECEIPT_IN_HEADER: usize = 8 * 1024;
/// Octets read of an answer's body.
const ANSWER: usize = 4 * 1024;
/// Time for them: the status is known already and must not be lost for a slow explanation.
const ANSWER_TIME: Duration = Duration::from_secs(2);

type Pool = legacy::Client<HttpsConnector<Connector>, Outgoing>;

/// A client for one endpoint.
pub(crate) struct HttpsClient {
    pool: Pool,
    uri: Uri,
}

impl HttpsClient {
    /// A client that posts to `uri`.
    pub(crate) fn new(pool: Pool, uri: Uri) -> Self {
        Self { pool, uri }
    }

    /// One attempt. The pool repeats a request only if no octet of it was sent (a connection
    /// that the server had closed meanwhile); apart from that there is one retry layer, and it is
    /// not here.
    pub(crate) async fn send(&self, parcel: Parcel, deadline: Instant) -> Reply {
        let id = parcel.id.clone();
        let request = match request(&self.uri, parcel) {
            Ok(request) => request,
            Err(error) => return Reply::none(format!("the request can't be written: {error}")),
        };
        match tokio::time::timeout_at(deadline, self.pool.request(request)).await {
            Err(_) => Reply::none("no answer in time"),
            Ok(Err(error)) => Reply::none(explain(&error)),
            Ok(Ok(response)) => judge(response, &id, deadline).await,
        }
    }
}

fn request(uri: &Uri, parcel: Parcel) -> Result<Request<Outgoing>, http::Error> {
    let receipt = STANDARD.encode(&parcel.receipt);
    let in_header = receipt.len() < RECEIPT_IN_HEADER;
    let mut builder = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(USER_AGENT, concat!("amtsweg/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/problem+xml, application/problem+json, text/plain;q=0.5")
        .header("idempotency-key", parcel.id.as_str())
        .header(MESSAGE_ID, parcel.id.as_str())
        .header("amtsweg-attempt", parcel.attempt)
        .header("amtsweg-reader", parcel.reader.as_str());
    if in_header {
        builder = builder.header("amtsweg-receipt", receipt);
    }
    let in_part = (!in_header).then_some(parcel.receipt);
    if parcel.attachments.is_empty() && in_part.is_none() {
        let body = Outgoing::from(parcel.document);
        return builder.header(CONTENT_TYPE, parcel.media_type).body(body);
    }
    let boundary = format!("amtsweg-{}", uuid::Uuid::new_v4().simple());
    let kind =
        format!("multipart/related; boundary={boundary}; type=\"application/xml\"; start=\"<document>\"");
    let body = multipart(&boundary, (parcel.media_type, parcel.document), parcel.attachments, in_part);
    builder.header(CONTENT_TYPE, kind).body(body)
}

fn multipart(
    boundary: &str,
    (media, document): (String, Piece),
    attachments: Vec<(DeclaredAttachment, Piece)>,
    receipt: Option<Bytes>,
) -> Outgoing {
    let mut body = Outgoing::empty();
    body.text(format!("--{boundary}\r\nContent-Type: {media}\r\nContent-ID: <document>\r\n\r\n"));
    body.piece(document);
    for (number, (declared, piece)) in attachments.into_iter().enumerate() {
        body.text(format!(
            "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-ID: <attachment-{}>\r\n\
             Content-Disposition: attachment; filename*=UTF-8''{}\r\n\r\n",
            media_type(&declared.media_type),
            number + 1,
            percent(&declared.name),
        ));
        body.piece(piece);
    }
    if let Some(receipt) = receipt {
        body.text(format!(
            "\r\n--{boundary}\r\nContent-Type: application/xml\r\nContent-ID: <receipt>\r\n\r\n"
        ));
        let len = receipt.len() as u64;
        body.piece(Piece { len, chunks: Box::pin(stream::iter([Ok(receipt)])) });
    }
    body.text(format!("\r\n--{boundary}--\r\n"));
    body
}

/// A media type as a header may carry it; anything odd becomes octets.
fn media_type(text: &str) -> &str {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"/+-._;= \"".contains(&c);
    if text.contains('/') && text.len() <= 127 && text.bytes().all(fits) {
        text
    } else {
        "application/octet-stream"
    }
}

/// A file name as RFC 8187 writes it.
fn percent(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

async fn judge(response: Response<Incoming>, id: &MessageId, deadline: Instant) -> Reply {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let patience = deadline.min(Instant::now() + ANSWER_TIME);
    let octets = read_answer(body, patience).await;
    let names_message = head.headers.get(MESSAGE_ID).is_some_and(|named| named == id.as_str())
        || note::contains(&octets, id.as_str().as_bytes());
    let outcome = of_http(HttpAnswer {
        status,
        names_message,
        taken_over: match head.headers.get(TAKEN_OVER).map(HeaderValue::as_bytes) {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        },
        retry_after: retry_after(&head.headers, Timestamp::now()),
    });
    let note = match outcome {
        Outcome::Refused => note::of_answer(head.headers.get(CONTENT_TYPE), &octets),
        _ => String::new(),
    };
    let detail = match status {
        300..=399 => format!("HTTP {status} (redirects are not followed; correct the endpoint's URL)"),
        409 if names_message => "HTTP 409 (it had the message already)".to_owned(),
        _ => format!("HTTP {status}"),
    };
    Reply { note, ..Reply::of(outcome, detail) }
}

/// The first octets of an answer's body; what fails or is late counts as its end.
async fn read_answer(mut body: Incoming, until: Instant) -> Vec<u8> {
    let mut octets = Vec::new();
    while octets.len() < ANSWER {
        let Ok(Some(Ok(frame))) = tokio::time::timeout_at(until, body.frame()).await else { break };
        if let Some(data) = frame.data_ref() {
            octets.extend(data.iter().take(ANSWER - octets.len()));
        }
    }
    octets
}

/// `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX / 2000)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(Timestamp(u64::try_from(date).unwrap_or_default()).since(now))
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, Timestamp(784_111_777_000 - 60_000))
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO), "past");
        assert!(read("99999999999999999999999").unwrap() > Duration::from_secs(1_000_000));
        for odd in ["-1", "soon", "", "1.5"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn names_and_types_cannot_break_out_of_their_headers() {
        assert_eq!(percent("Plan \"A\"\r\nX: ü.pdf"), "Plan%20%22A%22%0D%0AX%3A%20%C3%BC.pdf");
        assert_eq!(media_type("application/pdf"), "application/pdf");
        assert_eq!(media_type("a/b\r\nX: y"), "application/octet-stream");
        assert_eq!(media_type("pdf"), "application/octet-stream");
    }

    #[tokio::test]
    async fn a_multipart_body_has_the_length_it_announces() {
        let piece = |text: &'static str| Piece {
            len: text.len() as u64,
            chunks: Box::pin(stream::iter([Ok(Bytes::from_static(text.as_bytes()))])),
        };
        let declared = DeclaredAttachment {
            name: "plan.pdf".into(),
            media_type: "application/pdf".into(),
            size: 3,
            sha256: crate::domain::Digest::default(),
        };
        let receipt = Some(Bytes::from_static(b"<quittung/>"));
        let body = multipart(
            "B",
            ("application/xml".to_owned(), piece("<antrag/>")),
            vec![(declared, piece("abc"))],
            receipt,
        );
        let announced = body.size_hint().exact().unwrap();
        let octets = body.collect().await.unwrap().to_bytes();
        assert_eq!(octets.len() as u64, announced);
        let text = std::str::from_utf8(&octets).unwrap();
        assert!(text.starts_with(
            "--B\r\nContent-Type: application/xml\r\nContent-ID: <document>\r\n\r\n<antrag/>\r\n--B\r\n"
        ));
        assert!(text.ends_with("Content-ID: <receipt>\r\n\r\n<quittung/>\r\n--B--\r\n"));
        assert!(text.contains("filename*=UTF-8''plan.pdf\r\n\r\nabc\r\n--B"));
    }
}
