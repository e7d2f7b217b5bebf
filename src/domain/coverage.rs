//! What a message's signature covers: the statement that goes into the record, the receipt and the
//! operators' view.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// All algorithms of the profile by their URIs. A record holds their numbers, so this list only
/// grows at its end.
const ALGORITHMS: [&str; 20] = [
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#rsa-pss",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
];

/// What was signed of a message, until when its signer's certificates stand, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The first of the signer's certificates up to the anchor to expire does so then.
    pub until: Timestamp,
    /// Numbers in [`ALGORITHMS`].
    algorithms: Vec<u8>,
    /// When the signer says it has signed (XAdES B-B); `None` for a plain signature.
    pub signed_at: Option<Timestamp>,
    /// What deserves a look.
    pub notes: Vec<Note>,
}

impl Coverage {
    /// What is signed of an accepted message: always all of it.
    pub const COVERED: &str = "the whole document, its comments aside";

    /// With algorithms by their URIs; one that is none of the profile is left out.
    #[must_use]
    pub fn new(until: Timestamp, uris: &[&str], signed_at: Option<Timestamp>, notes: Vec<Note>) -> Self {
        let number = |uri: &&str| ALGORITHMS.iter().position(|known| known == uri);
        let algorithms = uris.iter().filter_map(number).filter_map(|number| u8::try_from(number).ok());
        Self { until, algorithms: algorithms.collect(), signed_at, notes }
    }

    /// URIs of canonicalisation and digest of the document, then of canonicalisation and signature of
    /// `SignedInfo`.
    pub fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.algorithms.iter().filter_map(|number| ALGORITHMS.get(usize::from(*number)).copied())
    }

    /// `XAdES B-B` or `XMLDSig`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        if self.signed_at.is_some() { "XAdES B-B" } else { "XMLDSig" }
    }
}

/// What deserves a look at a signature that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// Nothing says whether the certificate is revoked; the operator's policy accepts that.
    RevocationUnknown,
    /// The revocation list is out of date; the operator's policy accepts that.
    RevocationStale,
    /// Revocation data came in the message.
    RevocationIgnored,
    /// Properties that nobody signed came in the message.
    UnsignedIgnored,
}

impl Note {
    /// One sentence for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RevocationUnknown => "whether the certificate is revoked is not known",
            Self::RevocationStale => {
                "the revocation list is out of date: whether the certificate is revoked is not known"
            }
            Self::RevocationIgnored => {
                "revocation data in the message (CRL, OCSP) was ignored: the gateway asks its own lists alone"
            }
            Self::UnsignedIgnored => "unsigned properties in the signature were ignored",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_keep_their_numbers() {
        let all = Coverage::new(Timestamp(1), &ALGORITHMS, None, Vec::new());
        assert!(all.algorithms().eq(ALGORITHMS));
        let four = [ALGORITHMS[0], ALGORITHMS[6], "urn:unknown", ALGORITHMS[19]];
        let four = Coverage::new(Timestamp(1), &four, None, Vec::new());
        assert_eq!(four.algorithms, [0, 6, 19]);
    }
}
