//! `sendMessage`: the order's metadata, then its contents as they come, then intake.

use std::collections::HashMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use super::State;
use super::fault::Fault;
use super::metadata::{self, Kept, Metadata};
use super::mime::{Parts, content_id};
use super::names::{META, XOP, XTA};
use super::soap::Request;
use super::tree::Element;
use crate::domain::{DeclaredAttachment, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::front::body::append;
use crate::front::gate::Caller;
use crate::intake::order::TransportOrder;
use crate::intake::store_refusal;
use crate::store::{StageWriter, Staged};
use crate::verify::order::Ordered;

/// Characters of base64 that are decoded at once: a multiple of four.
const PIECE: usize = 64 * 1024;
/// Attributes of a content that are kept and given back.
const KEPT: [&str; 6] = ["contentDescription", "contentType", "encoding", "filename", "id", "lang"];
/// Characters of such an attribute.
const MAX_ATTRIBUTE: usize = 1_000;

/// One content of the container: where it comes from, and its attributes.
pub(super) struct Content {
    source: Source,
    attributes: Vec<(String, String)>,
}

enum Source {
    Part(String),
    Inline(String),
}

impl Content {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Takes an order in.
///
/// # Errors
/// The operation's faults.
pub(super) async fn send(
    state: &State,
    caller: &Caller,
    request: Request,
    parts: Parts,
) -> Result<(), Fault> {
    caller.require(Role::Portal)?;
    let block = request
        .header(META, "MessageMetaData")
        .ok_or_else(|| Fault::Numbered(9020, "the header block MessageMetaData is missing".to_owned()))?;
    let Metadata { id, header, mut terms } = metadata::parse(block)?;
    let words = block.to_xml();
    if words.len() > metadata::MAX_METADATA {
        return Err(Fault::Numbered(9023, "MessageMetaData is too large".to_owned()));
    }
    let account = &caller.entry.account;
    if !account.is(&header.author) {
        let words = format!("the account {} may not write as {}", account.name, header.author);
        return Err(Refusal::new(Code::NotEntitled, words).into());
    }
    let intake = &state.core.parts.intake;
    if !intake.named_here(&id) {
        let words = "the MessageID is not one of this gateway; ask for one with createMessageId";
        return Err(Fault::Numbered(9022, words.to_owned()));
    }
    if terms.obsolete(Timestamp::now()) {
        return Err(Fault::Numbered(9022, "the day of ObsoleteAfter has passed".to_owned()));
    }
    if state.core.parts.read.get(&id).await.map_err(store_refusal)?.is_some() {
        return Err(used());
    }
    caller.entry.submit(Instant::now())?;
    let contents = contents(request.body(XTA, "GenericContentContainer")?)?;
    let most = state.core.parts.limits.attachments;
    if contents.len() > most + 1 {
        return Err(Refusal::new(Code::OverLimit, format!("a message has at most {most} attachments")).into());
    }
    let (payload, staged) = Collector { state, caller, total: 0 }.collect(&contents, parts).await?;
    let media_type = contents.first().and_then(|c| c.attribute("contentType")).unwrap_or_default().to_owned();
    let attachments = declared(&contents, &staged);
    let kept = Kept { metadata: words, parts: contents.into_iter().map(|c| c.attributes).collect() };
    let envelope =
        serde_json::to_vec(&kept).map_err(|_| Fault::Numbered(9030, "the order can't be kept".to_owned()))?;
    if envelope.len() as u64 > metadata::MAX_ENVELOPE {
        return Err(Fault::Numbered(9023, "metadata and attributes are too large".to_owned()));
    }
    let policy = state.settings.policy(&account.name, &header.type_code);
    let xml = is_xml(&media_type);
    terms.media_type = media_type;
    let ordered = Ordered { account: account.name.clone(), header, attachments, xml, policy };
    let order = TransportOrder { id, ordered, envelope: envelope.into(), terms };
    intake.accept_order(account, payload, staged, order).await?;
    Ok(())
}

fn used() -> Fault {
    Fault::Refused(Refusal::new(
        Code::IdUsed,
        "a message with this MessageID was accepted before; ask for its report, or for a new id with createMessageId",
    ))
}

/// Whether a media type is one of XML (RFC 7303).
fn is_xml(media: &str) -> bool {
    let kind = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/xml" | "text/xml") || kind.ends_with("+xml")
}

/// Message and attachments of the container.
pub(super) fn contents(body: &Element) -> Result<Vec<Content>, Fault> {
    let Some(container) = body.child(XTA, "ContentContainer") else {
        return Err(Fault::Numbered(
            9022,
            "the GenericContentContainer has no ContentContainer; encrypted containers are not taken here"
                .to_owned(),
        ));
    };
    let mut all = Vec::new();
    for (number, element) in container.elements().enumerate() {
        let name = if number == 0 { "Message" } else { "Attachment" };
        if !element.is(XTA, name) {
            return Err(Fault::Numbered(
                9022,
                "a ContentContainer holds one Message, then Attachments".to_owned(),
            ));
        }
        all.push(content(element)?);
    }
    if all.is_empty() {
        return Err(Fault::Numbered(9020, "the ContentContainer has no Message".to_owned()));
    }
    Ok(all)
}

fn content(element: &Element) -> Result<Content, Fault> {
    let kept = |name: &&str| {
        let value = element.attribute(name).filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), value.chars().take(MAX_ATTRIBUTE).collect()))
    };
    let attributes: Vec<(String, String)> = KEPT.iter().filter_map(kept).collect();
    if !attributes.iter().any(|(name, _)| name == "contentType") {
        return Err(Fault::Numbered(9022, format!("{} needs the attribute contentType", element.local())));
    }
    let mut children = element.elements();
    let source = match children.next() {
        None => Source::Inline(element.text()),
        Some(include)
            if include.is(XOP, "Include") && children.next().is_none() && element.text().is_empty() =>
        {
            let id = include.attribute("href").and_then(content_id);
            Source::Part(
                id.ok_or_else(|| Fault::Sender("an xop:Include names no part (href=\"cid:…\")".to_owned()))?,
            )
        }
        Some(_) => return Err(Fault::Sender("a content is base64 or one xop:Include".to_owned())),
    };
    Ok(Content { source, attributes })
}

