//! Public keys of certificates and the check of a signature value with them.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::EndEntityCert;
use webpki::aws_lc_rs as algs;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::error::{Code, Refusal};

use super::algorithms::{Scheme, SignatureMethod};
use super::sign::Hash;

/// What kind of key a certificate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// On the curve P-256.
    P256,
    /// On the curve P-384.
    P384,
    /// On the curve P-521.
    P521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// None of the profile.
    Other,
}

impl Kind {
    /// Octets of `r` and of `s`.
    fn field(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
            Self::Rsa(_) | Self::Ed25519 | Self::Other => 0,
        }
    }

    pub(super) fn fits(self, scheme: Scheme) -> bool {
        match self {
            Self::Rsa(bits) => {
                matches!(scheme, Scheme::Pkcs1 | Scheme::Pss | Scheme::PssParameters)
                    && (2048..=8192).contains(&bits)
            }
            Self::P256 | Self::P384 | Self::P521 => scheme == Scheme::Ecdsa,
            Self::Ed25519 => scheme == Scheme::Ed25519,
            Self::Other => false,
        }
    }
}

/// The kind of key in a SubjectPublicKeyInfo.
pub(crate) fn kind(spki: &[u8]) -> Kind {
    let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(spki) else { return Kind::Other };
    if spki.algorithm.algorithm.to_id_string() == "1.3.101.112" {
        return Kind::Ed25519;
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let modulus = key.modulus;
            let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
            let top = modulus.get(zeros).map_or(0, |octet| octet.leading_zeros() as usize);
            Kind::Rsa(((modulus.len() - zeros) * 8).saturating_sub(top))
        }
        Ok(PublicKey::EC(_)) => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => Kind::P256,
                Some("1.3.132.0.34") => Kind::P384,
                Some("1.3.132.0.35") => Kind::P521,
                _ => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

/// The algorithm that checks signatures of this method with such a key.
pub(super) fn algorithm(
    kind: Kind,
    method: SignatureMethod,
) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    let scheme = if method.scheme == Scheme::PssParameters { Scheme::Pss } else { method.scheme };
    Some(match (kind, scheme, method.hash) {
        (Kind::Ed25519, Scheme::Ed25519, _) => algs::ED25519,
        (Kind::Rsa(_), Scheme::Pkcs1, Hash::Sha256) => algs::RSA_PKCS1_2048_8192_SHA256,
        (Kind::Rsa(_), Scheme::Pkcs1, Hash::Sha384) => algs::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Rsa(_), Scheme::Pkcs1, Hash::Sha512) => algs::RSA_PKCS1_2048_8192_SHA512,
        (Kind::Rsa(_), Scheme::Pss, Hash::Sha256) => algs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        (Kind::Rsa(_), Scheme::Pss, Hash::Sha384) => algs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        (Kind::Rsa(_), Scheme::Pss, Hash::Sha512) => algs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        (Kind::P256, Scheme::Ecdsa, Hash::Sha256) => algs::ECDSA_P256_SHA256,
        (Kind::P256, Scheme::Ecdsa, Hash::Sha384) => algs::ECDSA_P256_SHA384,
        (Kind::P256, Scheme::Ecdsa, Hash::Sha512) => algs::ECDSA_P256_SHA512,
        (Kind::P384, Scheme::Ecdsa, Hash::Sha256) => algs::ECDSA_P384_SHA256,
        (Kind::P384, Scheme::Ecdsa, Hash::Sha384) => algs::ECDSA_P384_SHA384,
        (Kind::P384, Scheme::Ecdsa, Hash::Sha512) => algs::ECDSA_P384_SHA512,
        (Kind::P521, Scheme::Ecdsa, Hash::Sha256) => algs::ECDSA_P521_SHA256,
        (Kind::P521, Scheme::Ecdsa, Hash::Sha384) => algs::ECDSA_P521_SHA384,
        (Kind::P521, Scheme::Ecdsa, Hash::Sha512) => algs::ECDSA_P521_SHA512,
        _ => return None,
    })
}

