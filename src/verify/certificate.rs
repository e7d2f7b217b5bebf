//! What a certificate says about its holder.

use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::domain::{Digest, SignerInfo, Timestamp};
use crate::error::{Code, Refusal};

fn parse<'c>(der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Refusal> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| {
        Refusal::new(Code::CertificateUntrusted, "the signer's certificate can't be read (RFC 5280)")
    })
}

/// From when until when it is valid, seconds since 1970; `None` when it can't be read.
pub(crate) fn validity(der: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let certificate = parse(der).ok()?;
    let second = |at: i64| u64::try_from(at).unwrap_or(0);
    let validity = certificate.validity();
    Some((second(validity.not_before.timestamp()), second(validity.not_after.timestamp())))
}

/// DER of its issuer's name.
pub(crate) fn issuer(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    Some(parse(der).ok()?.issuer().as_raw().to_vec())
}

/// Whether the key usage, where there is one, allows to sign data (RFC 5280, section 4.2.1.3).
///
/// # Errors
/// AW-0132.
pub(crate) fn may_sign(der: &CertificateDer<'_>) -> Result<(), Refusal> {
    let certificate = parse(der)?;
    match certificate.key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.digital_signature() || usage.value.non_repudiation() => Ok(()),
        _ => Err(Refusal::new(
            Code::CertificateUntrusted,
            "the signer's certificate is not for signing (key usage needs digitalSignature or nonRepudiation)",
        )),
    }
}

/// The signer of a certificate that is trusted.
///
/// # Errors
/// AW-0132 when the certificate can't be read.
pub(crate) fn describe(der: &CertificateDer<'_>) -> Result<SignerInfo, Refusal> {
    let certificate = parse(der)?;
    let millis = certificate.validity().not_after.timestamp().saturating_mul(1000);
    Ok(SignerInfo {
        subject: name(certificate.subject()),
        serial: certificate.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect(),
        fingerprint: Digest::of(der),
        not_after: Timestamp(u64::try_from(millis).unwrap_or(0)),
    })
}

/// A name after RFC 4514, section 2: the last component first.
fn name(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = short(attribute.attr_type());
    match attribute.as_str() {
        Ok(value) => format!("{kind}={}", escaped(value)),
        Err(_) => {
            let hex: String =
                attribute.attr_value().data.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("{kind}=#{hex}")
        }
    }
}

fn short(oid: &Oid<'_>) -> String {
    let oid = oid.to_id_string();
    let known = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return oid,
    };
    known.to_owned()
}

/// RFC 4514, section 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (number, c) in value.chars().enumerate() {
        let edge = (c == ' ' && (number == 0 || number == last)) || (c == '#' && number == 0);
        match c {
            '\0'..='\u{1F}' => out.push_str(&format!("\\{:02x}", u32::from(c))),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            c if edge => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escapes_names() {
        assert_eq!(escaped(" Stadt Hanau, \"Amt\" "), "\\ Stadt Hanau\\, \\\"Amt\\\"\\ ");
        assert_eq!(escaped("#1\n"), "\\#1\\0a");
    }
}
