//! `MessageMetaData`: what the gateway reads in it, how it is kept, and how it is given back
//! (OSCI message metadata 2.02, as XTA 2.1.1 uses it).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::names::{META, WSA};
use super::tree::{self, Attribute, Element, Node};
use crate::domain::order::MAX_RELATES;
use crate::domain::{
    Ars, FactKind, Header, Identifier, MessageId, Record, ServiceKey, Terms, Timestamp, Way,
};

/// Octets of the metadata; real ones have some thousand.
pub(crate) const MAX_METADATA: usize = 256 * 1024;
/// Octets of a kept envelope.
pub(crate) const MAX_ENVELOPE: u64 = 1 << 20;
/// Characters of a value that goes into a record.
const MAX_VALUE: usize = 500;
/// The prefix of a reader that is none: it names an area, and whoever is competent there is meant.
const PLACEHOLDER: &str = "ars";
/// Delivery attributes that stand before those of the mailbox.
const BEFORE: [&str; 4] = ["Origin", "InitialSend", "NotBefore", "ObsoleteAfter"];

/// What an order says.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// The message's name.
    pub id: MessageId,
    /// Routing data; namespace and root are the payload's to say.
    pub header: Header,
    /// What the gateway acts on.
    pub terms: Terms,
}

/// A transport order's own words, kept with its message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The metadata as the author wrote it.
    pub metadata: String,
    /// The attributes of message and attachments, in order.
    pub parts: Vec<Vec<(String, String)>>,
}

fn invalid(words: impl Into<String>) -> Fault {
    Fault::Numbered(9022, words.into())
}

fn missing(path: &[&str]) -> Fault {
    Fault::Numbered(9020, format!("MessageMetaData lacks {}; fill it in", path.join("/")))
}

fn required(block: &Element, path: &[&str]) -> Result<String, Fault> {
    let text = block.at(META, path).map(Element::text).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| missing(path))?;
    if text.chars().count() > MAX_VALUE {
        return Err(invalid(format!("{} has more than {MAX_VALUE} characters", path.join("/"))));
    }
    Ok(text)
}

/// Reads the header block of `sendMessage`.
///
/// # Errors
/// 9020 for what is missing, 9021 for an id that is none, 9022 for what is wrong.
pub(crate) fn parse(block: &Element) -> Result<Metadata, Fault> {
    ordered(block)?;
    let party = |path: &[&str]| -> Result<Identifier, Fault> {
        let text = required(block, path)?;
        let typed = block.at(META, path).and_then(|e| e.attribute("type")).is_some_and(|t| !t.is_empty());
        if !typed {
            return Err(invalid(format!("{} needs the attribute type", path.join("/"))));
        }
        text.parse().map_err(|e: crate::domain::identifier::Malformed| {
            invalid(format!("{}: {}", path.join("/"), e.rule))
        })
    };
    let author = party(&["Originators", "Author", "Identifier"])?;
    let reader = party(&["Destinations", "Reader", "Identifier"])?;
    let id = message_id(block)?;
    let service = required(block, &["Qualifier", "Service"])?;
    let kind = block
        .at(META, &["Qualifier", "MessageType"])
        .ok_or_else(|| missing(&["Qualifier", "MessageType"]))?;
    let code = code_of(kind).ok_or_else(|| missing(&["Qualifier", "MessageType", "code"]))?;
    for name in ["payloadSchema", "listURI", "listVersionID"] {
        if kind.attribute(name).is_none_or(|value| value.is_empty() && name != "listVersionID") {
            return Err(invalid(format!("Qualifier/MessageType needs the attribute {name}")));
        }
    }
    if block.at(META, &["Qualifier", "BusinessScenario"]).and_then(|e| e.elements().next()).is_none() {
        return Err(missing(&["Qualifier", "BusinessScenario"]));
    }
    let attributes =
        block.child(META, "DeliveryAttributes").ok_or_else(|| missing(&["DeliveryAttributes"]))?;
    let created = attributes.child(META, "Origin").map(Element::text);
    let uuid = id.as_str().rsplit(':').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let (reader, service_key, area) = destination(reader, &service)?;
    let header = Header {
        namespace: String::new(),
        root: String::new(),
        standard: String::new(),
        version: String::new(),
        type_code: code,
        uuid,
        created: created.unwrap_or_default(),
        author,
        reader,
        service: service_key,
        area,
        date: None,
        test: matches!(block.attribute("TestMsg"), Some("true" | "1")),
    };
    Ok(Metadata { id, header, terms: terms(block, attributes)? })
}

