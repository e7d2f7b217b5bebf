//! Answers of an XTA server: SOAP 1.2, alone or as the first part of MTOM. Bounded; what is no SOAP at
//! all never counts as delivered.

use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::Instant;

use super::super::https::retry_after;
use super::super::{Reply, explain};
use crate::deliver::note;
use crate::domain::Timestamp;
use crate::domain::outcome::{HttpAnswer, Outcome, XtaFault, of_http, of_xta};
use crate::xta::names::{Exception, SOAP};
use crate::xta::tree::{self, Element};

/// Octets read of an answer: an envelope with a fault, or without content.
const ANSWER: usize = 256 * 1024;
/// Octets of a part's head.
const HEAD: usize = 16 * 1024;

/// What a server said.
#[derive(Debug)]
pub(super) enum Said {
    /// The body's element, if there is one.
    Body(Option<Element>),
    /// A fault.
    Fault(Fault),
}

/// A SOAP fault.
#[derive(Debug)]
pub(super) struct Fault {
    number: Option<u16>,
    receiver: bool,
    words: String,
    retry_after: Option<Duration>,
}

impl Fault {
    /// What to record. `sent_before`: the message went out under this name before.
    pub(super) fn reply(self, operation: &str, sent_before: bool) -> Reply {
        let Self { number, receiver, words, retry_after } = self;
        let outcome = of_xta(XtaFault { number, receiver, sent_before, retry_after });
        let said = match (number, receiver) {
            (Some(number), _) => format!("XTA {number}"),
            (None, true) => "SOAP fault of the receiver".to_owned(),
            (None, false) => "SOAP fault of the sender".to_owned(),
        };
        let used = number == Some(9024);
        let detail = match outcome {
            Outcome::Has { .. } => format!("{operation}: {said} (it had the message already)"),
            _ if used => format!("{operation}: {said}, for an id that it had just given"),
            _ => format!("{operation}: {said}"),
        };
        let note = if outcome == Outcome::Refused { words } else { String::new() };
        Reply { note, rename: used && outcome == Outcome::Refused, ..Reply::of(outcome, detail) }
    }
}

/// Reads an answer, over by `deadline`.
///
/// # Errors
/// What to record when it is no SOAP.
pub(super) async fn read(response: Response<Incoming>, deadline: Instant) -> Result<Said, Reply> {
    let (head, mut body) = response.into_parts();
    let mut octets = Vec::new();
    loop {
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Reply::none("the answer did not end in time")),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Reply::none(explain(&error))),
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    octets.extend_from_slice(data);
                }
            }
        }
        if octets.len() > ANSWER {
            return Err(Reply::none(format!("the answer has more than {ANSWER} octets")));
        }
    }
    understand(head.status, &head.headers, &octets)
}

fn understand(status: StatusCode, headers: &HeaderMap, octets: &[u8]) -> Result<Said, Reply> {
    let retry_after = retry_after(headers, Timestamp::now());
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.trim_start().to_ascii_lowercase();
    let text = if kind.starts_with("multipart/") { root(octets) } else { Some(octets) };
    let envelope = text.and_then(|text| tree::read(text, ANSWER).ok()).filter(|e| e.is(SOAP, "Envelope"));
    let body = envelope.as_ref().and_then(|envelope| envelope.child(SOAP, "Body"));
    let Some(body) = body else { return Err(no_soap(status, retry_after)) };
    let first = body.elements().next();
    match first.filter(|element| element.is(SOAP, "Fault")) {
        Some(fault) => Ok(Said::Fault(Fault { retry_after, ..of_fault(fault) })),
        None if status.is_success() => Ok(Said::Body(first.cloned())),
        None => Err(no_soap(status, retry_after)),
    }
}

/// HTTP alone speaks, and says at most that the message did not arrive.
fn no_soap(status: StatusCode, retry_after: Option<Duration>) -> Reply {
    let answer = HttpAnswer { status: status.as_u16(), names_message: false, taken_over: None, retry_after };
    let outcome = match of_http(answer) {
        Outcome::Has { .. } => Outcome::Again { asked: retry_after },
        outcome => outcome,
    };
    Reply::of(outcome, format!("HTTP {} without a SOAP answer", status.as_u16()))
}

