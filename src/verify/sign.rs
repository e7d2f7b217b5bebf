//! Makes the signatures that the gateway's profile asks for.

mod key;
mod xades;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::Timestamp;
use crate::error::{Code, Refusal};

use super::Limits;
use super::algorithms::{DSIG, ENVELOPED, EXCLUSIVE, Plan, SignatureMethod};
use super::document::Document;
use super::keys;
use super::pass::{Ask, Found, Passed, pass};
use key::Key;
use xades::Xades;

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

/// What a signature may have besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// XAdES B-B: the time that the signer says it has signed at.
    pub xades: Option<Timestamp>,
    /// RSASSA-PSS with its parameters written out (RFC 9231, section 2.3.9).
    pub pss_parameters: bool,
    /// Refer to the root by its id (`Id`, `ID`, `id` or `xml:id`) instead of by `URI=""`.
    pub by_id: bool,
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

impl Signer {
    /// From a PEM certificate (chain, the signer's own first) and a PEM private key (PKCS#8,
    /// PKCS#1 or SEC1): RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, Ed25519.
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
        let key = Key::read(&der, public, kind)?;
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
        self.sign_as(document, profile, Form::default())
    }

    /// The same in another form.
    ///
    /// # Errors
    /// [`SignError::Document`].
    pub fn sign_as(&self, document: &[u8], profile: Profile, form: Form) -> Result<Vec<u8>, SignError> {
        // The signature is the signer's own addition: the receiver's limits are not known here.
        let limits = Limits::default();
        let xades = form.xades.map(|at| Xades::new(at, self.certificate(), profile));
        let properties = xades.as_ref().map(Xades::id);
        let mut plan =
            Plan { method: profile.canonicalisation, prefixes: Vec::new(), hash: profile.hash, properties };
        let checked = Document::check(document, &limits)?;
        let mut passed = pass(checked, &limits, Ask { plan: Some(&plan), ..Ask::default() })?;
        if !passed.uncovered.is_empty() {
            plan.prefixes = passed.uncovered.iter().map(|(prefix, _)| prefix.clone()).collect();
            plan.prefixes.sort_unstable();
            passed = pass(checked, &limits, Ask { plan: Some(&plan), ..Ask::default() })?;
        }
        if passed.signature.is_some() || passed.misplaced.is_some() {
            let reason = "the document is signed already; sign the unsigned one";
            return Err(Refusal::new(Code::NotCovered, reason).into());
        }
        let digest = passed.digest.as_ref().map(|digest| STANDARD.encode(digest)).unwrap_or_default();
        let method = self.key.method(profile, form);
        let uri = match (form.by_id, passed.root.ids.first()) {
            (false, _) => String::new(),
            (true, Some(id)) => format!("#{id}"),
            (true, None) => {
                let reason = "the root has no id to refer to; give it one, or refer with URI=\"\"";
                return Err(Refusal::new(Code::NotCovered, reason).into());
            }
        };
        let whole = |properties: &str, value: &str| {
            let (head, tail) = self.element(profile, method, (&plan.prefixes, &digest, &uri), xades.as_ref());
            insert(checked, &passed, &format!("{}{properties}{}{value}{tail}", head.0, head.1))
        };
        // Properties and SignedInfo are canonicalised where they stand, as the verifier will see them.
        let properties = match &xades {
            None => String::new(),
            Some(xades) => {
                let draft = whole(&xades.reference(""), "");
                xades.reference(&STANDARD.encode(xades.digest(&draft)?))
            }
        };
        let value = self.key.sign(method, &signed_info(&whole(&properties, ""), profile)?)?;
        Ok(whole(&properties, &STANDARD.encode(value)))
    }

    /// What it signs with.
    pub(super) fn method(&self, profile: Profile) -> SignatureMethod {
        self.key.method(profile, Form::default()).0
    }

    /// The value of a signature over octets.
    pub(super) fn value(&self, method: SignatureMethod, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign(key::Method(method), message)
    }

    /// The signature element: up to where a second reference may stand, from there up to its value,
    /// and what comes behind it.
    fn element(
        &self,
        profile: Profile,
        method: key::Method,
        (prefixes, digest, uri): (&[String], &str, &str),
        xades: Option<&Xades>,
    ) -> ((String, String), String) {
        let canonicalisation = profile.canonicalisation.uri();
        let transform = transform(canonicalisation, prefixes);
        let (id, reference) = xades.map(Xades::ids).unwrap_or_default();
        let head = format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\"{id}><ds:SignedInfo>\
             <ds:CanonicalizationMethod Algorithm=\"{canonicalisation}\"/>{}\
             <ds:Reference{reference} URI=\"{uri}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"/>\
             {transform}</ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{digest}</ds:DigestValue>\
             </ds:Reference>",
            method.element(),
            profile.hash.uri(),
        );
        let mut tail = "</ds:SignatureValue><ds:KeyInfo><ds:X509Data>".to_owned();
        for certificate in &self.certificates {
            let _ = write!(tail, "<ds:X509Certificate>{}</ds:X509Certificate>", STANDARD.encode(certificate));
        }
        tail.push_str("</ds:X509Data></ds:KeyInfo>");
        tail.push_str(&xades.map(Xades::object).unwrap_or_default());
        tail.push_str("</ds:Signature>");
        ((head, "</ds:SignedInfo><ds:SignatureValue>".to_owned()), tail)
    }
}

#[cfg(test)]
impl Signer {
    /// As [`Signer::sign`], with other transforms written down than those that the digest is made with.
    pub(crate) fn sign_transforms(&self, document: &[u8], transforms: &str) -> String {
        let profile = Profile::default();
        let signed = String::from_utf8(self.sign(document, profile).unwrap()).unwrap();
        let from = signed.find("<ds:Transforms>").unwrap() + "<ds:Transforms>".len();
        let to = signed.find("</ds:Transforms>").unwrap();
        let unsigned = format!("{}{transforms}{}", &signed[..from], &signed[to..]);
        let method = self.key.method(profile, Form::default());
        let value = self.key.sign(method, &signed_info(unsigned.as_bytes(), profile).unwrap()).unwrap();
        let from = unsigned.find("<ds:SignatureValue>").unwrap() + "<ds:SignatureValue>".len();
        let to = unsigned.find("</ds:SignatureValue>").unwrap();
        format!("{}{}{}", &unsigned[..from], STANDARD.encode(value), &unsigned[to..])
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

/// Shows the signature that a document has just been given.
fn with_signature<T>(
    octets: &[u8],
    look: impl FnOnce(Document<'_>, &Limits, &Passed<'_, '_>, &Found<'_>) -> Result<T, Refusal>,
) -> Result<T, SignError> {
    let usual = Limits::default();
    let limits = Limits { octets: usize::MAX, elements: usize::MAX, depth: usual.depth + 8, ..usual };
    let document = Document::check(octets, &limits)?;
    let passed = pass(document, &limits, Ask::default())?;
    let Some(found) = &passed.signature else {
        return Err(Refusal::new(Code::SignatureMissing, "the signature has no place in the document").into());
    };
    Ok(look(document, &limits, &passed, found)?)
}

/// The canonical `SignedInfo` of the document that has just been given a signature.
fn signed_info(octets: &[u8], profile: Profile) -> Result<Vec<u8>, SignError> {
    with_signature(octets, |document, limits, passed, found| {
        let method = profile.canonicalisation;
        super::signature::canonical_signed_info(document, limits, found, &passed.root, method, &[])
    })
}
