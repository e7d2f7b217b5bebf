//! `MessageMetaData`: how it is kept, given back and passed on, and what stands there for messages that
//! came without (OSCI message metadata 2.02, as XTA 2.1.1 uses it).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::names::{META, WSA};
use super::tree::{self, Attribute, Element, Node};
use crate::domain::{FactKind, Identifier, Record, Timestamp, Way};

/// Octets of the metadata; real ones have some thousand.
pub(crate) const MAX_METADATA: usize = 256 * 1024;
/// Octets of a kept envelope.
pub(crate) const MAX_ENVELOPE: u64 = 1 << 20;
/// The prefix of a reader that is none: it names an area, and whoever is competent there is meant.
pub(crate) const PLACEHOLDER: &str = "ars";
/// Delivery attributes that stand before those of the mailbox.
const BEFORE: [&str; 4] = ["Origin", "InitialSend", "NotBefore", "ObsoleteAfter"];

/// A transport order's own words, kept with its message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The metadata as the author wrote it.
    pub metadata: String,
    /// The attributes of message and attachments, in order.
    pub parts: Vec<Vec<(String, String)>>,
}

/// An `xs:dateTime`; one without a zone is taken as UTC.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    text.contains('T').then(|| Timestamp(u64::try_from(at.as_millisecond()).unwrap_or_default()))
}

/// An `xs:date`; its zone is not looked at.
pub(crate) fn date(text: &str) -> Option<Date> {
    let (day, zone) = text.split_at_checked(10)?;
    let zoned = zone.is_empty() || zone == "Z" || (zone.len() == 6 && zone.starts_with(['+', '-']));
    day.parse().ok().filter(|_| zoned)
}

/// The metadata of a message as it is given back: the author's words, with the times that the
/// gateway sets in place of any that came (XTA 2.1.1: Delivery, InitialFetch, Reception).
pub(crate) fn given_back(record: &Record, kept: Option<&Kept>) -> Element {
    let own = kept.and_then(|kept| tree::read_part(kept.metadata.as_bytes(), MAX_METADATA).ok());
    let mut metadata = own.unwrap_or_else(|| made_up(record));
    for node in &mut metadata.children {
        if let Node::Element(element) = node
            && element.is(META, "DeliveryAttributes")
        {
            set_times(element, record);
        }
    }
    metadata
}

/// What the gateway says in metadata that it passes on to another XTA server.
pub(crate) struct Forwarding<'a> {
    /// The name that the other server gave for the message.
    pub id: &'a str,
    /// As whom the gateway sends there, in place of the message's author.
    pub author: Option<&'a Identifier>,
    /// For whom it sends there, in place of the reader that the route found.
    pub reader: Option<&'a Identifier>,
    /// The gateway's own identifier.
    pub sender: &'a Identifier,
}

/// The metadata of a message for another XTA server: the author's words, with that server's name for the
/// message, and the gateway as the sending node (`Sender`, `InitialSend`) where no other stands there. The
/// times of the mailbox are left for that server to set. A reader that is a placeholder becomes the one
/// that the route found.
pub(crate) fn passed_on(record: &Record, kept: Option<&Kept>, to: &Forwarding<'_>) -> Element {
    let mut metadata = given_back(record, kept);
    let reader = to.reader.unwrap_or(&record.placement.reader);
    for element in elements(&mut metadata) {
        match element.local() {
            "DeliveryAttributes" => sent(element, record),
            "Originators" => {
                if let (Some(author), Some(identifier)) = (to.author, identifier_of(element, "Author")) {
                    set_text(identifier, author.as_str());
                }
                name_sender(element, to.sender);
            }
            "Destinations" => {
                if let Some(identifier) = identifier_of(element, "Reader") {
                    let placeholder =
                        identifier.text().split_once(':').is_some_and(|(p, _)| p == PLACEHOLDER);
                    if to.reader.is_some() || placeholder {
                        set_text(identifier, reader.as_str());
                    }
                }
            }
            "MsgIdentification" => {
                if let Some(id) = elements(element).find(|e| e.is(WSA, "MessageID")) {
                    set_text(id, to.id);
                }
            }
            _ => {}
        }
    }
    metadata
}

/// The child elements, to be changed.
fn elements(element: &mut Element) -> impl Iterator<Item = &mut Element> {
    element.children.iter_mut().filter_map(|node| match node {
        Node::Element(element) => Some(element),
        Node::Text(_) => None,
    })
}

fn set_text(element: &mut Element, text: &str) {
    element.children = vec![Node::Text(text.to_owned())];
}

fn identifier_of<'a>(parties: &'a mut Element, party: &str) -> Option<&'a mut Element> {
    let party = elements(parties).find(|e| e.is(META, party))?;
    elements(party).find(|e| e.is(META, "Identifier"))
}

/// The prefix of an element's name, with its colon.
fn prefix(element: &Element) -> String {
    element.qname.split_once(':').map_or(String::new(), |(prefix, _)| format!("{prefix}:"))
}

