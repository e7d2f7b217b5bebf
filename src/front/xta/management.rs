//! The management port: accounts, services, ids, reports, taking back.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::Fault;
use super::metadata::{Kept, MAX_ENVELOPE, service_key};
use super::names::{META, WSA, XTA};
use super::soap::Request;
use super::tree::{Element, Node};
use super::{State, author, message_id, report, visible};
use crate::domain::{Account, Ars, Endpoint, Identifier, MessageId, Record, Role, Timestamp};
use crate::error::Code;
use crate::front::gate::Caller;
use crate::front::report::unknown;
use crate::intake::store_refusal;
use crate::route::{Authority, Outcome, Query};
use crate::store::read_all;

/// Questions of one `lookupService`.
const MAX_QUESTIONS: usize = 100;
/// The code list of service parameters and its code for a certificate to encrypt for. It is our own, as the
/// standard allows (XTA 2.1.1, Code.ServiceParameterType).
const PARAMETERS: &str = "urn:amtsweg:codeliste:dienstparameter";
const ENCRYPTION: &str = "verschluesselungszertifikat";

/// `checkAccountActive`: the gate has found the account; it must be the author's.
pub(super) fn check(caller: &Caller, request: &Request) -> Result<String, Fault> {
    author(caller, request)?;
    Ok(String::new())
}

/// `createMessageId`.
pub(super) fn create(state: &State, caller: &Caller, request: &Request) -> Result<String, Fault> {
    author(caller, request)?;
    caller.require(Role::Portal)?;
    let id = state.core.parts.intake.name()?;
    Ok(format!("<wsa:MessageID xmlns:wsa=\"{WSA}\">{id}</wsa:MessageID>"))
}

/// `lookupService`.
pub(super) fn lookup(state: &State, caller: &Caller, request: &Request) -> Result<String, Fault> {
    author(caller, request)?;
    let body = request.body(XTA, "LookupServiceRequest")?;
    let questions: Vec<&Element> = body.elements().collect();
    if questions.is_empty() {
        return Err(Fault::Numbered(9020, "LookupServiceRequest asks for nothing".to_owned()));
    }
    if questions.len() > MAX_QUESTIONS {
        return Err(Fault::Numbered(9022, format!("ask at most {MAX_QUESTIONS} questions at once")));
    }
    let mut out = format!("<xta:LookupServiceResponse xmlns:xta=\"{XTA}\"><xta:LookupServiceResultList>");
    for question in questions {
        let lacking = |what: &str| Fault::Numbered(9020, format!("LookupService lacks {what}"));
        let service = question.child(XTA, "LookupService").ok_or_else(|| lacking("its content"))?;
        let reader = service.child(META, "Reader").ok_or_else(|| lacking("Reader"))?;
        let uri = service.child(XTA, "ServiceType").map(Element::text).filter(|uri| !uri.is_empty());
        let uri = uri.ok_or_else(|| lacking("ServiceType"))?;
        let identifier =
            reader.child(META, "Identifier").map(Element::text).ok_or_else(|| lacking("Identifier"))?;
        out.push_str("<xta:LookupServiceResult>");
        // The reader stands alone in the answer: it gets the prefixes that the request declared around it.
        let mut reader = reader.clone();
        reader.declared = [body, question, service, &reader].iter().fold(Vec::new(), |mut all, element| {
            for (prefix, uri) in &element.declared {
                all.retain(|(known, _): &(String, String)| known != prefix);
                all.push((prefix.clone(), uri.clone()));
            }
            all
        });
        reader.write(&mut out);
        let mut kind = Element::new("xta:ServiceType", XTA);
        kind.children.push(Node::Text(uri.clone()));
        kind.write(&mut out);
        let (value, parameter) = match reached(state, &identifier, &uri) {
            Some(endpoint) => (
                format!("<xta:ServiceIsAvailable>{}</xta:ServiceIsAvailable>", endpoint.is_some()),
                endpoint.and_then(|endpoint| encryption(&endpoint, Timestamp::now())),
            ),
            None => ("<xta:ServiceIsAvailableUnknown>true</xta:ServiceIsAvailableUnknown>".to_owned(), None),
        };
        out.push_str(&format!("<xta:IsServiceAvailableValue>{value}</xta:IsServiceAvailableValue>"));
        out.push_str(&parameter.unwrap_or_default());
        out.push_str("</xta:LookupServiceResult>");
    }
    out.push_str("</xta:LookupServiceResultList></xta:LookupServiceResponse>");
    Ok(out)
}

