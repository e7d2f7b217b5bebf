//! Which of the certificates that came along stand above the signer's.
//!
//! Path building tries every order of certificates that have the name of an issuer (RFC 4158, section 2.4.2).
//! Anyone can send seven with the anchor's name, and webpki would check a hundred signatures before it gave
//! up. So where several have the name, those count whose key has signed the certificate below, and the others
//! are dropped: no certificate is tried more than once.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The issuer of `leaf`, its issuer, and so on; several where the same CA has several certificates.
pub(super) fn above<'c>(
    leaf: &'c CertificateDer<'c>,
    others: &'c [CertificateDer<'c>],
) -> Vec<CertificateDer<'c>> {
    let parsed = |der: &'c CertificateDer<'c>| Some((X509Certificate::from_der(der).ok()?.1, der));
    let mut rest: Vec<_> = others.iter().filter_map(parsed).collect();
    let mut line: Vec<_> = parsed(leaf).into_iter().collect();
    let mut at = 0;
    while let Some((child, der)) = line.get(at).cloned() {
        let named = rest.extract_if(.., |(other, _)| other.subject() == child.issuer());
        let mut named: Vec<_> = named.collect();
        if named.len() > 1 {
            let signed = named.iter().find(|(_, parent)| has_signed(parent, &child, der));
            let key = signed.map(|(parent, _)| parent.public_key().raw.to_vec());
            named.retain(|(parent, _)| key.as_deref() == Some(parent.public_key().raw));
        }
        line.extend(named);
        at += 1;
    }
    line.into_iter().skip(1).map(|(_, der)| der.clone()).collect()
}

/// Whether the key of `parent` has signed `child`.
fn has_signed(parent: &CertificateDer<'_>, child: &X509Certificate<'_>, der: &[u8]) -> bool {
    let Ok(parent) = EndEntityCert::try_from(parent) else { return false };
    let signed = child.tbs_certificate.as_ref();
    let Some(method) = method(der, signed.len()) else { return false };
    let mut fitting =
        webpki::ALL_VERIFICATION_ALGS.iter().filter(|known| known.signature_alg_id().as_ref() == method);
    fitting.any(|known| parent.verify_signature(*known, signed, &child.signature_value.data).is_ok())
}

/// What stands in the AlgorithmIdentifier behind the signed part of a certificate (RFC 5280, section 4.1).
fn method(der: &[u8], signed: usize) -> Option<&[u8]> {
    // The head of the outer SEQUENCE: a tag, and a length of one octet or of so many as its first says.
    let length = usize::from(*der.get(1)?);
    let head = if length < 0x80 { 2 } else { 2 + (length & 0x7F) };
    let [0x30, length, rest @ ..] = der.get(head + signed..)? else { return None };
    rest.get(..usize::from(*length)).filter(|_| *length < 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::verify::testkit::{Key, Pki};
    use crate::verify::trust::Trust;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
    use rustls_pki_types::pem::PemObject;

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn ca(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    /// A signer's certificate under a CA of this key, called "Sub".
    fn leaf(key: KeyPair) -> CertificateDer<'static> {
        let pki = Pki { anchor: String::new(), issuer: Issuer::new(ca("Sub"), key) };
        der(&pki.leaf(Key::P256, |_| {}).certificate)
    }

    #[test]
    fn of_many_with_the_issuers_name_those_whose_key_has_signed_are_left() {
        let leaf = der(&Pki::new().leaf(Key::P384, |_| {}).certificate);
        let others: Vec<_> = (0..7).map(|_| der(&Pki::new().anchor)).collect();
        assert!(above(&leaf, &others).is_empty());
        // One alone is left to the path building.
        assert_eq!(above(&leaf, &others[..1]), others[..1]);
    }

    #[test]
    fn a_chain_is_found_among_false_ones_whatever_their_order() {
        let (pki, other) = (Pki::new(), Pki::new());
        for kind in [Key::Rsa2048, Key::P256, Key::P384, Key::P521, Key::Ed25519] {
            let key = kind.generate();
            // The same CA twice: under the anchor, and under somebody unknown.
            let under = |pki: &Pki| der(&ca("Sub").signed_by(&key, &pki.issuer).unwrap().pem());
            let (known, unknown) = (under(&pki), under(&other));
            let leaf = leaf(KeyPair::from_pem(&key.serialize_pem()).unwrap());
            let mut sent = vec![leaf.clone(), unknown.clone(), known.clone()];
            sent.extend((0..3).map(|_| der(&ca("Sub").self_signed(&Key::P256.generate()).unwrap().pem())));
            sent.extend((0..2).map(|_| der(&Pki::new().anchor)));
            for turn in 0..sent.len() - 1 {
                sent[1..].rotate_left(1);
                let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
                let found = trust.signer(&sent, 0, Timestamp::now());
                assert!(found.is_ok(), "{kind:?} {turn}: {:?}", found.err());
                let left = above(&leaf, &sent[1..]);
                assert!(
                    left.contains(&known) && left.contains(&unknown) && left.len() <= 3,
                    "{kind:?} {turn}"
                );
            }
        }
    }
}