fn of_fault(fault: &Element) -> Fault {
    let value = fault.at(SOAP, &["Code", "Value"]).map(Element::text).unwrap_or_default();
    let value = value.rsplit(':').next().unwrap_or_default();
    let detail = fault.child(SOAP, "Detail").into_iter().flat_map(Element::elements);
    let exception = detail.into_iter().find(|element| Exception::is_one(element.local()));
    let code = exception.and_then(|exception| exception.elements().find(|e| e.local() == "errorCode"));
    let code = code.and_then(|code| code.elements().find(|e| e.local() == "code"));
    let reason = fault.at(SOAP, &["Reason", "Text"]).map(Element::text).unwrap_or_default();
    Fault {
        number: code.and_then(|code| code.text().parse().ok()),
        receiver: value == "Receiver",
        words: note::printable(reason.as_bytes()),
        retry_after: None,
    }
}

/// The first part of a multipart body: the envelope.
fn root(octets: &[u8]) -> Option<&[u8]> {
    let octets = octets.strip_prefix(b"\r\n").unwrap_or(octets);
    let line = octets.iter().take(HEAD).position(|octet| *octet == b'\n')?;
    let delimiter = octets.get(..line)?.trim_ascii_end();
    let delimiter = Some(delimiter).filter(|text| text.starts_with(b"--") && text.len() > 2)?;
    let find = |within: &[u8], what: &[u8]| within.windows(what.len()).position(|window| window == what);
    let rest = octets.get(line + 1..)?;
    let begin = find(rest.get(..rest.len().min(HEAD))?, b"\r\n\r\n")? + 4;
    let content = rest.get(begin..)?;
    let end = find(content, delimiter)?;
    content.get(..end).map(|content| content.trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(body: &str) -> String {
        format!("<s:Envelope xmlns:s=\"{SOAP}\"><s:Header/><s:Body>{body}</s:Body></s:Envelope>")
    }

    fn fault(value: &str, number: &str) -> String {
        envelope(&format!(
            "<s:Fault><s:Code><s:Value>s:{value}</s:Value></s:Code><s:Reason><s:Text xml:lang=\"de\">Nein.\t\n\
             Doch.</s:Text></s:Reason><s:Detail><x:ParameterIsNotValidException xmlns:x=\"{}\"><x:errorCode \
             listURI=\"urn:x\" listVersionID=\"1\"><code>{number}</code></x:errorCode></x:ParameterIsNotValidException>\
             </s:Detail></s:Fault>",
            crate::xta::names::XTA
        ))
    }

    fn of(status: u16, kind: &str, text: &str) -> Result<Said, Reply> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        understand(StatusCode::from_u16(status).unwrap(), &headers, text.as_bytes())
    }

    const PLAIN: &str = "application/soap+xml; charset=UTF-8";

    #[test]
    fn answers_are_understood_alone_and_in_mtom() {
        let empty = envelope("");
        assert!(matches!(of(200, PLAIN, &empty), Ok(Said::Body(None))));
        let parts = format!(
            "\r\n--uuid:1\r\nContent-Type: application/xop+xml\r\nContent-ID: <a>\r\n\r\n{empty}\r\n--uuid:1--\r\n"
        );
        assert!(matches!(of(200, "Multipart/Related; boundary=\"uuid:1\"", &parts), Ok(Said::Body(None))));
        let Ok(Said::Fault(said)) = of(500, PLAIN, &fault("Sender", "9022")) else { panic!() };
        assert_eq!((said.number, said.receiver, said.words.as_str()), (Some(9022), false, "Nein. Doch."));
        let reply = said.reply("sendMessage", true);
        assert_eq!(
            (reply.outcome, reply.note.as_str(), reply.rename),
            (Outcome::Refused, "Nein. Doch.", false)
        );
    }

    #[test]
    fn a_used_id_means_that_it_has_the_message_only_if_it_was_sent_before() {
        let said = |before| match of(500, PLAIN, &fault("Sender", "9024")) {
            Ok(Said::Fault(fault)) => fault.reply("sendMessage", before),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(true).outcome, Outcome::Has { taken_over: true });
        assert!(!said(true).rename);
        assert_eq!(said(false).outcome, Outcome::Refused);
        assert!(said(false).rename);
    }

    #[test]
    fn what_is_no_soap_is_never_a_delivery() {
        for (status, kind, text) in [
            (200, "text/html", "<html/>"),
            (200, PLAIN, ""),
            (202, PLAIN, ""),
            (200, PLAIN, "<!DOCTYPE a><a/>"),
            (200, "multipart/related", "--\r\n\r\n\r\n--"),
            (200, "multipart/related", "x"),
            (200, "multipart/related", "\n"),
            (503, "text/html", "<html/>"),
            (503, PLAIN, &envelope("")),
        ] {
            let reply = of(status, kind, text).unwrap_err();
            assert!(matches!(reply.outcome, Outcome::Again { .. }), "{status} {text}");
        }
        assert_eq!(of(404, "text/html", "").unwrap_err().outcome, Outcome::Refused);
    }
}