/// A certificate whose key fits the signature method.
pub(crate) struct Candidate<'c> {
    /// Which of the certificates.
    pub(crate) number: usize,
    kind: Kind,
    certificate: EndEntityCert<'c>,
}

/// The certificates whose keys fit the method, in order. Nothing is computed with them yet.
///
/// # Errors
/// AW-0121 when their keys are too weak or of another kind, AW-0122 when none can be read.
pub(crate) fn candidates<'c>(
    certificates: &'c [CertificateDer<'c>],
    method: SignatureMethod,
) -> Result<Vec<Candidate<'c>>, Refusal> {
    let mut fitting = Vec::new();
    let mut kinds = Vec::new();
    for (number, der) in certificates.iter().enumerate() {
        let Ok(certificate) = EndEntityCert::try_from(der) else { continue };
        let kind = kind(&certificate.subject_public_key_info());
        kinds.push(kind);
        if kind.fits(method.scheme) {
            fitting.push(Candidate { number, kind, certificate });
        }
    }
    if !fitting.is_empty() {
        return Ok(fitting);
    }
    let weak = |kind: &Kind| matches!(kind, Kind::Rsa(_) | Kind::Other);
    let rsa = !matches!(method.scheme, Scheme::Ecdsa | Scheme::Ed25519);
    Err(if kinds.is_empty() {
        Refusal::new(
            Code::SignatureWrong,
            "no certificate of the signature can be read; send X.509 v3 in DER, base64",
        )
    } else if kinds.iter().any(weak) && rsa || kinds.contains(&Kind::Other) {
        Refusal::new(
            Code::SignatureWeak,
            "the signer's key is outside the profile; use RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
        )
    } else {
        Refusal::new(
            Code::SignatureWrong,
            "no certificate of the signature has a key for its SignatureMethod",
        )
    })
}

/// The number of the certificate whose key verifies the value.
pub(crate) fn verifying(
    candidates: &[Candidate<'_>],
    method: SignatureMethod,
    message: &[u8],
    value: &[u8],
) -> Option<usize> {
    let verifies = |candidate: &&Candidate<'_>| {
        let Some(algorithm) = algorithm(candidate.kind, method) else { return false };
        if method.scheme != Scheme::Ecdsa {
            return candidate.certificate.verify_signature(algorithm, message, value).is_ok();
        }
        ecdsa_der(value, candidate.kind.field())
            .is_some_and(|der| candidate.certificate.verify_signature(algorithm, message, &der).is_ok())
    };
    candidates.iter().find(verifies).map(|candidate| candidate.number)
}

/// `r` and `s` side by side (XML Signature 1.1, section 6.4.3), as an ASN.1 `Ecdsa-Sig-Value`
/// (RFC 3279, section 2.2.3).
pub(super) fn ecdsa_der(value: &[u8], field: usize) -> Option<Vec<u8>> {
    if value.len() != 2 * field {
        return None;
    }
    let (r, s) = value.split_at(field);
    let mut body = Vec::with_capacity(2 * field + 8);
    integer(&mut body, r);
    integer(&mut body, s);
    let mut der = vec![0x30];
    let length = u8::try_from(body.len()).ok()?;
    if length >= 0x80 {
        der.push(0x81);
    }
    der.push(length);
    der.append(&mut body);
    Some(der)
}

/// A positive INTEGER of at most 66 octets.
fn integer(out: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let pad = digits.first().is_none_or(|octet| *octet >= 0x80);
    out.push(0x02);
    out.push(u8::try_from(digits.len() + usize::from(pad)).unwrap_or(u8::MAX));
    if pad {
        out.push(0);
    }
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_ecdsa_values_as_asn1() {
        let mut value = vec![0; 64];
        value[31] = 0x7F;
        value[32] = 0x80;
        let mut expected = vec![0x30, 0x26, 0x02, 0x01, 0x7F, 0x02, 0x21, 0x00, 0x80];
        expected.extend([0; 31]);
        assert_eq!(ecdsa_der(&value, 32), Some(expected));
        assert_eq!(ecdsa_der(&value, 48), None);
        let long = ecdsa_der(&[0x81; 132], 66).unwrap();
        assert_eq!(&long[..3], [0x30, 0x81, 138]);
    }
}
