//! Certificates for tests, kept as files as an operator keeps them.

use std::path::{Path, PathBuf};

use amtsweg::domain::Digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Serial number of the certificate that is revoked.
const REVOKED: u64 = 4711;

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Use {
    Server,
    Client,
    Signer,
}

/// A folder of PEM files: `<name>.pem` and `<name>.key`.
#[derive(Clone)]
pub struct Pki(pub PathBuf);

struct Ca {
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2060, 1, 1);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, folder: &Path, name: &str, purpose: Use, serial: Option<u64>, end: i32) {
        let mut params = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(end, 1, 1);
        params.serial_number = serial.map(SerialNumber::from);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Use::Server => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Use::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Use::Signer => Vec::new(),
        };
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// A list of `years.0` that is good until `years.1`.
    fn crl(&self, folder: &Path, name: &str, years: (i32, i32), any: bool) {
        let revoked = any.then(|| RevokedCertParams {
            serial_number: SerialNumber::from(REVOKED),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(years.0, 1, 2),
            next_update: date_time_ymd(years.1, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = params.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(folder.join(name), pem).unwrap();
    }
}

impl Pki {
    /// Makes all files in `folder`.
    pub fn make(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let ca = Ca::new(folder, "ca");
        ca.leaf(folder, "server", Use::Server, None, 2060);
        for client in ["portal", "portal2", "authority", "authority2", "operator", "nobody"] {
            ca.leaf(folder, client, Use::Client, None, 2060);
        }
        ca.leaf(folder, "revoked", Use::Client, Some(REVOKED), 2060);
        ca.leaf(folder, "expired", Use::Client, None, 2021);
        ca.crl(folder, "client-crl.pem", (2025, 2060), true);
        // The older list comes first by name, and is good for longer.
        std::fs::create_dir_all(folder.join("client-crls")).unwrap();
        ca.crl(folder, "client-crls/1.pem", (2024, 2060), false);
        ca.crl(folder, "client-crls/2.pem", (2025, 2059), true);
        let signing = Ca::new(folder, "signing-ca");
        signing.leaf(folder, "signer", Use::Signer, None, 2060);
        signing.leaf(folder, "signer-expired", Use::Signer, None, 2021);
        signing.leaf(folder, "signer-revoked", Use::Signer, Some(REVOKED), 2060);
        signing.crl(folder, "crl.pem", (2025, 2060), true);
        signing.crl(folder, "crl-stale.pem", (2025, 2026), true);
        Ca::new(folder, "other-ca").leaf(folder, "signer-untrusted", Use::Signer, None, 2060);
        Self(folder.to_owned())
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap()
    }

    pub fn fingerprint(&self, name: &str) -> Digest {
        Digest::of(&self.certificate(name))
    }

    pub fn signer(&self, name: &str) -> amtsweg::verify::sign::Signer {
        let read = |ending: &str| std::fs::read(self.file(&format!("{name}.{ending}"))).unwrap();
        amtsweg::verify::sign::Signer::from_pem(&read("pem"), &read("key")).unwrap()
    }
}
