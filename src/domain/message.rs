//! What a verified message says about itself.

use serde::{Deserialize, Serialize};

use super::{Ars, Digest, Identifier, ServiceKey, Timestamp};

/// The routing data of a message, picked by a header rule from its signed octets. Carries no
/// personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Namespace of the root element.
    pub namespace: String,
    /// Local name of the root element, e.g. `antrag.einreichen.0100`.
    pub root: String,
    /// The root's `standard` attribute, e.g. `Antrag`; empty where the rule names none.
    pub standard: String,
    /// The root's `version` attribute.
    pub version: String,
    /// Code of the message type, e.g. `0100`.
    pub type_code: String,
    /// The author's UUID of the message (small letters); with the author it is the duplicate key.
    pub uuid: uuid::Uuid,
    /// Creation time as the author wrote it.
    pub created: String,
    /// Who wrote the message.
    pub author: Identifier,
    /// For whom it is, where the author named one.
    pub reader: Option<Identifier>,
    /// The service applied for.
    pub service: Option<ServiceKey>,
    /// The area in which it is applied for.
    pub area: Option<Ars>,
    /// The day the author wishes the competence to be decided for.
    pub date: Option<jiff::civil::Date>,
    /// A test message: the reader must not process it as a real one.
    pub test: bool,
}

/// An attachment as the signed document declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredAttachment {
    /// File name, one path component.
    pub name: String,
    /// Media type, e.g. `application/pdf`.
    pub media_type: String,
    /// Size in octets.
    pub size: u64,
    /// SHA-256 of the octets.
    pub sha256: Digest,
}

/// Who signed a message, from the certificate that was trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerInfo {
    /// Subject of the certificate (RFC 4514).
    pub subject: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate's DER octets.
    pub fingerprint: Digest,
    /// End of its validity.
    pub not_after: Timestamp,
}

impl SignerInfo {
    /// What stands where nobody signed.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            subject: String::new(),
            serial: String::new(),
            fingerprint: Digest::default(),
            not_after: Timestamp(0),
        }
    }
}
