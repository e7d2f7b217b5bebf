//! Ways in for the fuzz targets (`tests/fuzz`), there with the feature `fuzzing` and in tests alone.
//! A property that does not hold panics: that is how a fuzzer is told.
//!
//! An input is a line and what follows it: an octet that chooses, an octet that says into pieces of
//! what size the body is cut, a `Content-Type`, a line end, the body.

use std::convert::Infallible;
use std::future::Future;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};

use super::fault::Fault;
use super::names::{META, Operation, Port, XTA};
use super::tree::{self, Element};
use super::{metadata, mime, send, soap};
use crate::error::Code;
use crate::front::body::{Hold, Memory, Share};
use crate::front::multipart::{self, Head, Media, Multipart};

/// Octets of an envelope.
const BOUND: usize = 1 << 20;

struct Input<'i> {
    choice: u8,
    piece: usize,
    content_type: &'i [u8],
    body: &'i [u8],
}

fn taken(octets: &[u8]) -> Option<Input<'_>> {
    let (&[choice, piece], rest) = octets.split_first_chunk()?;
    let mut halves = rest.splitn(2, |&octet| octet == b'\n');
    let (content_type, body) = (halves.next()?, halves.next()?);
    Some(Input { choice, piece: usize::from(piece) + 1, content_type, body })
}

/// A body that comes in pieces.
fn pieces(octets: &[u8], piece: usize) -> Body {
    let pieces = octets.chunks(piece.max(1)).map(Bytes::copy_from_slice);
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>).collect::<Vec<_>>()))
}

/// What is ready at once: the octets are all there.
fn ready<T>(work: impl Future<Output = T>) -> T {
    let done = work.now_or_never();
    assert!(done.is_some(), "the reader waits for octets that are there");
    done.unwrap_or_else(|| unreachable!())
}

type Parts = Vec<(Head, Vec<u8>)>;

fn parts(body: Body, boundary: &str) -> Result<Parts, Code> {
    let mut reader = Multipart::new(body, boundary);
    let mut all = Vec::new();
    ready(async {
        while let Some(head) = reader.next_part().await? {
            let mut content = Vec::new();
            while let Some(chunk) = reader.chunk().await? {
                assert!(!chunk.is_empty(), "an empty chunk");
                content.extend_from_slice(&chunk);
            }
            all.push((head, content));
        }
        Ok(all)
    })
    .map_err(|refusal: crate::error::Refusal| refusal.code)
}

/// The multipart reader: whatever comes, it gives the same parts, or the same refusal, however the body
/// is cut; and no delimiter stays in a content.
pub fn multipart(octets: &[u8]) {
    let Some(input) = taken(octets) else { return };
    let Ok(Media::Related(boundary)) = multipart::media(&String::from_utf8_lossy(input.content_type)) else {
        return;
    };
    let whole = parts(pieces(input.body, input.body.len()), &boundary);
    let cut = parts(pieces(input.body, input.piece), &boundary);
    assert_eq!(whole, cut, "read in one piece and in several");
    let delimiter = format!("\r\n--{boundary}");
    for (_, content) in whole.iter().flatten() {
        let within = content.windows(delimiter.len()).any(|window| window == delimiter.as_bytes());
        assert!(!within && content.len() <= input.body.len(), "a delimiter in a content");
    }
}

/// An envelope, and the parts behind it by their ids.
type Opened = (Bytes, Vec<(String, Vec<u8>)>);

/// What a request holds.
fn opened(media: &mime::Media, body: Body, hold: &Hold) -> Result<Opened, Fault> {
    ready(async {
        let mut message = mime::open(media, body, BOUND, hold).await?;
        let mut all = Vec::new();
        while let Some(id) = message.parts.next().await? {
            let mut content = Vec::new();
            while let Some(chunk) = message.parts.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            all.push((id, content));
        }
        Ok((message.envelope, all))
    })
}

/// XTA's reader of MIME and SOAP, up to metadata and contents of `sendMessage`: it reads the same however
/// the body is cut, each block is written so that it is read as the same, and each fault can be written.
pub fn soap(octets: &[u8]) {
    let Some(input) = taken(octets) else { return };
    let mut headers = HeaderMap::new();
    let Ok(content_type) = HeaderValue::from_bytes(input.content_type) else { return };
    headers.insert(header::CONTENT_TYPE, content_type);
    let Ok(media) = mime::Media::of(&headers) else { return };
    let hold = Memory::new(1 << 30, 1 << 30).hold(Share::default());
    let whole = opened(&media, pieces(input.body, input.body.len()), &hold);
    assert_eq!(whole, opened(&media, pieces(input.body, input.piece), &hold), "in one piece and in several");
    let envelope = match whole {
        Ok((envelope, _)) => envelope,
        Err(fault) => return written(&fault, None),
    };
    let port = match input.choice % 3 {
        0 => Port::Management,
        1 => Port::Send,
        _ => Port::Mailbox,
    };
    let request = match soap::request(&envelope, BOUND, port, media.action.as_deref()) {
        Ok(request) => request,
        Err(bad) => return written(&bad.fault, bad.message_id.as_deref()),
    };
    for block in request.headers.iter().chain(&request.body) {
        written_as_read(block);
    }
    if let Some(Err(fault)) = request.header(META, "MessageMetaData").map(metadata::parse) {
        written(&fault, request.message_id.as_deref());
    }
    if let Ok(Err(fault)) = request.body(XTA, "GenericContentContainer").map(send::contents) {
        written(&fault, request.message_id.as_deref());
    }
}

/// What is written of an element is read as the same.
fn written_as_read(element: &Element) {
    let xml = element.to_xml();
    match tree::read_part(xml.as_bytes(), xml.len()) {
        Ok(again) => assert_eq!(&again, element, "{xml}"),
        Err(refusal) => assert!(refusal.code == Code::OverLimit, "{refusal}: {xml}"),
    }
}

/// A fault is a well-formed envelope, whatever it repeats of the request.
fn written(fault: &Fault, relates_to: Option<&str>) {
    for declared in [&[][..], Operation::SendMessage.exceptions()] {
        let body = fault.to_xml(declared);
        let envelope = soap::envelope(fault.action(), relates_to, &fault.headers(), &body);
        let read = tree::read(envelope.as_bytes(), envelope.len());
        assert!(read.is_ok(), "{read:?}: {envelope}");
    }
}

#[cfg(test)]
mod tests {
    use crate::verify::fuzzing::kept::corpus;

    #[test]
    fn the_corpus_of_the_multipart_reader_is_read() {
        corpus("multipart", super::multipart);
    }

    #[test]
    fn the_corpus_of_the_soap_reader_is_read() {
        corpus("soap", super::soap);
    }
}
