//! Writes small XML documents, everything escaped.

use crate::proto;
use crate::xml::escape;

/// Namespace of the answers of this interface.
pub(crate) const NAMESPACE: &str = "urn:amtsweg:api:1";

/// A document being written.
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    pub(crate) fn new(root: &str, namespace: &str) -> Self {
        Self { out: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">") }
    }

    /// An element with text; left out when the text is empty.
    pub(crate) fn text(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        let text = text.as_ref();
        if !text.is_empty() {
            self.open(name);
            escape(text, &mut self.out);
            self.close(name);
        }
        self
    }

    pub(crate) fn number(&mut self, name: &str, number: impl Into<u64>) -> &mut Self {
        self.text(name, number.into().to_string())
    }

    /// An element with a text element `item` for each of `texts`; left out when there are none.
    pub(crate) fn list(&mut self, name: &str, item: &str, texts: &[String]) -> &mut Self {
        if !texts.is_empty() {
            self.open(name);
            for text in texts {
                self.text(item, text);
            }
            self.close(name);
        }
        self
    }

    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self
    }

    pub(crate) fn close(&mut self, name: &str) -> &mut Self {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self
    }

    pub(crate) fn finish(mut self, root: &str) -> String {
        self.close(root);
        self.out.push('\n');
        self.out
    }
}

fn route(xml: &mut Xml, route: Option<&proto::Route>) {
    let Some(route) = route else { return };
    xml.open("route")
        .text("authority", &route.authority_id)
        .text("authorityName", &route.authority_name)
        .text("reader", &route.reader)
        .text("endpoint", &route.endpoint)
        .text("way", &route.way)
        .text("rule", &route.rule)
        .list("explanation", "line", &route.explanation)
        .close("route");
}

fn attachments(xml: &mut Xml, attachments: &[proto::AttachmentInfo]) {
    for attachment in attachments {
        xml.open("attachment")
            .text("name", &attachment.name)
            .text("mediaType", &attachment.media_type)
            .number("size", attachment.size)
            .text("sha256", &attachment.sha256)
            .close("attachment");
    }
}

/// A report as XML.
pub(crate) fn report(report: &proto::Report) -> String {
    let mut xml = Xml::new("report", NAMESPACE);
    xml.text("messageId", &report.message_id)
        .text("state", &report.state)
        .text("acceptedAt", &report.accepted_at)
        .text("changedAt", &report.changed_at)
        .text("due", &report.due)
        .number("attempts", report.attempts)
        .text("author", &report.author)
        .text("uuid", &report.uuid)
        .text("standard", &report.standard)
        .text("typeCode", &report.type_code)
        .text("service", &report.service)
        .text("area", &report.area)
        .text("test", if report.test { "true" } else { "false" })
        .number("documentSize", report.document_size);
    attachments(&mut xml, &report.attachments);
    route(&mut xml, report.route.as_ref());
    for fact in &report.facts {
        xml.open("fact")
            .text("at", &fact.at)
            .text("kind", &fact.kind)
            .number("attempt", fact.attempt)
            .text("detail", &fact.detail)
            .close("fact");
    }
    xml.number("factsDropped", report.facts_dropped);
    xml.finish("report")
}

/// A page of a mailbox as XML.
pub(crate) fn mailbox(entries: &[proto::MailboxEntry], next_after: Option<u64>) -> String {
    let mut xml = Xml::new("mailbox", NAMESPACE);
    for entry in entries {
        xml.open("entry")
            .text("messageId", &entry.message_id)
            .number("number", entry.number)
            .text("acceptedAt", &entry.accepted_at)
            .text("author", &entry.author)
            .text("reader", &entry.reader)
            .text("standard", &entry.standard)
            .text("typeCode", &entry.type_code)
            .text("service", &entry.service)
            .text("area", &entry.area)
            .number("attempts", entry.attempts)
            .number("documentSize", entry.document_size);
        attachments(&mut xml, &entry.attachments);
        xml.close("entry");
    }
    if let Some(next) = next_after {
        xml.number("nextAfter", next);
    }
    xml.finish("mailbox")
}

/// What a check said, when it is good.
pub(crate) fn validation(placement: &proto::Route) -> String {
    let mut xml = Xml::new("validation", NAMESPACE);
    xml.text("accepted", "true");
    route(&mut xml, Some(placement));
    xml.finish("validation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_text_the_document_is_well_formed_and_says_it(text in any::<String>()) {
            let mut xml = Xml::new("a", NAMESPACE);
            xml.text("b", &text);
            let document = xml.finish("a");
            let mut reader = quick_xml::Reader::from_str(&document);
            let mut depth = 0;
            loop {
                match reader.read_event().unwrap() {
                    quick_xml::events::Event::Start(_) => depth += 1,
                    quick_xml::events::Event::End(_) => depth -= 1,
                    quick_xml::events::Event::Eof => break,
                    _ => {}
                }
            }
            prop_assert_eq!(depth, 0);
            prop_assert!(!document.chars().any(|c| c < ' ' && c != '\n' && c != '\t'));
        }
    }
}
