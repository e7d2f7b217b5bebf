//! A PKI for tests: made anew each time, so no private key lies around.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    RsaKeySize,
};

/// The kinds of key of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Rsa2048,
    Rsa3072,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Key {
    pub const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::P256, Self::P384, Self::P521, Self::Ed25519];

    pub fn generate(self) -> KeyPair {
        match self {
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
            Self::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).unwrap(),
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
            Self::P521 => KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
        }
    }
}

/// A certificate authority.
pub struct Pki {
    /// Its certificate.
    pub anchor: String,
    /// Its name and key.
    pub issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

impl Pki {
    pub fn new() -> Self {
        let key = Key::P256.generate();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let anchor = params.self_signed(&key).unwrap().pem();
        Self { anchor, issuer: Issuer::new(params, key) }
    }

    /// A signer's certificate; `edit` makes it a special one.
    pub fn leaf(&self, key: Key, edit: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = key.generate();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Stadt Hanau, Amt");
        params.distinguished_name.push(DnType::CommonName, "Signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(4711.into());
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }
}
