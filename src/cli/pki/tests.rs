use std::os::unix::fs::PermissionsExt;

use x509_parser::prelude::*;

use super::*;

fn parse(dir: &Path, name: &str) -> Vec<u8> {
    let pem = std::fs::read(dir.join(name)).unwrap();
    x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents
}

#[test]
fn makes_every_file_keys_private_and_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let made = init(&pki).unwrap();
    assert_eq!(made.len(), names().len());
    for name in names() {
        let mode = std::fs::metadata(pki.join(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
    }
    let before = std::fs::read(pki.join("ca.pem")).unwrap();
    let refused = init(&pki).unwrap_err().to_string();
    assert!(refused.contains("ca.key") && refused.contains("nothing was changed"), "{refused}");
    ensure(&pki).unwrap();
    assert_eq!(std::fs::read(pki.join("ca.pem")).unwrap(), before);
    std::fs::remove_file(pki.join("portal.key")).unwrap();
    assert!(ensure(&pki).unwrap_err().to_string().contains("portal.key"));
}

#[test]
fn usages_fit_the_purpose_and_the_ca_signed_all() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path()).unwrap();
    let ca_der = parse(dir.path(), "ca.pem");
    let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
    assert!(ca.is_ca());
    for (name, _, purpose) in CERTIFICATES {
        let der = parse(dir.path(), &format!("{name}.pem"));
        let (_, leaf) = X509Certificate::from_der(&der).unwrap();
        assert!(!leaf.is_ca());
        leaf.verify_signature(Some(ca.public_key())).unwrap();
        assert!(leaf.validity().is_valid());
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature());
        let extended = leaf.extended_key_usage().unwrap();
        match purpose {
            Purpose::Signer => assert!(usage.non_repudiation() && extended.is_none(), "{name}"),
            Purpose::Client => assert!(extended.unwrap().value.client_auth && !usage.non_repudiation()),
            Purpose::Server => assert!(extended.unwrap().value.server_auth),
        }
    }
    let crl_pem = std::fs::read(dir.path().join("ca.crl.pem")).unwrap();
    let crl_der = x509_parser::pem::parse_x509_pem(&crl_pem).unwrap().1.contents;
    let (_, crl) = CertificateRevocationList::from_der(&crl_der).unwrap();
    assert_eq!(crl.iter_revoked_certificates().count(), 0);
}

#[test]
fn further_certificates_come_from_the_kept_ca() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path()).unwrap();
    let issuer = issuer(dir.path()).unwrap();
    let (expired, _) = leaf(&issuer, "Expired", Purpose::Signer, -30..-1).unwrap();
    let der = x509_parser::pem::parse_x509_pem(expired.as_bytes()).unwrap().1.contents;
    let (_, expired) = X509Certificate::from_der(&der).unwrap();
    assert!(!expired.validity().is_valid());
    let ca_der = parse(dir.path(), "ca.pem");
    let (_, ca) = X509Certificate::from_der(&ca_der).unwrap();
    assert_eq!(expired.issuer(), ca.subject());
}
