//! One chain from the signer's certificate to an anchor, and its revocation.

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyPurposeId, KeyPurposeIdIter,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::{Trust, Unknown};
use crate::domain::Note;
use crate::error::{Code, Refusal};
use crate::verify::certificate;

/// A chain to be checked at one moment.
pub(super) struct Chain<'c> {
    trust: &'c Trust,
    leaf: &'c CertificateDer<'c>,
    end_entity: EndEntityCert<'c>,
    others: &'c [CertificateDer<'c>],
    lists: Vec<&'c CertRevocationList<'static>>,
    seconds: u64,
}

impl<'c> Chain<'c> {
    pub(super) fn new(
        trust: &'c Trust,
        leaf: &'c CertificateDer<'c>,
        others: &'c [CertificateDer<'c>],
        seconds: u64,
    ) -> Result<Self, Refusal> {
        let end_entity = EndEntityCert::try_from(leaf).map_err(|why| refusal(&why))?;
        let lists = trust.lists.iter().map(|list| &list.list).collect();
        Ok(Self { trust, leaf, end_entity, others, lists, seconds })
    }

    /// When its first certificate expires (seconds since 1970), and what deserves a look.
    pub(super) fn check(&self) -> Result<(u64, Vec<Note>), Refusal> {
        if self.lists.is_empty() {
            // No list is configured: nobody claims to know.
            return Ok((self.path(None)?, vec![Note::RevocationUnknown]));
        }
        let known = self.strict();
        let note = match &known {
            Ok(until) => return Ok((*until, Vec::new())),
            Err(Doubt::No(refusal)) => return Err(refusal.clone()),
            Err(Doubt::Unknown(_)) => Note::RevocationUnknown,
            Err(Doubt::Stale(_)) => Note::RevocationStale,
        };
        match (self.trust.revocation.unknown, known) {
            (Unknown::Mark, _) => {
                // Whoever stands on a list is revoked, however old it is.
                let any = self.options(
                    RevocationCheckDepth::Chain,
                    UnknownStatusPolicy::Allow,
                    ExpirationPolicy::Ignore,
                );
                Ok((self.path(any)?, vec![note]))
            }
            (Unknown::Refuse, Err(Doubt::Unknown(refusal) | Doubt::Stale(refusal))) => Err(refusal),
            (Unknown::Refuse, _) => Err(stale()),
        }
    }

    /// The chain with all lists in force.
    fn strict(&self) -> Result<u64, Doubt> {
        let enforce = ExpirationPolicy::Enforce;
        let leaf = self.options(RevocationCheckDepth::EndEntity, UnknownStatusPolicy::Deny, enforce);
        self.path(leaf)?;
        let chain = self.options(RevocationCheckDepth::Chain, UnknownStatusPolicy::Allow, enforce);
        let until = self.path(chain)?;
        let issuer = certificate::issuer(self.leaf).unwrap_or_default();
        let own = self.trust.lists.iter().find(|list| list.issuer == issuer);
        match own {
            Some(list) if self.trust.end(list) <= self.seconds => Err(Doubt::Stale(stale())),
            _ => Ok(until),
        }
    }

    fn options(
        &self,
        depth: RevocationCheckDepth,
        unknown: UnknownStatusPolicy,
        expired: ExpirationPolicy,
    ) -> Option<RevocationOptions<'_>> {
        let builder = RevocationOptionsBuilder::new(&self.lists).ok()?;
        Some(builder.with_depth(depth).with_status_policy(unknown).with_expiration_policy(expired).build())
    }

    /// When the first certificate of the path to an anchor expires.
    fn path(&self, revocation: Option<RevocationOptions<'_>>) -> Result<u64, Refusal> {
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.seconds));
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let anchors = &self.trust.anchors;
        let path = self
            .end_entity
            .verify_for_usage(algorithms, anchors, self.others, now, SigningUse, revocation, None)
            .map_err(|why| refusal(&why))?;
        let between = path.intermediate_certificates().map(|certificate| certificate.der());
        let ends = between.filter_map(|der| certificate::validity(&der)).map(|(_, end)| end);
        let own = certificate::validity(self.leaf).map(|(_, end)| end);
        Ok(ends.chain(own).min().unwrap_or(0))
    }
}

/// Why a chain is not good, or not known to be.
enum Doubt {
    /// It is not good.
    No(Refusal),
    /// No list tells.
    Unknown(Refusal),
    /// The list is out of date.
    Stale(Refusal),
}

impl From<Refusal> for Doubt {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            Code::RevocationUnknown if refusal.reason == STALE => Self::Stale(refusal),
            Code::RevocationUnknown => Self::Unknown(refusal),
            _ => Self::No(refusal),
        }
    }
}

const STALE: &str =
    "the CRL of the certificate's issuer is out of date; the gateway's operator must renew it";

fn stale() -> Refusal {
    Refusal::new(Code::RevocationUnknown, STALE)
}

/// The extended key usages that cover signed data: e-mail protection and client authentication
/// (RFC 5280, section 4.2.1.12), document signing (RFC 9336), any.
struct SigningUse;

const USES: [&[u8]; 4] = [
    &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x04],
    &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
    &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x24],
    &[0x55, 0x1D, 0x25, 0x00],
];

impl webpki::ExtendedKeyUsageValidator for SigningUse {
    fn validate(&self, uses: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut none = true;
        let mut fits = false;
        for purpose in uses {
            let purpose = purpose?;
            none = false;
            fits |= USES.iter().any(|known| KeyPurposeId::new(known) == purpose);
        }
        if none || fits { Ok(()) } else { Err(webpki::Error::EmptyEkuExtension) }
    }
}

fn refusal(why: &webpki::Error) -> Refusal {
    use webpki::Error as E;
    let (code, reason) = match why {
        E::CertExpired { .. } => (
            Code::CertificateExpired,
            "the signer's certificate or one of its issuers has expired; sign with a valid one",
        ),
        E::CertNotValidYet { .. } => {
            (Code::CertificateExpired, "the signer's certificate or one of its issuers is not valid yet")
        }
        E::CertRevoked => (
            Code::CertificateRevoked,
            "the signer's certificate or one of its issuers is revoked; sign with another one",
        ),
        E::UnknownRevocationStatus => (
            Code::RevocationUnknown,
            "no CRL of the certificate's issuer is at hand; the gateway's operator must add it",
        ),
        E::CrlExpired { .. } => (Code::RevocationUnknown, STALE),
        E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => (
            Code::RevocationUnknown,
            "the CRL of the certificate's issuer can't be trusted; the gateway's operator must replace it",
        ),
        E::EmptyEkuExtension => (
            Code::CertificateUntrusted,
            "the signer's certificate is not for signing data (extended key usage)",
        ),
        E::CaUsedAsEndEntity => (
            Code::CertificateUntrusted,
            "the signer's certificate is a CA's; sign with an end-entity certificate",
        ),
        E::UnknownIssuer => (
            Code::CertificateUntrusted,
            "the signer's certificate does not lead to a trusted anchor; send its intermediate certificates, or have its CA added",
        ),
        _ => (
            Code::CertificateUntrusted,
            "the signer's certificate chain is not acceptable (RFC 5280, section 6.1)",
        ),
    };
    Refusal::new(code, reason)
}
