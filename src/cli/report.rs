//! Reports and mailbox entries as people and scripts read them.

use serde_json::{Value, json};

use super::Fault;
use super::output::{Table, counted, printable, say};
use crate::proto::{AttachmentInfo, Coverage, MailboxEntry, Report, Route};

/// A report as JSON.
#[must_use]
pub fn report_json(report: &Report) -> Value {
    json!({
        "message_id": report.message_id,
        "state": report.state,
        "accepted_at": report.accepted_at,
        "changed_at": report.changed_at,
        "due": text(&report.due),
        "attempts": report.attempts,
        "author": report.author,
        "uuid": report.uuid,
        "standard": report.standard,
        "type_code": report.type_code,
        "service": text(&report.service),
        "area": text(&report.area),
        "test": report.test,
        "account": text(&report.account),
        "route": report.route.as_ref().map(route_json),
        "document_size": report.document_size,
        "coverage": report.coverage.as_ref().map(coverage_json),
        "attachments": attachments_json(&report.attachments),
        "facts": report.facts.iter().map(|f| json!({
            "at": f.at, "kind": f.kind, "attempt": f.attempt, "detail": f.detail,
        })).collect::<Vec<_>>(),
        "facts_dropped": report.facts_dropped,
    })
}

/// A route as JSON.
#[must_use]
pub fn route_json(route: &Route) -> Value {
    json!({
        "authority_id": route.authority_id, "authority_name": route.authority_name, "reader": route.reader,
        "endpoint": route.endpoint, "way": route.way, "rule": route.rule, "explanation": route.explanation,
    })
}

fn coverage_json(coverage: &Coverage) -> Value {
    json!({
        "covered": coverage.covered,
        "signer": { "serial": coverage.signer_serial, "sha256": coverage.signer_sha256 },
        "until": coverage.until, "algorithms": coverage.algorithms, "form": text(&coverage.form),
        "signed_at": text(&coverage.signed_at), "notes": coverage.notes,
    })
}

/// A mailbox entry as JSON.
#[must_use]
pub fn entry_json(entry: &MailboxEntry) -> Value {
    json!({
        "message_id": entry.message_id, "number": entry.number, "accepted_at": entry.accepted_at,
        "author": entry.author, "standard": entry.standard, "type_code": entry.type_code,
        "service": text(&entry.service), "area": text(&entry.area), "reader": entry.reader,
        "document_size": entry.document_size, "attachments": attachments_json(&entry.attachments),
        "attempts": entry.attempts,
    })
}

fn attachments_json(attachments: &[AttachmentInfo]) -> Vec<Value> {
    attachments
        .iter()
        .map(|a| json!({"name": a.name, "media_type": a.media_type, "size": a.size, "sha256": a.sha256}))
        .collect()
}

/// Empty texts of the protocol mean: none.
fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Prints a report for people.
///
/// # Errors
/// As [`say`].
pub fn say_report(report: &Report) -> Result<(), Fault> {
    let line = |name: &str, value: &str| {
        if value.is_empty() { Ok(()) } else { say(printable(&format!("{name:<10} {value}"))) }
    };
    line("message", &report.message_id)?;
    line("state", &state_of(report))?;
    line("accepted", &report.accepted_at)?;
    line("changed", &report.changed_at)?;
    line("standard", &format!("{} {}", report.standard, report.type_code))?;
    line("author", &format!("{} (UUID {})", report.author, report.uuid))?;
    line("account", &report.account)?;
    line("service", &report.service)?;
    line("area", &report.area)?;
    if let Some(route) = &report.route {
        line(
            "authority",
            &format!("{} ({}, reader {})", route.authority_name, route.authority_id, route.reader),
        )?;
        line("endpoint", &format!("{} ({})", route.endpoint, route.way))?;
        line("rule", &route.rule)?;
    }
    line(
        "size",
        &format!(
            "{} octets, {}",
            report.document_size,
            counted(report.attachments.len() as u64, "attachment")
        ),
    )?;
    for attachment in &report.attachments {
        line("", &format!("{} ({}, {} octets)", attachment.name, attachment.media_type, attachment.size))?;
    }
    match &report.coverage {
        None => line("signed", "no: the operator's policy let its account send it unsigned")?,
        Some(coverage) => {
            line("signed", &format!("{} {}", coverage.covered, coverage.form))?;
            line(
                "by",
                &format!("certificate {} (SHA-256 {})", coverage.signer_serial, coverage.signer_sha256),
            )?;
            line("until", &coverage.until)?;
            coverage.algorithms.iter().try_for_each(|uri| line("with", uri))?;
            coverage.notes.iter().try_for_each(|note| line("note", note))?;
        }
    }
    if report.test {
        line("test", "yes: not to be processed as a real one")?;
    }
    say("")?;
    let mut table = Table::new(&["AT", "WHAT", "ATTEMPT", "DETAIL"]);
    for fact in &report.facts {
        table.row([fact.at.clone(), fact.kind.clone(), fact.attempt.to_string(), fact.detail.clone()]);
    }
    table.say()?;
    if report.facts_dropped > 0 {
        say(format!("({} facts from the middle of the history are not kept)", report.facts_dropped))?;
    }
    Ok(())
}

/// The state, with the time of the next attempt where one is waited for.
fn state_of(report: &Report) -> String {
    let attempts = counted(report.attempts.into(), "attempt");
    if report.due.is_empty() {
        format!("{} after {attempts}", report.state)
    } else {
        format!("{} after {attempts}, next not before {}", report.state, report.due)
    }
}
