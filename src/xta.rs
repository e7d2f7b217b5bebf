//! XTA 2 (web service 2.1.1) as far as both ends of a connection need it: names, small XML trees, the
//! metadata of messages, MTOM going out. For `front/xta`, which serves it, and `deliver/client/xta`, which
//! calls it.

pub(crate) mod metadata;
pub(crate) mod mtom;
pub(crate) mod names;
pub(crate) mod tree;

use names::{SOAP, WSA};

/// Anonymous: the answer comes with the connection (WS-Addressing 1.0, SOAP binding).
pub(crate) const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";

/// An envelope going out: its action, header blocks besides action and id, and the body's content.
pub(crate) fn envelope(action: &str, headers: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Header \
         xmlns:wsa=\"{WSA}\"><wsa:Action>{action}</wsa:Action><wsa:MessageID>urn:uuid:{}</wsa:MessageID>\
         {headers}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>",
        uuid::Uuid::new_v4()
    )
}
