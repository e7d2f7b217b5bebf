//! `MessageMetaData` of an order that comes in: what the gateway reads in it (OSCI message metadata
//! 2.02, as XTA 2.1.1 uses it).

use super::fault::Fault;
use super::names::{META, WSA};
use super::tree::Element;
use crate::domain::order::MAX_RELATES;
use crate::domain::{Ars, Header, Identifier, MessageId, ServiceKey, Terms};
pub(crate) use crate::xta::metadata::{
    Kept, MAX_ENVELOPE, MAX_METADATA, PLACEHOLDER, date, given_back, timestamp,
};

/// Characters of a value that goes into a record.
const MAX_VALUE: usize = 500;
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
