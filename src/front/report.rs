//! Records as the outside sees them, and who may see them.

use std::sync::Arc;

use super::Core;
use crate::domain::{Account, Coverage, MessageId, Placement, Record, Role, State, Way};
use crate::error::{Code, Refusal};
use crate::intake::store_refusal;
use crate::proto;
use crate::route::Directory;

/// Someone else's message is unknown, not forbidden: nobody learns that an id exists.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(
        Code::UnknownMessage,
        "there is no message with this id for your account; check the id and with whose certificate you ask",
    )
}

/// The id in `text`. What is no id names no message.
pub(crate) fn parse_id(text: &str) -> Result<MessageId, Refusal> {
    text.parse().map_err(|_| unknown())
}

/// Whether `account` may ask for the report: who submitted it, and who is to read it.
fn visible(account: &Account, record: &Record) -> bool {
    (account.may(Role::Portal) && record.account == account.name)
        || (account.may(Role::Authority) && account.is(&record.placement.reader))
}

impl Core {
    /// A message that `account` may see.
    pub(crate) async fn look(&self, account: &Account, id: &str) -> Result<Arc<Record>, Refusal> {
        let record = self.any(&parse_id(id)?).await?;
        if visible(account, &record) { Ok(record) } else { Err(unknown()) }
    }

    /// The proof of a message that `account` may see.
    pub(crate) async fn proof(&self, account: &Account, id: &str) -> Result<Vec<u8>, Refusal> {
        let record = self.look(account, id).await?;
        self.parts.proofs.proof(&record.id).await?.ok_or_else(unknown)
    }

    /// Any message, for operators.
    pub(crate) async fn any(&self, id: &MessageId) -> Result<Arc<Record>, Refusal> {
        self.parts.read.get(id).await.map_err(store_refusal)?.ok_or_else(unknown)
    }

    /// The report for the outside; the account is for operators alone.
    pub(crate) fn report(&self, record: &Record, with_account: bool) -> proto::Report {
        report(record, &self.parts.directory.load(), with_account)
    }
}

/// A placement as a route.
pub(crate) fn route(placement: &Placement, directory: &Directory, explanation: Vec<String>) -> proto::Route {
    proto::Route {
        authority_id: placement.authority.to_string(),
        authority_name: directory
            .authority(&placement.authority)
            .map_or_else(String::new, |a| a.name.clone()),
        reader: placement.reader.to_string(),
        endpoint: placement.endpoint.to_string(),
        way: way(placement.way).to_owned(),
        rule: placement.rule.clone(),
        explanation,
    }
}

/// The way as the protocol spells it.
pub(crate) fn way(way: Way) -> &'static str {
    match way {
        Way::Push => "push",
        Way::Pull => "pull",
    }
}

fn standard(record: &Record) -> String {
    format!("{} {}", record.header.standard, record.header.version).trim().to_owned()
}

fn text<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(String::new, ToString::to_string)
}

fn attachments(record: &Record) -> Vec<proto::AttachmentInfo> {
    let info = |a: &crate::domain::StoredAttachment| proto::AttachmentInfo {
        name: a.declared.name.clone(),
        media_type: a.declared.media_type.clone(),
        size: a.declared.size,
        sha256: a.declared.sha256.to_string(),
    };
    record.attachments.iter().map(info).collect()
}

fn report(record: &Record, directory: &Directory, with_account: bool) -> proto::Report {
    let header = &record.header;
    let fact = |fact: &crate::domain::Fact| proto::Fact {
        at: fact.at.to_string(),
        kind: fact.kind.as_str().to_owned(),
        attempt: fact.attempt,
        detail: fact.detail.clone(),
    };
    proto::Report {
        message_id: record.id.to_string(),
        state: record.state.name().to_owned(),
        accepted_at: record.accepted_at.to_string(),
        changed_at: record.changed_at.to_string(),
        attempts: record.attempts,
        author: header.author.to_string(),
        uuid: header.uuid.to_string(),
        type_code: header.type_code.clone(),
        service: text(header.service.as_ref()),
        area: text(header.area.as_ref()),
        route: Some(route(&record.placement, directory, Vec::new())),
        facts: record.facts.iter().map(fact).collect(),
        facts_dropped: record.facts_dropped,
        document_size: record.document.len,
        attachments: attachments(record),
        standard: standard(record),
        test: header.test,
        account: if with_account { record.account.to_string() } else { String::new() },
        due: match &record.state {
            State::Queued { due } | State::Deferred { due } => due.to_string(),
            _ => String::new(),
        },
        coverage: coverage(record),
    }
}

/// What the signature covers. Records that are older than the statement say who signed; what an
/// accepted message's signature covers is the same for all.
fn coverage(record: &Record) -> Option<proto::Coverage> {
    if record.order.as_ref().is_some_and(|order| order.waiver.is_some()) {
        return None;
    }
    let known = record.coverage.as_ref();
    Some(proto::Coverage {
        covered: Coverage::COVERED.to_owned(),
        signer_serial: record.signer.serial.clone(),
        signer_sha256: record.signer.fingerprint.to_string(),
        until: known.map_or(record.signer.not_after, |c| c.until).to_string(),
        algorithms: known.map_or_else(Vec::new, |c| c.algorithms().map(str::to_owned).collect()),
        form: known.map_or_else(String::new, |c| c.form().to_owned()),
        signed_at: known.and_then(|c| c.signed_at).map_or_else(String::new, |at| at.to_string()),
        notes: known.map_or_else(Vec::new, |c| c.notes.iter().map(|n| n.as_str().to_owned()).collect()),
    })
}

/// A record as a mailbox shows it.
pub(crate) fn entry(record: &Record) -> proto::MailboxEntry {
    let header = &record.header;
    proto::MailboxEntry {
        message_id: record.id.to_string(),
        number: record.sequence,
        accepted_at: record.accepted_at.to_string(),
        author: header.author.to_string(),
        standard: standard(record),
        type_code: header.type_code.clone(),
        service: text(header.service.as_ref()),
        area: text(header.area.as_ref()),
        reader: record.placement.reader.to_string(),
        document_size: record.document.len,
        attachments: attachments(record),
        attempts: record.attempts,
    }
}
