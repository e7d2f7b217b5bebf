//! The TransportReport: the order's metadata, the message's state and its whole history, signed.

use super::metadata;
use super::names::XTA;
use crate::domain::{Fact, FactKind, Record, State};
use crate::xml::escaped;

/// The code list of our facts.
const LIST: &str = "urn:amtsweg:codeliste:ereignis";

/// Where a fact stands in the report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Info,
    Warning,
    Error,
}

fn weight(kind: FactKind) -> Weight {
    match kind {
        FactKind::Returned => Weight::Error,
        FactKind::Failed | FactKind::Warned | FactKind::Parked => Weight::Warning,
        _ => Weight::Info,
    }
}

/// 0 open, 1 green, 2 yellow (there were warnings), 3 red.
fn status(record: &Record) -> u8 {
    let warned = record.facts.iter().any(|fact| weight(fact.kind) == Weight::Warning);
    match record.state {
        State::Closed if warned => 2,
        State::Closed => 1,
        State::Returned => 3,
        _ => 0,
    }
}

/// The unsigned report, a document of its own.
pub(crate) fn unsigned(record: &Record, kept: Option<&metadata::Kept>, server: &str) -> String {
    let mut out = format!("<xta:TransportReport xmlns:xta=\"{XTA}\">");
    metadata::given_back(record, kept).write(&mut out);
    out.push_str(&format!(
        "<xta:ReportTime>{}</xta:ReportTime><xta:XTAServerIdentity>{}</xta:XTAServerIdentity>\
         <xta:MessageStatus><xta:Status>{}</xta:Status>",
        record.changed_at,
        escaped(server),
        status(record)
    ));
    for (list, item, wanted) in [
        ("ErrorList", "Error", Weight::Error),
        ("WarnList", "Warning", Weight::Warning),
        ("InfoList", "Info", Weight::Info),
    ] {
        let mut facts = record.facts.iter().filter(|fact| weight(fact.kind) == wanted).peekable();
        if facts.peek().is_none() {
            continue;
        }
        out.push_str(&format!("<xta:{list}>"));
        facts.for_each(|fact| entry(&mut out, item, fact));
        if wanted == Weight::Info && record.facts_dropped > 0 {
            let words = format!("{} further attempts are not listed", record.facts_dropped);
            entry_of(&mut out, item, &record.changed_at.to_string(), "dropped", &words);
        }
        out.push_str(&format!("</xta:{list}>"));
    }
    out.push_str("</xta:MessageStatus></xta:TransportReport>");
    out
}

fn entry(out: &mut String, item: &str, fact: &Fact) {
    let mut words = fact.kind.as_str().to_owned();
    if fact.attempt > 0 {
        words.push_str(&format!(" ({})", fact.attempt));
    }
    if !fact.detail.is_empty() {
        words.push_str(": ");
        words.push_str(&fact.detail);
    }
    entry_of(out, item, &fact.at.to_string(), fact.kind.as_str(), &words);
}

fn entry_of(out: &mut String, item: &str, at: &str, code: &str, words: &str) {
    out.push_str(&format!(
        "<xta:{item}><xta:Timestamp>{at}</xta:Timestamp><xta:Code listURI=\"{LIST}\" listVersionID=\"1\">\
         <code>{code}</code></xta:Code><xta:Reason>{}</xta:Reason></xta:{item}>",
        escaped(words)
    ));
}
