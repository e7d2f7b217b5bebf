//! multipart/related (RFC 2387) in and out, a chunk at a time. Own reader, because a part's head
//! has to be bounded and nothing may be read ahead of what was asked for.

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;

use crate::domain::Record;
use crate::error::{Code, Refusal};
use crate::front::upload::malformed;

/// Octets of one part's head.
const MAX_HEAD: usize = 8 * 1024;
/// Octets before the first part.
const MAX_PREAMBLE: usize = 4 * 1024;

/// What a request's `Content-Type` says about its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// An XML document alone.
    Xml,
    /// Parts with this boundary.
    Related(String),
}

/// Reads a `Content-Type`.
///
/// # Errors
/// AW-0101 for everything but XML and multipart/related with a boundary.
pub(crate) fn media(content_type: &str) -> Result<Media, Refusal> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/xml" | "text/xml" => Ok(Media::Xml),
        "multipart/related" | "multipart/mixed" => {
            boundary(parameters).map(Media::Related).ok_or_else(|| {
                malformed(
                    "the Content-Type names no boundary of 1 to 70 characters; see RFC 2046, section 5.1.1",
                )
            })
        }
        _ => Err(malformed("send application/xml, or multipart/related with the document as the first part")),
    }
}

/// The boundary among a `Content-Type`'s parameters.
pub(crate) fn boundary(parameters: &str) -> Option<String> {
    let value = parameter(parameters, "boundary")?;
    let value = value.trim_end();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(c);
    let good = (1..=70).contains(&value.len()) && value.chars().all(allowed);
    good.then(|| value.to_owned())
}

/// One of a `Content-Type`'s parameters (RFC 2045, section 5.1), the first of its name.
pub(crate) fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = value(after.trim_start())?;
        if name.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.trim_start_matches([' ', ';', '\t']);
    }
    None
}

/// A token or a quoted string, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        return Some((token.trim_end().to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// A part's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its `Content-Length`, where it has one.
    pub length: Option<u64>,
    /// Its `Content-ID` without angle brackets.
    pub id: Option<String>,
    /// Its `Content-Type`.
    pub media: Option<String>,
    /// Its `Content-Transfer-Encoding` in small letters.
    pub encoding: Option<String>,
}

/// Reads the parts of a body.
pub(crate) struct Multipart {
    body: Body,
    buffer: BytesMut,
    delimiter: Vec<u8>,
    in_part: bool,
    ended: bool,
}

impl Multipart {
    pub(crate) fn new(body: Body, boundary: &str) -> Self {
        // The first delimiter has no line end before it when there is no preamble: lend it one.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self {
            body,
            buffer,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            in_part: false,
            ended: false,
        }
    }

    /// The next part's head, `None` after the last. The part before must have been read.
    ///
    /// # Errors
    /// AW-0101 when the parts are not as RFC 2046 has them; what the body says.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Head>, Refusal> {
        if self.ended {
            return Ok(None);
        }
        if !self.in_part {
            self.skip_preamble().await?;
            self.in_part = true;
        }
        // Just after a delimiter: "--" ends it all, else white space, a line end and the head.
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.ended = true;
            return Ok(None);
        }
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            // Where the end may still come within the bound is waited for: what is refused must not
            // depend on how the body was cut on its way.
            if self.buffer.len() >= MAX_HEAD + 4 {
                break self.buffer.len();
            }
            self.more().await?;
        };
        if end > MAX_HEAD {
            return Err(Refusal::new(
                Code::OverLimit,
                format!("a part's head has more than {MAX_HEAD} octets; leave out headers"),
            ));
        }
        let head = self.buffer.split_to(end);
        self.buffer.advance(4);
        parse_head(&head).map(Some)
    }

    /// The next octets of the present part, `None` at its end.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Some(0) => {
                    self.buffer.advance(self.delimiter.len());
                    return Ok(None);
                }
                Some(at) => return Ok(Some(self.buffer.split_to(at).freeze())),
                None => {}
            }
            // What could be the beginning of a delimiter stays.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len());
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            self.more().await?;
        }
    }

    async fn skip_preamble(&mut self) -> Result<(), Refusal> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Some(at) if at <= MAX_PREAMBLE => {
                    self.buffer.advance(at + self.delimiter.len());
                    return Ok(());
                }
                None if self.buffer.len() < MAX_PREAMBLE + self.delimiter.len() => self.more().await?,
                _ => return Err(malformed("the boundary of the Content-Type does not come in the body")),
            }
        }
    }

    async fn more(&mut self) -> Result<(), Refusal> {
        match next_data(&mut self.body).await? {
            Some(data) => self.buffer.extend_from_slice(&data),
            None => return Err(malformed("the body ends before its last boundary; send it again whole")),
        }
        Ok(())
    }
}

