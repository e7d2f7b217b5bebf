//! The SOAP 1.2 envelope: what it asks for, and what must be understood (SOAP 1.2, part 1, sections 2
//! and 5; WS-Addressing 1.0 SOAP binding).

use super::fault::Fault;
use super::names::{META, OSCI, Operation, Port, SOAP, SOAP_11, WSA, WSSE};
use super::tree::{self, Element};
use crate::xml::escaped;
use crate::xta::ANONYMOUS;

const NEXT: &str = "http://www.w3.org/2003/05/soap-envelope/role/next";
const ULTIMATE: &str = "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver";
/// Characters of a message id that is repeated in the answer.
const MAX_ID: usize = 500;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What is asked for.
    pub operation: Operation,
    /// The request's own id (`wsa:MessageID`), for `wsa:RelatesTo`.
    pub message_id: Option<String>,
    /// Header blocks.
    pub headers: Vec<Element>,
    /// The body's element.
    pub body: Option<Element>,
}

impl Request {
    /// A header block.
    pub(crate) fn header(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.headers.iter().find(|block| block.is(namespace, name))
    }

    /// The body's element, of this name.
    ///
    /// # Errors
    /// The sender's fault when it is missing or another one.
    pub(crate) fn body(&self, namespace: &str, name: &str) -> Result<&Element, Fault> {
        let fault =
            || Fault::Sender(format!("the body of this operation is one element {name} of {namespace}"));
        self.body.as_ref().filter(|body| body.is(namespace, name)).ok_or_else(fault)
    }
}

/// Why an envelope is no request, and whom to answer.
#[derive(Debug)]
pub(crate) struct Bad {
    /// The fault.
    pub fault: Fault,
    /// The request's own id, as far as it could be read.
    pub message_id: Option<String>,
}

impl From<Fault> for Bad {
    fn from(fault: Fault) -> Self {
        Self { fault, message_id: None }
    }
}

/// Reads an envelope for `port`; `http_action` is what the transport says.
///
/// # Errors
/// The fault to answer with.
pub(crate) fn request(
    octets: &[u8],
    bound: usize,
    port: Port,
    http_action: Option<&str>,
) -> Result<Request, Bad> {
    let envelope = tree::read(octets, bound).map_err(|refusal| match refusal.code {
        // A limit is a limit; all else is no message that a fault of the standard is for.
        crate::error::Code::OverLimit => Fault::Refused(refusal),
        _ => Fault::Sender(format!("the SOAP message can't be read: {refusal}")),
    })?;
    if !envelope.is(SOAP, "Envelope") {
        let version = envelope.local() == "Envelope" || envelope.namespace == SOAP_11;
        let fault = Fault::Sender("the message is no SOAP 1.2 envelope".to_owned());
        return Err(if version { Fault::Version } else { fault }.into());
    }
    let (headers, body) = parts(envelope)?;
    let message_id = headers
        .iter()
        .find(|block| block.is(WSA, "MessageID"))
        .map(|block| block.text().chars().take(MAX_ID).collect::<String>());
    let operation = understood(&headers).and_then(|()| addressed(&headers, port, http_action));
    match operation {
        Ok(operation) => Ok(Request { operation, message_id, headers, body }),
        Err(fault) => Err(Bad { fault, message_id }),
    }
}

/// Header blocks and the one element of the body.
fn parts(envelope: Element) -> Result<(Vec<Element>, Option<Element>), Fault> {
    let (mut headers, mut body) = (None, None);
    for node in envelope.children {
        let tree::Node::Element(element) = node else {
            return Err(Fault::Sender("an envelope holds a header and a body, no text".to_owned()));
        };
        let place = if element.is(SOAP, "Header") && headers.is_none() && body.is_none() {
            &mut headers
        } else if element.is(SOAP, "Body") && body.is_none() {
            &mut body
        } else {
            return Err(Fault::Sender("an envelope holds at most one header, then one body".to_owned()));
        };
        *place = Some(element);
    }
    let elements = |element: Element| {
        element.children.into_iter().filter_map(|node| match node {
            tree::Node::Element(element) => Some(element),
            tree::Node::Text(_) => None,
        })
    };
    let Some(body) = body else { return Err(Fault::Sender("the envelope has no body".to_owned())) };
    let mut body = elements(body);
    let first = body.next();
    if body.next().is_some() {
        return Err(Fault::Sender("the body of each operation is one element at most".to_owned()));
    }
    Ok((headers.map(elements).into_iter().flatten().collect(), first))
}

/// Whether all blocks that must be understood by this node are.
fn understood(headers: &[Element]) -> Result<(), Fault> {
    for block in headers {
        let must = matches!(block.attribute_of(SOAP, "mustUnderstand"), Some("1" | "true"));
        let role = block.attribute_of(SOAP, "role").unwrap_or(ULTIMATE);
        if must && matches!(role, NEXT | ULTIMATE | "") && !known(block) {
            return Err(Fault::MustUnderstand(block.local().to_owned(), block.namespace.clone()));
        }
    }
    Ok(())
}

/// A security header without content asks for nothing; one with content asks for what is not done here.
fn known(block: &Element) -> bool {
    match block.namespace.as_str() {
        WSA => true,
        META => matches!(block.local(), "Author" | "MessageMetaData"),
        OSCI => block.local() == "X509TokenContainer",
        WSSE => block.local() == "Security" && block.elements().next().is_none(),
        _ => false,
    }
}

