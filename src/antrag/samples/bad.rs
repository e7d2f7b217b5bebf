//! Samples that must be refused, each for one reason.

use super::super::{Application, BuildError, Content, Party};
use crate::domain::{Ars, ServiceKey};
use crate::error::Code;

/// A sample that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bad {
    /// The document breaks off in the middle.
    BrokenXml,
    /// It has a document type declaration with an entity.
    Dtd,
    /// A standard that the gateway does not know.
    UnknownStandard,
    /// An element is missing that the schema asks for.
    SchemaInvalid,
    /// A code that is not in its list.
    UnknownCode,
    /// Nobody signed it.
    Unsigned,
    /// Changed after signing.
    Tampered,
    /// The signed document is wrapped into another one.
    Wrapped,
    /// The author is one that the sending account may not write as.
    WrongAuthor,
    /// The reader named is not the competent one.
    ReaderDiffers,
    /// Nobody is competent.
    Nobody,
    /// Somebody is competent, but not connected.
    NotConnected,
    /// The UUID of a message accepted before, with other content. Send the good one first.
    IdReused,
}

/// What the samples need to know of the gateway's directory and accounts.
#[derive(Clone, Debug)]
pub struct Others {
    /// An author that the sending account is not entitled to.
    pub stranger: Party,
    /// A reader that is not competent for the good sample.
    pub wrong_reader: Party,
    /// A service and area for which nobody is competent.
    pub nobody: (ServiceKey, Ars),
    /// A service and area whose authority is not connected.
    pub not_connected: (ServiceKey, Ars),
}

/// Why a sample could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError<E> {
    /// The document can't be written.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It can't be signed.
    #[error("the sample can't be signed: {0}")]
    Sign(E),
}

impl Bad {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::BrokenXml,
        Self::Dtd,
        Self::UnknownStandard,
        Self::SchemaInvalid,
        Self::UnknownCode,
        Self::Unsigned,
        Self::Tampered,
        Self::Wrapped,
        Self::WrongAuthor,
        Self::ReaderDiffers,
        Self::Nobody,
        Self::NotConnected,
        Self::IdReused,
    ];

    /// The code with which the gateway must refuse it.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::BrokenXml => Code::NotWellFormed,
            Self::Dtd => Code::Forbidden,
            Self::UnknownStandard | Self::Wrapped => Code::UnknownStandard,
            Self::SchemaInvalid => Code::SchemaInvalid,
            Self::UnknownCode => Code::UnknownCode,
            Self::Unsigned => Code::SignatureMissing,
            Self::Tampered => Code::SignatureWrong,
            Self::WrongAuthor => Code::NotEntitled,
            Self::ReaderDiffers => Code::ReaderDiffers,
            Self::Nobody => Code::NobodyCompetent,
            Self::NotConnected => Code::NotConnected,
            Self::IdReused => Code::IdUsed,
        }
    }

    /// A few words for tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::BrokenXml => "breaks off in the middle",
            Self::Dtd => "declares an entity",
            Self::UnknownStandard => "belongs to an unknown standard",
            Self::SchemaInvalid => "lacks its domain data",
            Self::UnknownCode => "has a code that is not in its list",
            Self::Unsigned => "is not signed",
            Self::Tampered => "was changed after signing",
            Self::Wrapped => "wraps a signed message into another",
            Self::WrongAuthor => "comes from somebody else's author",
            Self::ReaderDiffers => "names a reader who is not competent",
            Self::Nobody => "finds nobody competent",
            Self::NotConnected => "finds an authority without connection",
            Self::IdReused => "reuses the UUID of another message",
        }
    }

    /// The document to send. `good` is an application that would be accepted; the sample has its
    /// own UUID but for [`Bad::IdReused`]. Its attachments, where it has any, go along.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn make<E>(
        self,
        good: &Application,
        others: &Others,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, MakeError<E>> {
        let mut application = good.clone();
        if self != Self::IdReused {
            application.uuid = uuid::Uuid::new_v4();
        }
        match self {
            Self::WrongAuthor => application.author = others.stranger.clone(),
            Self::ReaderDiffers => application.reader = Some(others.wrong_reader.clone()),
            Self::Nobody => application.service = Some(others.nobody.clone()),
            Self::NotConnected => application.service = Some(others.not_connected.clone()),
            Self::IdReused => application.content = Content::Element(OTHER_CONTENT.to_owned()),
            _ => {}
        }
        let document = application.to_xml()?;
        let document = self.before_signing(&document);
        if self == Self::Unsigned {
            return Ok(document);
        }
        sign(&document).map(|signed| self.after_signing(&signed)).map_err(MakeError::Sign)
    }

    fn before_signing(self, document: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(document);
        match self {
            Self::UnknownStandard => text.replace(super::super::NAMESPACE, "urn:amtsweg:muster:unbekannt"),
            Self::SchemaInvalid => {
                match (text.find("<antrag:fachdaten>"), text.find("</antrag:fachdaten>")) {
                    (Some(start), Some(end)) if start < end => {
                        let (before, rest) = text.split_at(start);
                        let after = rest.get(end - start + "</antrag:fachdaten>".len()..).unwrap_or_default();
                        format!("{before}{after}")
                    }
                    _ => text.into_owned(),
                }
            }
            Self::UnknownCode => text.replace("<code>dvdv</code>", "<code>gibt-es-nicht</code>"),
            _ => text.into_owned(),
        }
        .into_bytes()
    }

    fn after_signing(self, signed: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(signed);
        let declaration = text.find("?>").map_or(0, |at| at + 2);
        let (head, body) = text.split_at(declaration);
        match self {
            Self::BrokenXml => {
                let half = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.get(..half).unwrap_or_default().to_owned()
            }
            Self::Dtd => format!("{head}\n<!DOCTYPE antrag [<!ENTITY x \"y\">]>{body}"),
            Self::Tampered => text.replacen("Musterdaten.", "Echte Daten.", 1),
            Self::Wrapped => {
                format!("{head}\n<huelle xmlns=\"urn:amtsweg:muster:huelle\">{body}</huelle>\n")
            }
            _ => text.into_owned(),
        }
        .into_bytes()
    }
}

const OTHER_CONTENT: &str = "<antrag xmlns=\"urn:amtsweg:muster:antrag\"><hinweis>Musterdaten. Ein anderer Inhalt unter \
     derselben UUID.</hinweis></antrag>";
