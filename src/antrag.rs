//! The gateway's own messages, standard Antrag 1.0 (`xsd/antrag/1.0`): applications, receipts and
//! refusals. Each builder gives the octets of an unsigned document; sign them with
//! [`crate::verify::sign::Signer::sign`].

pub mod samples;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::{
    Ars, Coverage, Digest, Header, Identifier, MessageId, Placement, ServiceKey, SignerInfo, Timestamp,
    Waiver, Way,
};
use write::Writer;

/// Namespace of the messages.
pub const NAMESPACE: &str = "urn:xoev-de:amtsweg:standard:antrag_1.0";
/// Value of their attribute `standard`.
pub const STANDARD: &str = "Antrag";
/// Value of their attribute `version`.
pub const VERSION: &str = "1.0";

/// Why a message can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A character that XML 1.0 can't express.
    #[error("{0} contains a control character that XML can't carry; take it out")]
    Character(&'static str),
    /// The domain data is no single element.
    #[error("the domain data must be one well-formed element without DTD: {0}")]
    Content(String),
}

/// A body that sends or reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its identifier.
    pub identifier: Identifier,
    /// Its name as people know it, one line.
    pub name: String,
}

/// The software that made a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Its version.
    pub version: String,
}

impl Product {
    /// This gateway.
    #[must_use]
    pub fn gateway() -> Self {
        Self {
            name: "Amtsweg".to_owned(),
            vendor: "Amtsweg".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What is applied for, in the form of the service's own data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One XML element of another namespace, with all namespace declarations it needs.
    Element(String),
    /// Anything else.
    Binary {
        /// Media type without parameters.
        media_type: String,
        /// The octets; they are written in Base64.
        octets: Bytes,
    },
}

/// An attachment and its octets, which travel beside the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// File name, one path component.
    pub name: String,
    /// Media type without parameters.
    pub media_type: String,
    /// Its octets.
    pub octets: Bytes,
}

/// `antrag.einreichen.0100`: a portal hands in an application.
///
/// The builder escapes what it is given but does not judge it: whether texts keep to DIN 91379 and
/// names to their length is for the schema to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The author's UUID of the message.
    pub uuid: Uuid,
    /// Creation time.
    pub created: Timestamp,
    /// Who sends it.
    pub author: Party,
    /// For whom it is, where the author knows. Without service and area it must be there.
    pub reader: Option<Party>,
    /// What is applied for and where; decides who is competent.
    pub service: Option<(ServiceKey, Ars)>,
    /// The day for which the competence is to be decided.
    pub date: Option<jiff::civil::Date>,
    /// The sending software.
    pub product: Product,
    /// A test message: the reader must not process it as a real one.
    pub test: bool,
    /// The application itself.
    pub content: Content,
    /// What comes with it.
    pub attachments: Vec<Attachment>,
}

impl Application {
    /// The unsigned document.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn to_xml(&self) -> Result<Vec<u8>, BuildError> {
        if let Content::Element(element) = &self.content {
            write::one_element(element)?;
        }
        let mut w = Writer::exact();
        w.root("antrag.einreichen.0100", &self.product, self.test);
        w.head(&Head {
            uuid: self.uuid,
            code: "0100",
            created: self.created,
            reader: self.reader.as_ref(),
            author: &self.author,
            reference: None,
        });
        if let Some((service, area)) = &self.service {
            w.leaf("leistung", service.as_str());
            w.leaf("gebiet", area.as_str());
        }
        if let Some(date) = self.date {
            w.leaf("wunschtermin", &date.to_string());
        }
        w.open("fachdaten");
        match &self.content {
            Content::Element(element) => w.raw(element),
            Content::Binary { media_type, octets } => w.base64("inhalt", media_type, octets),
        }
        w.close("fachdaten");
        for attachment in &self.attachments {
            w.open("anlage");
            w.leaf("dateiname", &attachment.name);
            w.leaf("medientyp", &attachment.media_type);
            w.leaf("groesse", &attachment.octets.len().to_string());
            w.leaf("sha256", &Digest::of(&attachment.octets).to_string());
            w.close("anlage");
        }
        w.close("antrag.einreichen.0100");
        w.finish()
    }
}

/// A message that another one is about, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About<'a> {
    /// The gateway's id, once it has been accepted.
    pub id: Option<&'a MessageId>,
    /// Its author.
    pub author: Option<&'a Identifier>,
    /// Its author's UUID.
    pub uuid: Option<Uuid>,
    /// Octets of the document as they came.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
}

/// `antrag.quittung.0110`: the gateway has a message, durably. Carries no personal data, hence
/// neither file names nor the subject of the signer's certificate, who may be a person.
#[derive(Clone, Debug)]
pub struct Receipt<'a> {
    /// UUID of the receipt.
    pub uuid: Uuid,
    /// The gateway.
    pub gateway: &'a Party,
    /// The accepted message's id.
    pub id: &'a MessageId,
    /// Its routing data.
    pub header: &'a Header,
    /// Octets of its document.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
    /// Size and digest of each attachment, in document order.
    pub attachments: &'a [(u64, Digest)],
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Where it goes.
    pub placement: &'a Placement,
    /// Who signed it, or by which policy nobody did.
    pub signer: Result<&'a SignerInfo, &'a Waiver>,
    /// What the signature covers; `None` where nobody signed.
    pub coverage: Option<&'a Coverage>,
}

