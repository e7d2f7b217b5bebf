//! What goes wrong, as SOAP says it: the standard's exception elements with number and name, and the
//! SOAP layer's own faults (SOAP 1.2, part 1, section 5.4; WS-Addressing 1.0 SOAP binding, section 6).

use crate::error::{Code, Refusal};
use crate::front::status;

use super::names::{Exception, SOAP, WSA, XTA};
use crate::xml::escaped;

/// The name of a number (code list `urn:de:xta:webservice:codeliste:fehlernummer`, 1.0).
fn name(number: u16) -> &'static str {
    match number {
        9010 => "Authentisierung/Zertifikat ist abgelaufen.",
        9011 => "Account ist gesperrt.",
        9012 => "Account nicht vorhanden.",
        9013 => "Dienst ist nicht gebucht.",
        9014 => "Authentisierung/Zertifikat passt nicht zur Absenderkennung.",
        9020 => "Keine Parameter vorhanden",
        9021 => "Keine gültige URI",
        9022 => "Ungültige Parameterkombination",
        9023 => "Die Nachricht überschreitet die Größenbeschränkung.",
        9024 => "MessageID ist bereits vergeben.",
        9030 => "Interner Fehler beim XTA-Server bzw. XTA-Dienstleister",
        9031 => "Fehler beim externen Verzeichnisdienst",
        9032 => "Fehler bei der Zustellung",
        9050 => "Fachnachricht ist nicht schemakonform",
        9051 => "Fachnachricht trägt ein falsches Encoding.",
        9052 => "Nachricht verletzt das entsprechende Service Profil.",
        9060 => "Es wurde schadhafter Code ermittelt.",
        9070 => "MessageID für den Account nicht bekannt.",
        9080 => "Der Dienst wird nur asynchron angeboten.",
        9081 => "Der Dienst wird nur synchron angeboten.",
        9100 => "Der durch den Schalter NotBefore gesetzte Termin ist verstrichen.",
        9101 => "Der Schalter NotBefore wurde nicht gesetzt.",
        _ => "Unspezifizierter Fehler, als Freitext beschrieben",
    }
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A refusal of the gateway's own list.
    Refused(Refusal),
    /// A number of the standard that no refusal has.
    Numbered(u16, String),
    /// The SOAP message is not as it should be.
    Sender(String),
    /// WS-Addressing's own fault: its local name, a sentence.
    Addressing(&'static str, String),
    /// A header block that must be understood is not: its prefix-free name and namespace.
    MustUnderstand(String, String),
    /// The envelope is of another SOAP version.
    Version,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Fault {
    /// The refusal behind it, for the counts and the log.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// The number of the standard, where it has one.
    pub(crate) fn number(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => {
                let numbers = status::meaning(refusal.code).xta;
                Some(numbers.first().and_then(|text| text.parse().ok()).unwrap_or(9000))
            }
            Self::Numbered(number, _) => Some(*number),
            _ => None,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Refused(refusal) => {
                let mut text = refusal.to_string();
                if let Some(place) = refusal.location.as_deref().filter(|place| place.line > 0) {
                    text.push_str(&format!(" (line {}, column {})", place.line, place.column));
                }
                for line in refusal.explanation.iter().take(10) {
                    text.push(' ');
                    text.push_str(line);
                }
                text.chars().take(4000).collect()
            }
            Self::Numbered(_, words) | Self::Sender(words) | Self::Addressing(_, words) => words.clone(),
            Self::MustUnderstand(name, _) => {
                format!(
                    "the header block {name} must be understood and is not; leave it out, or without mustUnderstand"
                )
            }
            Self::Version => "send a SOAP 1.2 envelope".to_owned(),
        }
    }

    /// The fault as an operation that declares `declared` may give it: the element `soap:Fault`. A
    /// number whose exception the operation does not have is a fault of the SOAP layer: the sender's
    /// where the request is at fault, else a technical problem.
    pub(crate) fn to_xml(&self, declared: &[Exception]) -> String {
        let (value, subcode, detail) = match self {
            Self::Sender(_) => ("Sender", String::new(), None),
            Self::Addressing(name, _) => {
                let subcode = format!(
                    "<soap:Subcode><soap:Value xmlns:wsa=\"{WSA}\">wsa:{name}</soap:Value></soap:Subcode>"
                );
                ("Sender", subcode, None)
            }
            Self::MustUnderstand(..) => ("MustUnderstand", String::new(), None),
            Self::Version => ("VersionMismatch", String::new(), None),
            Self::Refused(_) | Self::Numbered(..) => {
                let number = self.number().unwrap_or(9000);
                let exception = Exception::of(number);
                let technical = exception == Exception::TechnicalProblem;
                let shown = declared.contains(&exception).then(|| detail(exception, number));
                (if technical { "Receiver" } else { "Sender" }, String::new(), shown)
            }
        };
        let mut out = format!(
            "<soap:Fault xmlns:soap=\"{SOAP}\"><soap:Code><soap:Value>soap:{value}</soap:Value>{subcode}</soap:Code>\
             <soap:Reason><soap:Text xml:lang=\"en\">{}</soap:Text></soap:Reason>",
            escaped(&self.reason())
        );
        if let Some(detail) = detail {
            out.push_str(&format!("<soap:Detail>{detail}</soap:Detail>"));
        }
        out.push_str("</soap:Fault>");
        out
    }

    /// Header blocks that go with it.
    pub(crate) fn headers(&self) -> String {
        match self {
            // A block without a namespace has no prefix either: XML 1.0 can't declare one for it.
            Self::MustUnderstand(name, namespace) if namespace.is_empty() => {
                format!("<soap:NotUnderstood qname=\"{}\"/>", escaped(name))
            }
            Self::MustUnderstand(name, namespace) => format!(
                "<soap:NotUnderstood xmlns:n=\"{}\" qname=\"n:{}\"/>",
                escaped(namespace),
                escaped(name)
            ),
            Self::Version => format!(
                "<soap:Upgrade><soap:SupportedEnvelope xmlns:s=\"{SOAP}\" qname=\"s:Envelope\"/></soap:Upgrade>"
            ),
            _ => String::new(),
        }
    }

    /// Whether it is one of the operation's exceptions, which carry the operation's own action.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Addressing(..) => "http://www.w3.org/2005/08/addressing/fault",
            _ => "http://www.w3.org/2005/08/addressing/soap/fault",
        }
    }

    /// Whether `declared` holds its exception.
    pub(crate) fn is_declared(&self, declared: &[Exception]) -> bool {
        self.number().is_some_and(|number| declared.contains(&Exception::of(number)))
    }
}

fn detail(exception: Exception, number: u16) -> String {
    let element = exception.element();
    format!(
        "<xta:{element} xmlns:xta=\"{XTA}\"><xta:errorCode listURI=\"urn:de:xta:webservice:codeliste:fehlernummer\" \
         listVersionID=\"1.0\"><code>{number}</code><name>{}</name></xta:errorCode></xta:{element}>",
        escaped(name(number))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_gateway_has_a_number_and_an_exception() {
        for &code in Code::ALL {
            let fault = Fault::Refused(Refusal::new(code, "a < b"));
            let number = fault.number().unwrap();
            assert!((9010..=9070).contains(&number), "{code}: {number}");
            assert_ne!(name(number), name(9000), "{code}");
            let all = [Exception::of(number)];
            let xml = fault.to_xml(&all);
            assert!(xml.contains(&format!("<code>{number}</code>")) && xml.contains("a &lt; b"), "{xml}");
            assert!(!fault.to_xml(&[]).contains("soap:Detail"));
        }
    }
}
