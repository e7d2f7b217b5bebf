//! Makes the signatures that the gateway's profile asks for.

use std::fmt::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaSignatureEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::{Code, Refusal};

use super::Limits;
use super::algorithms::{DSIG, ENVELOPED, EXCLUSIVE, Plan, Scheme, SignatureMethod};
use super::document::Document;
use super::keys::{self, Kind};
use super::pass::{Passed, pass};

/// What to sign with which algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Canonicalisation of document and SignedInfo.
    pub canonicalisation: Canonicalisation,
    /// Digest, also of the signature where the key leaves the choice: a key on P-256 signs with
    /// SHA-256, one on P-384 with SHA-384.
    pub hash: Hash,
    /// RSASSA-PSS instead of PKCS#1 v1.5, for RSA keys.
    pub pss: bool,
}

impl Default for Profile {
    /// Exclusive canonicalisation, SHA-256, PKCS#1 v1.5 for RSA keys.
    fn default() -> Self {
        Self { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false }
    }
}

/// The canonicalisations of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonicalisation {
    /// Exclusive 1.0.
    Exclusive,
    /// Exclusive 1.0 with comments.
    ExclusiveWithComments,
    /// Inclusive 1.0.
    Inclusive,
    /// Inclusive 1.0 with comments.
    InclusiveWithComments,
    /// Inclusive 1.1.
    Inclusive11,
    /// Inclusive 1.1 with comments.
    Inclusive11WithComments,
}

/// The digests of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Why a document could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key can't be read, or does not fit the certificate.
    #[error("key: {0}")]
    Key(String),
    /// The certificate can't be read.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The document is not well-formed, over a limit, or signed already.
    #[error("document: {0}")]
    Document(#[from] crate::error::Refusal),
}

/// A certificate with its key.
pub struct Signer {
    /// The signer's own first.
    certificates: Vec<CertificateDer<'static>>,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    /// Signing for each hash that the curve allows.
    Ecdsa(Vec<(Hash, EcdsaKeyPair)>),
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

impl Signer {
    /// From a PEM certificate (chain, the signer's own first) and a PEM private key (PKCS#8,
    /// PKCS#1 or SEC1): RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521.
    ///
    /// # Errors
    /// [`SignError::Key`], [`SignError::Certificate`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, SignError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|why| SignError::Certificate(format!("the PEM can't be read: {why}")))?;
        let Some(own) = certificates.first() else {
            return Err(SignError::Certificate("no PEM certificate in it".to_owned()));
        };
        let (_, parsed) = X509Certificate::from_der(own)
            .map_err(|why| SignError::Certificate(format!("it is not X.509: {why}")))?;
        let kind = keys::kind(parsed.public_key().raw);
        let public = &parsed.public_key().subject_public_key.data;
        let der = PrivateKeyDer::from_pem_slice(key)
            .map_err(|why| SignError::Key(format!("no PEM private key can be read: {why}")))?;
        let key = match kind {
            Kind::Rsa(bits) if !(2048..=8192).contains(&bits) => {
                return Err(SignError::Key(format!("RSA with {bits} bits; use 2048 to 8192")));
            }
            Kind::Rsa(_) => rsa(&der, public)?,
            Kind::Other => {
                let reason = "the certificate's key is neither RSA nor on P-256, P-384 or P-521";
                return Err(SignError::Certificate(reason.to_owned()));
            }
            curve => ecdsa(&der, public, curve)?,
        };
        Ok(Self { certificates, key })
    }

    /// The signer's certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.certificates.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// Puts one enveloped signature over the whole document (`URI=""`) as the root's last child.
    /// All other octets stay as they are; an empty root gets an end tag.
    ///
    /// # Errors
    /// [`SignError::Document`].
    pub fn sign(&self, document: &[u8], profile: Profile) -> Result<Vec<u8>, SignError> {
        // The signature is the signer's own addition: the receiver's limits are not known here.
        let limits = Limits::default();
        let method = self.method(profile);
        let mut plan = Plan { method: profile.canonicalisation, prefixes: Vec::new(), hash: profile.hash };
        let checked = Document::check(document, &limits)?;
        let mut passed = pass(checked, &limits, None, Some(&plan))?;
        if !passed.uncovered.is_empty() {
            plan.prefixes = passed.uncovered.iter().map(|(prefix, _)| prefix.clone()).collect();
            plan.prefixes.sort_unstable();
            passed = pass(checked, &limits, None, Some(&plan))?;
        }
        if passed.signature.is_some() || passed.misplaced.is_some() {
            let reason = "the document is signed already; sign the unsigned one";
            return Err(Refusal::new(Code::NotCovered, reason).into());
        }
        let digest = passed.digest.as_ref().map(|digest| STANDARD.encode(digest)).unwrap_or_default();
        let (head, tail) = self.element(profile, method, &plan.prefixes, &digest);
        let unsigned = insert(checked, &passed, &format!("{head}{tail}"));
        // SignedInfo is canonicalised where it stands, as the verifier will see it.
        let value = self.value(method, &signed_info(&unsigned, profile)?)?;
        Ok(insert(checked, &passed, &format!("{head}{}{tail}", STANDARD.encode(value))))
    }