/// The reader's certificate for encrypting contents as a `ServiceParameter`, unless it has run out.
fn encryption(endpoint: &Endpoint, now: Timestamp) -> Option<String> {
    let der = endpoint.encryption.as_deref()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
    (now.0 / 1_000 <= end).then(|| {
        format!(
            "<xta:ServiceParameter><xta:ParameterType listURI=\"{PARAMETERS}\" listVersionID=\"1\"><code>\
             {ENCRYPTION}</code></xta:ParameterType><xta:Resource>{}</xta:Resource></xta:ServiceParameter>",
            STANDARD.encode(der)
        )
    })
}

/// The endpoint at which messages for this service reach this reader: an authority of the directory, if it
/// is competent for the service anywhere (a service type that names no service key is asked of nobody:
/// then it is enough to be connected), or, for a placeholder `ars:<area>`, the competent one; `Some(None)`
/// where there is none. `None`: that can't be told, because the placeholder's service names no service key.
fn reached(state: &State, reader: &str, service: &str) -> Option<Option<Arc<Endpoint>>> {
    let directory = state.core.parts.directory.load();
    if let Some(area) = reader.strip_prefix("ars:") {
        let (area, service) = (area.parse::<Ars>().ok()?, service_key(service)?);
        let query = Query { service, area, date: Timestamp::now().date() };
        let Outcome::Connected(placement) = directory.ask(&query).outcome else { return Some(None) };
        return Some(directory.endpoint(&placement.endpoint).cloned());
    }
    let Ok(identifier) = reader.parse::<Identifier>() else { return Some(None) };
    let today = Timestamp::now().date();
    let offers = |authority: &&Authority| {
        service_key(service).is_none_or(|key| directory.offers(&authority.id, &key, today))
    };
    let endpoint =
        directory.authority_of(&identifier).filter(offers).and_then(|authority| authority.endpoint.as_ref());
    Some(endpoint.and_then(|id| directory.endpoint(id)).cloned())
}

/// `getTransportReport`.
pub(super) async fn transport_report(
    state: &State,
    caller: &Caller,
    request: &Request,
) -> Result<String, Fault> {
    let author = author(caller, request)?;
    let id = asked(request)?;
    let record = state.core.parts.read.get(&id).await.map_err(store_refusal)?.ok_or_else(unknown)?;
    let account = &caller.entry.account;
    if !sent_by(account, author.as_ref(), &record) && !visible(state, account, author.as_ref(), &record) {
        return Err(unknown().into());
    }
    let kept = kept(state, &record).await?;
    let server = state.core.parts.intake.identity().to_string();
    let unsigned = report::unsigned(&record, kept.as_ref(), &server);
    let signed = state.core.parts.intake.sign(unsigned.as_bytes())?;
    String::from_utf8(signed.to_vec())
        .map_err(|_| Fault::Numbered(9030, "the report can't be written".to_owned()))
}

/// `cancelMessage`.
pub(super) async fn cancel(state: &State, caller: &Caller, request: &Request) -> Result<String, Fault> {
    let author = author(caller, request)?;
    // The operation has no exception for an unknown id: to it that is an invalid parameter.
    let unknown = || Fault::Numbered(9022, "there is no message with this id for your account".to_owned());
    let id = asked(request).map_err(|_| unknown())?;
    let account = &caller.entry.account;
    let record = state.core.parts.read.get(&id).await.map_err(store_refusal)?;
    let record = record.filter(|record| sent_by(account, author.as_ref(), record)).ok_or_else(unknown)?;
    let now = Timestamp::now();
    match state.core.parts.mailbox.cancel(account, &id, now).await {
        Ok(_) => Ok(String::new()),
        Err(refusal) if refusal.code == Code::LeaseLost => {
            let set = record.order.as_ref().is_some_and(|order| order.terms.not_before.is_some());
            Err(Fault::Numbered(if set { 9100 } else { 9101 }, refusal.to_string()))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn asked(request: &Request) -> Result<MessageId, Fault> {
    message_id(&request.body(WSA, "MessageID")?.text())
}

/// Whether the account handed the message in, as this author where it says as whom it asks.
fn sent_by(account: &Account, author: Option<&Identifier>, record: &Record) -> bool {
    account.may(Role::Portal)
        && record.account == account.name
        && author.is_none_or(|author| record.header.author == *author)
}

/// The words that a message's order came with.
pub(super) async fn kept(state: &State, record: &Arc<Record>) -> Result<Option<Kept>, Fault> {
    let Some(order) = &record.order else { return Ok(None) };
    let octets =
        read_all(&*state.core.parts.read, &order.envelope, MAX_ENVELOPE).await.map_err(store_refusal)?;
    Ok(serde_json::from_slice(&octets).ok())
}