/// The operation that the action names, on the port that has it; answers go back the same way.
fn addressed(headers: &[Element], port: Port, http_action: Option<&str>) -> Result<Operation, Fault> {
    for name in ["Action", "MessageID", "To", "ReplyTo", "FaultTo", "From"] {
        if headers.iter().filter(|block| block.is(WSA, name)).count() > 1 {
            return Err(Fault::Addressing(
                "InvalidAddressingHeader",
                format!("wsa:{name} stands there twice"),
            ));
        }
    }
    let find = |name| headers.iter().find(|block| block.is(WSA, name));
    for name in ["ReplyTo", "FaultTo"] {
        let address =
            find(name).map(|block| block.child(WSA, "Address").map(Element::text).unwrap_or_default());
        if address.is_some_and(|address| address != ANONYMOUS) {
            let words = format!("wsa:{name} must be {ANONYMOUS}; answers come with the connection");
            return Err(Fault::Addressing("OnlyAnonymousAddressSupported", words));
        }
    }
    let stated = find("Action").map(Element::text);
    let http_action = http_action.map(str::trim).filter(|action| !action.is_empty());
    let action = match (stated.as_deref(), http_action) {
        (Some(stated), Some(http)) if stated != http => {
            let words = "wsa:Action and the action of the HTTP request differ; send the same".to_owned();
            return Err(Fault::Addressing("ActionMismatch", words));
        }
        (Some(stated), _) => stated,
        (None, Some(http)) => http,
        (None, None) => {
            let words = "wsa:Action is missing; send the action of the operation".to_owned();
            return Err(Fault::Addressing("MessageAddressingHeaderRequired", words));
        }
    };
    let operation = Operation::ALL.into_iter().find(|operation| operation.action() == action);
    operation.filter(|operation| operation.port() == port).ok_or_else(|| {
        let action: String = action.chars().take(200).collect();
        Fault::Addressing(
            "ActionNotSupported",
            format!("this port has no operation with the action {action}"),
        )
    })
}

/// An answer: header blocks besides the addressing, and the body's content.
pub(crate) fn envelope(action: &str, relates_to: Option<&str>, headers: &str, body: &str) -> String {
    let relates = relates_to
        .filter(|id| !id.is_empty())
        .map_or_else(String::new, |id| format!("<wsa:RelatesTo>{}</wsa:RelatesTo>", escaped(id)));
    crate::xta::envelope(action, &format!("<wsa:To>{ANONYMOUS}</wsa:To>{relates}{headers}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(header: &str, body: &str, http: Option<&str>) -> Result<Request, Bad> {
        let text = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{WSA}\"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        );
        request(text.as_bytes(), 1 << 16, Port::Management, http)
    }

    const CREATE: &str = "<a:Action>http://www.xta.de/XTA/CreateMessageID</a:Action>";

    #[test]
    fn the_action_names_the_operation() {
        let good = ask(&format!("{CREATE}<a:MessageID>urn:x</a:MessageID>"), "", None).unwrap();
        assert_eq!((good.operation, good.message_id.as_deref()), (Operation::CreateMessageId, Some("urn:x")));
        assert!(ask("", "", Some("http://www.xta.de/XTA/CreateMessageID")).is_ok());
        let bad = |header: &str, http| match ask(header, "", http).unwrap_err().fault {
            Fault::Addressing(name, _) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(bad("", None), "MessageAddressingHeaderRequired");
        assert_eq!(bad(CREATE, Some("urn:other")), "ActionMismatch");
        assert_eq!(bad("<a:Action>http://www.xta.de/XTA/SendMessage</a:Action>", None), "ActionNotSupported");
        assert_eq!(bad(&CREATE.repeat(2), None), "InvalidAddressingHeader");
        let elsewhere = format!("{CREATE}<a:ReplyTo><a:Address>http://evil.example/</a:Address></a:ReplyTo>");
        assert_eq!(bad(&elsewhere, None), "OnlyAnonymousAddressSupported");
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let block = |extra: &str| format!("{CREATE}<x:y xmlns:x=\"urn:x\" {extra}/>");
        let fault = ask(&block("s:mustUnderstand=\"true\""), "", None).unwrap_err().fault;
        assert_eq!(fault, Fault::MustUnderstand("y".to_owned(), "urn:x".to_owned()));
        assert!(fault.headers().contains("qname=\"n:y\""));
        let bare = ask(&format!("{CREATE}<y s:mustUnderstand=\"1\"/>"), "", None).unwrap_err().fault;
        let written = envelope(bare.action(), None, &bare.headers(), &bare.to_xml(&[]));
        let written = tree::read(written.as_bytes(), 1 << 16).unwrap();
        let named = written.at(SOAP, &["Header", "NotUnderstood"]).unwrap();
        assert_eq!(named.attribute("qname"), Some("y"), "a block without a namespace");
        assert!(ask(&block(""), "", None).is_ok());
        assert!(ask(&block("s:mustUnderstand=\"1\" s:role=\"urn:other\""), "", None).is_ok());
        assert!(
            ask(&format!("{CREATE}<w:Security xmlns:w=\"{WSSE}\" s:mustUnderstand=\"1\"/>"), "", None)
                .is_ok()
        );
    }

    #[test]
    fn other_versions_and_shapes_are_faults() {
        let old = format!("<s:Envelope xmlns:s=\"{SOAP_11}\"><s:Body/></s:Envelope>");
        assert_eq!(request(old.as_bytes(), 999, Port::Send, None).unwrap_err().fault, Fault::Version);
        for text in ["<a/>", "", "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"/>"] {
            assert!(matches!(
                request(text.as_bytes(), 999, Port::Send, None).unwrap_err().fault,
                Fault::Sender(_)
            ));
        }
        assert!(matches!(ask(CREATE, "<b/><c/>", None).unwrap_err().fault, Fault::Sender(_)));
    }
}