/// The attachments as they came.
fn declared(contents: &[Content], staged: &[Staged]) -> Vec<DeclaredAttachment> {
    let attachments = contents.iter().skip(1).zip(staged).zip(1_usize..);
    let one = |((content, staged), number): ((&Content, &Staged), usize)| {
        let plain = |c: &char| !c.is_control() && !matches!(c, '/' | '\\');
        let name: String =
            content.attribute("filename").unwrap_or_default().chars().filter(plain).take(250).collect();
        let name = name.trim_start_matches('.');
        DeclaredAttachment {
            name: if name.is_empty() { format!("anlage-{number}") } else { name.to_owned() },
            media_type: content.attribute("contentType").unwrap_or_default().to_owned(),
            size: staged.len,
            sha256: staged.sha256,
        }
    };
    attachments.map(one).collect()
}

/// Collects the payload in memory and the attachments in the store's staging.
struct Collector<'a> {
    state: &'a State,
    caller: &'a Caller,
    total: u64,
}

impl Collector<'_> {
    async fn collect(
        mut self,
        contents: &[Content],
        mut parts: Parts,
    ) -> Result<(Bytes, Vec<Staged>), Fault> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut found: Vec<Option<Staged>> = Vec::new();
        found.resize_with(contents.len(), || None);
        let mut payload = None;
        for (number, content) in contents.iter().enumerate() {
            match &content.source {
                Source::Part(id) => {
                    if places.insert(id, number).is_some() {
                        return Err(Fault::Sender("two contents refer to the same part".to_owned()));
                    }
                }
                Source::Inline(text) if number == 0 => payload = Some(self.inline_payload(text)?),
                Source::Inline(text) => {
                    let staged = self.inline(text).await?;
                    if let Some(place) = found.get_mut(number) {
                        *place = Some(staged);
                    }
                }
            }
        }
        while let Some(id) = parts.next().await? {
            let Some(number) = places.remove(id.as_str()) else {
                return Err(Fault::Sender("a part is referred to by nothing, or comes twice".to_owned()));
            };
            if number == 0 {
                payload = Some(self.payload(&mut parts).await?);
                continue;
            }
            let staged = self.part(&mut parts).await?;
            if let Some(place) = found.get_mut(number) {
                *place = Some(staged);
            }
        }
        let lacking = || Fault::Sender("a content refers to a part that has not come".to_owned());
        if !places.is_empty() {
            return Err(lacking());
        }
        let staged: Option<Vec<Staged>> = found.into_iter().skip(1).collect();
        Ok((payload.ok_or_else(lacking)?, staged.ok_or_else(lacking)?))
    }

    /// Counts octets against the account's bound.
    fn add(&mut self, octets: usize) -> Result<(), Refusal> {
        self.total = self.total.saturating_add(octets as u64);
        let bound = self.caller.entry.account.quota.message_octets;
        if self.total > bound {
            let words =
                format!("the account may send messages of at most {bound} octets; ask the operator for more");
            return Err(Refusal::new(Code::OverLimit, words));
        }
        Ok(())
    }

    /// Appends a piece to the payload, within its bound and the memory for documents.
    fn grow(&self, payload: &mut BytesMut, piece: &[u8]) -> Result<(), Refusal> {
        let bound = self.state.core.parts.limits.document_octets;
        if (payload.len() + piece.len()) as u64 > bound {
            let words =
                format!("the message has more than {bound} octets; send large contents as attachments");
            return Err(Refusal::new(Code::OverLimit, words));
        }
        self.caller.hold.take(piece.len())?;
        append(payload, piece, bound);
        Ok(())
    }

    async fn payload(&mut self, parts: &mut Parts) -> Result<Bytes, Fault> {
        let mut payload = BytesMut::new();
        while let Some(chunk) = parts.chunk().await? {
            self.add(chunk.len())?;
            self.grow(&mut payload, &chunk)?;
        }
        Ok(payload.freeze())
    }

    fn inline_payload(&mut self, text: &str) -> Result<Bytes, Fault> {
        let mut payload = BytesMut::new();
        for piece in pieces(text) {
            let octets = decoded(&piece)?;
            self.add(octets.len())?;
            self.grow(&mut payload, &octets)?;
        }
        Ok(payload.freeze())
    }

    async fn stage(&self) -> Result<Box<dyn StageWriter>, Refusal> {
        let bound = self.state.core.parts.limits.attachment_octets;
        self.state.core.parts.accept.stage(bound).await.map_err(store_refusal)
    }

    async fn part(&mut self, parts: &mut Parts) -> Result<Staged, Fault> {
        let mut writer = self.stage().await?;
        let mut held = 0;
        while let Some(chunk) = parts.chunk().await? {
            self.add(chunk.len())?;
            // Small contents stay in memory until they are accepted; beyond, they go to disk.
            let more = chunk.len().min(PIECE.saturating_sub(held));
            self.caller.hold.take(more)?;
            held += more;
            writer.write(chunk).await.map_err(store_refusal)?;
        }
        Ok(writer.finish().await.map_err(store_refusal)?)
    }

    async fn inline(&mut self, text: &str) -> Result<Staged, Fault> {
        let mut writer = self.stage().await?;
        for piece in pieces(text) {
            let octets = decoded(&piece)?;
            self.add(octets.len())?;
            writer.write(octets.into()).await.map_err(store_refusal)?;
        }
        Ok(writer.finish().await.map_err(store_refusal)?)
    }
}

/// Base64 without white space, in pieces that can be decoded one by one.
fn pieces(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let mut octets = text.bytes().filter(|octet| !octet.is_ascii_whitespace());
    std::iter::from_fn(move || {
        let piece: Vec<u8> = octets.by_ref().take(PIECE).collect();
        (!piece.is_empty()).then_some(piece)
    })
}

fn decoded(piece: &[u8]) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(piece).map_err(|_| Fault::Sender("a content is no base64".to_owned()))
}
