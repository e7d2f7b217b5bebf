//! What `X509Data` says about the signer's certificate besides sending it. XML Signature 1.1 (section
//! 4.5.4) wants all of it to be about the certificate whose key has signed: else two readers could
//! take two different signers from one message.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::asn1_rs::ToDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use crate::error::{Code, Refusal};
use crate::verify::sign::Hash;

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Issuer (RFC 4514) and serial number (decimal).
    IssuerSerial(String, String),
    /// Subject (RFC 4514).
    Subject(String),
    /// Subject key identifier.
    KeyId(Vec<u8>),
    /// Digest of the certificate.
    Digest(Hash, Vec<u8>),
}

/// Whether all statements are about `certificate`.
///
/// # Errors
/// AW-0122 for one that is not.
pub(crate) fn agree(named: &[Named], certificate: &CertificateDer<'_>) -> Result<(), Refusal> {
    if named.is_empty() {
        return Ok(());
    }
    let wrong = |what: &str| {
        let reason = format!(
            "{what} in X509Data is not that of the certificate whose key has signed; leave it out or correct it"
        );
        Refusal::new(Code::SignatureWrong, reason)
    };
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Err(wrong("what stands besides the certificate"));
    };
    for statement in named {
        match statement {
            Named::IssuerSerial(issuer, serial) => {
                if *serial != parsed.tbs_certificate.serial.to_string() {
                    return Err(wrong("X509SerialNumber"));
                }
                if !same_name(issuer, parsed.issuer()) {
                    return Err(wrong("X509IssuerName"));
                }
            }
            Named::Subject(subject) if !same_name(subject, parsed.subject()) => {
                return Err(wrong("X509SubjectName"));
            }
            Named::KeyId(id) if !parsed.extensions().iter().any(|e| is_key_id(e.parsed_extension(), id)) => {
                return Err(wrong("X509SKI"));
            }
            Named::Digest(hash, value) if digest::digest(hash.algorithm(), certificate).as_ref() != value => {
                return Err(wrong("X509Digest"));
            }
            Named::Subject(_) | Named::KeyId(_) | Named::Digest(..) => {}
        }
    }
    Ok(())
}

fn is_key_id(extension: &ParsedExtension<'_>, id: &[u8]) -> bool {
    matches!(extension, ParsedExtension::SubjectKeyIdentifier(key) if key.0 == id)
}

/// Whether a name as text (RFC 4514, and what is commonly written instead) is this one. Programs write
/// the components from either end and call some types differently, so what is compared is the values,
/// in order or reversed, without regard to case and runs of white space (RFC 5280, section 7.1), and
/// the types where both sides know them.
fn same_name(text: &str, name: &X509Name<'_>) -> bool {
    let Some(written) = components(text) else { return false };
    let own: Vec<(String, String, Vec<u8>)> = name
        .iter_attributes()
        .map(|a| {
            let value = a.as_str().map(folded).unwrap_or_default();
            (a.attr_type().to_id_string(), value, a.attr_value().to_der_vec().unwrap_or_default())
        })
        .collect();
    let fits = |(kind, value): &(String, Value), (oid, text, der): &(String, String, Vec<u8>)| {
        let kinds = oid_of(kind).is_none_or(|known| known == oid);
        kinds
            && match value {
                Value::Text(value) => folded(value) == *text,
                Value::Der(octets) => octets == der,
            }
    };
    written.len() == own.len()
        && (written.iter().zip(&own).all(|(w, o)| fits(w, o))
            || written.iter().zip(own.iter().rev()).all(|(w, o)| fits(w, o)))
}

/// A component's value.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// Written as # and the hexadecimal of its DER octets.
    Der(Vec<u8>),
}

fn folded(value: &str) -> String {
    value.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The object identifier of a type; `None` for a name that is not known here.
fn oid_of(kind: &str) -> Option<&str> {
    const KNOWN: [(&str, &str); 19] = [
        ("CN", "2.5.4.3"),
        ("SN", "2.5.4.4"),
        ("SERIALNUMBER", "2.5.4.5"),
        ("C", "2.5.4.6"),
        ("L", "2.5.4.7"),
        ("ST", "2.5.4.8"),
        ("S", "2.5.4.8"),
        ("STREET", "2.5.4.9"),
        ("O", "2.5.4.10"),
        ("OU", "2.5.4.11"),
        ("TITLE", "2.5.4.12"),
        ("T", "2.5.4.12"),
        ("GIVENNAME", "2.5.4.42"),
        ("GN", "2.5.4.42"),
        ("E", "1.2.840.113549.1.9.1"),
        ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
        ("UID", "0.9.2342.19200300.100.1.1"),
        ("DC", "0.9.2342.19200300.100.1.25"),
        ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ];
    let dotted = kind.strip_prefix("OID.").or_else(|| kind.strip_prefix("oid.")).unwrap_or(kind);
    if !dotted.is_empty() && dotted.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
        return Some(dotted);
    }
    KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, oid)| *oid)
}

/// Types and values of a name, as written.
fn components(text: &str) -> Option<Vec<(String, Value)>> {
    let mut found = Vec::new();
    let mut part = String::new();
    let mut chars = text.trim().chars();
    let mut quoted = false;
    loop {
        match chars.next() {
            Some('\\') => {
                part.push('\\');
                part.push(chars.next()?);
            }
            Some('"') => quoted = !quoted,
            Some(',' | ';' | '+') if !quoted => found.push(component(&std::mem::take(&mut part))?),
            Some(c) => part.push(c),
            None if part.trim().is_empty() && found.is_empty() => return Some(found),
            None if quoted => return None,
            None => {
                found.push(component(&part)?);
                return Some(found);
            }
        }
    }
}

fn component(text: &str) -> Option<(String, Value)> {
    let (kind, value) = text.split_once('=')?;
    let (kind, value) = (kind.trim().to_owned(), value.trim());
    if let Some(hex) = value.strip_prefix('#') {
        let octets = hex.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        return Some((kind, Value::Der(octets.collect::<Option<_>>()?)));
    }
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        let mut buffer = [0; 4];
        if c != '\\' {
            octets.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let next = rest.next()?;
        match (next.to_digit(16), rest.clone().next().and_then(|c| c.to_digit(16))) {
            (Some(high), Some(low)) => {
                rest.next();
                octets.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => octets.extend_from_slice(next.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Some((kind, Value::Text(String::from_utf8(octets).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart() {
        let text = |kind: &str, value: &str| (kind.to_owned(), Value::Text(value.to_owned()));
        assert_eq!(components(""), Some(Vec::new()));
        assert_eq!(
            components("CN=Amt\\, Nord, O=\"Stadt, Hanau\";2.5.4.6=DE"),
            Some(vec![text("CN", "Amt, Nord"), text("O", "Stadt, Hanau"), text("2.5.4.6", "DE")])
        );
        assert_eq!(components("CN=Gr\\C3\\B6\\C3\\9Fe"), Some(vec![text("CN", "Größe")]));
        let der = components("1.2.840.113549.1.9.1=#160161").unwrap();
        assert_eq!(der[0].1, Value::Der(vec![0x16, 1, 0x61]));
        for bad in ["CN", "CN=a,", "CN=\"a", "CN=a\\", "CN=#1", "CN=#1g"] {
            assert_eq!(components(bad), None, "{bad}");
        }
    }
}
