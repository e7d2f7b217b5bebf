//! Private keys and what they sign with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaSignatureEncoding,
};
use rustls_pki_types::PrivateKeyDer;

use super::{Form, Hash, Profile, SignError};
use crate::verify::algorithms::{MGF1, PSS, Scheme, SignatureMethod};
use crate::verify::keys::Kind;

pub(super) enum Key {
    Rsa(RsaKeyPair),
    /// Signing for each hash that the curve allows.
    Ecdsa(Vec<(Hash, EcdsaKeyPair)>),
    Ed25519(Ed25519KeyPair),
}

type Curve = (Kind, &'static [(Hash, &'static EcdsaSigningAlgorithm)]);

static CURVES: [Curve; 3] = [
    (Kind::P256, &[(Hash::Sha256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING)]),
    (Kind::P384, &[(Hash::Sha384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING)]),
    (
        Kind::P521,
        &[
            (Hash::Sha512, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            (Hash::Sha256, &signature::ECDSA_P521_SHA256_FIXED_SIGNING),
            (Hash::Sha384, &signature::ECDSA_P521_SHA384_FIXED_SIGNING),
        ],
    ),
];

/// A signature method, to be written down.
#[derive(Clone, Copy)]
pub(super) struct Method(pub(super) SignatureMethod);

impl Method {
    /// The element `SignatureMethod`, with its parameters where they are written out.
    pub(super) fn element(self) -> String {
        let uri = self.0.uri();
        if self.0.scheme != Scheme::PssParameters {
            return format!("<ds:SignatureMethod Algorithm=\"{uri}\"/>");
        }
        let digest = format!("<ds:DigestMethod Algorithm=\"{}\"/>", self.0.hash.uri());
        let salt = self.0.hash.algorithm().output_len();
        format!(
            "<ds:SignatureMethod Algorithm=\"{uri}\"><pss:RSAPSSParams xmlns:pss=\"{PSS}\">{digest}\
             <pss:MaskGenerationFunction Algorithm=\"{MGF1}\">{digest}</pss:MaskGenerationFunction>\
             <pss:SaltLength>{salt}</pss:SaltLength><pss:TrailerField>1</pss:TrailerField>\
             </pss:RSAPSSParams></ds:SignatureMethod>"
        )
    }
}

impl Key {
    /// The private key that belongs to a public key of this kind.
    pub(super) fn read(der: &PrivateKeyDer<'_>, public: &[u8], kind: Kind) -> Result<Self, SignError> {
        match kind {
            Kind::Rsa(bits) if !(2048..=8192).contains(&bits) => {
                Err(SignError::Key(format!("RSA with {bits} bits; use 2048 to 8192")))
            }
            Kind::Rsa(_) => rsa(der, public),
            Kind::Ed25519 => ed25519(der, public),
            Kind::Other => {
                let reason = "the certificate's key is neither RSA nor Ed25519 nor on P-256, P-384 or P-521";
                Err(SignError::Certificate(reason.to_owned()))
            }
            curve => ecdsa(der, public, curve),
        }
    }

    /// What it signs with.
    pub(super) fn method(&self, profile: Profile, form: Form) -> Method {
        let hash = profile.hash;
        Method(match self {
            Self::Rsa(_) if form.pss_parameters => SignatureMethod { scheme: Scheme::PssParameters, hash },
            Self::Rsa(_) if profile.pss => SignatureMethod { scheme: Scheme::Pss, hash },
            Self::Rsa(_) => SignatureMethod { scheme: Scheme::Pkcs1, hash },
            Self::Ed25519(_) => SignatureMethod { scheme: Scheme::Ed25519, hash: Hash::Sha512 },
            Self::Ecdsa(pairs) => {
                let wanted = pairs.iter().find(|(hash, _)| *hash == profile.hash).or(pairs.first());
                SignatureMethod { scheme: Scheme::Ecdsa, hash: wanted.map_or(hash, |(hash, _)| *hash) }
            }
        })
    }

    /// The signature value.
    pub(super) fn sign(&self, Method(method): Method, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let failed = |_| SignError::Key("the key can't sign".to_owned());
        match self {
            Self::Rsa(pair) => {
                let pss = matches!(method.scheme, Scheme::Pss | Scheme::PssParameters);
                let encoding: &'static RsaSignatureEncoding = match (pss, method.hash) {
                    (true, Hash::Sha256) => &signature::RSA_PSS_SHA256,
                    (true, Hash::Sha384) => &signature::RSA_PSS_SHA384,
                    (true, Hash::Sha512) => &signature::RSA_PSS_SHA512,
                    (false, Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
                    (false, Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
                    (false, Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
                };
                let mut value = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut value).map_err(failed)?;
                Ok(value)
            }
            Self::Ecdsa(pairs) => {
                let pair = pairs.iter().find(|(hash, _)| *hash == method.hash);
                let Some((_, pair)) = pair else {
                    return Err(SignError::Key("the curve does not sign with this hash".to_owned()));
                };
                Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

fn rsa(der: &PrivateKeyDer<'_>, public: &[u8]) -> Result<Key, SignError> {
    let pair = match der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(SignError::Key("the certificate's key is RSA, the private key is not".to_owned())),
    };
    let pair = pair.map_err(|why| SignError::Key(format!("it can't be used as an RSA key: {why}")))?;
    if pair.public_key().as_ref() == public { Ok(Key::Rsa(pair)) } else { Err(other_key()) }
}

fn ed25519(der: &PrivateKeyDer<'_>, public: &[u8]) -> Result<Key, SignError> {
    let PrivateKeyDer::Pkcs8(der) = der else {
        return Err(SignError::Key("an Ed25519 key must be PKCS#8".to_owned()));
    };
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        .map_err(|why| SignError::Key(format!("it can't be used as an Ed25519 key: {why}")))?;
    if pair.public_key().as_ref() == public { Ok(Key::Ed25519(pair)) } else { Err(other_key()) }
}

fn ecdsa(der: &PrivateKeyDer<'_>, public: &[u8], kind: Kind) -> Result<Key, SignError> {
    let mut pairs = Vec::new();
    for (hash, algorithm) in CURVES.iter().filter(|(curve, _)| *curve == kind).flat_map(|(_, list)| *list) {
        let pair = match der {
            PrivateKeyDer::Sec1(der) => EcdsaKeyPair::from_private_key_der(algorithm, der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der()),
            _ => {
                return Err(SignError::Key(
                    "the certificate's key is on a curve, the private key is not".to_owned(),
                ));
            }
        };
        let pair =
            pair.map_err(|why| SignError::Key(format!("it is not on the certificate's curve: {why}")))?;
        if pair.public_key().as_ref() != public {
            return Err(other_key());
        }
        pairs.push((*hash, pair));
    }
    Ok(Key::Ecdsa(pairs))
}

fn other_key() -> SignError {
    SignError::Key("it does not belong to the certificate; give the key of the first certificate".to_owned())
}