/// The next octets of a body, `None` at its end.
///
/// # Errors
/// The refusal of a body that is too slow, too large or broken.
pub(crate) async fn next_data(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.into_inner().downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(_) => malformed("the request ended early; send it again whole"),
        })?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The first place of `needle`; looks for its first octet, which is rare in most contents.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let rest = haystack.get(from..)?;
        let at = from + rest.iter().position(|&octet| octet == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn parse_head(head: &[u8]) -> Result<Head, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| malformed("a part's head is not UTF-8"))?;
    let mut parsed = Head::default();
    let (padding, lines) = text.split_once("\r\n").unwrap_or((text, ""));
    if !padding.trim_matches([' ', '\t']).is_empty() {
        return Err(malformed("a line that begins like the boundary goes on; choose another boundary"));
    }
    for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed("a part's head has a line without a colon"))?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-length" => {
                let length = value.parse();
                parsed.length = Some(length.map_err(|_| malformed("a part's Content-Length is no number"))?);
            }
            "content-id" => {
                let bare = value.strip_prefix('<').and_then(|v| v.strip_suffix('>')).unwrap_or(value);
                parsed.id = Some(bare.to_owned());
            }
            "content-type" => parsed.media = Some(value.to_owned()),
            "content-transfer-encoding" => parsed.encoding = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    Ok(parsed)
}

/// The frame around a stored message going out: the heads between its contents.
pub(super) struct Outline {
    /// The value of `Content-Type`.
    pub content_type: String,
    /// What comes before the document, and before each attachment.
    pub heads: Vec<String>,
    /// What comes after the last content.
    pub end: String,
    /// Octets of everything, contents included.
    pub length: u64,
}

impl Outline {
    pub(super) fn new(record: &Record) -> Self {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut heads = vec![format!(
            "--{boundary}\r\nContent-Type: {}\r\nContent-ID: <document>\r\nContent-Length: {}\r\n\r\n",
            record.media_type(),
            record.document.len
        )];
        for (number, attachment) in record.attachments.iter().enumerate() {
            let declared = &attachment.declared;
            heads.push(format!(
                "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-ID: <attachment-{}>\r\n\
                 Content-Disposition: attachment; filename*=UTF-8''{}\r\nContent-Length: {}\r\n\r\n",
                header_text(&declared.media_type),
                number + 1,
                percent(&declared.name),
                attachment.content.len
            ));
        }
        let end = format!("\r\n--{boundary}--\r\n");
        let contents = record.attachments.iter().map(|a| a.content.len).sum::<u64>() + record.document.len;
        let length = contents + heads.iter().map(|head| head.len() as u64).sum::<u64>() + end.len() as u64;
        let content_type =
            format!("multipart/related; type=\"application/xml\"; start=\"<document>\"; boundary={boundary}");
        Self { content_type, heads, end, length }
    }
}

/// What may stand in a header's value; the media type comes from the document.
pub(crate) fn header_text(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect()
}

/// A name as RFC 8187 writes it.
fn percent(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&b);
    let mut out = String::new();
    for octet in name.bytes() {
        if plain(octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