impl Receipt<'_> {
    /// The unsigned document. Characters outside DIN 91379 datatype C are replaced: a receipt is
    /// owed in any case.
    ///
    /// # Errors
    /// None that a caller can cause; [`BuildError`] for symmetry with the other builders.
    pub fn to_xml(&self) -> Result<Vec<u8>, BuildError> {
        let mut w = Writer::lossy();
        let reader = named(&self.header.author);
        w.root("antrag.quittung.0110", &Product::gateway(), self.header.test);
        w.head(&Head {
            uuid: self.uuid,
            code: "0110",
            created: self.accepted_at,
            reader: Some(&reader),
            author: self.gateway,
            reference: Some(self.header.uuid),
        });
        w.about(&About {
            id: Some(self.id),
            author: Some(&self.header.author),
            uuid: Some(self.header.uuid),
            size: self.size,
            sha256: self.sha256,
        });
        for (number, (size, sha256)) in (1_usize..).zip(self.attachments) {
            w.open_with("anlage", "nummer", &number.to_string());
            w.leaf("groesse", &size.to_string());
            w.leaf("sha256", &sha256.to_string());
            w.close("anlage");
        }
        w.leaf("angenommen", &self.accepted_at.to_string());
        w.open("weg");
        w.leaf("behoerde", self.placement.authority.as_str());
        w.leaf("empfaenger", self.placement.reader.as_str());
        w.leaf("endpunkt", self.placement.endpoint.as_str());
        w.leaf(
            "art",
            match self.placement.way {
                Way::Push => "zustellung",
                Way::Pull => "abholung",
            },
        );
        w.paragraph("begruendung", &self.placement.rule);
        w.close("weg");
        match self.signer {
            Ok(signer) => {
                w.open("unterzeichner");
                w.line("seriennummer", &signer.serial);
                w.leaf("sha256", &signer.fingerprint.to_string());
                w.leaf("gueltigBis", &signer.not_after.to_string());
                if let Some(coverage) = self.coverage {
                    w.covered(coverage);
                }
                w.close("unterzeichner");
            }
            Err(waiver) => w.paragraph("ohneSignatur", &waiver.rule),
        }
        w.close("antrag.quittung.0110");
        w.finish()
    }
}

/// `antrag.rueckweisung.0120`: the gateway, or the competent authority through it, refuses a
/// message and says what to do.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// UUID of the refusal.
    pub uuid: Uuid,
    /// The gateway.
    pub gateway: &'a Party,
    /// When it was refused.
    pub created: Timestamp,
    /// The message, as far as it could be read. Its author, where known, is the reader.
    pub about: About<'a>,
    /// Codes of XÖV for the reason, e.g. `X001`, at most 5; from the table of the fronts.
    pub reasons: &'a [&'a str],
    /// Code, sentence, place and explanation.
    pub refusal: &'a crate::error::Refusal,
}

impl Refusal<'_> {
    /// The unsigned document. Characters outside DIN 91379 datatype C are replaced.
    ///
    /// # Errors
    /// None that a caller can cause; [`BuildError`] for symmetry with the other builders.
    pub fn to_xml(&self) -> Result<Vec<u8>, BuildError> {
        let mut w = Writer::lossy();
        let reader = self.about.author.map(named);
        w.root("antrag.rueckweisung.0120", &Product::gateway(), false);
        w.head(&Head {
            uuid: self.uuid,
            code: "0120",
            created: self.created,
            reader: reader.as_ref(),
            author: self.gateway,
            reference: self.about.uuid,
        });
        w.about(&self.about);
        for reason in self.reasons.iter().take(5) {
            w.code("grund", "rueckweisungsgrund", reason);
        }
        w.leaf("fehler", self.refusal.code.as_str());
        w.paragraph("text", &self.refusal.reason);
        if let Some(location) = &self.refusal.location {
            w.open("fundstelle");
            if location.line > 0 {
                w.leaf("zeile", &location.line.to_string());
            }
            if location.column > 0 {
                w.leaf("spalte", &location.column.to_string());
            }
            if !location.path.is_empty() {
                w.paragraph("pfad", &location.path);
            }
            w.close("fundstelle");
        }
        for line in self.refusal.explanation.iter().filter(|line| !line.is_empty()).take(100) {
            w.paragraph("erlaeuterung", line);
        }
        w.close("antrag.rueckweisung.0120");
        w.finish()
    }
}

/// A party of which only the identifier is known.
fn named(identifier: &Identifier) -> Party {
    Party { identifier: identifier.clone(), name: identifier.to_string() }
}

/// What a `nachrichtenkopf.g2g` says.
struct Head<'a> {
    uuid: Uuid,
    code: &'static str,
    created: Timestamp,
    reader: Option<&'a Party>,
    author: &'a Party,
    reference: Option<Uuid>,
}
