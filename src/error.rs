//! The closed list of what can be refused, with stable codes. Knows no transport: the table to
//! XÖV, XTA, gRPC and HTTP stands in `front::status`, the pages in `deploy/errors`.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A stable code `AW-nnnn`. Once published, a code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name),* }

        impl Code {
            /// All codes, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The code's text, e.g. `AW-0101`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }
        }
    };
}

codes! {
    /// Not well-formed XML.
    NotWellFormed = "AW-0101",
    /// A construct that is forbidden: DTD, entity, processing instruction tricks.
    Forbidden = "AW-0102",
    /// Over a limit.
    OverLimit = "AW-0103",
    /// Not UTF-8.
    NotUtf8 = "AW-0104",
    /// No schema or header rule for this standard or version.
    UnknownStandard = "AW-0110",
    /// Not valid against its schema, or its header breaks a rule of its standard.
    SchemaInvalid = "AW-0111",
    /// A code that is not in its list.
    UnknownCode = "AW-0112",
    /// No signature.
    SignatureMissing = "AW-0120",
    /// An algorithm or key outside the profile.
    SignatureWeak = "AW-0121",
    /// The signature or a digest is wrong.
    SignatureWrong = "AW-0122",
    /// The signature does not cover the whole message.
    NotCovered = "AW-0123",
    /// The signer's certificate has expired or is not valid yet.
    CertificateExpired = "AW-0130",
    /// The signer's certificate is revoked.
    CertificateRevoked = "AW-0131",
    /// The signer's certificate does not lead to a trusted anchor, or is not for signing.
    CertificateUntrusted = "AW-0132",
    /// The signature carries no certificate.
    CertificateMissing = "AW-0133",
    /// Whether the certificate is revoked can't be told.
    RevocationUnknown = "AW-0134",
    /// The account is not entitled to this author, or to this operation.
    NotEntitled = "AW-0140",
    /// The reader in the header differs from the route.
    ReaderDiffers = "AW-0150",
    /// The author's UUID was used for other content.
    IdUsed = "AW-0160",
    /// Nobody is competent.
    NobodyCompetent = "AW-0201",
    /// Somebody is competent, but not connected.
    NotConnected = "AW-0202",
    /// More than one is competent.
    Ambiguous = "AW-0203",
    /// The authority refused it after it was accepted, or it could not be brought in time: stands in the
    /// signed refusal of a returned message, never in an answer to a submission.
    Returned = "AW-0204",
    /// Overloaded; try again later.
    Overloaded = "AW-0301",
    /// The disk is nearly full.
    DiskFull = "AW-0302",
    /// The account's quota is used up.
    Quota = "AW-0303",
    /// No such message, as far as this account may know.
    UnknownMessage = "AW-0401",
    /// The lease is lost, or the message's state does not allow it.
    LeaseLost = "AW-0402",
    /// A fault in the gateway; nothing was accepted.
    Internal = "AW-0500",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a document a fault stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Location {
    /// Octet offset.
    pub offset: u64,
    /// Line, from 1; 0 when unknown.
    pub line: u64,
    /// Column in characters, from 1; 0 when unknown.
    pub column: u64,
    /// Path of element names from the root, e.g. `/antrag.einreichen.0100/gebiet`.
    pub path: String,
}

/// A refusal: a code and a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// What is wrong and what to do; no payload, no personal data.
    pub reason: String,
    /// Where in the document, for faults of the document.
    pub location: Option<Box<Location>>,
    /// The route's explanation, line by line, for AW-0150 and AW-02xx.
    pub explanation: Vec<String>,
}

impl Refusal {
    /// A refusal without a place.
    #[must_use]
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), location: None, explanation: Vec::new() }
    }

    /// The same, with the place in the document.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(Box::new(location));
        self
    }

    /// The same, with the route's explanation.
    #[must_use]
    pub fn explained(mut self, explanation: Vec<String>) -> Self {
        self.explanation = explanation;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ordered() {
        let texts: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(texts, sorted);
    }
}