/// Takes out the times of the mailbox, and puts in when the sending node sent it.
fn sent(attributes: &mut Element, record: &Record) {
    attributes.children.retain(|node| !of_mailbox(node));
    if attributes.child(META, "InitialSend").is_none() {
        let at = record.changed_at.to_string();
        let element = Element::new(&format!("{}InitialSend", prefix(attributes)), META).with_text(at);
        let place = usize::from(attributes.child(META, "Origin").is_some());
        attributes.children.insert(place.min(attributes.children.len()), Node::Element(element));
    }
}

/// The gateway as `Sender`, behind the author, unless another node stands there.
fn name_sender(originators: &mut Element, sender: &Identifier) {
    if originators.child(META, "Sender").is_some() {
        return;
    }
    let prefix = prefix(originators);
    let mut element = Element::new(&format!("{prefix}Sender"), META);
    element.children.push(Node::Element(party(&prefix, sender.as_str())));
    let author = |node: &Node| matches!(node, Node::Element(e) if e.is(META, "Author"));
    let place = originators.children.iter().position(author).map_or(0, |at| at + 1);
    originators.children.insert(place, Node::Element(element));
}

/// A party's identifier.
fn party(prefix: &str, id: &str) -> Element {
    let mut identifier = Element::new(&format!("{prefix}Identifier"), META).with_text(id);
    identifier.attributes.push(attribute("type", "xoev"));
    identifier
}

fn attribute(name: &str, value: &str) -> Attribute {
    Attribute { qname: name.to_owned(), namespace: String::new(), value: value.to_owned() }
}

/// Whether it is a time that a mailbox sets.
fn of_mailbox(node: &Node) -> bool {
    match node {
        Node::Element(e) => ["Delivery", "InitialFetch", "Reception"].iter().any(|name| e.is(META, name)),
        Node::Text(_) => false,
    }
}

fn set_times(attributes: &mut Element, record: &Record) {
    attributes.children.retain(|node| !of_mailbox(node));
    let before = |node: &Node| match node {
        Node::Element(e) => BEFORE.iter().any(|name| e.is(META, name)),
        Node::Text(_) => false,
    };
    let place = attributes.children.iter().take_while(|node| before(node)).count();
    let prefix = prefix(attributes);
    let first = |kind| record.facts.iter().find(|fact| fact.kind == kind).map(|fact| fact.at);
    let delivered = match record.placement.way {
        Way::Pull => Some(record.starts(record.accepted_at)),
        Way::Push => first(FactKind::Delivered),
    };
    let times = [
        ("Delivery", delivered),
        ("InitialFetch", first(FactKind::Leased)),
        ("Reception", first(FactKind::Closed)),
    ];
    let elements = times.into_iter().filter_map(|(name, at)| {
        let at = at?;
        Some(Node::Element(Element::new(&format!("{prefix}{name}"), META).with_text(at.to_string())))
    });
    let elements: Vec<Node> = elements.collect();
    attributes.children.splice(place..place, elements);
}

/// Metadata for a message that came without: by gRPC or as XML over HTTPS.
fn made_up(record: &Record) -> Element {
    let header = &record.header;
    let element = |name: &str, children: Vec<Element>| {
        let mut element = Element::new(&format!("meta:{name}"), META);
        element.children = children.into_iter().map(Node::Element).collect();
        element
    };
    let party = |id: &str| party("meta:", id);
    let mut attributes = element("DeliveryAttributes", Vec::new());
    if timestamp(&header.created).is_some() {
        let origin = Element::new("meta:Origin", META).with_text(header.created.clone());
        attributes.children.push(Node::Element(origin));
    }
    let service = header.service.as_ref().map_or_else(
        || "urn:amtsweg:dienst:unbestimmt".to_owned(),
        |key| format!("urn:de:fim:leika:leistung:{key}"),
    );
    let scenario = if header.standard.is_empty() { "unbestimmt" } else { &header.standard };
    let undefined = Element::new("meta:Undefined", META).with_text(scenario);
    let mut kind = element("MessageType", vec![Element::new("code", "").with_text(header.type_code.clone())]);
    kind.attributes = vec![
        attribute(
            "payloadSchema",
            if header.namespace.is_empty() { "urn:amtsweg:schema:unbestimmt" } else { &header.namespace },
        ),
        attribute("listURI", "urn:amtsweg:codeliste:nachrichtentyp"),
        attribute("listVersionID", "1"),
    ];
    let mut id = Element::new("wsa:MessageID", WSA).with_text(record.id.to_string());
    id.declared.push(("wsa".to_owned(), WSA.to_owned()));
    let mut metadata = element(
        "MessageMetaData",
        vec![
            attributes,
            element("Originators", vec![element("Author", vec![party(header.author.as_str())])]),
            element("Destinations", vec![element("Reader", vec![party(record.placement.reader.as_str())])]),
            element("MsgIdentification", vec![id]),
            element(
                "Qualifier",
                vec![
                    Element::new("meta:Service", META).with_text(service),
                    element("BusinessScenario", vec![undefined]),
                    kind,
                ],
            ),
        ],
    );
    if header.test {
        metadata.attributes.push(attribute("TestMsg", "true"));
    }
    metadata.declared.push(("meta".to_owned(), META.to_owned()));
    metadata
}