/// The five blocks in their order, each once; what is behind them is optional.
fn ordered(block: &Element) -> Result<(), Fault> {
    const BLOCKS: [&str; 7] = [
        "DeliveryAttributes",
        "Originators",
        "Destinations",
        "MsgIdentification",
        "Qualifier",
        "MessageProperties",
        "MsgSize",
    ];
    let mut at = 0;
    for element in block.elements() {
        let place = BLOCKS.iter().position(|name| element.is(META, name));
        match place {
            Some(place) if place >= at => at = place + 1,
            _ => {
                let name: String = element.local().chars().take(60).collect();
                return Err(invalid(format!("MessageMetaData must not have {name} at this place")));
            }
        }
    }
    Ok(())
}

fn message_id(block: &Element) -> Result<MessageId, Fault> {
    let path = ["MsgIdentification", "MessageID"];
    let found = block.child(META, "MsgIdentification").and_then(|e| e.child(WSA, "MessageID"));
    let text = found.map(Element::text).filter(|text| !text.is_empty()).ok_or_else(|| missing(&path))?;
    text.parse().map_err(|_| {
        Fault::Numbered(
            9021,
            "the MessageID is none of this gateway; ask for one with createMessageId".to_owned(),
        )
    })
}

/// The unqualified `code` of a code element; some clients qualify it.
fn code_of(element: &Element) -> Option<String> {
    let code = element.elements().find(|child| child.local() == "code")?;
    Some(code.text().chars().take(MAX_VALUE).collect::<String>()).filter(|text| !text.is_empty())
}

/// The service key (LeiKa/FIM) at the end of a service URI.
pub(crate) fn service_key(uri: &str) -> Option<ServiceKey> {
    uri.rsplit([':', '/', '#']).next()?.parse().ok()
}

/// A reader, or a service and an area.
type Destination = (Option<Identifier>, Option<ServiceKey>, Option<Ars>);

/// The reader, or, where it is a placeholder, service and area to look it up by.
fn destination(reader: Identifier, service: &str) -> Result<Destination, Fault> {
    let Some((PLACEHOLDER, area)) = reader.as_str().split_once(':') else {
        return Ok((Some(reader), None, None));
    };
    let area = area.parse().map_err(|_| invalid("the reader ars:… must end with an area key (ARS)"))?;
    let key = service_key(service).ok_or_else(|| {
        invalid("for a reader ars:… the Service must end with a service key of 14 digits, e.g. urn:de:fim:leika:leistung:99102013104000")
    })?;
    Ok((None, Some(key), Some(area)))
}

fn terms(block: &Element, attributes: &Element) -> Result<Terms, Fault> {
    for name in ["Origin", "InitialSend"] {
        if let Some(element) = attributes.child(META, name) {
            timestamp(&element.text()).ok_or_else(|| invalid(format!("{name} is no xs:dateTime")))?;
        }
    }
    let not_before = attributes.child(META, "NotBefore").map(Element::text);
    let not_before = not_before
        .map(|text| timestamp(&text).ok_or_else(|| invalid("NotBefore is no xs:dateTime")))
        .transpose()?;
    let obsolete = attributes.child(META, "ObsoleteAfter").map(Element::text);
    let obsolete_after =
        obsolete.map(|text| date(&text).ok_or_else(|| invalid("ObsoleteAfter is no xs:date"))).transpose()?;
    let relates = block.child(META, "MsgIdentification").into_iter().flat_map(Element::elements);
    let relates = relates.filter(|element| element.is(META, "In-Reply-To")).map(Element::text);
    let relates_to = relates.take(MAX_RELATES).map(|text| text.chars().take(MAX_VALUE).collect()).collect();
    Ok(Terms { media_type: String::new(), not_before, obsolete_after, relates_to })
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
fn date(text: &str) -> Option<Date> {
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

fn set_times(attributes: &mut Element, record: &Record) {
    let ours = |node: &Node| match node {
        Node::Element(e) => ["Delivery", "InitialFetch", "Reception"].iter().any(|name| e.is(META, name)),
        Node::Text(_) => false,
    };
    attributes.children.retain(|node| !ours(node));
    let before = |node: &Node| match node {
        Node::Element(e) => BEFORE.iter().any(|name| e.is(META, name)),
        Node::Text(_) => false,
    };
    let place = attributes.children.iter().take_while(|node| before(node)).count();
    let prefix = attributes.qname.split_once(':').map_or(String::new(), |(prefix, _)| format!("{prefix}:"));
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
    let attribute = |name: &str, value: &str| Attribute {
        qname: name.to_owned(),
        namespace: String::new(),
        value: value.to_owned(),
    };
    let party = |id: &str| {
        let mut identifier = Element::new("meta:Identifier", META).with_text(id);
        identifier.attributes.push(attribute("type", "xoev"));
        identifier
    };
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