    pub(super) fn method(&self, profile: Profile) -> SignatureMethod {
        match &self.key {
            Key::Rsa(_) if profile.pss => SignatureMethod { scheme: Scheme::Pss, hash: profile.hash },
            Key::Rsa(_) => SignatureMethod { scheme: Scheme::Pkcs1, hash: profile.hash },
            Key::Ecdsa(pairs) => {
                let wanted = pairs.iter().find(|(hash, _)| *hash == profile.hash).or(pairs.first());
                SignatureMethod {
                    scheme: Scheme::Ecdsa,
                    hash: wanted.map_or(profile.hash, |(hash, _)| *hash),
                }
            }
        }
    }

    /// The signature element, before and after its value.
    fn element(
        &self,
        profile: Profile,
        method: SignatureMethod,
        prefixes: &[String],
        digest: &str,
    ) -> (String, String) {
        let canonicalisation = profile.canonicalisation.uri();
        let transform = transform(canonicalisation, prefixes);
        let head = format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>\
             <ds:CanonicalizationMethod Algorithm=\"{canonicalisation}\"/>\
             <ds:SignatureMethod Algorithm=\"{}\"/>\
             <ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"/>\
             {transform}</ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{digest}</ds:DigestValue>\
             </ds:Reference></ds:SignedInfo><ds:SignatureValue>",
            method.uri(),
            profile.hash.uri(),
        );
        let mut tail = "</ds:SignatureValue><ds:KeyInfo><ds:X509Data>".to_owned();
        for certificate in &self.certificates {
            let _ = write!(tail, "<ds:X509Certificate>{}</ds:X509Certificate>", STANDARD.encode(certificate));
        }
        tail.push_str("</ds:X509Data></ds:KeyInfo></ds:Signature>");
        (head, tail)
    }

    pub(super) fn value(&self, method: SignatureMethod, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let failed = |_| SignError::Key("the key can't sign".to_owned());
        match &self.key {
            Key::Rsa(pair) => {
                let encoding: &'static RsaSignatureEncoding = match (method.scheme, method.hash) {
                    (Scheme::Pss, Hash::Sha256) => &signature::RSA_PSS_SHA256,
                    (Scheme::Pss, Hash::Sha384) => &signature::RSA_PSS_SHA384,
                    (Scheme::Pss, Hash::Sha512) => &signature::RSA_PSS_SHA512,
                    (_, Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
                    (_, Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
                    (_, Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
                };
                let mut value = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut value).map_err(failed)?;
                Ok(value)
            }
            Key::Ecdsa(pairs) => {
                let pair = pairs.iter().find(|(hash, _)| *hash == method.hash);
                let Some((_, pair)) = pair else {
                    return Err(SignError::Key("the curve does not sign with this hash".to_owned()));
                };
                Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
        }
    }
}

/// The canonicalisation as a transform, with the prefixes that it treats inclusively.
fn transform(uri: &str, prefixes: &[String]) -> String {
    if prefixes.is_empty() {
        return format!("<ds:Transform Algorithm=\"{uri}\"/>");
    }
    let token = |prefix: &String| if prefix.is_empty() { "#default".to_owned() } else { prefix.clone() };
    let list: Vec<String> = prefixes.iter().map(token).collect();
    format!(
        "<ds:Transform Algorithm=\"{uri}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{}\"/>\
         </ds:Transform>",
        list.join(" ")
    )
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

/// The document with `element` as the root's last child.
fn insert(document: Document<'_>, passed: &Passed<'_, '_>, element: &str) -> Vec<u8> {
    let text = document.text;
    let root = &passed.root;
    let mut out = Vec::with_capacity(text.len() + element.len() + 128);
    if document.bom() > 0 {
        out.extend_from_slice("\u{FEFF}".as_bytes());
    }
    if root.empty {
        let end = root.end.end;
        out.extend_from_slice(document.slice(0..end - 2).as_bytes());
        out.extend_from_slice(format!(">{element}</{}>", root.qname).as_bytes());
        out.extend_from_slice(document.slice(end..text.len()).as_bytes());
    } else {
        out.extend_from_slice(document.slice(0..root.end.start).as_bytes());
        out.extend_from_slice(element.as_bytes());
        out.extend_from_slice(document.slice(root.end.start..text.len()).as_bytes());
    }
    out
}

/// The canonical `SignedInfo` of the document that has just been given a signature.
fn signed_info(octets: &[u8], profile: Profile) -> Result<Vec<u8>, SignError> {
    let usual = Limits::default();
    let limits = Limits { octets: usize::MAX, elements: usize::MAX, depth: usual.depth + 8, ..usual };
    let document = Document::check(octets, &limits)?;
    let passed = pass(document, &limits, None, None)?;
    let Some(found) = &passed.signature else {
        return Err(Refusal::new(Code::SignatureMissing, "the signature has no place in the document").into());
    };
    let canonical = super::signature::canonical_signed_info(
        document,
        &limits,
        found,
        &passed.root,
        profile.canonicalisation,
        &[],
    )?;
    Ok(canonical)
}
